"""What one training step costs, measured in a process of its own."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from model.config import ModelConfig, Phase, TrainConfig
    from model.samples import Batch


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Cost of a training step, forward, backward and Adam.

    Attributes:
        seconds: median of the repeats, after a first step that is not counted.
        peak_bytes: largest resident memory less that before the first step, of the process;
            of the device, where there is one.
        saved_bytes: of the tensors that the forward pass keeps for the backward pass.
        flops: multiplications and additions of convolutions and products.
        parameters: weights of all networks.
        checkpoint_bytes: weights and batch statistics, as a finished model holds them.
    """

    seconds: float
    peak_bytes: int
    saved_bytes: int
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


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the sections are.

    Attributes:
        precision: resolution of the precision section.
        memory: resolutions of the memory section.
        width: channels of the finest level there; the paper's is 64.
        widths, resolutions: of the cost table.
        seeds, convergence: runs and steps of the convergence section.
    """

    precision: int
    memory: tuple[int, ...]
    width: int
    widths: tuple[int, ...]
    resolutions: tuple[int, ...]
    seeds: int
    convergence: int


FULL = Scale(
    precision=1024,
    memory=(512, 1024),
    width=64,
    widths=(4, 8, 16, 32),
    resolutions=(512, 1024),
    seeds=3,
    convergence=200,
)
QUICK = Scale(
    precision=256,
    memory=(256,),
    width=16,
    widths=(4, 8),
    resolutions=(128, 256),
    seeds=1,
    convergence=20,
)


def least_batch(resolution: int) -> int:
    """Return the smallest batch: at 128 pixels batch norm needs two views."""
    return 1 if resolution > 128 else 2


def spec_of(arguments: argparse.Namespace, config: TrainConfig, **options: Any) -> StepSpec:
    """Return a step of the smallest batch, measured as the command line says."""
    size = least_batch(config.model.resolution)
    return StepSpec(
        config=replace(config, batch_size=2),
        batch=size,
        repeats=arguments.steps,
        accelerator=arguments.accelerator,
        **options,
    )


def measure(spec: StepSpec) -> StepCost:
    """Measure in a fresh process: a peak of memory is that of the process's whole life."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measure_here, spec).result()


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


def _resident_bytes() -> int:
    """Return the memory that the process has now (Linux), or had at most (elsewhere)."""
    statistics_file = Path("/proc/self/statm")
    if not statistics_file.is_file():
        return _peak_resident_bytes()
    return int(statistics_file.read_text().split()[1]) * resource.getpagesize()


def _peak_resident_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _measure_here(spec: StepSpec) -> StepCost:
    import torch
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.flop_counter import FlopCounterMode

    from model.devices import arrange, launch
    from model.networks import build_network, count_parameters
    from model.objectives import PhaseObjective
    from model.steps import make_optimizer, objective_arguments, total_loss

    torch.manual_seed(0)
    fabric = launch(spec.accelerator, 1, 1, spec.config.compute)
    network = build_network(spec.config.model, 0)
    parameters = count_parameters(network)
    weights = network.state_dict().values()
    checkpoint = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    arrange(network, spec.config.compute)
    objective = PhaseObjective(network, spec.phase, spec.config).train()
    for group in (optimizer := make_optimizer(objective, spec.config)).param_groups:
        group["lr"] = 1e-4
    module, fabric_optimizer = fabric.setup(objective, optimizer)
    batch = synthetic_batch(spec.config.model, spec.batch).to(fabric.device)
    # A seed in place of None, so that phase 2 draws its windows.
    arguments = objective_arguments(batch, 0)

    def step() -> None:
        loss = total_loss(module(*arguments))
        fabric.backward(loss)
        fabric_optimizer.step()
        fabric_optimizer.zero_grad(set_to_none=True)
        float(loss.detach())  # waits for the device

    saved: dict[int, int] = {}
    before = _resident_bytes()
    if fabric.device.type == "cuda":
        before = torch.cuda.memory_allocated(fabric.device)
    step()
    seconds = []
    for _ in range(spec.repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = _peak_resident_bytes()
    if fabric.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(fabric.device)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    weight_storages = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    counter = FlopCounterMode(display=False)
    with counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = total_loss(module(*arguments))
        kept = sum(size for place, size in saved.items() if place not in weight_storages)
        fabric.backward(loss)
    return StepCost(
        seconds=statistics.median(seconds),
        peak_bytes=peak - before,
        saved_bytes=kept,
        flops=int(counter.get_total_flops()),
        parameters=parameters,
        checkpoint_bytes=checkpoint,
    )
