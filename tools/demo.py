"""2k2k-demo: the whole line on embedded demo people, from nothing to a scored report.

Makes people, renders them into shards, trains the networks on them in both phases and
scores the reconstructions of people that training never saw, beside two trivial baselines.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from render.files import write_text_atomically
from tools.cli import EXIT_OK, new_parser, run_command

PEOPLE = {"train": 12, "val": 2, "test": 3}
VERTICES = 50_000
RESOLUTION = 512


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the demo.

    Attributes:
        title: what it does.
        command: the console script.
        main: its entry point.
        arguments: its arguments.
    """

    title: str
    command: str
    main: Callable[[list[str]], int]
    arguments: list[str]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a step took: wall seconds, and the peak memory of the demo so far, bytes."""

    command: str
    seconds: float
    peak_bytes: int


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser(
        "2k2k-demo",
        "Demo people, shards, training, scores and a report, one after the other. "
        "The people are always the same; --seed is that of training.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), help="folder of all results"
    )
    return parser


def demo_steps(out: Path, seed: int) -> list[Step]:
    """Return the commands of the demo, in order; finished work in `out` is kept."""
    from tools import eval_2k2k, make_demo_scans, render_dataset, train_2k2k

    scans, shards, run = out / "scans", out / "shards", out / "runs" / f"seed-{seed}"
    splits = [str(PEOPLE[split]) for split in ("train", "val", "test")]
    return [
        Step(
            title=f"{sum(PEOPLE.values())} people of {VERTICES:,} vertices",
            command="make-demo-scans",
            main=make_demo_scans.main,
            arguments=[
                *("--out", str(scans), "--count", str(sum(PEOPLE.values()))),
                *("--vertices", str(VERTICES), "--splits", *splits),
            ],
        ),
        Step(
            title=f"seven views of each at {RESOLUTION} pixels, lit, before rooms",
            command="render-dataset",
            main=render_dataset.main,
            arguments=[
                *("--scans", str(scans), "--out", str(shards)),
                *("--resolution", str(RESOLUTION), "--store-mesh", "all"),
                # Training may then put any of the rooms behind any of the people.
                *("--composite", "on-read"),
            ],
        ),
        Step(
            title="the networks, from random weights, phase 1 and phase 2",
            command="train-2k2k",
            main=train_2k2k.main,
            arguments=[
                *(str(shards), "--preset", "lite", "--out", str(run)),
                *("--seed", str(seed), "--resume"),
            ],
        ),
        Step(
            title="people that training never saw, reconstructed and scored",
            command="eval-2k2k",
            main=eval_2k2k.main,
            arguments=[
                *("--checkpoint", str(run), "--shards", str(shards)),
                *("--metrics", "p2s", "chamfer", "normal", "iou", "--baselines", "--overwrite"),
            ],
        ),
    ]


def _draw_pipeline(out: Path, results: Path) -> Path:
    from dataset.shards import ShardSet
    from tools.pipeline_picture import write_pipeline_picture

    shards, picture = ShardSet(out / "shards"), out / "pipeline.png"
    overview = results / "results_overview.png"
    write_pipeline_picture(picture, shards, shards.splits["test"][0], overview)
    return picture


def _run(arguments: argparse.Namespace) -> int:
    from model.memory import peak_resident_bytes

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    timings: list[Timing] = []
    steps = demo_steps(out, arguments.seed)
    for number, step in enumerate(steps, 1):
        print(f"\n[{number}/{len(steps)}] {step.title}", flush=True)
        print(f"$ {step.command} {' '.join(step.arguments)}", flush=True)
        start = time.perf_counter()
        status = step.main(step.arguments)
        seconds = time.perf_counter() - start
        peak = peak_resident_bytes(with_children=True)
        timings.append(Timing(command=step.command, seconds=seconds, peak_bytes=peak))
        if status != EXIT_OK:
            print(f"2k2k-demo: {step.command} ended with status {status}", file=sys.stderr)
            return status
    target = out / f"timings-seed-{arguments.seed}.json"
    write_text_atomically(target, json.dumps([asdict(each) for each in timings], indent=1) + "\n")

    results = out / "runs" / f"seed-{arguments.seed}" / "eval"
    picture = _draw_pipeline(out, results)
    print("\nwhere the time went:")
    for each in timings:
        so_far = f"{each.peak_bytes / 2**30:.1f} GiB peak so far"
        print(f"  {each.command:16} {each.seconds / 60:5.1f} min   {so_far}")
    print(f"\npicture of the pipeline: {picture.resolve()}")
    print(f"report: {(results / 'report.html').resolve()}")
    print(
        "\nwhat to try next:\n"
        f"  tensorboard --logdir {out / 'runs'}          curves and pictures of training\n"
        "  make-demo-scans --out scans --count 6     six finer people of your own, then the\n"
        "  render-dataset --scans scans              three lines that also take your scans\n"
        "  train-2k2k shards/\n"
        "  eval-2k2k --metrics p2s chamfer normal iou"
    )
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
