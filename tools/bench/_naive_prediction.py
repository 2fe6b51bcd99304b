"""Prediction as the published implementation goes about it, for the bench to compare with.

Whole frames are warped for every part, there and back, all twelve are in memory together, and
the refiner runs over the whole frame. Written from what that implementation is known to do;
layers and weights are the toolkit's, as training uses them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.networks import DigitisationNetwork, FullMaps
from model.part_fitting import PartTransforms, invert
from model.parts import PART_NETWORKS, PARTS_OF_NETWORK, Resolution


def _warp(frames: Tensor, matrices: Tensor) -> Tensor:
    grid = functional.affine_grid(matrices, list(frames.shape), align_corners=False)
    return functional.grid_sample(frames, grid, align_corners=False)


def _centre(frames: Tensor, height: int, width: int) -> Tensor:
    top, left = frames.shape[-2] // 2 - height // 2, frames.shape[-1] // 2 - width // 2
    return frames[..., top : top + height, left : left + width]


def _on_canvas(crops: Tensor, size: int) -> Tensor:
    height, width = crops.shape[-2:]
    top, left = size // 2 - height // 2, size // 2 - width // 2
    return functional.pad(crops, (left, size - left - width, top, size - top - height))


def _blurred(frames: Tensor, resolution: Resolution) -> Tensor:
    radius = resolution.blur_radius
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    taps = torch.exp(-(offsets**2) / (2 * resolution.blur_sigma**2))
    kernel = torch.outer(taps / taps.sum(), taps / taps.sum())
    padded = functional.pad(frames, (radius,) * 4, mode="reflect")
    return functional.conv2d(padded, kernel[None, None])


@torch.no_grad()
def predict_naively(
    network: DigitisationNetwork, image: Tensor, transforms: PartTransforms
) -> FullMaps:
    """Predict the maps of one person whose parts are all there.

    Args:
        network: in evaluation mode.
        image: (1, 3, R, R) float32 in -1..1.
        transforms: batch of one.
    """
    size = image.shape[-1]
    thetas = transforms.canonical_to_image[0]
    low = network.predict_low(image)
    guide = functional.interpolate(
        low.normal[:, :3], size=(size, size), mode="bilinear", align_corners=False
    )
    warped_image = _warp(image.expand(len(thetas), -1, -1, -1), thetas)
    warped_guide = _warp(guide.expand(len(thetas), -1, -1, -1), thetas)
    inside = _warp(torch.ones(len(thetas), 1, size, size), thetas)
    normals, weights = [], []
    for name in PART_NETWORKS:
        parts = list(PARTS_OF_NETWORK[name])
        crop, border = network.resolution.crop_size(name), network.resolution.erosion
        both = torch.cat(
            [_centre(warped_image[parts], *crop), _centre(warped_guide[parts], *crop)], 1
        )
        predicted = network.part_normal[name](both)
        eroded = _centre(inside[parts], crop[0] - 2 * border, crop[1] - 2 * border)
        back = invert(thetas[parts])
        normals.append(_warp(_on_canvas(predicted, size), back))
        weights.append(_warp(_blurred(_on_canvas(eroded, size), network.resolution), back))
    weight = torch.cat(weights)
    total = weight.sum(0, keepdim=True)
    share = weight / torch.where(total == 0, torch.ones_like(total), total)
    blended = (torch.cat(normals) * share).sum(0, keepdim=True)
    return network.refine(low, blended)
