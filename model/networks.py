"""The 2K2K networks (paper, section 4; figure 4).

Phase 1: low-resolution normals and depth, and part-wise high-resolution normals.
Phase 2: the blended normals refine the low-resolution depth to full resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.blocks import (
    REFINER_HALO,
    WHOLE_FRAME,
    AttentionUNet,
    DualEncoderAttentionUNet,
    Float32Head,
    OpenSides,
    Refiner,
    bounded,
)
from model.config import ModelConfig, Phase
from model.encoding import centre_plane_depth
from model.part_crops import blend_parts, crop_parts
from model.part_fitting import PartTransforms
from model.parts import LOW_STEP, PART_NETWORKS, PARTS_OF_NETWORK, Resolution

NORMAL_CHANNELS = 6
"""Three of the front, three of the back."""

DEPTH_CEILING = 6.0
"""Depth heads end in a ReLU6, in network units."""

CENTRE_DEPTH = 2.0
"""Network depth of the body's centre, where heads for absolute depth start."""

HALF_THICKNESS = 0.12
"""Network depth from the centre plane to either side, where residual heads start (7 cm)."""

MASK_THRESHOLD = 0.5

WHOLE = "whole"
"""Name of the one normal network over the whole frame, where there are no part networks."""


@dataclass(frozen=True)
class LowMaps:
    """Outputs on the low-resolution frame (equation 6), h = R / 8.

    Attributes:
        normal: (B, 6, h, h) float32 encoded normals, front then back.
        depth: (B, 2, h, h) float32 network depth before masking, front then back.
        mask_logit: (B, 1, h, h) float32.
    """

    normal: Tensor
    depth: Tensor
    mask_logit: Tensor


@dataclass(frozen=True)
class FullMaps:
    """Outputs on the full frame (equations 4 and 7).

    Attributes:
        normal: (B, 6, R, R) float32 blended encoded normals; 0 where no part covers.
        depth: (B, 2, R, R) float32 network depth before masking, front then back.
        mask_logit: (B, 1, R, R) float32.
    """

    normal: Tensor
    depth: Tensor
    mask_logit: Tensor


def person_mask(mask_logit: Tensor) -> Tensor:
    """Return the thresholded mask, bool."""
    return torch.sigmoid(mask_logit) > MASK_THRESHOLD


