"""What a step is made of, and what the steps of a phase take."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor

from model.config import Phase, TrainConfig
from model.devices import arrange
from model.memory import peak_bytes
from model.networks import DigitisationNetwork
from model.objectives import PhaseObjective
from model.samples import Batch, DrawSchedule, ViewDataset, make_loader


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a phase will take.

    Attributes:
        phase: the phase.
        steps: optimiser steps to do.
        seconds: of all of them.
        peak_bytes: memory of the process (of the device, where there is one).
    """

    phase: Phase
    steps: int
    seconds: float
    peak_bytes: int


def objective_arguments(
    batch: Batch, step_seed: int | None, with_parts: bool = True
) -> tuple[object, ...]:
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
        batch.normal,
    )


def total_loss(terms: dict[str, Tensor]) -> Tensor:
    """Return the sum of weighted loss terms."""
    return torch.stack(list(terms.values())).sum()


def make_optimizer(objective: PhaseObjective, config: TrainConfig) -> torch.optim.Adam:
    """Return Adam over what a phase trains; the rate is set before each step."""
    # The fused step undoes the loss scaling of 16-mixed itself, too late for clipping.
    fused = config.compute.precision != "16-mixed"
    return torch.optim.Adam(
        objective.trainable(), lr=0.0, betas=config.optimiser.betas, fused=fused
    )


def estimate_phase(
    network: DigitisationNetwork,
    config: TrainConfig,
    data: ViewDataset,
    phase: Phase,
    steps: int,
    fabric: Fabric,
) -> Estimate:
    """Time steps on a copy of the network: one to warm up, a long one and a short one.

    In phase 1 the long steps train the part networks too, in phase 2 they run the frozen
    networks on samples that are new.
    """
    device = fabric.device
    trial = copy.deepcopy(network).to(device)
    arrange(trial, config.compute)  # A copy is not compiled.
    objective = PhaseObjective(trial, phase, config).train()
    optimizer = make_optimizer(objective, config)
    draws = DrawSchedule(len(data), config.batch_size, range(2), seed=config.seed)
    first, second = (batch.to(device) for batch in make_loader(data, draws))
    seconds = []
    for batch, with_parts in ((first, True), (second, True), (second, config.parts_every == 1)):
        start = time.perf_counter()
        with fabric.autocast():
            loss = total_loss(objective(*objective_arguments(batch, 0, with_parts)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    long, short = seconds[1:]
    long_steps = -(-steps // config.parts_every)
    if phase != "1":
        long_steps = steps
    if phase == "2" and config.refiner_variants is not None:
        views_a_step = config.batch_size * config.optimiser.accumulate
        long_steps = min(steps, config.refiner_variants * len(data) // views_a_step)
    return Estimate(
        phase=phase,
        steps=steps,
        seconds=config.optimiser.accumulate * (long * long_steps + short * (steps - long_steps)),
        peak_bytes=peak_bytes(device),
    )
