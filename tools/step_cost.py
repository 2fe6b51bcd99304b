"""What one training step costs, measured or counted in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from render.errors import UserInputError

if TYPE_CHECKING:
    import torch
    from lightning.fabric import Fabric

    from model.config import ModelConfig, Phase, TrainConfig
    from model.networks import DigitisationNetwork
    from model.samples import Batch

S = TypeVar("S")
T = TypeVar("T")

ADAM_BYTES = 3 * 4
"""Of each trained weight: its gradient and the two moments of Adam, all float32."""

PAPER_MEMORY_SHARE = {512: 0.87, 1024: 0.73, 2048: 0.64}
"""Part-wise over whole-image memory of a training step by resolution (table 3 of the paper)."""


@dataclass(frozen=True, kw_only=True)
class StepNeed:
    """What a training step keeps in memory, counted from its tensors.

    Attributes:
        saved_bytes: of the tensors that the forward pass keeps for the backward pass; weights
            and samples, which are there before, are left out.
        trained: weights that the phase trains.
        available_bytes: what the device has left before the step; None where it does not say.
    """

    saved_bytes: int
    trained: int
    available_bytes: int | None

    @property
    def bytes(self) -> int:
        """What the step takes at least: what it keeps, and gradients and moments."""
        return self.for_views(1)

    def for_views(self, times: float) -> int:
        """Return what a step of so many times the views takes at least."""
        return round(self.saved_bytes * times) + ADAM_BYTES * self.trained


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Cost of a training step, forward, backward and Adam.

    Attributes:
        seconds: median of the repeats, after a first step that is not counted.
        peak_bytes: largest resident memory less that before the first step, of the process;
            of the device, where there is one.
        need: counted from the tensors of the first step.
        flops: multiplications and additions of convolutions and products.
        parameters: weights of all networks.
        checkpoint_bytes: weights and batch statistics, as a finished model holds them.
    """

    seconds: float
    peak_bytes: int
    need: StepNeed
    flops: int
    parameters: int
    checkpoint_bytes: int


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """Which step to measure.

    Attributes:
        config: networks, precision and memory layout; phase 2 refines windows where it says so.
        phase: what is trained.
        batch: views.
        repeats: steps that count.
        accelerator: as Lightning takes it.
    """

    config: TrainConfig
    phase: Phase = "1"
    batch: int = 1
    repeats: int = 3
    accelerator: str = "cpu"


def least_batch(resolution: int) -> int:
    """Return the smallest batch: at 128 pixels batch norm needs two views."""
    return 1 if resolution > 128 else 2


def smallest_step(config: TrainConfig, phase: Phase = "1", *, accelerator: str) -> StepSpec:
    """Return a step of the smallest batch, measured once."""
    size = least_batch(config.model.resolution)
    # The check of a configuration's batch is not the measured step's.
    config = replace(config, batch_size=max(size, 2))
    return StepSpec(config=config, phase=phase, batch=size, repeats=1, accelerator=accelerator)


