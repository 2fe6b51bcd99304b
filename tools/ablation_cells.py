"""The cells of an ablation: networks trained and scored alike, but for what the table compares.

Each is trained and scored by `train-2k2k` and `eval-2k2k` in processes of their own: memory is
that of one network, several devices may share a training, and a process that the system ends for
want of memory costs its own cell alone. What is there already is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.shards import ShardSet
from eval.report import check_comparable, read_report
from model.checkpoint import FINISHED
from model.config import TrainConfig, config_to_dict
from model.devices import TrainingError
from model.run_record import is_record_of, shard_set_digest
from model.steps import Estimate
from model.training import RunOptions, plan
from render.errors import UserInputError
from render.files import write_text_atomically
from tools.cli import EXIT_BAD_INPUT, EXIT_OK, EXIT_SOME_FAILED
from tools.eval_2k2k import MEASUREMENT_FLAGS, choose_views
from tools.eval_reports import score_config
from tools.step_cost import (
    StepNeed,
    StepSpec,
    count,
    count_here,
    in_fresh_process,
    measure,
    smallest_step,
)

INTERRUPTED = 130
ROOM = 1.25
"""A step is measured where its computed memory, times this, is free."""

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One network of the table.

    Attributes:
        name: of its files.
        labels: what sets it apart from the others, by heading.
        config: what is trained.
        shards: where it is trained and scored.
    """

    name: str
    labels: dict[str, str | int]
    config: TrainConfig
    shards: ShardSet


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Memory of one phase-1 step of the smallest batch.

    Attributes:
        need: counted from its tensors.
        batch: views of the step.
        peak_bytes: measured, peak minus start; None where the step would not fit.
        step_seconds: measured with it.
    """

    need: StepNeed
    batch: int
    peak_bytes: int | None = None
    step_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What `eval-2k2k` found of a cell.

    Attributes:
        means: mean over views by column key.
        views: that were scored.
        missing: that were not.
        network_seconds: median time of the networks alone; None if not measured.
        device: where that was.
    """

    means: dict[str, float]
    views: int
    missing: int
    network_seconds: float | None
    device: str


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a cell would take.

    Attributes:
        memory: counted; None where it was not asked for, or could not be.
        plans: of the phases to train; none where they are trained, or cannot be.
        failure: why they cannot; "" where they can.
    """

    memory: StepMemory | None = None
    plans: tuple[Estimate, ...] = ()
    failure: str = ""


def run_folder(out: Path, cell: Cell) -> Path:
    """Return the run folder of a cell."""
    return out / "runs" / cell.name


def is_trained(cell: Cell, out: Path) -> bool:
    """Return whether the folder has the finished network of a cell of that name."""
    return (run_folder(out, cell) / FINISHED).is_file()


def run_tool(module: str, flags: Sequence[str], accepted: Sequence[int] = (EXIT_OK,)) -> None:
    """Run a command in a process of its own, its output where ours goes.

    Raises:
        UserInputError: its exit status is not accepted; in its own last words.
        KeyboardInterrupt: Ctrl-C, after the command has saved what it does.
    """
    tail = b""
    process = subprocess.Popen([sys.executable, "-m", module, *flags], stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr as stream:
        try:
            while chunk := os.read(stream.fileno(), 1 << 16):
                sys.stderr.write(chunk.decode(errors="replace"))
                sys.stderr.flush()
                tail = (tail + chunk)[-(1 << 12) :]
        except KeyboardInterrupt:
            process.wait()
            raise
    status = process.wait()
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    if status < 0:
        raise UserInputError(
            f"{module}: expected to end by itself, got signal {-status} (for want of memory?)"
        )
    if status not in accepted:
        lines = [line.strip() for line in re.split(r"[\r\n]+", tail.decode(errors="replace"))]
        last = next((line for line in reversed(lines) if line), "no message")
        raise UserInputError(last if status == EXIT_BAD_INPUT else f"{module}: {status}: {last}")


def train_cell(cell: Cell, out: Path, arguments: argparse.Namespace) -> None:
    """Train a cell's network, or go on training it, unless that is done.

    Raises:
        UserInputError: training says why it cannot.
    """
    run = run_folder(out, cell)
    if is_trained(cell, out):
        if not is_record_of(run, cell.config, shard_set_digest(cell.shards.root)):
            raise UserInputError(
                f"{run}: expected a network of this configuration and these scans, found one of "
                "others (another --out keeps it)"
            )
        return
    config = out / "configs" / f"{cell.name}.json"
    text = json.dumps({"config": config_to_dict(cell.config)}, indent=1)
    write_text_atomically(config, text + "\n")
    flags = ["--config", str(config), "--out", str(run), "--resume"]
    for name in ("accelerator", "devices", "workers"):
        flags += [f"--{name}", str(getattr(arguments, name))]
    run_tool("tools.train_2k2k", [str(cell.shards.root), *flags])


def score_cell(cell: Cell, out: Path, arguments: argparse.Namespace) -> Scores:
    """Score a cell's network on the test split, unless that is done.

    Raises:
        UserInputError: scoring says why it cannot; or there are scores of other settings.
    """
    run = run_folder(out, cell)
    results = run / "eval" / "results.json"
    if not results.is_file() or arguments.overwrite:
        flags = ["--checkpoint", str(run), "--shards", str(cell.shards.root), "--overwrite"]
        flags += ["--out", str(results.parent), "--device", arguments.accelerator]
        for name in (*MEASUREMENT_FLAGS, "seed"):
            value = getattr(arguments, name.replace("-", "_"))
            if value is not None:
                values = value if isinstance(value, list) else [value]
                flags += [f"--{name}", *map(str, values)]
        # A crash has the status of a sample that failed, but leaves no results.
        results.unlink(missing_ok=True)
        run_tool("tools.eval_2k2k", flags, (EXIT_OK, EXIT_SOME_FAILED))
    return _scores(results, cell, arguments)


def _scores(path: Path, cell: Cell, arguments: argparse.Namespace) -> Scores:
    config = score_config(arguments)
    check_comparable(config, read_report(path, "--out"), "--out")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    asked = {
        (ref.scan_id, ref.view)
        for ref in choose_views(cell.shards, "test", arguments.views, arguments.limit)
    }
    told = {(row["scan_id"], row["view"]) for row in content["samples"] + content["failures"]}
    if content["settings"]["metrics"] != list(config.metrics) or told != asked:
        raise UserInputError(
            f"{path}: expected scores of these metrics and views, found others "
            "(--overwrite replaces them)"
        )
    (method,) = content["methods"]
    cost = method["cost"] or {}
    return Scores(
        means={key: column["mean"] for key, column in method["columns"].items()},
        views=len(asked) - method["missing"],
        missing=method["missing"],
        network_seconds=cost.get("network_seconds"),
        device=cost.get("device", ""),
    )


def weigh_cell(cell: Cell, out: Path, arguments: argparse.Namespace) -> StepMemory:
    """Measure the memory of a cell's training step, or count it where it would not fit."""
    path = out / "memory" / f"{cell.name}.json"
    of = {
        "model": dataclasses.asdict(cell.config.model),
        "compute": dataclasses.asdict(cell.config.compute),
        "accelerator": arguments.accelerator,
    }
    if path.is_file() and not arguments.overwrite:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["of"] == of:
            return StepMemory(**(kept["memory"] | {"need": StepNeed(**kept["memory"]["need"])}))
    spec = smallest_step(cell.config, accelerator=arguments.accelerator)
    memory = StepMemory(need=count(spec), batch=spec.batch)
    available = memory.need.available_bytes
    if available is None or memory.need.bytes * ROOM <= available:
        cost = measure(spec)
        memory = dataclasses.replace(
            memory, need=cost.need, peak_bytes=cost.peak_bytes, step_seconds=cost.seconds
        )
    content = {"of": of, "memory": dataclasses.asdict(memory)}
    write_text_atomically(path, json.dumps(content, indent=1) + "\n")
    return memory


