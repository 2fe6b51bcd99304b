"""Draw what shards hold, view beside view: image, normals and depth of both sides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import OutputError, UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dataset.shards import ShardReader, ShardSet

SIDES = ("front", "back")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("contact-sheet", __doc__ or "")
    parser.add_argument("shards", type=Path, help="shard set")
    parser.add_argument("--out", type=Path, required=True, help="PNG or JPEG to write")
    parser.add_argument("--people", type=int, default=8, help="how many shards are drawn")
    parser.add_argument("--across", type=int, default=2, help="people side by side")
    parser.add_argument("--cell", type=int, default=128, help="width of a picture, pixels")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(build_parser(), _run, argv)


def person_sheet(
    reader: ShardReader, cell: int, views: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """Return views of a shard as columns.

    The rows are image, normals and depth of the front, then of the back. The first image shows
    the whole frame; what follows is cropped, and its depths share one range.

    Args:
        reader: the shard.
        cell: width of a picture, pixels.
        views: which; None for all.

    Returns:
        (6 cell, views cell, 3) uint8.
    """
    import numpy as np

    from eval.pictures import Crop, crop_around, cropped, depth_picture, normals_picture

    numbers = range(reader.view_count) if views is None else views
    masks = np.stack([reader.read("mask", view) > 0 for view in numbers])
    depths = {side: [reader.read(f"depth/{side}", view) for view in numbers] for side in SIDES}
    near = min(float(depth[mask].min()) for depth, mask in zip(depths["front"], masks, strict=True))
    far = max(float(depth[mask].max()) for depth, mask in zip(depths["back"], masks, strict=True))
    crop, whole = crop_around(masks), Crop(0.0, 0.0, 1.0)
    columns = []
    for view, mask in zip(numbers, masks, strict=True):
        cells = []
        for side in SIDES:
            is_back = side == "back"
            image = reader.read(f"image/{side}", view)
            image = np.where(mask[..., None], image, 255).astype(np.uint8) if is_back else image
            normals = normals_picture(reader.read(f"normal/{side}", view), mask, is_back)
            depth = depth_picture(depths[side][view], mask, near, far)
            cells.append(cropped(image, crop if is_back else whole, cell))
            cells += [cropped(normals, crop, cell), cropped(depth, crop, cell)]
        columns.append(np.concatenate(cells))
    return np.concatenate(columns, axis=1)


def contact_sheet(shards: ShardSet, people: int, across: int, cell: int) -> NDArray[np.uint8]:
    """Return the sheets of the first shards, so many side by side."""
    import numpy as np

    names = shards.scan_ids[:people]
    sheets = []
    for name in names:
        with shards.open(name) as reader:
            sheets.append(person_sheet(reader, cell))
    widest = max(sheet.shape[1] for sheet in sheets)
    gap = cell // 8
    framed = [
        np.pad(sheet, ((0, gap), (0, widest - sheet.shape[1] + gap), (0, 0)), constant_values=255)
        for sheet in sheets
    ]
    blank = np.full_like(framed[0], 255)
    framed += [blank] * (-len(framed) % across)
    rows = [
        np.concatenate(framed[start : start + across], axis=1)
        for start in range(0, len(framed), across)
    ]
    return np.concatenate(rows)[:-gap, :-gap]


def _run(arguments: argparse.Namespace) -> int:
    from PIL import Image

    from dataset.shards import ShardSet

    for flag in ("people", "across", "cell"):
        if getattr(arguments, flag) < 1:
            raise UserInputError(f"--{flag}: expected 1 or more, got {getattr(arguments, flag)}")
    out: Path = arguments.out
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserInputError(f"--out: expected a .png or .jpg file, got {out}")
    if out.exists() and not arguments.overwrite:
        raise OutputError(f"{out}: expected no such file, got one (--overwrite replaces it)")
    shards = ShardSet(arguments.shards)
    if not shards.scan_ids:
        raise UserInputError(f"{arguments.shards}: expected a shard set with shards, got none")
    sheet = contact_sheet(shards, arguments.people, arguments.across, arguments.cell)
    Image.fromarray(sheet).save(out, optimize=True)
    print(f"contact sheet: {out}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
