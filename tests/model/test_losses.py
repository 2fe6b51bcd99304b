"""Losses have the values of the equations, and none of the published defects."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from model.config import LossConfig
from model.conventions import Convention
from model.encoding import normals_from_depth
from model.losses import (
    depth_losses,
    low_resolution_target,
    normal_map_loss,
    phase1_loss,
    phase2_loss,
    structural_similarity,
)
from model.networks import FullMaps, LowMaps
from model.part_crops import crop_parts
from model.parts import PART_NETWORKS, PARTS_OF_NETWORK, Resolution
from model.samples import Batch

CONFIG = LossConfig()


def test_similarity_of_equal_maps_is_one_and_of_constants_is_by_hand() -> None:
    ones, half = torch.ones(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5)
    assert structural_similarity(ones, ones).item() == pytest.approx(1.0)
    # No variance: (2 * 1 * 0.5 + 1e-4) / (1 + 0.25 + 1e-4).
    assert structural_similarity(ones, half).item() == pytest.approx(1.0001 / 1.2501, abs=1e-4)


def test_normal_loss_of_constants_is_by_hand() -> None:
    ones, half = torch.ones(2, 6, 16, 16), torch.full((2, 6, 16, 16), 0.5)
    expected = 0.85 * 0.5 + 0.15 * (1 - 1.0001 / 1.2501)
    assert normal_map_loss(ones, half, CONFIG).tolist() == pytest.approx([expected] * 2, abs=1e-4)


def test_balanced_normal_loss_weighs_person_and_background_alike() -> None:
    target = torch.zeros(2, 6, 16, 16)
    target[0, :, :4, :4] = 0.5
    predicted = target.clone()
    predicted[0, :, :4, :4] += 0.2
    predicted[:, :, 8:] += 0.1
    alone = LossConfig(alpha=1.0, beta=0.0, balanced_normals=True)
    # Item 0: half of 0.2, and half of 0.1 on 128 of 240 pixels. Item 1 is background alone.
    expected = [0.5 * 0.2 + 0.5 * 0.1 * 128 / 240, 0.05]
    assert normal_map_loss(predicted, target, alone).tolist() == pytest.approx(expected, rel=1e-5)
    plain = LossConfig(alpha=1.0, beta=0.0)
    by_area = [(0.2 * 16 + 0.1 * 128) / 256, 0.05]
    assert normal_map_loss(predicted, target, plain).tolist() == pytest.approx(by_area, rel=1e-5)


def flat_scene(size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.zeros(1, 2, size, size)
    target[..., 4:12, 4:12] = torch.tensor([1.9, 2.1]).view(1, 2, 1, 1)
    return target, target[:, :1] > 0


def test_depth_terms_of_a_shifted_square_are_by_hand() -> None:
    target, person = flat_scene()
    logit = torch.where(person, 2.0, -2.0)
    terms = depth_losses(target + 0.4, logit, target, person, 2048, CONFIG)
    # Smooth L1 below 1 is half the square; the shift changes no slope.
    assert terms["depth"].item() == pytest.approx(0.85 * 0.5 * 0.4**2, rel=1e-4)
    assert terms["consistency"].item() == pytest.approx(0.0, abs=1e-7)
    # One sigmoid: -log sigmoid(2) everywhere.
    assert terms["mask"].item() == pytest.approx(0.15 * math.log1p(math.exp(-2.0)), rel=1e-4)


def test_depth_outside_the_person_and_the_scored_pixels_costs_nothing() -> None:
    target, person = flat_scene()
    wild = torch.where(person, target, torch.full_like(target, 5.0))
    logit = torch.zeros_like(target[:, :1])
    terms = depth_losses(wild, logit, target, person, 512, CONFIG)
    assert terms["depth"].item() == 0.0 and terms["consistency"].item() == 0.0
    scored = torch.zeros_like(person)
    scored[..., :8, :] = True
    shifted = target.clone()
    shifted[..., 8:, :] += 1.0
    terms = depth_losses(shifted, logit, target, person, 512, CONFIG, scored)
    assert terms["depth"].item() == 0.0


def test_no_person_gives_zero_and_not_nan() -> None:
    target = torch.zeros(1, 2, 16, 16)
    terms = depth_losses(target + 2, target[:, :1], target, target[:, :1] > 0, 512, CONFIG)
    assert terms["depth"].item() == 0.0 and math.isfinite(terms["mask"].item())


def test_a_mask_that_is_right_and_certain_costs_nothing() -> None:
    # A sigmoid over a sigmoid would leave 0.69 on the background and 0.31 on the person.
    target, person = flat_scene()
    logit = torch.where(person, 30.0, -30.0)
    assert depth_losses(target, logit, target, person, 512, CONFIG)["mask"].item() < 1e-6


def test_released_networks_learn_the_background_as_depth_beside_the_person() -> None:
    target, person = flat_scene()
    # The person 0.4 off; the background 0.5 before its 6 and 0.2 behind its 0.
    background = torch.tensor([5.5, 0.2]).view(1, 2, 1, 1)
    depth = torch.where(person, target + 0.4, background).requires_grad_()
    before = target.clone()
    terms = depth_losses(
        depth, torch.zeros(1, 1, 16, 16), target, person, 512, CONFIG, convention="released"
    )
    assert set(terms) == {"depth", "consistency", "mask", "background"}
    assert terms["depth"].item() == pytest.approx(0.85 * 0.5 * 0.4**2, rel=1e-4)
    expected = 0.85 * 0.5 * (0.5**2 + 0.2**2) / 2
    assert terms["background"].item() == pytest.approx(expected, rel=1e-4)
    assert torch.equal(target, before)
    # Steps lead the background to 6 in front and 0 behind; pixels not scored lead nowhere.
    terms["background"].backward()
    assert depth.grad is not None
    assert (depth.grad[0, 0, 0, 0] < 0) and (depth.grad[0, 1, 0, 0] > 0)
    assert not depth.grad[:, :, 4:12, 4:12].any()
    unscored = torch.zeros_like(person)
    alone = depth_losses(
        depth, torch.zeros(1, 1, 16, 16), target, person, 512, CONFIG, unscored, "released"
    )
    assert alone["background"].item() == 0.0


@pytest.mark.parametrize("convention", ["paper", "released"])
def test_equation_10_does_not_grow_with_the_batch(convention: Convention) -> None:
    target, person = flat_scene()
    depth, logit = target + 0.3, torch.full_like(target[:, :1], 0.2)

    def total(count: int) -> float:
        full, wanted, where = (each.repeat(count, 1, 1, 1) for each in (depth, target, person))
        maps = FullMaps(full.repeat(1, 3, 1, 1), full, logit.repeat(count, 1, 1, 1))
        terms = phase2_loss(maps, wanted, where, 512, CONFIG, convention=convention)
        return sum(float(value) for value in terms.values())

    assert total(3) == pytest.approx(total(1), rel=1e-5)


@pytest.mark.parametrize("without", ["depth", "rendered"])
def test_normal_targets_are_the_rendered_ones_where_a_batch_has_them(
    scene_batch: Batch, without: str
) -> None:
    # Rendered normals that are those of the depth, but for one that is twice as far from grey.
    encoded = normals_from_depth(scene_batch.depth, 128)
    if without == "depth":
        encoded = torch.where(encoded > 0, (encoded + 0.5) / 2, 0.0)
    batch = dataclasses.replace(scene_batch, normal=encoded)
    low = LowMaps(
        normals_from_depth(low_resolution_target(scene_batch.depth), 128),
        low_resolution_target(scene_batch.depth),
        torch.zeros(2, 1, 16, 16),
    )
    crops = {
        name: crop_parts(encoded, scene_batch.transforms, name, Resolution(128))
        for name in PART_NETWORKS
    }
    terms = phase1_loss(low, crops, batch, CONFIG)
    assert terms["part_normal"].item() == pytest.approx(0.0, abs=1e-5)
    from_depth = phase1_loss(low, crops, scene_batch, CONFIG)
    assert from_depth["low_normal"].item() == pytest.approx(0.0, abs=1e-6)
    if without == "depth":
        assert from_depth["part_normal"].item() > 0.1 and terms["low_normal"].item() > 0.01


def test_the_loss_does_not_grow_with_the_batch_and_leaves_targets_alone(
    scene_batch: Batch,
) -> None:
    size, resolution = 128, Resolution(128)
    before = scene_batch.depth.clone()

    def total(count: int) -> float:
        batch = Batch(
            scene_batch.image[:1].repeat(count, 1, 1, 1),
            scene_batch.depth[:1].repeat(count, 1, 1, 1),
            scene_batch.reliable[:1].repeat(count, 1, 1, 1),
            type(scene_batch.transforms)(
                scene_batch.transforms.image_to_canonical[:1].repeat(count, 1, 1, 1),
                scene_batch.transforms.canonical_to_image[:1].repeat(count, 1, 1, 1),
                scene_batch.transforms.present[:1].repeat(count, 1),
            ),
        )
        low = LowMaps(
            torch.full((count, 6, size // 8, size // 8), 0.4),
            torch.full((count, 2, size // 8, size // 8), 2.0),
            torch.zeros(count, 1, size // 8, size // 8),
        )
        parts = {
            name: torch.full(
                (count, len(PARTS_OF_NETWORK[name]), 6, *resolution.crop_size(name)), 0.4
            )
            for name in PART_NETWORKS
        }
        return sum(float(value) for value in phase1_loss(low, parts, batch, CONFIG).values())

    assert total(3) == pytest.approx(total(1), rel=1e-5)
    assert torch.equal(scene_batch.depth, before)


def test_the_low_resolution_target_is_every_eighth_pixel_from_the_fourth() -> None:
    values = torch.arange(16.0).expand(1, 1, 16, 16)
    assert low_resolution_target(values)[0, 0, 0].tolist() == [3.0, 11.0]
