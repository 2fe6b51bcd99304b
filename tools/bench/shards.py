"""Compare codecs and tiles of shards with PNG files of the same arrays.

The arrays are those of a view that hold the person alone (no background in either), as a shard
stores them: colours and masks as they are, depth in 16 bits, normals in 16-bit PNG of the same
steps. Measured are bytes, writing, reading all of a view, and reading the windows of the twelve
part crops, for which a PNG has to be decoded whole. One thread, files in the page cache, values as
stored on both sides; the median counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import UserInputError
from tools.bench._clock import timed
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataset.shards import Box
    from tools.bench._codecs import Candidate

TARGETS = {"bytes": 1.0, "whole": 4.0, "parts": 5.0}
"""At most this share of PNG's bytes, and at least so many times as fast."""

PNG_LEVEL = 6


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One view.

    Attributes:
        codes: arrays as stored, by name.
        boxes: of the frame that the twelve crops touch.
    """

    codes: dict[str, NDArray[Any]]
    boxes: list[Box]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-shards", __doc__ or "")
    add = parser.add_argument
    add("--resolution", type=int, default=2048, help="pixels a side")
    add("--people", type=int, default=2, help="demo people, a view of each")
    add("--vertices", type=int, default=200_000, help="vertices of each")
    add("--repeats", type=int, default=5, help="runs after one to warm up; the median counts")
    add("--shards", type=Path, metavar="DIR", help="take the first views of this set instead")
    add("--only", nargs="+", metavar="TEXT", help="candidates with one of these in their name")
    add("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    chosen = _chosen(arguments.only)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shards = arguments.shards or _make_set(folder, arguments)
        samples = read_samples(shards, arguments.people)
        figures: dict[str, Any] = {
            "views": len(samples),
            "resolution": len(samples[0].codes["mask"]),
            "person_share": round(_person_share(samples), 4),
            "png": measure_png(samples, folder, arguments.repeats),
            "candidates": [
                {
                    "label": each.label,
                    "tile": each.tile,
                    **measure_hdf5(each, samples, folder / "bench.h5", arguments.repeats),
                }
                for each in chosen
            ],
        }
    for row in figures["candidates"]:
        row.update(_against_png(row, figures["png"]))
    _print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _chosen(texts: list[str] | None) -> list[Candidate]:
    from tools.bench._codecs import candidates

    found = [
        each for each in candidates() if texts is None or any(text in each.label for text in texts)
    ]
    if not found:
        known = ", ".join(dict.fromkeys(each.label for each in candidates()))
        raise UserInputError(f"--only: expected parts of {known}, got {' '.join(texts or ())}")
    return found


def _make_set(folder: Path, arguments: argparse.Namespace) -> Path:
    from tools import make_demo_scans, render_dataset

    scans, shards = folder / "scans", folder / "shards"
    count, seed = str(arguments.people), str(arguments.seed)
    make = ["--out", str(scans), "--count", count, "--vertices", str(arguments.vertices)]
    draw = ["--scans", str(scans), "--out", str(shards), "--yaws", "10", "--jobs", "1"]
    draw += ["--resolution", str(arguments.resolution), "--seed", seed]
    if make_demo_scans.main([*make, "--seed", seed]) or render_dataset.main(draw):
        raise UserInputError("--people: expected demo people that can be rendered, got an error")
    return shards


def read_samples(root: Path, count: int) -> list[Sample]:
    """Return the first view of the first scans of a set, as stored."""
    import h5py

    from dataset.shard_index import shard_path
    from dataset.shards import ShardSet
    from model.part_crops import part_boxes
    from model.part_fitting import fit_parts, normalise_joints
    from model.parts import Resolution

    shards = ShardSet(root)
    if not shards.scan_ids:
        raise UserInputError(f"{root}: expected a shard set with shards, got none")
    samples = []
    for scan_id in shards.scan_ids[:count]:
        with h5py.File(shard_path(root, scan_id)) as file:
            codes = {name: file[name][0] for name in person_arrays()}
            joints = normalise_joints(file["joints/2d"][0], shards.resolution)
        boxes = part_boxes(fit_parts(joints), Resolution(shards.resolution))
        if not boxes:
            raise UserInputError(f"{root}: expected joints of {scan_id}, found none")
        samples.append(Sample(codes=codes, boxes=boxes))
    return samples


def person_arrays() -> list[str]:
    """Return the names of the arrays that hold the person alone."""
    from dataset.shard_codec import BACKGROUND_PIXELS, IMAGE_FRONT, INSTANCE, PICTURES

    return [name for name in PICTURES if name not in (BACKGROUND_PIXELS, IMAGE_FRONT, INSTANCE)]


def _person_share(samples: list[Sample]) -> float:
    shares = [float((sample.codes["mask"] > 0).mean()) for sample in samples]
    return sum(shares) / len(shares)


def measure_png(samples: list[Sample], folder: Path, repeats: int) -> dict[str, float]:
    """Return bytes, and milliseconds a view, of PNG files."""
    import cv2
    import numpy as np

    paths = [
        {name: folder / f"{number}-{name.replace('/', '-')}.png" for name in sample.codes}
        for number, sample in enumerate(samples)
    ]

    def write() -> None:
        for sample, own in zip(samples, paths, strict=True):
            for name, code in sample.codes.items():
                signed = code.dtype == np.int16
                pixels = (code + 255).astype(np.uint16) if signed else code
                cv2.imwrite(str(own[name]), pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])

    def decoded(path: Path) -> Any:
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)

    def read() -> list[Any]:
        return [decoded(path) for own in paths for path in own.values()]

    def read_parts() -> list[Any]:
        return [
            pixels[_slices(box)]
            for sample, own in zip(samples, paths, strict=True)
            for pixels in map(decoded, own.values())
            for box in sample.boxes
        ]

    times = {"write": write, "whole": read, "parts": read_parts}
    measured = {name: _milliseconds(work, samples, repeats) for name, work in times.items()}
    size = sum(path.stat().st_size for own in paths for path in own.values())
    return {"bytes": round(size / len(samples)), **measured}


def measure_hdf5(
    candidate: Candidate, samples: list[Sample], path: Path, repeats: int
) -> dict[str, float]:
    """Return bytes, and milliseconds a view, of one candidate; what is read is compared."""
    import h5py
    import numpy as np

    from dataset.shard_reader import enclosing_box

    def read() -> list[Any]:
        with h5py.File(path) as file:
            return [file[name][view] for view, each in enumerate(samples) for name in each.codes]

    boxes = [enclosing_box(sample.boxes) for sample in samples]

    def read_parts() -> list[Any]:
        parts = []
        with h5py.File(path) as file:
            for view, (sample, around) in enumerate(zip(samples, boxes, strict=True)):
                for name in sample.codes:
                    pixels = file[name][(view, *_slices(around))]
                    parts += [
                        pixels[
                            row0 - around[0] : row1 - around[0], col0 - around[2] : col1 - around[2]
                        ]
                        for row0, row1, col0, col1 in sample.boxes
                    ]
        return parts

    write = partial(_write, candidate, samples, path)
    times: dict[str, Callable[[], object]] = {"write": write, "whole": read, "parts": read_parts}
    measured = {name: _milliseconds(work, samples, repeats) for name, work in times.items()}
    wanted = [code for sample in samples for code in sample.codes.values()]
    if not all(np.array_equal(*pair) for pair in zip(read(), wanted, strict=True)):
        raise RuntimeError(f"{candidate.label}: other values were read than were written")
    with h5py.File(path) as file:
        size = sum(file[name].id.get_storage_size() for name in samples[0].codes)
    return {"bytes": round(size / len(samples)), **measured}


def _write(candidate: Candidate, samples: list[Sample], path: Path) -> None:
    import h5py
    import numpy as np

    from dataset.shard_writer import tiles_with_content
    from tools.bench._codecs import create_table

    with h5py.File(path, "w") as file:
        for name in samples[0].codes:
            table = create_table(candidate, file, name, len(samples), samples[0].codes[name])
            tile = table.chunks[1]
            for view, sample in enumerate(samples):
                code = sample.codes[name]
                for row, column in np.argwhere(tiles_with_content(code, tile)) * tile:
                    place = (slice(row, row + tile), slice(column, column + tile))
                    table[(view, *place)] = code[place]


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box[0], box[1]), slice(box[2], box[3])


def _milliseconds(work: Callable[[], object], samples: list[Sample], repeats: int) -> float:
    return round(1000.0 * timed(work, repeats).wall / len(samples), 2)


def _against_png(row: dict[str, Any], png: dict[str, float]) -> dict[str, Any]:
    ratios = {
        "bytes_of_png": round(row["bytes"] / png["bytes"], 3),
        "whole_times_as_fast": round(png["whole"] / row["whole"], 2),
        "parts_times_as_fast": round(png["parts"] / row["parts"], 2),
    }
    share, whole, parts = ratios.values()
    met = share <= TARGETS["bytes"] and whole >= TARGETS["whole"] and parts >= TARGETS["parts"]
    return {**ratios, "targets_met": met}


def _print_table(figures: dict[str, Any]) -> None:
    print(
        f"{figures['views']} views of {figures['resolution']} px, person "
        f"{figures['person_share']:.1%}; a view, one thread"
    )
    print(
        f"  {'':32s}{'tile':>5s}{'MB':>7s}{'write ms':>10s}{'whole ms':>10s}{'parts ms':>10s}"
        f"{'of PNG':>8s}{'whole':>7s}{'parts':>7s}"
    )
    png = figures["png"]
    print(_row("PNG, level 6", 0, png))
    for row in figures["candidates"]:
        ratios = f"{row['bytes_of_png']:8.2f}{row['whole_times_as_fast']:6.1f}x"
        ratios += f"{row['parts_times_as_fast']:6.1f}x {'ok' if row['targets_met'] else ''}"
        print(_row(row["label"], row["tile"], row) + ratios)
    print(
        f"  ok: at most {TARGETS['bytes']:g} of PNG's bytes, a whole view {TARGETS['whole']:g}x "
        f"and the parts {TARGETS['parts']:g}x as fast"
    )


def _row(label: str, tile: int, row: dict[str, Any]) -> str:
    return (
        f"  {label:32s}{tile or '':>5}{row['bytes'] / 1e6:7.2f}{row['write']:10.0f}"
        f"{row['whole']:10.1f}{row['parts']:10.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
