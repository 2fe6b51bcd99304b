"""The picture that training leaves at each validation."""

from __future__ import annotations

import pytest
import torch

from model.networks import build_network
from model.pictures import WIDEST, depth_picture, training_picture
from model.samples import Batch
from tests.model.conftest import TINY


@pytest.mark.parametrize("width", [WIDEST, 64])
def test_maps_lie_side_by_side_and_are_no_wider_than_the_widest(
    scene_batch: Batch, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.pictures.WIDEST", width)
    shown = training_picture(build_network(TINY, 0).eval(), scene_batch, "2")
    side = min(128, width)
    assert shown.shape == (3, 2 * side, 4 * side)
    assert 0.0 <= shown.min() and shown.max() <= 1.0
    truth = shown[:, side:, 3 * side :]
    depth = depth_picture(scene_batch.depth[0, 0])
    block = 128 // side
    expected = depth.unfold(1, block, block).unfold(2, block, block).mean((-1, -2))
    assert torch.allclose(truth, expected, atol=1e-6)