def check_fits(cell: Cell, memory: StepMemory) -> None:
    """Raise TrainingError where a batch of the cell takes more memory than there was."""
    available = memory.need.available_bytes
    need = memory.need.for_views(cell.config.batch_size / memory.batch)
    if available is not None and need > available:
        raise TrainingError(
            f"{cell.name}: expected {need / GIB:.1f} GiB for a batch of {cell.config.batch_size} "
            f"views, found {available / GIB:.1f} GiB (not trained; --overwrite looks again)"
        )


def foresee_cell(cell: Cell, out: Path, arguments: argparse.Namespace) -> Forecast:
    """Return what a cell would still take on one device, found in a fresh process."""
    spec = options = None
    if "memory" in arguments.columns:
        spec = smallest_step(cell.config, accelerator=arguments.accelerator)
    if "scores" in arguments.columns and not is_trained(cell, out):
        root = cell.shards.root
        options = RunOptions(shards=root, out=root / "no-run", accelerator=arguments.accelerator)
    return in_fresh_process(_foresee, (cell, spec, options))


def _foresee(work: tuple[Cell, StepSpec | None, RunOptions | None]) -> Forecast:
    cell, spec, options = work
    memory = None
    plans: tuple[Estimate, ...] = ()
    try:
        if spec is not None:
            memory = StepMemory(need=count_here(spec), batch=spec.batch)
        if options is not None:
            if memory is not None:
                check_fits(cell, memory)
            plans = plan(cell.config, options)
    except UserInputError as error:
        return Forecast(memory=memory, failure=str(error))
    return Forecast(memory=memory, plans=plans)
