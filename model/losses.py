"""Losses of equations 8 to 10, for both conventions.

Reduction: normals (L1 and SSIM) are means over the pixels and channels of a map, averaged
over the batch and summed over the maps of equation 8 (the low-resolution frame and each
part). Depth and consistency terms are means over person pixels of both sides; the
silhouette is learnt by the mask head through the cross entropy, over all pixels. No loss
grows with the batch, none edits its targets. A phase's loss is the sum of its terms, each
already weighted.

In the `released` convention the silhouette of the full frame lies in the depth. There the mean
distance of background pixels to the background depth joins as a term of its own, so that person
and background weigh alike; the mask head goes on learning, since the low-resolution depth is
masked by it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.config import LossConfig
from model.conventions import RULES, Convention
from model.encoding import interior, normals_from_depth, steeper
from model.networks import WHOLE, FullMaps, LowMaps
from model.part_crops import crop_parts
from model.parts import LOW_STEP, PARTS_OF_NETWORK, Resolution
from model.precision import float32_region
from model.samples import Batch

SSIM_TAPS = 5
SSIM_SIGMA = 1.5
SSIM_LUMINANCE, SSIM_CONTRAST = 0.01**2, 0.03**2


@float32_region()
def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM of each item, mean over channels and valid pixels.

    5 x 5 Gaussian window of sigma 1.5, values in 0..1, no padding; the map of a channel is
    averaged and clamped at 0, as the published training does.

    Args:
        first, second: (B, C, H, W) float32, H and W at least 5.

    Returns:
        (B,) float32 in 0..1.
    """
    first, second = first.float(), second.float()
    channels = first.shape[1]
    offsets = torch.arange(SSIM_TAPS, device=first.device, dtype=torch.float32) - SSIM_TAPS // 2
    taps = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    taps = taps / taps.sum()

    # One filtering for the five moments: they are stacked along the batch.
    moments = torch.cat([first, second, first * first, second * second, first * second])
    rows = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    moments = functional.conv2d(moments, rows, groups=channels)
    moments = functional.conv2d(moments, columns, groups=channels)
    mean_a, mean_b, square_a, square_b, product = moments.chunk(5)
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    structure = (2 * covariance + SSIM_CONTRAST) / (variance_a + variance_b + SSIM_CONTRAST)
    luminance = (2 * mean_a * mean_b + SSIM_LUMINANCE) / (mean_a**2 + mean_b**2 + SSIM_LUMINANCE)
    return (luminance * structure).flatten(2).mean(-1).relu().mean(-1)


def normal_map_loss(predicted: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Return alpha L1 + beta (1 - SSIM) of each item, (B,) (one summand of equation 8).

    With `balanced_normals`, L1 is the mean of its means over the person and over the
    background: on the low-resolution frame nine tenths are background, and plain L1 holds
    predictions at 0 until the person is told from it with certainty.
    """
    difference = (predicted.float() - target).abs().mean(1)
    person = (target > 0).any(1).float()
    weight = torch.full_like(person, 1.0 / person[0].numel())
    if config.balanced_normals:
        for pixels in (person, 1.0 - person):
            weight = torch.where(pixels > 0, 0.5 / pixels.sum((1, 2), keepdim=True), weight)
    absolute = (difference * weight).sum((1, 2)) / weight.sum((1, 2))
    return config.alpha * absolute + config.beta * (1.0 - structural_similarity(predicted, target))


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of (B, C, H, W) values over (B, 1, H, W) pixels; 0 where there are none."""
    weights = mask.to(values.dtype)
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1.0)


