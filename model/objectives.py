"""What each phase minimises, and how its learning rate moves."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model.config import Phase, PhaseConfig, TrainConfig
from model.losses import phase1_loss, phase2_loss
from model.networks import DigitisationNetwork, LowMaps
from model.part_fitting import PartTransforms
from model.samples import Batch
from model.windows import draw_windows

WARM_UP = 0.05
"""Part of a single-cosine phase over which the learning rate rises."""


def learning_rate(phase: PhaseConfig, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step (SGDR, reference [27] of the paper)."""
    if phase.restart_epochs is not None:
        cycle = phase.restart_epochs * steps_per_epoch
        return phase.learning_rate * (1 + math.cos(math.pi * (step % cycle) / cycle)) / 2
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return phase.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return phase.learning_rate * (1 + math.cos(math.pi * done)) / 2


def phase_steps(phase: PhaseConfig, steps_per_epoch: int) -> int:
    """Return how many optimiser steps a phase takes."""
    return phase.steps if phase.steps is not None else phase.epochs * steps_per_epoch


class FrozenAnswers:
    """What the frozen networks said of samples, kept by key, all but depth in half precision.

    Every sample is answered on its own, so that what is kept does not depend on which
    samples came together.

    Args:
        network: the networks; phase 1 is not to change any more.
        limit_bytes: answers beyond this are computed again each time.
    """

    def __init__(self, network: DigitisationNetwork, limit_bytes: int = 4 << 30) -> None:
        self._network = network
        item_bytes = (2 * (6 * 65 + 1) + 4 * 2) * network.resolution.low**2
        self._limit = limit_bytes // item_bytes
        self._kept: dict[tuple[int, int], tuple[LowMaps, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, batch: Batch) -> tuple[LowMaps, Tensor]:
        """Return the low-resolution maps and the blended normals of a batch."""
        answers = []
        for index, key in enumerate(batch.keys):
            answer = self._kept.get(key)
            if answer is None:
                low, normal = frozen_maps(
                    self._network, batch.image[index : index + 1], batch.transforms.item(index)
                )
                kept = LowMaps(low.normal.half(), low.depth, low.mask_logit.half())
                answer = kept, normal.half()
                if len(self._kept) < self._limit:
                    self._kept[key] = answer
            answers.append(answer)
        low = LowMaps(
            torch.cat([low.normal for low, _ in answers]).float(),
            torch.cat([low.depth for low, _ in answers]),
            torch.cat([low.mask_logit for low, _ in answers]).float(),
        )
        return low, torch.cat([normal for _, normal in answers]).float()


@torch.no_grad()
def frozen_maps(
    network: DigitisationNetwork, image: Tensor, transforms: PartTransforms
) -> tuple[LowMaps, Tensor]:
    """Return `predict_first_phase` without gradients: what phase 2 trains on."""
    return network.predict_first_phase(image, transforms)


class PhaseObjective(nn.Module):
    """A phase's loss as a module, so that it can be replicated over devices.

    Args:
        network: all networks; those the phase does not train are frozen.
        phase: what to train.
        config: of the run.
    """

    def __init__(self, network: DigitisationNetwork, phase: Phase, config: TrainConfig) -> None:
        super().__init__()
        self.network = network
        self._phase, self._config = phase, config
        kept = phase == "2" and config.refiner_variants is not None
        self._answers = FrozenAnswers(network) if kept else None
        trained = network.phase_modules(phase)
        network.requires_grad_(False)
        for module in trained:
            module.requires_grad_(True)

    def train(self, mode: bool = True) -> PhaseObjective:
        """Set training mode on the modules of the phase alone."""
        super().train(mode)
        self.network.eval()
        for module in self.network.phase_modules(self._phase):
            module.train(mode)
        return self

    def trainable(self) -> list[nn.Parameter]:
        """Return the parameters of the phase."""
        return [p for p in self.network.parameters() if p.requires_grad]

    def forward(
        self,
        image: Tensor,
        depth: Tensor,
        reliable: Tensor,
        transforms: tuple[Tensor, Tensor, Tensor],
        keys: tuple[tuple[int, int], ...],
        step_seed: int | None,
        with_parts: bool = True,
        target_normal: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted loss terms, which sum to the loss.

        Args:
            image, depth, reliable: as in `Batch`.
            transforms: the fields of `PartTransforms`.
            keys: of the samples, in training; none in validation.
            step_seed: of the refiner's windows; None scores whole frames.
            with_parts: False leaves the part networks out of phase 1.
            target_normal: `normal` of `Batch`.

        Fine-tuning minimises equations 8, 9 and 10 together; its terms of equation 10 are
        those named `refined_`.
        """
        batch = Batch(image, depth, reliable, PartTransforms(*transforms), keys, target_normal)
        if self._phase == "2":
            if self._answers is not None and batch.keys:
                low, normal = self._answers(batch)
            else:
                low, normal = frozen_maps(self.network, batch.image, batch.transforms)
            return self._refiner_loss(batch, low, normal, step_seed)
        low = self.network.predict_low(batch.image)
        crops = None
        if with_parts or self._phase == "finetune":
            crops = self.network.predict_parts(batch.image, low.normal, batch.transforms)
        terms = phase1_loss(low, crops, batch, self._config.loss, self._config.model.convention)
        if self._phase == "1" or crops is None:
            return terms
        normal = self.network.join_parts(crops, batch.transforms)
        refined = self._refiner_loss(batch, low, normal, step_seed)
        return terms | {f"refined_{name}": value for name, value in refined.items()}

    def _refiner_loss(
        self, batch: Batch, low: LowMaps, normal: Tensor, step_seed: int | None
    ) -> dict[str, Tensor]:
        """Return equation 10 on the whole frames, or on a window of each."""
        network, config = self.network, self._config
        depth, reliable, scored = batch.depth, batch.reliable, None
        size = config.refiner_window
        if size is not None and step_seed is not None and size < depth.shape[-1]:
            generator = torch.Generator().manual_seed(step_seed)
            windows = draw_windows(reliable, size, generator)
            low, normal = windows.cut_low(low), windows.cut(normal)
            depth, reliable = windows.cut(depth), windows.cut(reliable)
            scored = windows.scored().to(depth.device)
        full = network.refine(low, normal)
        return phase2_loss(
            full,
            depth,
            reliable,
            network.resolution.full,
            config.loss,
            scored,
            config.model.convention,
        )
