"""The picture of the pipeline: what a shard holds, and what a network made of its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset.shards import ShardSet
from eval.pictures import (
    OVERVIEW_TITLES,
    Crop,
    crop_around,
    cropped,
    depth_picture,
    normals_picture,
    picture_table,
)

CELL = 176
SHARD_TITLES = (
    "scan, front", "scan, back", "lit, front", "lit, back", "before a room",
    "depth, front", "depth, back", "normals, front", "normals, back",
)  # fmt: skip


def shard_row(shards: ShardSet, scan_id: str) -> list[NDArray[np.uint8]]:
    """Return what the shard of a scan holds of its frontal view, cropped to the person."""
    with shards.open(scan_id) as reader:
        view = min(range(reader.view_count), key=lambda number: abs(reader.yaw_deg(number)))
        mask = reader.read("mask", view) > 0
        crop = crop_around(mask)
        depths = [reader.read(f"depth/{side}", view) for side in ("front", "back")]
        near, far = float(depths[0][mask].min()), float(depths[1][mask].max())
        colours = [
            reader.read(name, view)
            for name in ("albedo/front", "albedo/back", "person/front", "image/back")
        ]
        people = [np.where(mask[..., None], each, 255).astype(np.uint8) for each in colours]
        normals = [
            normals_picture(reader.read(f"normal/{side}", view), mask, side == "back")
            for side in ("front", "back")
        ]
        image = cropped(reader.read("image/front", view), Crop(0.0, 0.0, 1.0), CELL)
    maps = [depth_picture(depth, mask, near, far) for depth in depths]
    cells = [cropped(each, crop, CELL) for each in (*people, *maps, *normals)]
    return [*cells[:4], image, *cells[4:]]


def write_pipeline_picture(path: Path, shards: ShardSet, scan_id: str, overview: Path) -> None:
    """Write the picture: a row of the shard over the first row of an evaluation's overview.

    Args:
        path: PNG to write.
        shards: the shard set.
        scan_id: the scan of the first row.
        overview: the `results_overview.png` of eval-2k2k.
    """
    first = picture_table(SHARD_TITLES, [shard_row(shards, scan_id)], CELL)
    scored = np.asarray(Image.open(overview).convert("RGB"))
    cell = scored.shape[1] / len(OVERVIEW_TITLES)
    one_row = Image.fromarray(scored[: round(cell * 1.115)])
    height = round(one_row.height * first.shape[1] / one_row.width)
    second = np.asarray(one_row.resize((first.shape[1], height), Image.Resampling.LANCZOS))
    Image.fromarray(np.concatenate([first, second])).save(path, optimize=True)
