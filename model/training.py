"""Training (paper, section 4.4), with Lightning Fabric.

Phase 1 trains the normal networks and the low-resolution depth network, phase 2 the
refiner on the frozen rest (frozen means its batch statistics too), fine-tuning all of them
together. A run folder holds

* `config.json`: how to repeat the run: configuration, command lines, versions, shard set;
* `last.ckpt`: weights and optimiser, from which a resumed run comes to the same weights;
* `best.ckpt`: the weights of the lowest validation loss of the phase under way;
* `model.ckpt`: the finished model;
* `tensorboard/`: curves and pictures.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from model.checkpoint import FINISHED, LAST
from model.config import Phase, TrainConfig
from model.devices import TrainingError, memory_advice
from model.interrupts import held_interrupt
from model.objectives import phase_steps
from model.phase_trainer import NonFiniteLossError, PhaseTrainer, Validation
from model.run_record import write_record
from model.runs import Progress, Run, RunOptions, Step
from model.steps import Estimate, estimate_phase

__all__ = ["Progress", "RunOptions", "TrainingError", "plan", "train"]

VALIDATIONS_PER_PHASE = 5
"""A phase of so many steps is validated this often, but not within a pass; one of so many
epochs is validated after each."""

NAMED_VIEWS = 3
"""Of the views that lack parts, so many are named: those that lack most."""

SAVE_SECONDS = 600.0
"""Training is saved at least this often, so that a crash costs no more."""


class _Curves:
    """Curves and pictures of a phase for TensorBoard; nothing without a writer."""

    def __init__(self, writer: SummaryWriter | None, phase: Phase) -> None:
        self._writer, self._prefix = writer, f"phase {phase}"

    def step(self, terms: dict[str, float], rate: float, step: int) -> None:
        """Add the loss terms and the learning rate of a step."""
        if self._writer is None:
            return
        self._writer.add_scalar(f"{self._prefix}/learning rate", rate, step)
        for name, value in terms.items():
            self._writer.add_scalar(f"{self._prefix}/training/{name}", value, step)

    def validation(self, found: Validation, step: int) -> None:
        """Add what a validation found."""
        if self._writer is None:
            return
        for name, value in {**found.terms, "total": found.total}.items():
            self._writer.add_scalar(f"{self._prefix}/validation/{name}", value, step)
        if found.picture is not None:
            self._writer.add_image(f"{self._prefix}/first view", found.picture, step)


def _validation_interval(config: TrainConfig, phase: Phase, run: Run) -> int:
    steps = config.phase(phase).steps
    if steps is None:
        return run.steps_per_epoch
    return max(run.steps_per_epoch, -(-steps // VALIDATIONS_PER_PHASE))


def _train_phase(run: Run, phase: Phase, start: int, writer: SummaryWriter | None) -> None:
    trainer = PhaseTrainer(run, phase, run.state if start else None)
    curves = _Curves(writer, phase)
    total = trainer.total_steps
    interval = _validation_interval(run.config, phase, run)
    steps = run.progress.steps(run.steps(phase, range(start, total)), phase, start, total)
    saved = time.monotonic()
    with held_interrupt() as interrupt:
        for step, batches in enumerate(steps, start):
            terms = _step(trainer, batches, step)
            curves.step(terms, trainer.rate(step), step)
            done = step + 1
            validated = done % interval == 0 or done == total
            if validated:
                found = trainer.validate()
                curves.validation(found, done)
                run.progress.message(
                    f"phase {phase}, step {done}: validation loss {found.total:.4f}"
                )
                if done == total or trainer.out_of_patience:
                    run.save(LAST, trainer.finish())
                    break
            stopping = run.any_process(interrupt.is_set())
            if validated or stopping or time.monotonic() - saved >= SAVE_SECONDS:
                run.save(LAST, trainer.state(done))
                saved = time.monotonic()
            if stopping:
                run.progress.message(f"phase {phase}, step {done}: saved, --resume continues here")
                break


def _step(trainer: PhaseTrainer, batches: Step, step: int) -> dict[str, float]:
    """Do a step; where the loss is not finite, save the weights from before it and say where."""
    run, phase = trainer.run, trainer.phase
    try:
        terms = trainer.step(batches, step)
    except NonFiniteLossError as error:
        run.save(LAST, trainer.state(step))
        views = ", ".join(run.data(phase).describe(view) for view in error.views)
        after = f" after {error.skipped} skipped ones" if error.skipped else ""
        raise TrainingError(
            f"{run.out}: expected a finite loss and gradient, got another at step {step}{after} of "
            f"phase {phase} on {views} ({LAST} has the weights before it, which --init takes, "
            "with a lower --learning-rate, --clip-norm or --precision 32-true)"
        ) from error
    run.progress.loss(terms["total"])
    return terms


def _check_parts(run: Run) -> None:
    """Say how many training views lack parts; TrainingError when there are no parts at all."""
    present = run.train_data.present_parts()
    if not present.any():
        raise TrainingError(
            f"{run.options.shards}: expected joints that fix the body parts of training views, "
            f"got none in all {len(present)} of them"
        )
    lacking = np.flatnonzero(~present.all(axis=1))
    if len(lacking):
        most = sorted(lacking.tolist(), key=lambda view: int(present[view].sum()))[:NAMED_VIEWS]
        named = ", ".join(
            f"{run.train_data.describe(view)} has {present[view].sum()} of {present.shape[1]}"
            for view in most
        )
        run.progress.message(
            f"warning: {len(lacking)} of {len(present)} training views lack body parts, since "
            f"joints are missing, coincide or lie outside the image ({named}); parts that are "
            "left out are not trained on"
        )


def _prepare(
    config: TrainConfig, options: RunOptions, progress: Progress
) -> tuple[Run, list[tuple[Phase, int]], tuple[Estimate, ...]]:
    """Return the run, the (phase, first step) still to do, and what they take, which is said."""
    run = Run(config, options, progress)
    found = [name for name in (LAST, FINISHED) if (run.out / name).exists()]
    # No process writes before all have looked.
    run.fabric.barrier()
    if found and not (options.resume and LAST in found):
        raise TrainingError(
            f"{run.out}: expected a new run folder, or one with {LAST} and --resume, "
            f"got one with {' and '.join(found)} (another --out keeps it)"
        )
    starts = [(phase, run.start_step(phase)) for phase in options.phases]
    todo = [(phase, start) for phase, start in starts if start is not None]
    if todo and config.model.parts == "parts":
        _check_parts(run)
    views = config.batch_size * config.optimiser.accumulate * run.fabric.world_size
    estimates = []
    for phase, start in todo:
        steps = phase_steps(config.phase(phase), run.steps_per_epoch) - start
        estimate = estimate_phase(run.network, config, run.data(phase), phase, steps, run.fabric)
        run.progress.message(
            f"phase {phase}: {steps} steps of {views} views, about "
            f"{estimate.seconds / 60:.1f} minutes, {estimate.peak_bytes / 2**30:.1f} GiB"
        )
        estimates.append(estimate)
    if not todo:
        run.progress.message(f"{run.out}: nothing left to do")
    return run, todo, tuple(estimates)


def plan(
    config: TrainConfig, options: RunOptions, progress: Progress | None = None
) -> tuple[Estimate, ...]:
    """Check what `train` would, say and return what it would take, and write nothing.

    Raises:
        ShardError, CheckpointError, TrainingError: as `train`.
    """
    with memory_advice(config):
        return _prepare(config, options, progress or Progress())[2]


def train(config: TrainConfig, options: RunOptions, progress: Progress | None = None) -> Path:
    """Train the phases that are not done yet.

    Args:
        config: what to learn.
        options: where and how.
        progress: callbacks; of the first process alone.

    Returns:
        The path of the finished model.

    Raises:
        ShardError: the shard set cannot be used.
        CheckpointError, TrainingError: the run cannot start, resume or go on.
        OutputError: a checkpoint cannot be written.
        KeyboardInterrupt: Ctrl-C, after the step under way is done and saved.
    """
    with memory_advice(config):
        run, todo, _ = _prepare(config, options, progress or Progress())
        finished = run.out / FINISHED
        if todo or not finished.is_file():
            _train_phases(run, todo)
            run.save(FINISHED, None)
    run.fabric.barrier()
    run.progress.message(f"model: {finished}")
    return finished


def _train_phases(run: Run, todo: list[tuple[Phase, int]]) -> None:
    writer = None
    if run.leads:
        run.out.mkdir(parents=True, exist_ok=True)
        write_record(
            run.out,
            run.config,
            shards=run.shards,
            shards_digest=run.shards_digest,
            device=run.fabric.device,
            phases=run.options.phases,
            command=run.options.command,
        )
        run.progress.started()
        writer = SummaryWriter(str(run.out / "tensorboard"))
    try:
        for phase, start in todo:
            _train_phase(run, phase, start, writer)
    finally:
        if writer is not None:
            writer.close()