def in_fresh_process(function: Callable[[S], T], given: S) -> T:
    """Return what a function of a module returns, in a process that did nothing before.

    A peak of memory is that of a process's whole life.

    Raises:
        UserInputError: the system ended the process.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(function, given).result()
        except BrokenProcessPool as error:
            raise UserInputError(
                "memory: expected a training step to fit it, got its process ended by the system"
            ) from error


def measure(spec: StepSpec) -> StepCost:
    """Measure time and memory of a step in a fresh process."""
    return in_fresh_process(_measure_here, spec)


def count(spec: StepSpec) -> StepNeed:
    """Count what a step keeps, by a forward pass that keeps nothing, in a fresh process.

    It takes a small part of the memory of the step.
    """
    return in_fresh_process(count_here, spec)


def synthetic_batch(config: ModelConfig, count: int, seed: int = 0) -> Batch:
    """Return views of noise with a round person, and every part in the middle of the frame.

    What a step costs does not depend on what the views show.
    """
    import torch

    from model.part_fitting import PartTransforms
    from model.parts import PARTS
    from model.samples import Batch

    size = config.resolution
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, size, size, generator=generator) * 2 - 1
    axis = torch.linspace(-1, 1, size)
    radius = torch.hypot(axis[:, None], axis[None, :]).expand(count, 1, size, size)
    person = radius < 0.6
    depth = torch.cat([1.9 + 0.1 * radius, 2.1 - 0.1 * radius], dim=1) * person
    upright = torch.eye(2, 3).expand(count, len(PARTS), 2, 3).contiguous()
    present = torch.ones(count, len(PARTS), dtype=torch.bool)
    return Batch(image, depth, person, PartTransforms(upright, upright, present))


class _SavedTensors:
    """Adds up what a forward pass hands over to be kept.

    Args:
        there_before: tensors that are in memory anyway.
    """

    def __init__(self, there_before: Iterable[torch.Tensor]) -> None:
        from torch.multiprocessing.reductions import StorageWeakRef

        self.bytes = 0
        self._reference = StorageWeakRef
        self._before = {tensor.untyped_storage().data_ptr() for tensor in there_before}
        self._counted: dict[int, StorageWeakRef] = {}

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count a tensor's storage, once."""
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        earlier = self._counted.get(place)
        # Where nothing is kept, another tensor may come to lie in the same place.
        if place not in self._before and (earlier is None or earlier.expired()):
            self._counted[place] = self._reference(storage)
            self.bytes += storage.nbytes()
        return tensor

    def add_and_drop(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage, and do not keep it."""
        self.add(tensor)


class _Step:
    """A training step, ready to be done."""

    def __init__(self, spec: StepSpec) -> None:
        import torch

        from model.devices import arrange, launch
        from model.networks import build_network, count_parameters
        from model.objectives import PhaseObjective
        from model.steps import make_optimizer, objective_arguments

        torch.manual_seed(0)
        self.fabric: Fabric = launch(spec.accelerator, 1, 1, spec.config.compute)
        self.network: DigitisationNetwork = build_network(spec.config.model, 0)
        self.parameters = count_parameters(self.network)
        arrange(self.network, spec.config.compute)
        objective = PhaseObjective(self.network, spec.phase, spec.config).train()
        self.trained = sum(weight.numel() for weight in objective.trainable())
        for group in (optimizer := make_optimizer(objective, spec.config)).param_groups:
            group["lr"] = 1e-4
        self._module, self._optimizer = self.fabric.setup(objective, optimizer)
        batch = synthetic_batch(spec.config.model, spec.batch).to(self.fabric.device)
        self._batch = batch
        # A seed in place of None, so that phase 2 draws its windows.
        self._arguments = objective_arguments(batch, 0)

    def saved_tensors(self) -> _SavedTensors:
        """Return a counter that leaves out weights and samples."""
        batch = self._batch
        samples = (batch.image, batch.depth, batch.reliable)
        return _SavedTensors([*self.network.parameters(), *samples])

    def forward(self) -> torch.Tensor:
        """Return the loss."""
        from model.steps import total_loss

        return total_loss(self._module(*self._arguments))

    def do(self) -> None:
        """Do the step, and wait for the device."""
        loss = self.forward()
        self.fabric.backward(loss)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        float(loss.detach())


def count_here(spec: StepSpec) -> StepNeed:
    """Count as `count` does, in this process."""
    from torch.autograd.graph import saved_tensors_hooks

    from model.memory import available_bytes

    step = _Step(spec)
    available = available_bytes(step.fabric.device)
    saved = step.saved_tensors()
    with saved_tensors_hooks(saved.add_and_drop, lambda nothing: nothing):
        step.forward()
    return StepNeed(saved_bytes=saved.bytes, trained=step.trained, available_bytes=available)


def _measure_here(spec: StepSpec) -> StepCost:
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.flop_counter import FlopCounterMode

    from model.memory import available_bytes, peak_bytes, used_bytes

    step = _Step(spec)
    device = step.fabric.device
    weights = step.network.state_dict().values()
    before, available = used_bytes(device), available_bytes(device)
    saved, counter = step.saved_tensors(), FlopCounterMode(display=False)
    with counter, saved_tensors_hooks(saved.add, lambda tensor: tensor):
        step.do()
    seconds = []
    for _ in range(spec.repeats):
        start = time.perf_counter()
        step.do()
        seconds.append(time.perf_counter() - start)
    return StepCost(
        seconds=statistics.median(seconds),
        peak_bytes=peak_bytes(device) - before,
        need=StepNeed(saved_bytes=saved.bytes, trained=step.trained, available_bytes=available),
        flops=int(counter.get_total_flops()),
        parameters=step.parameters,
        checkpoint_bytes=sum(tensor.numel() * tensor.element_size() for tensor in weights),
    )