@float32_region()
def depth_losses(
    depth: Tensor,
    mask_logit: Tensor,
    target_depth: Tensor,
    person: Tensor,
    resolution: int,
    config: LossConfig,
    scored: Tensor | None = None,
    convention: Convention = "paper",
) -> dict[str, Tensor]:
    """Return the weighted terms of equations 9 and 10 on one frame.

    Args:
        depth: (B, 2, H, W) predicted network depth before masking.
        mask_logit: (B, 1, H, W).
        target_depth: (B, 2, H, W) network depth, 0 = background.
        person: (B, 1, H, W) bool, pixels with a reliable surface on both sides.
        resolution: the working resolution R.
        config: weights.
        scored: (B, 1, H, W) bool, pixels that count; None for all.
        convention: of the networks.
    """
    depth, mask_logit = depth.float(), mask_logit.float()
    if scored is None:
        scored = torch.ones_like(person)
    person = person & scored
    beta = config.smooth_l1_beta
    difference = functional.smooth_l1_loss(depth, target_depth, reduction="none", beta=beta)
    # Normals compare neighbours: across the silhouette they would compare with nothing.
    inside = interior(person)
    slopes = functional.smooth_l1_loss(
        normals_from_depth(depth, resolution),
        normals_from_depth(target_depth, resolution),
        reduction="none",
        beta=beta,
    )
    silhouette = (target_depth[:, :1] > 0).to(mask_logit.dtype)
    entropy = functional.binary_cross_entropy_with_logits(mask_logit, silhouette, reduction="none")
    terms = {
        "depth": config.alpha * _masked_mean(difference, person),
        "consistency": config.beta * _masked_mean(slopes, inside),
        "mask": config.gamma * _masked_mean(entropy, scored),
    }
    rules = RULES[convention]
    if rules.silhouette_in_depth:
        level = depth.new_tensor(rules.background).view(1, 2, 1, 1).expand_as(depth)
        distance = functional.smooth_l1_loss(depth, level, reduction="none", beta=beta)
        empty = (target_depth[:, :1] == 0) & scored
        terms["background"] = config.alpha * _masked_mean(distance, empty)
    return terms


def low_resolution_target(full: Tensor) -> Tensor:
    """Return every eighth pixel from the fourth, (B, C, R/8, R/8): the low-resolution target."""
    return full[..., 3::LOW_STEP, 3::LOW_STEP]


def phase1_loss(
    low: LowMaps,
    crops: dict[str, Tensor] | None,
    batch: Batch,
    config: LossConfig,
    convention: Convention = "paper",
) -> dict[str, Tensor]:
    """Return equation 8 + equation 9.

    Args:
        low: predicted low-resolution maps.
        crops: predicted part normals, per network (B, P, 6, h, w); None leaves them out.
        batch: targets and the similarities of the parts; normals come from its depth, unless
            it has rendered ones.
        config: weights.
        convention: of the networks.
    """
    resolution = Resolution(batch.image.shape[-1])
    low_depth = low_resolution_target(batch.depth)
    terms = depth_losses(
        low.depth,
        low.mask_logit,
        low_depth,
        low_resolution_target(batch.reliable),
        resolution.full,
        config,
        convention=convention,
    )
    if batch.normal is None:
        low_normal = normals_from_depth(low_depth, resolution.full)
    else:
        low_normal = steeper(low_resolution_target(batch.normal), LOW_STEP)
    terms["low_normal"] = normal_map_loss(low.normal, low_normal, config).mean()
    if crops is None:
        return terms

    full_normal = batch.normal
    if full_normal is None:
        full_normal = normals_from_depth(batch.depth, resolution.full)
    part_losses = []
    for network, predicted in crops.items():
        if network == WHOLE:
            part_losses.append(normal_map_loss(predicted[:, 0], full_normal, config).mean())
            continue
        target = crop_parts(full_normal, batch.transforms, network, resolution)
        losses = normal_map_loss(predicted.flatten(0, 1), target.flatten(0, 1), config)
        present = batch.transforms.present[:, list(PARTS_OF_NETWORK[network])].to(losses.device)
        part_losses.append((losses.unflatten(0, present.shape) * present).mean(0).sum())
    terms["part_normal"] = torch.stack(part_losses).sum()
    return terms


def phase2_loss(
    full: FullMaps,
    depth: Tensor,
    reliable: Tensor,
    resolution: int,
    config: LossConfig,
    scored: Tensor | None = None,
    convention: Convention = "paper",
) -> dict[str, Tensor]:
    """Return equation 10.

    Args:
        full: predicted full-resolution maps, or windows of them.
        depth: (B, 2, H, W) network depth of the same pixels, 0 = background.
        reliable: (B, 1, H, W) bool.
        resolution: the working resolution R.
        config: weights.
        scored: (B, 1, H, W) bool, pixels that count; None for all.
        convention: of the networks.
    """
    return depth_losses(
        full.depth, full.mask_logit, depth, reliable, resolution, config, scored, convention
    )
