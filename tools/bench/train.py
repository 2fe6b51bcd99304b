"""Time and weigh training: precision, memory, the loader's wait, and what each width costs.

Memory is the peak of a fresh process less what it had before its first step. Steps are
measured on synthetic views, the loader and the convergence of bf16 on demo people (or on
--shards).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.bench._step_cost import StepCost, StepSpec, measure
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from model.config import TrainConfig

GIB, MEGABYTE = 2**30, 1e6
BF16_FLAGS = ("avx512_bf16", "amx_bf16")
PAPER_MEMORY_SHARE = {512: 0.87, 1024: 0.73, 2048: 0.64}
"""Part-wise over whole-image memory of a training step (table 3 of the paper)."""

REFERENCE = (
    "on 2 cores with avx512_bf16, forward + backward, fp32 to bf16 channels_last: face AU-Net "
    "1.82 to 0.88 s, arm AU-Net 8.03 to 2.49 s, depth D-AU-Net 1.10 to 0.53 s"
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the sections are.

    Attributes:
        precision: resolution of the precision section.
        memory: resolutions of the memory section.
        width: channels of the finest level there; the paper's is 64.
        widths, resolutions: of the cost table.
        seeds, convergence: runs and steps of the convergence section.
    """

    precision: int
    memory: tuple[int, ...]
    width: int
    widths: tuple[int, ...]
    resolutions: tuple[int, ...]
    seeds: int
    convergence: int


