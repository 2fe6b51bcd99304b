"""train-2k2k: trains the networks on a shard set, in two phases."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from model.config import TrainConfig
    from model.samples import Batch
    from model.training import Progress

PAPER_MEMORY_BYTES = 40 << 30
"""Device memory from which `--preset auto` takes the paper's preset (table 3: 30 GB a batch)."""

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
LEAST = {"seed": 0, "max_steps": 1, "batch_size": 1, "devices": 1, "workers": 0}
MOST_SEED = 2**32 - 1


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser("train-2k2k", "Train the 2K2K networks on the shards of render-dataset.")
    parser.add_argument("shards", type=Path, help="folder that render-dataset wrote")
    parser.add_argument(
        "--preset",
        choices=("auto", "paper", "lite"),
        default="auto",
        help="paper: full width at 2048 pixels; lite: narrow, for a processor; "
        "auto: paper where a CUDA device has the memory, else lite",
    )
    parser.add_argument(
        "--resolution", type=int, help="working resolution, pixels (default: that of the preset)"
    )
    parser.add_argument(
        "--phase", choices=("1", "2", "all"), default="all", help="which phase to train"
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="PATH",
        help="start from the weights of a checkpoint file or run folder",
    )
    parser.add_argument(
        "--out", type=Path, help="run folder (default: runs/ and the date and time)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --out (default: runs/latest)"
    )
    parser.add_argument("--max-steps", type=int, metavar="N", help="steps of each phase")
    parser.add_argument("--batch-size", type=int, metavar="N", help="views a step")
    parser.add_argument(
        "--accelerator", choices=ACCELERATORS, default="auto", help="what to compute on"
    )
    parser.add_argument("--devices", type=int, default=1, help="number of devices")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="of the networks (default: 32-true)"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read samples; 0 caches in memory"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what training would take, and stop"
    )
    return parser


def check_numbers(arguments: argparse.Namespace) -> None:
    """Raise UserInputError when a number is out of range."""
    for name, least in LEAST.items():
        value = getattr(arguments, name)
        if value is not None and value < least:
            flag = name.replace("_", "-")
            raise UserInputError(f"--{flag}: expected {least} or more, got {value}")
    if arguments.seed > MOST_SEED:
        raise UserInputError(f"--seed: expected {MOST_SEED} or less, got {arguments.seed}")


def choose_preset(requested: str) -> str:
    """Return the preset's name, for `auto` by the memory of the first CUDA device."""
    if requested != "auto":
        return requested
    import torch

    if torch.cuda.is_available():
        if torch.cuda.get_device_properties(0).total_memory >= PAPER_MEMORY_BYTES:
            return "paper"
    return "lite"


def resolve_config(arguments: argparse.Namespace, shard_resolution: int) -> TrainConfig:
    """Return the preset with the command line's changes.

    Raises:
        UserInputError: a flag out of range.
    """
    from model.config import PRESETS, with_resolution

    name = choose_preset(arguments.preset)
    config = PRESETS[name]  # type: ignore[index]
    resolution = arguments.resolution
    if resolution is None:
        resolution = min(config.model.resolution, shard_resolution)
    try:
        config = dataclasses.replace(with_resolution(config, resolution), seed=arguments.seed)
    except ValueError as error:
        raise UserInputError(f"--resolution: {error}") from error
    if arguments.max_steps is not None:
        phases = {
            key: dataclasses.replace(getattr(config, key), steps=arguments.max_steps)
            for key in ("phase1", "phase2")
        }
        config = dataclasses.replace(config, **phases)
    if arguments.batch_size is not None:
        try:
            config = dataclasses.replace(config, batch_size=arguments.batch_size)
        except ValueError as error:
            raise UserInputError(f"--batch-size: {error}") from error
    if arguments.precision is not None:
        config = dataclasses.replace(config, precision=arguments.precision)
    return config


def point_latest(run: Path) -> None:
    """Let `latest` beside a run folder point at it; something else of that name is kept."""
    latest = run.parent / "latest"
    if latest.exists() and not latest.is_symlink():
        return
    temporary = latest.with_name(f".latest.{os.getpid()}")
    temporary.symlink_to(run.name)
    os.replace(temporary, latest)


def choose_out(requested: Path | None, resume: bool) -> Path:
    """Return the run folder: `--out`, else the latest run to resume, else a new one in runs.

    Raises:
        UserInputError: there is no latest run.
    """
    if requested is not None:
        return requested
    if not resume:
        return Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = Path("runs/latest").resolve()
    if not out.is_dir():
        raise UserInputError("--resume: expected a run in runs/latest, got none (use --out)")
    return out


def _progress(out: Path) -> Progress:
    from tqdm import tqdm

    from model.training import Progress

    bar: tqdm[Batch] | None = None

    def batches(items: Iterable[Batch], phase: int, start: int, end: int) -> Iterable[Batch]:
        nonlocal bar
        bar = tqdm(items, desc=f"phase {phase}", initial=start, total=end, unit="step")
        return bar

    def show_loss(value: float) -> None:
        if bar is not None:
            bar.set_postfix(loss=f"{value:.4f}", refresh=False)

    return Progress(
        message=lambda text: tqdm.write(text),
        batches=batches,
        loss=show_loss,
        started=lambda: point_latest(out),
    )


def _run(arguments: argparse.Namespace) -> int:
    from dataset.shards import ShardSet

    # Before torch is loaded: a wrong folder or number is answered at once.
    check_numbers(arguments)
    shards = ShardSet(arguments.shards)

    from model.checkpoint import LAST, find_checkpoint
    from model.networks import build_network, count_parameters
    from model.training import RunOptions, plan, train

    config = resolve_config(arguments, shards.resolution)
    out = choose_out(arguments.out, arguments.resume)
    init = None if arguments.init is None else find_checkpoint(arguments.init, "--init")
    if arguments.phase == "2" and init is None and not (arguments.resume and (out / LAST).exists()):
        raise UserInputError(
            "--phase 2: expected the networks of phase 1 from --init or --resume, got neither"
        )
    millions = count_parameters(build_network(config.model, 0)) / 1e6
    views = len(shards.views("train"))
    print(
        f"preset {choose_preset(arguments.preset)} at {config.model.resolution} pixels: "
        f"{millions:.1f} million parameters, {views} training views; run folder {out}",
        flush=True,
    )
    options = RunOptions(
        shards=arguments.shards,
        out=out,
        phases=(1, 2) if arguments.phase == "all" else (int(arguments.phase),),
        accelerator=arguments.accelerator,
        devices=arguments.devices,
        workers=arguments.workers,
        resume=arguments.resume,
        init=init,
    )
    if arguments.dry_run:
        plan(config, options, _progress(out))
    else:
        print(f"model: {train(config, options, _progress(out))}")
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
