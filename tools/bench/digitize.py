"""Time and weigh prediction beside the published way of it: whole frames, every pixel.

Paper width with weights drawn from a seed, one demo person, and its outline as the mask. Each
way runs in a process of its own; memory is its peak less what it had before the networks were
made, weights included. The prediction of `lite` at its own resolution follows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from model.precision import InferencePrecision
    from tools.bench._prediction_cost import PredictionCost

PERSON = "person_0001"
"""Of the demo people of seed 0; facing the camera it covers 10.1 % of the frame."""

GIB = 2**30
AIMS = {"32": 5.0, "bf16": 8.0}
"""How many times as fast as the naive way predictions should be."""

MEMORY_AIM = 0.25
SHEET = (
    "the published implementation took 30 to 33 s and 8.9 GB, on 2 cores with avx512_bf16, on "
    "which convolutions reach 190 to 470 GFLOP/s in float32"
)
NAIVE_SHEET_S = 33.0
SLOWER = 4.0 / 3.0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-digitize", __doc__ or "")
    add = parser.add_argument
    add("--resolution", type=int, default=2048, help="pixels a side (default 2048)")
    add("--width", type=int, default=64, help="channels of the part networks (default 64)")
    add("--repeats", type=int, default=4, help="runs; the fastest counts (default 4)")
    add("--naive-repeats", type=int, default=2, help="runs of the naive way (default 2)")
    add("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    for name in ("repeats", "naive_repeats", "width"):
        if getattr(arguments, name) < 1:
            flag = name.replace("_", "-")
            raise UserInputError(f"--{flag}: expected 1 or more, got {getattr(arguments, name)}")
    import torch

    figures: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "person": PERSON,
        "resolution": arguments.resolution,
        "width": arguments.width,
    }
    with tempfile.TemporaryDirectory() as temporary:
        person = _write_person(Path(temporary), arguments.resolution)
        figures |= _compare(person, arguments)
        figures["lite"] = _lite(Path(temporary), arguments)
    _print_report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _write_person(folder: Path, resolution: int) -> Path:
    """Render the demo person; return the file of its image, outline and joints."""
    from dataset.shards import ShardSet
    from tools import make_demo_scans, render_dataset

    scans, shards = folder / "scans", folder / f"shards_{resolution}"
    people = ["--out", str(scans), "--count", "2", "--vertices", "20000", "--seed", "0"]
    views = ["--scans", str(scans), "--out", str(shards), "--only", PERSON, "--jobs", "1"]
    views += ["--resolution", str(resolution), "--angles", "0", "0", "10", "--seed", "0"]
    made = scans.is_dir() or make_demo_scans.main(people) == EXIT_OK
    if not made or render_dataset.main(views) != EXIT_OK:
        raise RuntimeError("the demo person could not be made")
    out = folder / f"person_{resolution}.npz"
    with ShardSet(shards).open(PERSON) as reader:
        np.savez(
            out,
            image=reader.read("image/front", 0),
            outline=reader.read("mask", 0) > 0,
            joints=reader.read("joints/2d", 0),
        )
    return out


def _compare(person: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import replace

    import torch

    from model.precision import has_bf16
    from tools.bench._prediction_cost import PredictionSpec, measure

    half = max(2, arguments.width // 2)
    spec = PredictionSpec(
        way="naive",
        person=person,
        resolution=arguments.resolution,
        widths=(arguments.width, half, half),
        repeats=arguments.naive_repeats,
    )
    naive = measure(spec)
    with np.load(person, allow_pickle=False) as file:
        share = float(file["outline"].mean())
    figures: dict[str, Any] = {"outline_share": share, "naive": _entry(naive), "toolkit": {}}
    precisions: list[InferencePrecision] = ["32"]
    if has_bf16(torch.device("cpu")):
        precisions.append("bf16")
    for precision in precisions:
        found = measure(
            replace(spec, way="toolkit", precision=precision, repeats=arguments.repeats)
        )
        difference = np.abs(found.answers - naive.answers).max(axis=1)
        figures["toolkit"][precision] = _entry(found) | {
            "times_as_fast": naive.seconds.wall / found.seconds.wall,
            "times_as_fast_by_processor": naive.seconds.processor / found.seconds.processor,
            "memory_share": found.peak_bytes / naive.peak_bytes,
            "largest_difference": {
                "depth": float(difference[:2].max()),
                "mask_logit": float(difference[2]),
                "normal": float(difference[3:].max()),
            },
        }
    return figures


def _lite(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the prediction of the preset that needs no GPU."""
    from model.config import PRESETS
    from tools.bench._prediction_cost import PredictionSpec, measure

    model = PRESETS["lite"].model
    spec = PredictionSpec(
        way="toolkit",
        person=_write_person(folder, model.resolution),
        resolution=model.resolution,
        widths=(model.part_width, model.depth_width, model.refiner_width),
        repeats=arguments.repeats,
    )
    return _entry(measure(spec)) | {"resolution": model.resolution}


def _entry(cost: PredictionCost) -> dict[str, Any]:
    return {
        "seconds": cost.seconds.rounded(),
        "runs": [run.rounded() for run in cost.runs],
        "peak_bytes": cost.peak_bytes,
    }


def _print_report(figures: dict[str, Any]) -> None:
    lite = figures["lite"]
    print(
        f"{figures['person']} over {figures['outline_share']:.1%} of {figures['resolution']} px, "
        f"width {figures['width']}; {figures['threads']} threads, {figures['vectors']}, torch "
        f"{figures['torch']}\n"
    )
    heads = f"{'wall s':>9s}{'cpu s':>9s}{'peak GiB':>10s}"
    print(f"{'':32s}{heads}{'ratio':>8s}{'aim':>6s}{'cpu ratio':>11s}{'memory':>9s}{'aim':>6s}")
    print(_row("naive, float32", figures["naive"]))
    for precision, entry in figures["toolkit"].items():
        ratios = f"{entry['times_as_fast']:8.2f}{AIMS[precision]:6.0f}"
        ratios += f"{entry['times_as_fast_by_processor']:11.2f}"
        ratios += f"{entry['memory_share']:9.1%}{MEMORY_AIM:6.0%}"
        print(_row(f"toolkit, {precision}", entry) + ratios)
    for precision, entry in figures["toolkit"].items():
        found = ", ".join(f"{k} {v:.1e}" for k, v in entry["largest_difference"].items())
        print(f"largest difference to the naive way inside the outline, {precision}: {found}")
    if "bf16" not in figures["toolkit"]:
        print("bf16 is left out: this processor has no instructions for it")
    print(_row(f"lite at {lite['resolution']} px, float32", lite))
    print(f"\n{SHEET}")
    wall = figures["naive"]["seconds"]["wall"]
    if (figures["resolution"], figures["width"]) == (2048, 64) and wall > NAIVE_SHEET_S * SLOWER:
        print(
            f"warning: the naive way took {wall:.0f} s here, more than a third longer: the machine "
            "is slower or busy, and ratios from it say less"
        )


def _row(name: str, entry: dict[str, Any]) -> str:
    seconds = entry["seconds"]
    gibibytes = entry["peak_bytes"] / GIB
    return f"{name:32s}{seconds['wall']:9.3f}{seconds['processor']:9.3f}{gibibytes:10.2f}"


if __name__ == "__main__":
    sys.exit(main())
