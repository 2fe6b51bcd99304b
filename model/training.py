"""Training in two phases (paper, section 4.4), with Lightning Fabric.

Phase 1 trains the normal networks and the low-resolution depth network, phase 2 the
refiner on the frozen rest (frozen means its batch statistics too). A run folder holds

* `config.json`: the resolved configuration and the shard set;
* `last.ckpt`: weights and optimiser, from which a resumed run comes to the same weights;
* `model.ckpt`: the finished model;
* `tensorboard/`: curves and pictures.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from model.checkpoint import LoadedModel, TrainState, load_checkpoint, save_checkpoint
from model.config import TrainConfig, config_to_dict
from model.networks import DigitisationNetwork, build_network
from model.objectives import PhaseObjective, learning_rate, phase_steps
from model.pictures import training_picture
from model.samples import Batch, DrawSchedule, ViewDataset, make_loader
from render.errors import UserInputError

LAST, FINISHED, CONFIG = "last.ckpt", "model.ckpt", "config.json"
SAVES_PER_PHASE = 5
"""A phase is validated, pictured and saved this often, but not within a pass."""


class TrainingError(UserInputError):
    """Training cannot start or go on."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a phase will take.

    Attributes:
        phase: 1 or 2.
        steps: optimiser steps to do.
        seconds: of all of them.
        peak_bytes: memory of the process (of the device, where there is one).
    """

    phase: int
    steps: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Callbacks of a run, for progress bars and messages.

    Attributes:
        message: takes a sentence.
        batches: wraps the batches of a phase; takes them, the phase, its first step and its end.
        loss: takes the loss of each step.
        started: called once the run folder is there.
    """

    message: Callable[[str], None] = lambda text: None
    batches: Callable[[Iterable[Batch], int, int, int], Iterable[Batch]] = (
        lambda batches, phase, start, end: batches
    )
    loss: Callable[[float], None] = lambda value: None
    started: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how a run works, apart from what it learns.

    Attributes:
        shards: the shard set.
        out: the run folder.
        phases: which phases, in order.
        accelerator, devices: as Lightning takes them.
        workers: processes that read samples; 0 reads in the training process and caches.
        resume: continue from `last.ckpt` where there is one.
        init: a checkpoint whose weights to start from.
    """

    shards: Path
    out: Path
    phases: tuple[int, ...] = (1, 2)
    accelerator: str = "auto"
    devices: int = 1
    workers: int = 0
    resume: bool = False
    init: Path | None = None


def _arguments(batch: Batch, step_seed: int | None, with_parts: bool = True) -> tuple[object, ...]:
    """Return the arguments of the objective; without a seed whole frames, nothing kept."""
    transforms = batch.transforms
    return (
        batch.image,
        batch.depth,
        batch.reliable,
        (transforms.image_to_canonical, transforms.canonical_to_image, transforms.present),
        batch.keys if step_seed is not None else (),
        step_seed,
        with_parts,
    )


def _total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _optimizer(objective: PhaseObjective, config: TrainConfig) -> torch.optim.Adam:
    return torch.optim.Adam(objective.trainable(), lr=0.0, betas=config.betas, fused=True)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def estimate_phase(
    network: DigitisationNetwork,
    config: TrainConfig,
    data: ViewDataset,
    phase: int,
    steps: int,
    device: torch.device,
) -> Estimate:
    """Time steps on a copy of the network: one to warm up, a long one and a short one.

    In phase 1 the long steps train the part networks too, in phase 2 they run the frozen
    networks on samples that are new.
    """
    objective = PhaseObjective(copy.deepcopy(network).to(device), phase, config).train()
    optimizer = _optimizer(objective, config)
    draws = DrawSchedule(len(data), config.batch_size, range(2), seed=config.seed)
    first, second = (batch.to(device) for batch in make_loader(data, draws))
    seconds = []
    for batch, with_parts in ((first, True), (second, True), (second, config.parts_every == 1)):
        start = time.perf_counter()
        _total(objective(*_arguments(batch, 0, with_parts))).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    long, short = seconds[1:]
    long_steps = -(-steps // config.parts_every)
    if phase == 2:
        long_steps = steps
    if phase == 2 and config.refiner_variants is not None:
        long_steps = min(steps, config.refiner_variants * len(data) // config.batch_size)
    return Estimate(
        phase=phase,
        steps=steps,
        seconds=long * long_steps + short * (steps - long_steps),
        peak_bytes=_peak_bytes(device),
    )


class _Run:
    """One training run: its data, its network and its folder."""

    def __init__(self, config: TrainConfig, options: RunOptions, progress: Progress) -> None:
        self.config, self.options, self.progress = config, options, progress
        resolution = config.model.resolution
        self.train_data = ViewDataset(
            options.shards, "train", resolution, augment=config.augment, seed=config.seed
        )
        self.refiner_data = (
            self.train_data
            if config.refiner_variants is None
            else self.train_data.with_variants(config.refiner_variants)
        )
        self.validation_data = ViewDataset(
            options.shards, "val", resolution, augment=None, seed=config.seed
        )
        self.fabric = Fabric(
            accelerator=options.accelerator,
            devices=options.devices,
            precision=config.precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.state: TrainState | None = None
        self.network = self._starting_network()
        self.steps_per_epoch = max(
            1, len(self.train_data) // (config.batch_size * self.fabric.world_size)
        )

    def _starting_network(self) -> DigitisationNetwork:
        last = self.options.out / LAST
        if self.options.resume and last.is_file():
            loaded = load_checkpoint(last)
            if config_to_dict(loaded.config) != config_to_dict(self.config):
                raise TrainingError(
                    f"{last}: expected the configuration of this run to resume, "
                    "got another one (same flags needed, or another --out)"
                )
            self.state = loaded.state
            return loaded.network
        if self.options.init is not None:
            return _fitting(load_checkpoint(self.options.init), self.config, self.options.init)
        return build_network(self.config.model, self.config.seed)

    def start_step(self, phase: int) -> int | None:
        """Return the first step still to do, or None when the phase is done."""
        if self.state is None or self.state.phase < phase:
            return 0
        if self.state.phase > phase:
            return None
        steps = phase_steps(self.config.phase(phase), self.steps_per_epoch)
        return self.state.step if self.state.step < steps else None

    def save(self, name: str, state: TrainState | None) -> None:
        """Write a checkpoint into the run folder, from the first process."""
        if self.fabric.global_rank == 0:
            save_checkpoint(
                self.options.out / name,
                self.network,
                self.config,
                shards=str(self.options.shards.resolve()),
                state=state,
            )

    def data(self, phase: int) -> ViewDataset:
        """Return the training views of a phase."""
        return self.train_data if phase == 1 else self.refiner_data

    def loader(self, phase: int, steps: range) -> DataLoader[Batch]:
        """Return the training batches of some steps of this process."""
        schedule = DrawSchedule(
            len(self.train_data),
            self.config.batch_size,
            steps,
            seed=self.config.seed,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        return make_loader(self.data(phase), schedule, workers=self.options.workers)


def _fitting(loaded: LoadedModel, config: TrainConfig, path: Path) -> DigitisationNetwork:
    if loaded.config.model != config.model:
        raise TrainingError(
            f"{path}: expected a checkpoint of {config.model}, got {loaded.config.model}"
        )
    return loaded.network


@torch.no_grad()
def _validate(objective: nn.Module, run: _Run) -> dict[str, float]:
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
        for name, value in objective(*_arguments(batch, None)).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(draw)
    objective.train()
    return {name: value / len(data) for name, value in sums.items()}


def _report(
    writer: SummaryWriter | None, objective: nn.Module, run: _Run, phase: int, step: int
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


def _train_phase(run: _Run, phase: int, start: int, writer: SummaryWriter | None) -> None:
    config = run.config
    steps = phase_steps(config.phase(phase), run.steps_per_epoch)
    interval = max(run.steps_per_epoch, -(-steps // SAVES_PER_PHASE))
    objective = PhaseObjective(run.network, phase, config).train()
    optimizer = _optimizer(objective, config)
    if start and run.state is not None:
        optimizer.load_state_dict(run.state.optimizer)
    # Fabric moves `run.network` to the device, where `objective` keeps sharing it.
    module, optimizer = run.fabric.setup(objective, optimizer)
    batches = run.progress.batches(run.loader(phase, range(start, steps)), phase, start, steps)
    for step, batch in enumerate(batches, start):
        rate = learning_rate(config.phase(phase), step, steps, run.steps_per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate
        step_seed = (config.seed * 1_000_003 + step) * 1009 + run.fabric.global_rank
        with_parts = step % config.parts_every == 0
        terms = module(*_arguments(batch.to(run.fabric.device), step_seed, with_parts))
        loss = _total(terms)
        value = float(loss.detach())
        if not torch.isfinite(loss.detach()):
            raise TrainingError(
                f"{run.options.out}: expected a finite loss, got {value} at step {step} of "
                f"phase {phase} (lower the learning rate, or use --precision 32-true)"
            )
        optimizer.zero_grad(set_to_none=True)
        run.fabric.backward(loss)
        optimizer.step()
        run.progress.loss(value)
        if writer is not None:
            writer.add_scalar(f"phase{phase}/training/total", value, step)
            writer.add_scalar(f"phase{phase}/learning rate", rate, step)
            for name, term in terms.items():
                writer.add_scalar(f"phase{phase}/training/{name}", float(term.detach()), step)
        done = step + 1
        if done % interval == 0 or done == steps:
            _report(writer, module, run, phase, done)
            run.save(LAST, TrainState(phase=phase, step=done, optimizer=optimizer.state_dict()))


def _write_config(run: _Run) -> None:
    content = {
        "config": config_to_dict(run.config),
        "shards": str(run.options.shards.resolve()),
        "phases": list(run.options.phases),
        "torch": torch.__version__,
    }
    target = run.options.out / CONFIG
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, target)


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
    """
    progress = progress or Progress()
    finished = options.out / FINISHED
    if not options.resume and any((options.out / name).exists() for name in (LAST, FINISHED)):
        raise TrainingError(
            f"{options.out}: expected a new run folder, got one with a run in it "
            "(--resume continues it, another --out keeps it)"
        )
    run = _Run(config, options, progress)
    todo = [(phase, run.start_step(phase)) for phase in options.phases]
    for phase, start in todo:
        if start is not None:
            steps = phase_steps(config.phase(phase), run.steps_per_epoch) - start
            estimate = estimate_phase(
                run.network, config, run.data(phase), phase, steps, run.fabric.device
            )
            progress.message(
                f"phase {phase}: {steps} steps of {config.batch_size} views, about "
                f"{estimate.seconds / 60:.1f} minutes, {estimate.peak_bytes / 2**30:.1f} GiB"
            )
    writer = None
    if run.fabric.global_rank == 0:
        options.out.mkdir(parents=True, exist_ok=True)
        _write_config(run)
        progress.started()
        writer = SummaryWriter(str(options.out / "tensorboard"))
    try:
        for phase, start in todo:
            if start is not None:
                _train_phase(run, phase, start, writer)
    finally:
        if writer is not None:
            writer.close()
    run.save(FINISHED, None)
    return finished
