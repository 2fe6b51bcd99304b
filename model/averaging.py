"""The exponential moving average of weights, which is what a run with `ema_decay` finishes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from model.config import Phase
from model.networks import DigitisationNetwork


def trained_tensors(network: DigitisationNetwork, phase: Phase) -> dict[str, Tensor]:
    """Return what a phase changes, by name: its weights and batch statistics.

    The tensors are those of the network, without gradient; counters are left out.
    """
    modules = network.phase_modules(phase)
    prefixes = tuple(f"{name}." for name, child in network.named_children() if child in modules)
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.startswith(prefixes) and tensor.is_floating_point()
    }


class WeightAverage:
    """The average over the steps of a phase, batch statistics included.

    It begins with a shorter memory, (1 + n) / (10 + n) after n steps, so that weights from
    before training soon drop out.

    Args:
        network: on its device.
        phase: whose modules are averaged.
        decay: share of the average that a step keeps.
    """

    def __init__(self, network: DigitisationNetwork, phase: Phase, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._weights = trained_tensors(network, phase)
        self._averages = {name: tensor.clone() for name, tensor in self._weights.items()}

    def update(self) -> None:
        """Take in the weights after a step."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        averages, weights = list(self._averages.values()), list(self._weights.values())
        get_ema_multi_avg_fn(decay)(averages, weights, self._steps)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the average for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, tensor in self._weights.items():
            kept = tensor.clone()
            tensor.copy_(self._averages[name])
            self._averages[name] = kept

    @torch.no_grad()
    def keep(self) -> None:
        """Let the network have the average for good."""
        for name, tensor in self._weights.items():
            tensor.copy_(self._averages[name])

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"steps": self._steps, "averages": self._averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved average of the same networks."""
        self._steps = state["steps"]
        for name, average in self._averages.items():
            average.copy_(state["averages"][name])
