"""Time and weigh training: precision, memory, the loader's wait, and what each width costs.

Memory is the peak of a fresh process less what it had before its first step. Steps are
measured on synthetic views, the loader and the convergence of bf16 on demo people (or on
--shards).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import UserInputError
from tools.bench._train_scale import FULL, QUICK, Scale, spec_of
from tools.bench._train_views import bench_convergence, bench_loader
from tools.cli import EXIT_OK, new_parser, run_command
from tools.step_cost import PAPER_MEMORY_SHARE, StepCost, measure

if TYPE_CHECKING:
    from model.config import TrainConfig

GIB, MEGABYTE = 2**30, 1e6

REFERENCE = (
    "on 2 cores with avx512_bf16, forward + backward, fp32 to bf16 channels_last: face AU-Net "
    "1.82 to 0.88 s, arm AU-Net 8.03 to 2.49 s, depth D-AU-Net 1.10 to 0.53 s"
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-train", __doc__ or "")
    parser.add_argument("--steps", type=int, default=3, help="steps that count; their median is")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=tuple(SECTIONS),
        default=["precision", "memory", "loader", "cost"],
        help="what to measure",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the bench itself")
    parser.add_argument("--accelerator", default="cpu", help="what to compute on")
    parser.add_argument("--shards", type=Path, help="shard set of loader and convergence")
    return parser


def _paper(resolution: int, width: int, parts: str = "parts") -> TrainConfig:
    from model.config import ModelConfig, TrainConfig

    model = ModelConfig(
        resolution=resolution,
        part_width=width,
        depth_width=max(2, width // 2),
        refiner_width=max(2, width // 2),
        parts=parts,  # type: ignore[arg-type]
    )
    return TrainConfig(model=model)


def bench_precision(arguments: argparse.Namespace, scale: Scale) -> dict[str, Any]:
    """Compare a phase-1 step in fp32 with one in bf16 and channels_last."""
    from model.config import ComputeConfig
    from model.precision import BF16_FLAGS, processor_flags

    config = _paper(scale.precision, scale.width)
    half = replace(config, compute=ComputeConfig(precision="bf16-mixed", channels_last=True))
    layout = replace(config, compute=ComputeConfig(channels_last=True))
    seconds = {
        name: measure(spec_of(arguments, each)).seconds
        for name, each in (
            ("fp32", config),
            ("fp32, channels_last", layout),
            ("bf16, channels_last", half),
        )
    }
    ratio = seconds["fp32"] / seconds["bf16, channels_last"]
    native = sorted(processor_flags().intersection(BF16_FLAGS))
    print(f"\none phase-1 step at {scale.precision} pixels, width {scale.width}")
    for name, value in seconds.items():
        print(f"  {name:22s} {value:9.3f} s")
    print(f"  bf16 with channels_last is {ratio:.2f}x as fast as fp32 (aim: 2x)")
    if arguments.accelerator == "cpu":
        found = (
            f"has bf16 instructions ({', '.join(native)})"
            if native
            else ("has no bf16 instructions: the aim cannot be met here")
        )
        print(f"  this processor {found}; {REFERENCE}")
    return {"seconds": seconds, "ratio": ratio, "bf16_instructions": native}


def bench_memory(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Compare the memory of a phase-1 step by parts with one over the whole image."""
    print(f"\nmemory of one phase-1 step, width {scale.width}: parts against the whole image")
    rows = []
    for resolution in scale.memory:
        costs = {
            name: measure(
                replace(spec_of(arguments, _paper(resolution, scale.width, name)), repeats=1)
            )
            for name in ("parts", "whole")
        }
        parts, whole = costs["parts"], costs["whole"]
        shares = {
            "peak_bytes": parts.peak_bytes / whole.peak_bytes,
            "saved_bytes": parts.need.saved_bytes / whole.need.saved_bytes,
        }
        rows.append(
            {"resolution": resolution, "share": shares}
            | {name: asdict(cost) for name, cost in costs.items()}
        )
        paper = PAPER_MEMORY_SHARE.get(resolution)
        for name, cost in costs.items():
            print(
                f"  {resolution:5d} px, {name:5s} peak {cost.peak_bytes / GIB:6.2f} GiB, kept for "
                f"the backward pass {cost.need.saved_bytes / GIB:6.2f} GiB, {cost.seconds:8.3f} s"
            )
        print(
            f"  {resolution:5d} px: parts take {shares['peak_bytes']:.0%} of the peak and "
            f"{shares['saved_bytes']:.0%} of what is kept"
            + (f" (paper: {paper:.0%})" if paper else "")
        )
    return rows


def bench_cost(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Measure what steps of both phases cost at several widths and resolutions."""
    from model.config import PRESETS

    lite = PRESETS["lite"]
    print("\nwidths of lite, one view; phase 1 with the part networks, phase 2 on windows")
    print(
        "  width   px  weights M  checkpoint MB   phase 1: TFLOP       s   GiB"
        "   phase 2: TFLOP       s   GiB"
    )
    rows = []
    for resolution in scale.resolutions:
        for width in scale.widths:
            model = replace(
                lite.model,
                resolution=resolution,
                part_width=width,
                depth_width=width,
                refiner_width=width,
            )
            config = replace(lite, model=model, refiner_variants=None)
            costs = [measure(spec_of(arguments, config, phase=phase)) for phase in ("1", "2")]
            rows.append(
                {"width": width, "resolution": resolution, "phase1": asdict(costs[0])}
                | {"phase2": asdict(costs[1])}
            )
            print(
                f"  {width:5d} {resolution:4d} {costs[0].parameters / 1e6:10.2f} "
                f"{costs[0].checkpoint_bytes / MEGABYTE:14.1f}   {_cost_cells(costs[0])}   "
                f"{_cost_cells(costs[1])}"
            )
    return rows


def _cost_cells(cost: StepCost) -> str:
    return f"{cost.flops / 1e12:14.3f} {cost.seconds:7.3f} {cost.peak_bytes / GIB:5.2f}"


SECTIONS: dict[str, Callable[[argparse.Namespace, Scale], Any]] = {
    "precision": bench_precision,
    "memory": bench_memory,
    "loader": bench_loader,
    "cost": bench_cost,
    "convergence": bench_convergence,
}


def _run(arguments: argparse.Namespace) -> int:
    if arguments.steps < 1:
        raise UserInputError(f"--steps: expected 1 or more, got {arguments.steps}")
    import torch

    scale = QUICK if arguments.quick else FULL
    figures: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "accelerator": arguments.accelerator,
        "steps": arguments.steps,
    }
    print(f"{figures['threads']} threads, torch {figures['torch']}, {arguments.accelerator}")
    for name in arguments.sections:
        figures[name] = SECTIONS[name](arguments, scale)
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    sys.exit(main())
