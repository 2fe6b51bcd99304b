"""A training run: its folder, its data, its network and the devices it works on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import torch

from dataset.augment import AugmentConfig
from model.checkpoint import (
    LAST,
    LoadedModel,
    TrainState,
    build_with_weights,
    load_checkpoint,
    save_checkpoint,
)
from model.config import PHASES, ModelConfig, Phase, TrainConfig, config_to_dict
from model.devices import TrainingError, arrange, launch
from model.networks import DigitisationNetwork, build_network
from model.objectives import phase_steps
from model.run_record import shard_set_digest
from model.samples import Batch, DrawSchedule, ViewDataset, make_loader

T = TypeVar("T")

Step = list[Batch]
"""The batches whose gradients make one step."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Callbacks of a run, for progress bars and messages.

    Attributes:
        message: takes a sentence.
        steps: wraps the steps of a phase, each the batches it takes; gets them, the phase, its
            first step and its end.
        loss: takes the loss of each step.
        started: called once the run folder is there.
    """

    message: Callable[[str], None] = lambda text: None
    steps: Callable[[Iterable[Step], Phase, int, int], Iterable[Step]] = (
        lambda steps, phase, start, end: steps
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
        accelerator: as Lightning takes it.
        devices: on each machine.
        nodes: machines.
        workers: processes that read samples; 0 reads in the training process and caches.
        resume: continue from `last.ckpt` where there is one.
        init: a checkpoint whose weights to start from.
        command: the command line, for the record.
    """

    shards: Path
    out: Path
    phases: tuple[Phase, ...] = ("1", "2")
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    resume: bool = False
    init: Path | None = None
    command: tuple[str, ...] = ()


class Run:
    """One training run: its data, its network, its devices and its folder."""

    def __init__(self, config: TrainConfig, options: RunOptions, progress: Progress) -> None:
        self.fabric = launch(options.accelerator, options.devices, options.nodes, config.compute)
        self.leads = self.fabric.global_rank == 0
        # A name with the time in it differs between processes.
        self.out = Path(self.fabric.broadcast(str(options.out)))
        self.config, self.options = config, options
        self.progress = progress if self.leads else Progress()
        self.shards = str(options.shards.resolve())
        self.train_data = self._views("train", config.augment)
        self.refiner_data = (
            self.train_data
            if config.refiner_variants is None
            else self.train_data.with_variants(config.refiner_variants)
        )
        self.validation_data = self._views("val", None)
        self.shards_digest = shard_set_digest(options.shards)
        self.state: TrainState | None = None
        self.network = self._starting_network()
        arrange(self.network, config.compute)
        batches = len(self.train_data) // (config.batch_size * self.fabric.world_size)
        self.steps_per_epoch = max(1, batches // config.optimiser.accumulate)

    def _views(self, split: str, augment: AugmentConfig | None) -> ViewDataset:
        return ViewDataset(
            self.options.shards,
            split,
            self.config.model.resolution,
            augment=augment,
            seed=self.config.seed,
            with_normals=self.config.loss.normal_target == "rendered",
        )

    def _starting_network(self) -> DigitisationNetwork:
        last = self.out / LAST
        if self.options.resume and last.is_file():
            loaded = load_checkpoint(last)
            self._check_same_run(last, loaded)
            self.state = loaded.state
            return loaded.network
        if self.options.resume:
            self.progress.message(f"no run in {self.out}, starting a new one")
        if self.options.init is not None:
            return initial_network(self.options.init, self.config.model)
        return build_network(self.config.model, self.config.seed)

    def _check_same_run(self, last: Path, loaded: LoadedModel) -> None:
        if loaded.shards != self.shards:
            raise TrainingError(
                f"{last}: expected the shard set {loaded.shards} of this run to resume, "
                f"got {self.shards}"
            )
        if loaded.state is not None and loaded.state.shards_digest != self.shards_digest:
            raise TrainingError(
                f"{last}: expected the shard set as it was when this run began, got one whose "
                f"scans or splits have changed in {self.shards} (--init with a new --out takes "
                "the weights along)"
            )
        if config_to_dict(loaded.config) != config_to_dict(self.config):
            raise TrainingError(
                f"{last}: expected the configuration of this run to resume, "
                "got another one (same flags needed, or another --out)"
            )

    def start_step(self, phase: Phase) -> int | None:
        """Return the first step still to do, or None when the phase is done."""
        if self.state is None or PHASES.index(self.state.phase) < PHASES.index(phase):
            return 0
        if self.state.phase != phase:
            return None
        steps = phase_steps(self.config.phase(phase), self.steps_per_epoch)
        return self.state.step if self.state.step < steps else None

    def save(self, name: str, state: TrainState | None) -> None:
        """Write a checkpoint into the run folder, from the first process."""
        if self.leads:
            save_checkpoint(
                self.out / name, self.network, self.config, shards=self.shards, state=state
            )

    def data(self, phase: Phase) -> ViewDataset:
        """Return the training views of a phase."""
        return self.refiner_data if phase == "2" else self.train_data

    def steps(self, phase: Phase, steps: range) -> Iterator[Step]:
        """Yield the batches of this process for each of some steps."""
        each = self.config.optimiser.accumulate
        schedule = DrawSchedule(
            len(self.train_data),
            self.config.batch_size,
            range(steps.start * each, steps.stop * each),
            seed=self.config.seed,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        batches = iter(make_loader(self.data(phase), schedule, workers=self.options.workers))
        for _ in steps:
            yield list(itertools.islice(batches, each))

    def any_process(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.fabric.world_size == 1:
            return flag
        total = torch.tensor(float(flag), device=self.fabric.device)
        return float(cast(torch.Tensor, self.fabric.all_reduce(total, reduce_op="sum"))) > 0

    def gather(self, value: T) -> list[T]:
        """Return the value of every process, in order."""
        if self.fabric.world_size == 1:
            return [value]
        values: list[T] = [value] * self.fabric.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def share_statistics(self) -> None:
        """Give all processes the batch statistics of the first: those that are saved."""
        if self.fabric.world_size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)


def initial_network(path: Path, config: ModelConfig) -> DigitisationNetwork:
    """Return the network of a configuration with the weights of a checkpoint.

    Weights fit any resolution; all else has to be as in the checkpoint.

    Raises:
        CheckpointError: the file is no checkpoint.
        TrainingError: it is one of another architecture or convention.
    """
    loaded = load_checkpoint(path)
    if replace(loaded.config.model, resolution=config.resolution) != config:
        raise TrainingError(f"{path}: expected a checkpoint of {config}, got {loaded.config.model}")
    return build_with_weights(config, loaded.network.state_dict(), path)
