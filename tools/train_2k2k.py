"""train-2k2k: trains the networks on a shard set, in two phases."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command
from tools.train_config import (
    MOST_SEED,
    add_axis_flags,
    add_config_flags,
    choose_preset,
    resolve_config,
)

if TYPE_CHECKING:
    from model.config import Phase, TrainConfig
    from model.runs import Step
    from model.training import Progress

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
LEAST = {"seed": 0, "max_steps": 1, "batch_size": 1, "devices": 1, "nodes": 1, "workers": 0}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser("train-2k2k", "Train the 2K2K networks on the shards of render-dataset.")
    parser.add_argument("shards", type=Path, help="folder that render-dataset wrote")
    parser.add_argument(
        "--phase",
        choices=("1", "2", "all", "finetune"),
        default="all",
        help="1: normals and low-resolution depth; 2: the refiner, on the frozen rest; all: one "
        "after the other; finetune: everything together, from trained networks",
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="PATH",
        help="start from the weights of a checkpoint file or run folder, keeping its "
        "architecture and convention",
    )
    parser.add_argument(
        "--out", type=Path, help="run folder (default: runs/ and the date and time)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --out (default: runs/latest)"
    )
    parser.add_argument(
        "--accelerator", choices=ACCELERATORS, default="auto", help="what to compute on"
    )
    parser.add_argument(
        "--devices", type=int, help="devices of each machine (default: as torchrun says, else 1)"
    )
    parser.add_argument(
        "--nodes",
        type=int,
        help="machines, each with the same torchrun command and a common file system "
        "(default: as torchrun says, else 1)",
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read samples; 0 caches in memory"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what training would take, and stop"
    )
    add_axis_flags(parser)
    add_config_flags(parser)
    # That of --config counts where none is given.
    parser.set_defaults(seed=None)
    return parser


def check_numbers(arguments: argparse.Namespace) -> None:
    """Raise UserInputError when a number is out of range."""
    for name, least in LEAST.items():
        value = getattr(arguments, name, None)
        if value is not None and value < least:
            flag = name.replace("_", "-")
            raise UserInputError(f"--{flag}: expected {least} or more, got {value}")
    if arguments.seed is not None and arguments.seed > MOST_SEED:
        raise UserInputError(f"--seed: expected {MOST_SEED} or less, got {arguments.seed}")


def choose_processes(arguments: argparse.Namespace) -> tuple[int, int]:
    """Return devices a machine and machines: those of the flags, else what torchrun started.

    Raises:
        UserInputError: the flags contradict torchrun.
    """
    environment = os.environ
    started = None
    if "TORCHELASTIC_RUN_ID" in environment:
        local = int(environment["LOCAL_WORLD_SIZE"])
        started = local, int(environment["WORLD_SIZE"]) // local
    default = started or (1, 1)
    chosen = (
        default[0] if arguments.devices is None else arguments.devices,
        default[1] if arguments.nodes is None else arguments.nodes,
    )
    if started is not None and chosen != started:
        raise UserInputError(
            f"--devices, --nodes: expected {started[0]} and {started[1]} as torchrun started, "
            f"got {chosen[0]} and {chosen[1]}"
        )
    return chosen


def is_first_process() -> bool:
    """Return whether neither torchrun nor Lightning started this as another process of a run."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def point_latest(run: Path) -> None:
    """Let `latest` beside a run folder point at it; something else of that name is kept."""
    run = run.resolve()
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
        # `runs/latest` itself: the link would be replaced by one to its own name.
        return requested.resolve() if requested.is_symlink() else requested
    if not resume:
        return Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = Path("runs/latest").resolve()
    if not out.is_dir():
        raise UserInputError("--resume: expected a run in runs/latest, got none (use --out)")
    return out


def _progress(out: Path) -> Progress:
    from tqdm import tqdm

    from model.training import Progress

    bar: tqdm[Step] | None = None

    def steps(items: Iterable[Step], phase: Phase, start: int, end: int) -> Iterable[Step]:
        nonlocal bar
        bar = tqdm(items, desc=f"phase {phase}", initial=start, total=end, unit="step")
        return bar

    def show_loss(value: float) -> None:
        if bar is not None:
            bar.set_postfix(loss=f"{value:.4f}", refresh=False)

    return Progress(
        message=lambda text: tqdm.write(text),
        steps=steps,
        loss=show_loss,
        started=lambda: point_latest(out),
    )


def _run(arguments: argparse.Namespace) -> int:
    from dataset.shards import ShardSet, require_standard_views

    # Before torch is loaded: a wrong folder or number is answered at once.
    check_numbers(arguments)
    shards = ShardSet(arguments.shards)
    require_standard_views(shards)

    from model.checkpoint import LAST, find_checkpoint, load_checkpoint
    from model.training import RunOptions, plan, train

    devices, nodes = choose_processes(arguments)
    out = choose_out(arguments.out, arguments.resume)
    init = None if arguments.init is None else find_checkpoint(arguments.init, "--init")
    going_on = arguments.resume and (out / LAST).exists()
    if arguments.phase in ("2", "finetune") and init is None and not going_on:
        needed = "phase 1" if arguments.phase == "2" else "both phases"
        raise UserInputError(
            f"--phase {arguments.phase}: expected the networks of {needed} from --init or "
            "--resume, got neither"
        )
    architecture = None if init is None else load_checkpoint(init).config.model
    config = resolve_config(arguments, shards.resolution, architecture)
    options = RunOptions(
        shards=arguments.shards,
        out=out,
        phases=("1", "2") if arguments.phase == "all" else (arguments.phase,),
        accelerator=arguments.accelerator,
        devices=devices,
        nodes=nodes,
        workers=arguments.workers,
        resume=arguments.resume,
        init=init,
        command=("train-2k2k", *arguments.command_line),
    )
    progress = _progress(out)
    if is_first_process():
        print(_headline(arguments, config, len(shards.views("train")), out), flush=True)
    if arguments.dry_run:
        plan(config, options, progress)
    else:
        train(config, options, progress)
    return EXIT_OK


def _headline(arguments: argparse.Namespace, config: TrainConfig, views: int, out: Path) -> str:
    import torch

    from model.networks import DigitisationNetwork, count_parameters

    with torch.device("meta"):
        millions = count_parameters(DigitisationNetwork(config.model)) / 1e6
    init = None if arguments.init is None else config.model
    source = (
        f"preset {choose_preset(arguments.preset, init)}"
        if arguments.config is None
        else f"configuration of {arguments.config}"
    )
    return (
        f"{source} at {config.model.resolution} pixels: {millions:.1f} million parameters, "
        f"{views} training views; run folder {out}"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    parser.set_defaults(command_line=sys.argv[1:] if argv is None else argv)
    return run_command(parser, _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
