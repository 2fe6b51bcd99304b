"""Warps, blending, losses and the refiner's first look at depth stay float32 under autocast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.blocks import Refiner
from model.config import LossConfig
from model.losses import depth_losses, structural_similarity
from model.part_crops import blend_parts, crop_parts, crop_weights
from model.parts import PART_NETWORKS, Resolution
from model.precision import float32_region
from model.samples import Batch

SIZE = Resolution(128)


def crops_of(batch: Batch) -> Tensor:
    return crop_parts(batch.image, batch.transforms, "leg", SIZE)


def weights_of(batch: Batch) -> Tensor:
    return crop_weights(batch.transforms, "leg", SIZE)


def blended_of(batch: Batch) -> Tensor:
    frame = batch.depth.repeat(1, 3, 1, 1) / 4
    crops = {name: crop_parts(frame, batch.transforms, name, SIZE) for name in PART_NETWORKS}
    return blend_parts(crops, batch.transforms, SIZE)[0]


def similarity_of(batch: Batch) -> Tensor:
    return structural_similarity(batch.image.abs(), batch.image.abs().roll(1, -1))


def depth_loss_of(batch: Batch) -> Tensor:
    shifted = batch.depth.roll(1, -1)
    terms = depth_losses(
        shifted, shifted[:, :1] - 1, batch.depth, batch.reliable, 128, LossConfig()
    )
    return torch.stack(list(terms.values()))


@pytest.mark.parametrize(
    "compute", [crops_of, weights_of, blended_of, similarity_of, depth_loss_of]
)
def test_results_under_autocast_are_those_without(
    scene_batch: Batch, compute: Callable[[Batch], Tensor]
) -> None:
    expected = compute(scene_batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = compute(scene_batch)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_the_refiner_reads_low_resolution_depth_in_float32() -> None:
    refiner = Refiner(4).eval()
    seen = []
    refiner.depth[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    depth, normal = 2 + torch.rand(1, 2, 8, 8) / 512, torch.rand(1, 6, 64, 64)
    refiner(depth, normal)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        refiner(depth, normal)
    assert torch.equal(seen[0], seen[1])


def test_autocast_is_off_in_the_region_and_on_again_behind_it() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with float32_region():
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")
