"""Pictures of training for TensorBoard: what goes in and what comes out, side by side."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.config import Phase
from model.encoding import decode_image, normals_from_depth
from model.networks import DigitisationNetwork, person_mask
from model.samples import Batch

DEPTH_RANGE = (1.2, 2.8)
"""Network depths drawn from white to black."""

WIDEST = 512
"""Pixels of each map in a picture: at 2048 every validation would leave tens of megabytes."""


def depth_picture(depth: Tensor) -> Tensor:
    """Return (3, H, W) grey of a (H, W) network depth, near = bright, background black."""
    low, high = DEPTH_RANGE
    grey = ((high - depth) / (high - low)).clamp(0.05, 1.0) * (depth > 0)
    return grey.expand(3, *grey.shape)


@torch.no_grad()
def training_picture(network: DigitisationNetwork, batch: Batch, phase: Phase) -> Tensor:
    """Return a (3, 2 W, 4 W) picture of the first item of a batch, W = R or `WIDEST`.

    Top row: image, predicted front normals, predicted back normals, predicted front depth.
    Bottom row: predicted mask, true front and back normals, true front depth.
    """
    size = batch.image.shape[-1]
    transforms = batch.transforms.item(0)
    low, normal = network.predict_first_phase(batch.image[:1], transforms)
    depth, person = low.depth, person_mask(low.mask_logit)
    if phase != "1":
        full = network.refine(low, normal)
        depth, person = full.depth, network.silhouette(full)
    mask = functional.interpolate(person.float(), size=(size, size))
    depth = functional.interpolate(depth, size=(size, size)) * mask
    truth = normals_from_depth(batch.depth[:1], size)
    top = [decode_image(batch.image[0]), normal[0, :3], normal[0, 3:], depth_picture(depth[0, 0])]
    bottom = [
        mask[0].expand(3, -1, -1),
        truth[0, :3],
        truth[0, 3:],
        depth_picture(batch.depth[0, 0]),
    ]
    rows = [torch.cat([_reduced(each) for each in row], dim=2) for row in (top, bottom)]
    return torch.cat(rows, dim=1).clamp(0.0, 1.0)


def _reduced(picture: Tensor) -> Tensor:
    """Return a (3, R, R) picture on the processor, no wider than `WIDEST`."""
    width = min(picture.shape[-1], WIDEST)
    small = functional.interpolate(picture.float()[None], size=(width, width), mode="area")
    return small[0].cpu()