class DigitisationNetwork(nn.Module):
    """All networks of the method.

    Args:
        config: widths, resolution and convention.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.resolution = Resolution(config.resolution)
        self.part_normal = nn.ModuleDict(
            {
                name: AttentionUNet(3 + 3, NORMAL_CHANNELS, config.part_width)
                for name in (PART_NETWORKS if config.parts == "parts" else (WHOLE,))
            }
        )
        self.low_normal = AttentionUNet(3, NORMAL_CHANNELS, config.part_width)
        self.low_depth = DualEncoderAttentionUNet(3, NORMAL_CHANNELS, 3, config.depth_width)
        self.refiner = Refiner(config.refiner_width)
        plane = centre_plane_depth(self.resolution.low)
        self.register_buffer("centre_plane", plane, persistent=False)

    def predict_low(self, image: Tensor) -> LowMaps:
        """Predict the low-resolution maps (section 4.2).

        Args:
            image: (B, 3, R, R) float32 in -1..1.
        """
        low = functional.interpolate(
            image, size=(self.resolution.low,) * 2, mode="bilinear", align_corners=False
        )
        normal = self.low_normal(low)
        output = self.low_depth(low, normal)
        depth = output[:, :2]
        if self.config.residual_depth:
            depth = depth + self.centre_plane
        return LowMaps(normal, bounded(depth, DEPTH_CEILING), output[:, 2:])

    def predict_parts(
        self,
        image: Tensor,
        low_normal: Tensor,
        transforms: PartTransforms,
    ) -> dict[str, Tensor]:
        """Predict the normals of each part (equation 3).

        Args:
            image: (B, 3, R, R) float32 in -1..1.
            low_normal: (B, 6, h, h); the front guides the parts. No gradient flows into it.
            transforms: batched similarities.

        Returns:
            Per part network (B, P, 6, height, width) float32 encoded normals; 0 for parts that
            are left out. With `parts: whole`, `WHOLE` alone, (B, 1, 6, R, R).
        """
        guide = low_normal[:, :3].detach()
        if WHOLE in self.part_normal or self.config.rules.enlarged_guide:
            guide = functional.interpolate(
                guide.float(), size=image.shape[-2:], mode="bilinear", align_corners=False
            )
        if WHOLE in self.part_normal:
            return {WHOLE: self.part_normal[WHOLE](torch.cat([image, guide], dim=1))[:, None]}
        normals: dict[str, Tensor] = {}
        for name in PART_NETWORKS:
            crops = torch.cat(
                [
                    crop_parts(image, transforms, name, self.resolution),
                    crop_parts(guide, transforms, name, self.resolution),
                ],
                dim=2,
            )
            # Parts that are left out would enter the batch statistics.
            present = transforms.present[:, list(PARTS_OF_NETWORK[name])].to(crops.device)
            normals[name] = crops.new_zeros(*crops.shape[:2], NORMAL_CHANNELS, *crops.shape[3:])
            if present.any():
                normals[name][present] = self.part_normal[name](crops[present])
        return normals

    def masked_low_depth(self, low: LowMaps) -> Tensor:
        """Return the (B, 2, h, h) depth that the refiner reads: the person's, and background."""
        background = low.depth.new_tensor(self.config.rules.background).view(1, 2, 1, 1)
        return torch.where(person_mask(low.mask_logit), low.depth, background)

    def silhouette(self, full: FullMaps) -> Tensor:
        """Return where the person is on the full frame, (B, 1, R, R) bool."""
        if self.config.rules.silhouette_in_depth:
            return full.depth[:, :1] < full.depth[:, 1:]
        return person_mask(full.mask_logit)

    def refine(self, low: LowMaps, normal: Tensor, sides: OpenSides = WHOLE_FRAME) -> FullMaps:
        """Raise the depth maps to full resolution (section 4.3).

        Args:
            low: low-resolution maps.
            normal: (B, 6, R, R) blended normals.
            sides: of a window, on which the maps show `REFINER_HALO` pixels around what is
                asked for.
        """
        output = self.refiner(self.masked_low_depth(low), normal, sides)
        depth, normal = output[:, :2], sides.trim(normal, REFINER_HALO)
        if self.config.residual_depth:
            enlarged = functional.interpolate(low.depth, scale_factor=LOW_STEP, mode="bilinear")
            depth = depth + sides.trim(enlarged, REFINER_HALO)
        return FullMaps(normal, bounded(depth, DEPTH_CEILING), output[:, 2:])

    def predict_first_phase(
        self, image: Tensor, transforms: PartTransforms
    ) -> tuple[LowMaps, Tensor]:
        """Return what the refiner starts from: low-resolution maps and (B, 6, R, R) normals."""
        low = self.predict_low(image)
        crops = self.predict_parts(image, low.normal, transforms)
        return low, self.join_parts(crops, transforms)

    def join_parts(self, crops: dict[str, Tensor], transforms: PartTransforms) -> Tensor:
        """Return the (B, 6, R, R) normals of the frame from those of `predict_parts`."""
        if WHOLE in crops:
            return crops[WHOLE][:, 0]
        return blend_parts(crops, transforms, self.resolution)[0]

    def forward(self, image: Tensor, transforms: PartTransforms) -> tuple[LowMaps, FullMaps]:
        """Predict everything from (B, 3, R, R) images in -1..1 and batched similarities."""
        low, normal = self.predict_first_phase(image, transforms)
        return low, self.refine(low, normal)

    def phase_modules(self, phase: Phase) -> list[nn.Module]:
        """Return the modules that a phase trains; the others stay frozen."""
        first: list[nn.Module] = [self.part_normal, self.low_normal, self.low_depth]
        second: list[nn.Module] = [self.refiner]
        return {"1": first, "2": second, "finetune": first + second}[phase]


def _start_heads(network: DigitisationNetwork) -> None:
    """Start heads near the mean of their targets, with all outputs alive.

    A head that ends in a ReLU and starts below 0 everywhere never learns.
    """
    start = [CENTRE_DEPTH, CENTRE_DEPTH, 0.0]
    low_start, refiner_start = start, start
    if network.config.residual_depth:
        low_start, refiner_start = [-HALF_THICKNESS, HALF_THICKNESS, 0.0], [0.0, 0.0, 0.0]
    starts: list[tuple[nn.Module, list[float]]] = [
        (network.low_depth, low_start),
        (network.refiner, refiner_start),
        *(
            (net, [0.5] * NORMAL_CHANNELS)
            for net in (network.low_normal, *network.part_normal.values())
        ),
    ]
    for net, bias in starts:
        head = net.get_submodule("head")
        assert isinstance(head, Float32Head) and head.bias is not None
        head.weight.data.mul_(0.1)
        head.bias.data.copy_(torch.tensor(bias))


def build_network(config: ModelConfig, seed: int) -> DigitisationNetwork:
    """Build the networks with He-normal convolutions drawn from a seed.

    The global random state of torch is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitisationNetwork(config)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                outputs = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / outputs))
    _start_heads(network)
    return network


def count_parameters(network: nn.Module) -> int:
    """Return how many trainable numbers a network has."""
    return sum(parameter.numel() for parameter in network.parameters())