FULL = Scale(
    precision=1024,
    memory=(512, 1024),
    width=64,
    widths=(4, 8, 16, 32),
    resolutions=(512, 1024),
    seeds=3,
    convergence=200,
)
QUICK = Scale(
    precision=256,
    memory=(256,),
    width=16,
    widths=(4, 8),
    resolutions=(128, 256),
    seeds=1,
    convergence=20,
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


def _batch(resolution: int) -> int:
    """Return the smallest batch: at 128 pixels batch norm needs two views."""
    return 1 if resolution > 128 else 2


def _spec(arguments: argparse.Namespace, config: TrainConfig, **options: Any) -> StepSpec:
    size = _batch(config.model.resolution)
    return StepSpec(
        config=replace(config, batch_size=2),
        batch=size,
        repeats=arguments.steps,
        accelerator=arguments.accelerator,
        **options,
    )


def bench_precision(arguments: argparse.Namespace, scale: Scale) -> dict[str, Any]:
    """Compare a phase-1 step in fp32 with one in bf16 and channels_last."""
    from model.config import ComputeConfig

    config = _paper(scale.precision, scale.width)
    half = replace(config, compute=ComputeConfig(precision="bf16-mixed", channels_last=True))
    layout = replace(config, compute=ComputeConfig(channels_last=True))
    seconds = {
        name: measure(_spec(arguments, each)).seconds
        for name, each in (
            ("fp32", config),
            ("fp32, channels_last", layout),
            ("bf16, channels_last", half),
        )
    }
    ratio = seconds["fp32"] / seconds["bf16, channels_last"]
    flags = processor_flags()
    native = [flag for flag in BF16_FLAGS if flag in flags]
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


def processor_flags() -> set[str]:
    """Return what the processor says it can do (Linux; empty elsewhere)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {
        flag for line in lines if line.startswith("flags") for flag in line.split(":")[1].split()
    }


def bench_memory(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Compare the memory of a phase-1 step by parts with one over the whole image."""
    print(f"\nmemory of one phase-1 step, width {scale.width}: parts against the whole image")
    rows = []
    for resolution in scale.memory:
        costs = {
            parts: measure(
                replace(_spec(arguments, _paper(resolution, scale.width, parts)), repeats=1)
            )
            for parts in ("parts", "whole")
        }
        shares = {
            name: getattr(costs["parts"], name) / getattr(costs["whole"], name)
            for name in ("peak_bytes", "saved_bytes")
        }
        rows.append(
            {"resolution": resolution, "share": shares}
            | {parts: asdict(cost) for parts, cost in costs.items()}
        )
        paper = PAPER_MEMORY_SHARE.get(resolution)
        for parts, cost in costs.items():
            print(
                f"  {resolution:5d} px, {parts:5s} peak {cost.peak_bytes / GIB:6.2f} GiB, kept for "
                f"the backward pass {cost.saved_bytes / GIB:6.2f} GiB, {cost.seconds:8.3f} s"
            )
        print(
            f"  {resolution:5d} px: parts take {shares['peak_bytes']:.0%} of the peak and "
            f"{shares['saved_bytes']:.0%} of what is kept"
            + (f" (paper: {paper:.0%})" if paper else "")
        )
    return rows


@contextmanager
def _shards(arguments: argparse.Namespace, resolution: int) -> Iterator[Path]:
    """Yield the shard set of the flag, or a small one of demo people."""
    if arguments.shards is not None:
        yield arguments.shards
        return
    from tools import make_demo_scans, render_dataset

    with tempfile.TemporaryDirectory() as folder:
        scans, shards = Path(folder) / "scans", Path(folder) / "shards"
        people = ["--count", "4", "--vertices", "20000", "--splits", "2", "1", "1"]
        views = ["--resolution", str(resolution), "--angles", "-20", "20", "20"]
        if make_demo_scans.main(["--out", str(scans), *people]) != EXIT_OK or (
            render_dataset.main(["--scans", str(scans), "--out", str(shards), *views]) != EXIT_OK
        ):
            raise RuntimeError("the demo people could not be made")
        yield shards


def bench_loader(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Measure how long steps of the lite preset wait for views that are not in memory."""
    from dataset.shards import ShardSet
    from model.config import PRESETS, with_resolution
    from model.samples import DrawSchedule, ViewDataset, make_loader

    rows = []
    with _shards(arguments, scale.resolutions[0]) as root:
        config = with_resolution(PRESETS["lite"], ShardSet(root).resolution)
        spec = replace(_spec(arguments, config), batch=config.batch_size)
        step_seconds = measure(spec).seconds
        data = ViewDataset(
            root, "train", config.model.resolution, augment=config.augment, seed=0, cache_bytes=0
        )
        print(
            f"\nloader: lite at {config.model.resolution} pixels, {config.batch_size} views a "
            f"batch, nothing cached; a step takes {step_seconds:.3f} s"
        )
        for workers in (0, 1):
            steps = range(max(8, arguments.steps))
            draws = DrawSchedule(len(data), config.batch_size, steps, seed=0)
            batches = iter(make_loader(data, draws, workers=workers))
            next(batches)
            waits = []
            for _ in steps[1:]:
                time.sleep(step_seconds if workers else 0.0)
                start = time.perf_counter()
                next(batches)
                waits.append(time.perf_counter() - start)
            wait = statistics.median(waits)
            rows.append({"workers": workers, "wait_seconds": wait, "step_seconds": step_seconds})
            print(
                f"  {workers} workers: {1000 * wait:7.1f} ms wait a step, "
                f"{wait / (wait + step_seconds):.1%} of the time"
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
            costs = [measure(_spec(arguments, config, phase=phase)) for phase in ("1", "2")]
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


def bench_convergence(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Train in fp32 and in bf16 on the same batches; compare the mean loss of the last quarter."""
    from model.config import ComputeConfig, ModelConfig, PhaseConfig, TrainConfig

    rows = []
    print(
        f"\nphase 1, {scale.convergence} steps on the same batches: mean loss of the last quarter"
    )
    with _shards(arguments, 256) as root:
        for seed in range(scale.seeds):
            losses = {}
            for precision in ("32-true", "bf16-mixed"):
                config = TrainConfig(
                    model=ModelConfig(resolution=256, part_width=8, depth_width=8, refiner_width=8),
                    phase1=PhaseConfig(
                        steps=scale.convergence, learning_rate=1e-3, restart_epochs=None
                    ),
                    compute=ComputeConfig(precision=precision),
                    seed=seed,
                )
                losses[precision] = _last_quarter(config, root)
            change = losses["bf16-mixed"] / losses["32-true"] - 1
            rows.append({"seed": seed, "loss": losses, "change": change})
            print(
                f"  seed {seed}: {losses['32-true']:.4f} in fp32, {losses['bf16-mixed']:.4f} in "
                f"bf16, {change:+.1%}"
            )
    return rows


def _last_quarter(config: TrainConfig, shards: Path) -> float:
    from model.phase_trainer import PhaseTrainer
    from model.runs import Progress, Run, RunOptions

    options = RunOptions(shards=shards, out=Path("unused"), accelerator="cpu")
    trainer = PhaseTrainer(Run(config, options, Progress()), "1", None)
    steps = range(trainer.total_steps)
    losses = [
        trainer.step(batches, step)["total"]
        for step, batches in enumerate(trainer.run.steps("1", steps))
    ]
    return statistics.mean(losses[-max(1, len(losses) // 4) :])


SECTIONS: dict[str, Callable[[argparse.Namespace, Scale], Any]] = {
    "precision": bench_precision,
    "memory": bench_memory,
    "loader": bench_loader,
    "cost": bench_cost,
    "convergence": bench_convergence,
}


def _run(arguments: argparse.Namespace) -> int:
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
