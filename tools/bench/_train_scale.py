"""How large the sections of the training bench are."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tools.step_cost import StepSpec, smallest_step

if TYPE_CHECKING:
    from model.config import Phase, TrainConfig


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


def spec_of(arguments: argparse.Namespace, config: TrainConfig, phase: Phase = "1") -> StepSpec:
    """Return a step of the smallest batch, measured as the command line says."""
    spec = smallest_step(config, phase, accelerator=arguments.accelerator)
    return replace(spec, repeats=arguments.steps)
