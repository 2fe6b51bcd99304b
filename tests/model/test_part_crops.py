"""Parts are cut out and pasted back where they came from."""

from __future__ import annotations

import torch
from torch.nn import functional

from dataset.joints import JOINT_INDEX
from model.part_crops import blend_parts, crop_parts
from model.part_fitting import PartTransforms, fit_parts, invert, normalise_joints, stack_transforms
from model.parts import PART_NETWORKS, PARTS_OF_NETWORK, Resolution
from tests.model.conftest import standing_joints


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
                invert(transforms.canonical_to_image[:, index]),
                [1, 1, size, size],
                align_corners=False,
            )
            weight = functional.grid_sample(weight, back, align_corners=False)
            normals += functional.grid_sample(canvas, back, align_corners=False) * weight
            weights += weight
    return normals / torch.where(weights > 0, weights, torch.ones_like(weights)), weights


def test_coverage_ends_where_the_image_does() -> None:
    size = 256
    joints = normalise_joints(standing_joints(size), size)
    joints[:, 0] += 0.75  # The left arm and leg leave the image on the right.
    transforms = stack_transforms([fit_parts(joints)])
    ones = {
        name: torch.ones(1, len(PARTS_OF_NETWORK[name]), 6, *Resolution(size).crop_size(name))
        for name in PART_NETWORKS
    }
    blended, covered = blend_parts(ones, transforms, Resolution(size))
    expected, weight_sum = dense_blend(ones, transforms, Resolution(size))
    assert torch.equal(covered > 0, weight_sum > 0)
    assert torch.allclose(blended, expected, atol=1e-5)
