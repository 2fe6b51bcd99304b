"""Phase 2 learns the same from a window as from the whole frame."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.config import LossConfig, ModelConfig
from model.losses import phase2_loss
from model.networks import FullMaps, LowMaps, build_network
from model.windows import Windows

SIZE, WIDTH = 256, 128


@pytest.mark.parametrize("corner", [(0, 0), (64, 96), (128, 56)])
def test_gradients_from_a_window_are_those_of_its_scored_pixels_in_the_whole_frame(
    corner: tuple[int, int],
) -> None:
    config = ModelConfig(
        resolution=SIZE, refiner_width=4, part_width=2, depth_width=2, residual_depth=True
    )
    refiner = build_network(config, 0).eval()
    random = torch.Generator().manual_seed(0)

    def values(channels: int, size: int) -> Tensor:
        return torch.rand(1, channels, size, size, generator=random)

    low = LowMaps(values(6, SIZE // 8), 1.5 + values(2, SIZE // 8), values(1, SIZE // 8) - 0.3)
    normal, target = values(6, SIZE), 1.5 + values(2, SIZE)
    person = values(1, SIZE) > 0.2
    windows = Windows((corner,), WIDTH, SIZE)
    scored = torch.zeros_like(person)
    top, left = corner
    scored[..., top : top + WIDTH, left : left + WIDTH] = windows.scored()

    def gradients(full: FullMaps, *truth: Tensor) -> list[Tensor]:
        depth, reliable, counted = truth
        terms = phase2_loss(full, depth, reliable, SIZE, LossConfig(), counted)
        total = torch.stack(list(terms.values())).sum()
        return list(torch.autograd.grad(total, list(refiner.refiner.parameters())))

    whole = gradients(refiner.refine(low, normal), target, person, scored)
    part = gradients(
        refiner.refine(windows.cut_low(low), windows.cut(normal)),
        windows.cut(target),
        windows.cut(person),
        windows.scored(),
    )
    for expected, found in zip(whole, part, strict=True):
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    # What the halo keeps out would change them.
    wrong = gradients(
        refiner.refine(windows.cut_low(low), windows.cut(normal)),
        windows.cut(target),
        windows.cut(person),
        torch.ones_like(windows.scored()),
    )
    assert not torch.allclose(wrong[0], whole[0], rtol=1e-2)
