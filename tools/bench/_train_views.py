"""Sections of the training bench that need views: the loader's wait, and how bf16 converges."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.bench._train_scale import Scale, spec_of
from tools.cli import EXIT_OK
from tools.step_cost import measure

if TYPE_CHECKING:
    from model.config import TrainConfig


CONVERGENCE_AIM = 0.05
"""How far the loss of bf16 may be from that of fp32."""


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
        spec = replace(spec_of(arguments, config), batch=config.batch_size)
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


def bench_convergence(arguments: argparse.Namespace, scale: Scale) -> list[dict[str, Any]]:
    """Train in fp32 and in bf16 on the same batches; compare the mean loss of the last quarter."""
    from model.config import ComputeConfig, ModelConfig, PhaseConfig, TrainConfig

    rows = []
    print(
        f"\nphase 1, {scale.convergence} steps on the same batches: mean loss of the last quarter "
        f"(aim: bf16 within {CONVERGENCE_AIM:.0%} of fp32)"
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
