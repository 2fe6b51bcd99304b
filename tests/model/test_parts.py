"""Parts are placed, cut out and pasted back where they came from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from dataset.joints import JOINT_INDEX
from model.parts import (
    PART_NETWORKS,
    PARTS,
    PARTS_OF_NETWORK,
    PartTransforms,
    Resolution,
    blend_parts,
    crop_parts,
    fit_part,
    fit_parts,
    fit_similarity,
    normalise_joints,
    stack_transforms,
)
from tests.model.conftest import standing_joints

RESOLUTIONS = (128, 256, 512, 1024, 2048)


def part(name: str):  # type: ignore[no-untyped-def]
    return next(each for each in PARTS if each.name == name)


def standing() -> np.ndarray:
    return normalise_joints(standing_joints(2048), 2048)


def test_a_turn_a_scale_and_a_shift_are_recovered() -> None:
    points = np.array([[0.1, 0.2], [0.3, -0.1], [-0.2, 0.4]])
    expected = np.array([[0.0, -1.5, 0.25], [1.5, 0.0, -0.5]])
    targets = points @ expected[:, :2].T + expected[:, 2]
    assert np.allclose(fit_similarity(points, targets), expected)


def test_long_limbs_land_on_their_anchors_and_short_ones_are_never_magnified() -> None:
    joints = standing()
    shoulder, elbow = JOINT_INDEX["left_shoulder"], JOINT_INDEX["left_elbow"]
    joints[shoulder, :2], joints[elbow, :2] = (0.0, -0.25), (0.0, 0.25)
    matrix = fit_part(part("left_upper_arm"), joints)
    assert matrix is not None
    # A limb of 0.5 is twice the canonical 1/4: scale 1/2, shoulder at (0, -3/16).
    assert matrix[0, 0] == pytest.approx(0.5)
    assert matrix @ [0.0, -0.25, 1.0] == pytest.approx([0.0, -3 / 16])
    joints[elbow, :2] = (0.0, -0.15)
    short = fit_part(part("left_upper_arm"), joints)
    assert short is not None and np.hypot(short[0, 0], short[1, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("missing", "left_out"),
    [
        (["left_elbow"], ["left_upper_arm", "left_lower_arm"]),
        (["left_index", "left_middle", "left_ring", "left_pinky"], []),
        (["left_ear"], []),
        (["left_ear", "left_eye"], ["face"]),
        (["right_big_toe", "right_heel"], []),
        (["right_big_toe", "right_small_toe"], ["right_foot"]),
        (["left_shoulder", "left_hip"], ["left_upper_arm", "left_upper_leg"]),
    ],
)
def test_missing_joints_leave_out_what_they_alone_fix(
    missing: list[str], left_out: list[str]
) -> None:
    joints = standing()
    for name in missing:
        joints[JOINT_INDEX[name]] = 0
    transforms = fit_parts(joints)
    absent = [each.name for each, there in zip(PARTS, transforms.present) if not there]
    assert sorted(absent) == sorted(left_out)
    assert torch.isfinite(transforms.canonical_to_image).all()


def test_coincident_joints_leave_the_part_out() -> None:
    joints = standing()
    joints[JOINT_INDEX["left_elbow"]] = joints[JOINT_INDEX["left_shoulder"]]
    transforms = fit_parts(joints)
    assert not transforms.present[[each.name for each in PARTS].index("left_upper_arm")]


@pytest.mark.parametrize("full", RESOLUTIONS)
def test_sizes_follow_the_working_resolution(full: int) -> None:
    resolution = Resolution(full)
    assert resolution.low * 8 == full
    for network in PART_NETWORKS:
        height, width = resolution.crop_size(network)
        assert height % 8 == 0 and width % 8 == 0
        assert height > 2 * resolution.erosion and width > 2 * resolution.erosion
    assert resolution.erosion == resolution.blur_radius + 1


def test_sizes_at_2048_are_the_published_ones() -> None:
    resolution = Resolution(2048)
    assert resolution.crop_size("face") == (368, 320)
    assert (resolution.blur_radius, resolution.blur_sigma, resolution.erosion) == (7, 5.0, 8)


@pytest.mark.parametrize("full", [0, 100, 4096])
def test_other_working_resolutions_are_refused(full: int) -> None:
    with pytest.raises(ValueError, match="multiple of 128"):
        Resolution(full)


def smooth_frame(channels: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, channels, 8, 8, generator=generator)
    return functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


def test_cut_out_and_blended_back_parts_are_the_frame_they_came_from() -> None:
    size = 512
    frame = smooth_frame(6, size)
    transforms = stack_transforms([fit_parts(normalise_joints(standing_joints(size), size))])
    crops = {name: crop_parts(frame, transforms, name, Resolution(size)) for name in PART_NETWORKS}
    blended, covered = blend_parts(crops, transforms, Resolution(size))
    inside = functional.max_pool2d(1 - covered, 5, 1, 2) == 0
    assert inside.float().mean() > 0.1
    # Two bilinear samplings of a smooth frame.
    assert ((blended - frame).abs() * inside).max() < 0.01
    assert (blended[:, :, covered[0, 0] == 0] == 0).all()


def test_weights_sum_to_one_where_any_part_covers() -> None:
    size = 256
    transforms = stack_transforms([fit_parts(normalise_joints(standing_joints(size), size))] * 2)
    ones = {
        name: torch.ones(2, len(PARTS_OF_NETWORK[name]), 6, *Resolution(size).crop_size(name))
        for name in PART_NETWORKS
    }
    blended, covered = blend_parts(ones, transforms, Resolution(size))
    assert set(covered.unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(blended, covered.expand_as(blended), atol=1e-5)


def test_a_crop_equals_the_centre_of_the_warped_whole_frame() -> None:
    size = 256
    frame = smooth_frame(3, size)
    transforms = stack_transforms([fit_parts(normalise_joints(standing_joints(size), size))])
    height, width = Resolution(size).crop_size("leg")
    crops = crop_parts(frame, transforms, "leg", Resolution(size))
    for slot, index in enumerate(PARTS_OF_NETWORK["leg"]):
        theta = transforms.canonical_to_image[:, index]
        grid = functional.affine_grid(theta, [1, 3, size, size], align_corners=False)
        warped = functional.grid_sample(frame, grid, align_corners=False)
        top, left = size // 2 - height // 2, size // 2 - width // 2
        expected = warped[0, :, top : top + height, left : left + width]
        assert torch.allclose(crops[0, slot], expected, atol=1e-5)


def test_blending_equals_the_dense_definition_of_equations_4_and_5() -> None:
    size = 128
    resolution = Resolution(size)
    joints = normalise_joints(standing_joints(size), size)
    joints[JOINT_INDEX["right_knee"]] = 0
    transforms = stack_transforms([fit_parts(joints)])
    generator = torch.Generator().manual_seed(1)
    crops = {
        name: torch.rand(
            1, len(PARTS_OF_NETWORK[name]), 6, *resolution.crop_size(name), generator=generator
        )
        for name in PART_NETWORKS
    }
    blended, covered = blend_parts(crops, transforms, resolution)
    expected, weight_sum = dense_blend(crops, transforms, resolution)
    assert torch.equal(covered > 0, weight_sum > 0)
    assert torch.allclose(blended, expected, atol=1e-5)


def dense_blend(
    crops: dict[str, torch.Tensor], transforms: PartTransforms, resolution: Resolution
) -> tuple[torch.Tensor, torch.Tensor]:
    """Warp whole frames part by part, as the equations are written."""
    size = resolution.full
    offsets = torch.arange(-resolution.blur_radius, resolution.blur_radius + 1.0)
    taps = torch.exp(-(offsets**2) / (2 * resolution.blur_sigma**2))
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    normals, weights = torch.zeros(1, 6, size, size), torch.zeros(1, 1, size, size)
    for network, values in crops.items():
        height, width = values.shape[-2:]
        top, left, border = size // 2 - height // 2, size // 2 - width // 2, resolution.erosion
        for slot, index in enumerate(PARTS_OF_NETWORK[network]):
            if not transforms.present[0, index]:
                continue
            grid = functional.affine_grid(
                transforms.canonical_to_image[:, index], [1, 1, size, size], align_corners=False
            )
            seen = functional.grid_sample(torch.ones(1, 1, size, size), grid, align_corners=False)
            weight = torch.zeros(1, 1, size, size)
            rows = slice(top + border, top + height - border)
            columns = slice(left + border, left + width - border)
            weight[..., rows, columns] = seen[..., rows, columns]
            weight = functional.conv2d(weight, kernel[None, None], padding=resolution.blur_radius)
            canvas = torch.zeros(1, 6, size, size)
            canvas[..., top : top + height, left : left + width] = values[:, slot]
            back = functional.affine_grid(
                transforms.image_to_canonical[:, index], [1, 1, size, size], align_corners=False
            )
            weight = functional.grid_sample(weight, back, align_corners=False)
            normals += functional.grid_sample(canvas, back, align_corners=False) * weight
            weights += weight
    return normals / torch.where(weights > 0, weights, torch.ones_like(weights)), weights
