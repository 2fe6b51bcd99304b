"""Warps, blending, losses and the refiner's first look at depth stay float32 under autocast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.blocks import Refiner
from model.config import ComputeConfig, LossConfig, TrainConfig
from model.devices import launch
from model.losses import depth_losses, structural_similarity
from model.networks import build_network
from model.objectives import PhaseObjective
from model.part_crops import blend_parts, crop_parts, crop_weights
from model.parts import PART_NETWORKS, Resolution
from model.precision import float32_region
from model.samples import Batch
from model.steps import make_optimizer, objective_arguments
from tests.model.conftest import TINY

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


def test_tf32_is_off_in_the_region_and_as_it_was_behind_it() -> None:
    kinds = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    try:
        for kind in kinds:
            kind.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="body"), float32_region():
            assert [kind.fp32_precision for kind in kinds] == ["ieee"] * 2
            raise RuntimeError("body")
        assert [kind.fp32_precision for kind in kinds] == ["tf32"] * 2
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


def test_autocast_is_off_in_the_region_and_on_again_behind_it() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with float32_region():
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_what_is_to_be_learnt_is_not_rounded_to_the_precision_of_the_networks(
    scene_batch: Batch, precision: str
) -> None:
    fabric = launch("cpu", 1, 1, ComputeConfig(precision=precision))
    config = TrainConfig(model=TINY, compute=ComputeConfig(precision=precision))
    objective = PhaseObjective(build_network(TINY, 0), "1", config)
    seen: list[tuple[object, ...]] = []
    objective.register_forward_pre_hook(lambda module, arguments: seen.append(arguments))
    optimizer = make_optimizer(objective, config)
    module, _ = fabric.setup(objective, optimizer)
    terms = module(*objective_arguments(scene_batch, None))
    image, depth, _, transforms, *_ = seen[0]
    assert torch.equal(image, scene_batch.image)  # type: ignore[arg-type]
    assert torch.equal(depth, scene_batch.depth)  # type: ignore[arg-type]
    assert transforms[0].dtype == torch.float32  # type: ignore[index]
    assert {value.dtype for value in terms.values()} == {torch.float32}
