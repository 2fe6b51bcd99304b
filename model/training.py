"""Training in two phases (paper, section 4.4), with Lightning Fabric.

Phase 1 trains the normal networks and the low-resolution depth network, phase 2 the
refiner on the frozen rest (frozen means its batch statistics too). A run folder holds

* `config.json`: the resolved configuration and the shard set;
* `last.ckpt`: weights and optimiser, from which a resumed run comes to the same weights;
* `model.ckpt`: the finished model;
* `tensorboard/`: curves and pictures.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from model.checkpoint import FINISHED, LAST, TrainState
from model.config import TrainConfig, config_to_dict
from model.interrupts import held_interrupt
from model.objectives import PhaseObjective, learning_rate, phase_steps
from model.pictures import training_picture
from model.runs import Progress, Run, RunOptions, TrainingError
from model.samples import Batch
from model.steps import estimate_phase, make_optimizer, objective_arguments, total_loss

__all__ = ["Progress", "RunOptions", "TrainingError", "plan", "train"]

CONFIG = "config.json"
SAVES_PER_PHASE = 5
"""A phase is validated, pictured and saved this often, but not within a pass."""

SAVE_SECONDS = 600.0
"""Training is saved at least this often, so that a crash costs no more."""


@torch.no_grad()
def _validate(objective: nn.Module, run: Run) -> dict[str, float]:
    """Return the mean loss terms over the validation views, whole frames."""
    data, batch_size = run.validation_data, run.config.batch_size
    draws = [
        [(0, index) for index in range(start, min(start + batch_size, len(data)))]
        for start in range(0, len(data), batch_size)
    ]
    sums: dict[str, float] = {}
    objective.eval()
    for draw in draws:
        batch = data[draw].to(run.fabric.device)
        for name, value in objective(*objective_arguments(batch, None)).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(draw)
    objective.train()
    return {name: value / len(data) for name, value in sums.items()}


def _report(
    writer: SummaryWriter | None, objective: nn.Module, run: Run, phase: int, step: int
) -> None:
    """Validate; write curves and a picture of the first validation view."""
    terms = _validate(objective, run)
    total = sum(terms.values())
    run.progress.message(f"phase {phase}, step {step}: validation loss {total:.4f}")
    if writer is None:
        return
    for name, value in {**terms, "total": total}.items():
        writer.add_scalar(f"phase{phase}/validation/{name}", value, step)
    batch = run.validation_data[[(0, 0)]].to(run.fabric.device)
    run.network.eval()
    writer.add_image(f"phase{phase}/first view", training_picture(run.network, batch, phase), step)
    objective.train()


def _train_phase(run: Run, phase: int, start: int, writer: SummaryWriter | None) -> None:
    config = run.config
    steps = phase_steps(config.phase(phase), run.steps_per_epoch)
    interval = max(run.steps_per_epoch, -(-steps // SAVES_PER_PHASE))
    objective = PhaseObjective(run.network, phase, config).train()
    optimizer = make_optimizer(objective, config)
    if start and run.state is not None:
        optimizer.load_state_dict(run.state.optimizer)
    # Fabric moves `run.network` to the device, where `objective` keeps sharing it.
    module, optimizer = run.fabric.setup(objective, optimizer)
    batches = run.progress.batches(run.loader(phase, range(start, steps)), phase, start, steps)
    saved = time.monotonic()
    with held_interrupt() as interrupt:
        for step, batch in enumerate(batches, start):
            rate = learning_rate(config.phase(phase), step, steps, run.steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            terms = _step(run, module, optimizer, batch, phase, step)
            if writer is not None:
                writer.add_scalar(f"phase{phase}/learning rate", rate, step)
                for name, value in terms.items():
                    writer.add_scalar(f"phase{phase}/training/{name}", value, step)
            done = step + 1
            report = done % interval == 0 or done == steps
            if report:
                _report(writer, module, run, phase, done)
            if report or interrupt.is_set() or time.monotonic() - saved >= SAVE_SECONDS:
                optimizer_state = optimizer.state_dict()
                run.save(LAST, TrainState(phase=phase, step=done, optimizer=optimizer_state))
                saved = time.monotonic()
            if interrupt.is_set():
                run.progress.message(f"phase {phase}, step {done}: saved, --resume continues here")
                break


def _step(
    run: Run,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    phase: int,
    step: int,
) -> dict[str, float]:
    """Do one optimiser step; returns the loss terms and their total."""
    step_seed = (run.config.seed * 1_000_003 + step) * 1009 + run.fabric.global_rank
    with_parts = step % run.config.parts_every == 0
    terms = module(*objective_arguments(batch.to(run.fabric.device), step_seed, with_parts))
    loss = total_loss(terms)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(
            f"{run.options.out}: expected a finite loss, got {value} at step {step} of "
            f"phase {phase} (lower the learning rate, or use --precision 32-true)"
        )
    optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(loss)
    optimizer.step()
    run.progress.loss(value)
    return {"total": value} | {name: float(term.detach()) for name, term in terms.items()}


def _write_config(run: Run) -> None:
    content = {
        "config": config_to_dict(run.config),
        "shards": run.shards,
        "phases": list(run.options.phases),
        "torch": torch.__version__,
    }
    target = run.options.out / CONFIG
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, target)


def _check_parts(run: Run) -> None:
    """Say how many training views lack parts; TrainingError when there are no parts at all."""
    present = run.train_data.present_parts()
    if not present.any():
        raise TrainingError(
            f"{run.options.shards}: expected joints that fix the body parts of training views, "
            f"got none in all {len(present)} of them"
        )
    lacking = int((~present.all(axis=1)).sum())
    if lacking:
        run.progress.message(
            f"warning: {lacking} of {len(present)} training views lack body parts, since joints "
            "are missing or coincide"
        )


def _prepare(
    config: TrainConfig, options: RunOptions, progress: Progress
) -> tuple[Run, list[tuple[int, int]]]:
    """Return the run and the (phase, first step) still to do; messages say what they take."""
    found = [name for name in (LAST, FINISHED) if (options.out / name).exists()]
    if found and not (options.resume and LAST in found):
        raise TrainingError(
            f"{options.out}: expected a new run folder, or one with {LAST} and --resume, "
            f"got one with {' and '.join(found)} (another --out keeps it)"
        )
    run = Run(config, options, progress)
    starts = [(phase, run.start_step(phase)) for phase in options.phases]
    todo = [(phase, start) for phase, start in starts if start is not None]
    if todo:
        _check_parts(run)
    for phase, start in todo:
        steps = phase_steps(config.phase(phase), run.steps_per_epoch) - start
        estimate = estimate_phase(
            run.network, config, run.data(phase), phase, steps, run.fabric.device
        )
        progress.message(
            f"phase {phase}: {steps} steps of {config.batch_size} views, about "
            f"{estimate.seconds / 60:.1f} minutes, {estimate.peak_bytes / 2**30:.1f} GiB"
        )
    if not todo:
        progress.message(f"{options.out}: nothing left to do")
    return run, todo


def plan(config: TrainConfig, options: RunOptions, progress: Progress | None = None) -> None:
    """Check what `train` would, say what it would take, and write nothing.

    Raises:
        ShardError, CheckpointError, TrainingError: as `train`.
    """
    _prepare(config, options, progress or Progress())


def train(config: TrainConfig, options: RunOptions, progress: Progress | None = None) -> Path:
    """Train the phases that are not done yet.

    Args:
        config: what to learn.
        options: where and how.
        progress: callbacks.

    Returns:
        The path of the finished model.

    Raises:
        ShardError: the shard set cannot be used.
        CheckpointError, TrainingError: the run cannot start, resume or go on.
        KeyboardInterrupt: Ctrl-C, after the step under way is done and saved.
    """
    progress = progress or Progress()
    run, todo = _prepare(config, options, progress)
    finished = options.out / FINISHED
    if not todo and finished.is_file():
        return finished
    writer = None
    if run.fabric.global_rank == 0:
        options.out.mkdir(parents=True, exist_ok=True)
        _write_config(run)
        progress.started()
        writer = SummaryWriter(str(options.out / "tensorboard"))
    try:
        for phase, start in todo:
            _train_phase(run, phase, start, writer)
    finally:
        if writer is not None:
            writer.close()
    run.save(FINISHED, None)
    return finished
