"""What a training sample costs: reading, changing and encoding it, by one thread and by workers.

Nothing is kept in memory but the file system's cache. The published loader takes 543 ms for a
sample of 2048 pixels without targets for normals (`PUBLISHED`, on another machine).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import UserInputError
from tools.bench._clock import Seconds, timed
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from dataset.augment import AugmentConfig
    from model.samples import ViewDataset

PUBLISHED_MS = 543.0
"""The published `__getitem__` at 2048 pixels, one thread, warm page cache, on an AMD Zen 5."""

AIM_MS = 90.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of sample.

    Attributes:
        name: what is done.
        wall, processor: milliseconds of one sample in one thread, medians.
    """

    name: str
    wall: float
    processor: float


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = new_parser("bench-loader", __doc__ or "")
    add = parser.add_argument
    add("--shards", type=Path, metavar="DIR", help="take this set instead of demo people")
    add("--resolution", type=int, default=2048, metavar="PX", help="of the demo people's shards")
    add("--repeats", type=int, default=7, metavar="N", help="samples whose median is given")
    add("--samples", type=int, default=24, metavar="N", help="that workers read")
    add("--workers", type=int, nargs="+", default=[0, 1, 2, 4], metavar="N", help="to compare")
    add("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


@contextmanager
def _shards(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield the shard set of the flag, or a small one of demo people."""
    if arguments.shards is not None:
        yield arguments.shards
        return
    from tools import make_demo_scans, render_dataset

    with tempfile.TemporaryDirectory() as folder:
        scans, shards = Path(folder) / "scans", Path(folder) / "shards"
        people = ["--count", "4", "--vertices", "20000", "--splits", "2", "1", "1"]
        views = ["--resolution", str(arguments.resolution), "--angles", "-20", "20", "20"]
        views += ["--composite", "on-read", "--jobs", "1"]
        if make_demo_scans.main(["--out", str(scans), *people]) != EXIT_OK or (
            render_dataset.main(["--scans", str(scans), "--out", str(shards), *views]) != EXIT_OK
        ):
            raise RuntimeError("the demo people could not be made")
        yield shards


def kinds() -> dict[str, tuple[AugmentConfig, bool, bool]]:
    """Return kinds of samples: changes, phase 1's parts alone or not, normals rendered or not.

    Normals that are not rendered come from the depth, as training takes them by default.
    """
    from dataset.augment import UNCHANGED, AugmentConfig

    published = replace(UNCHANGED, background=1.0, colour=0.7, edges=1.0)
    every = replace(AugmentConfig(), background=1.0, edges=1.0, light=0.0)
    return {
        "phase 1, no change": (UNCHANGED, True, False),
        "phase 1, room, colours, edges": (published, True, False),
        "  and rendered normals": (published, True, True),
        "  and framing": (replace(published, scale=0.1, shift=0.03, roll_deg=5.0), True, False),
        "  and all but light": (every, True, False),
        "  and light": (replace(every, light=1.0), True, False),
        "whole frames, no change": (UNCHANGED, False, False),
        "whole frames, room, colours, edges": (published, False, False),
    }


def _dataset(shards: Path, augment: AugmentConfig, rendered: bool = False) -> ViewDataset:
    from dataset.shards import ShardSet
    from model.samples import ViewDataset

    resolution = ShardSet(shards).resolution
    return ViewDataset(
        shards, "train", resolution, augment=augment, seed=0, with_normals=rendered, cache_bytes=0
    )


def measure_samples(shards: Path, repeats: int) -> list[Row]:
    """Measure one sample of every kind, in this thread."""
    rows = []
    for name, (augment, parts, rendered) in kinds().items():
        data, numbers = _dataset(shards, augment, rendered), iter(range(1 << 30))

        def sample(
            data: ViewDataset = data, numbers: Iterator[int] = numbers, parts: bool = parts
        ) -> object:
            number = next(numbers)
            draws = [(number, number % len(data))]
            return data.parts(draws) if parts else data[draws]

        rows.append(_row(name, timed(sample, repeats)))
    return rows


def measure_steps(shards: Path, repeats: int) -> list[Row]:
    """Measure what a phase-1 sample of new room, colours and edges is made of."""
    import numpy as np

    from dataset.augment.pixels import dull_colours, soften_edges
    from dataset.augment.scene import before
    from model.batches import to_part_batch

    data = _dataset(shards, kinds()["phase 1, room, colours, edges"][0])
    files = data.files
    geometry, person, room = files.geometry(0), files.person(0), files.background(1)
    image = before(person, room)
    rng = np.random.default_rng(0)
    silhouette = geometry.ray_distance[0] > 0.0
    steps: dict[str, Callable[[], object]] = {
        "read depth, mask, joints": lambda: files.geometry(0),
        "read the person": lambda: files.person(0),
        "read a background": lambda: files.background(1),
        "put the person before it": lambda: before(person, room),
        "soften edges": lambda: soften_edges(image, geometry.window, silhouette),
        "colours": lambda: dull_colours(image, 0.7, rng),
        "encode, cut the crops": lambda: to_part_batch([(geometry, image)], ((0, 0),)),
    }
    return [_row(name, timed(step, repeats)) for name, step in steps.items()]


def _row(name: str, seconds: Seconds) -> Row:
    return Row(name=name, wall=1e3 * seconds.wall, processor=1e3 * seconds.processor)


def measure_workers(shards: Path, samples: int, counts: list[int]) -> list[dict[str, float]]:
    """Measure how many phase-1 samples a second so many workers deliver, the first left out."""
    from model.samples import DrawSchedule, Loader, PartDataset

    data = PartDataset(_dataset(shards, kinds()["phase 1, room, colours, edges"][0]))
    rows = []
    for workers in counts:
        schedule = DrawSchedule(len(data), 1, range(samples + 1), seed=0)
        batches = iter(Loader(data, schedule, workers))
        next(batches)
        start = time.perf_counter()
        count = sum(1 for _ in batches)
        rows.append({"workers": workers, "samples_a_second": count / (time.perf_counter() - start)})
    return rows


def _run(arguments: argparse.Namespace) -> int:
    for name in ("repeats", "samples"):
        if getattr(arguments, name) < 1:
            raise UserInputError(f"--{name}: expected 1 or more, got {getattr(arguments, name)}")
    if min(arguments.workers) < 0:
        raise UserInputError(f"--workers: expected 0 or more, got {min(arguments.workers)}")
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with _shards(arguments) as shards:
        samples = measure_samples(shards, arguments.repeats)
        steps = measure_steps(shards, arguments.repeats)
        workers = measure_workers(shards, arguments.samples, arguments.workers)
    print(f"published loader: {PUBLISHED_MS:.0f} ms, without normals; aim: {AIM_MS:.0f} ms")
    for title, rows in (("one sample, one thread", samples), ("of the aim's sample", steps)):
        print(f"\n{title:38s} {'wall ms':>9s} {'cpu ms':>9s}")
        for row in rows:
            print(f"{row.name:38s} {row.wall:9.1f} {row.processor:9.1f}")
    print("\nworkers  phase-1 samples a second")
    for each in workers:
        print(f"{each['workers']:7.0f}  {each['samples_a_second']:.1f}")
    figures: dict[str, Any] = {
        "published_ms": PUBLISHED_MS,
        "aim_ms": AIM_MS,
        "samples": [asdict(row) for row in samples],
        "steps": [asdict(row) for row in steps],
        "workers": workers,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
