"""A training run: its folder, its data, its network and the devices it works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from model.checkpoint import LAST, LoadedModel, TrainState, load_checkpoint, save_checkpoint
from model.config import TrainConfig, config_to_dict
from model.networks import DigitisationNetwork, build_network
from model.objectives import phase_steps
from model.samples import Batch, DrawSchedule, ViewDataset, make_loader
from render.errors import UserInputError


class TrainingError(UserInputError):
    """Training cannot start or go on."""


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


def _make_fabric(options: RunOptions, precision: str) -> Fabric:
    try:
        return Fabric(
            accelerator=options.accelerator,
            devices=options.devices,
            # A batch in which a part network has no crop leaves its weights out.
            strategy="ddp_find_unused_parameters_true" if options.devices > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise TrainingError(
            "--accelerator, --devices, --precision: expected what this machine can run, got "
            f"{options.accelerator}, {options.devices}, {precision} ({str(error).splitlines()[0]})"
        ) from error


class Run:
    """One training run: its data, its network and its folder."""

    def __init__(self, config: TrainConfig, options: RunOptions, progress: Progress) -> None:
        self.config, self.options, self.progress = config, options, progress
        self.shards = str(options.shards.resolve())
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
        self.fabric = _make_fabric(options, config.precision)
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
            if loaded.shards != self.shards:
                raise TrainingError(
                    f"{last}: expected the shard set {loaded.shards} of this run to resume, "
                    f"got {self.shards}"
                )
            if config_to_dict(loaded.config) != config_to_dict(self.config):
                raise TrainingError(
                    f"{last}: expected the configuration of this run to resume, "
                    "got another one (same flags needed, or another --out)"
                )
            self.state = loaded.state
            return loaded.network
        if self.options.resume:
            self.progress.message(f"no run in {self.options.out}, starting a new one")
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
                shards=self.shards,
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
