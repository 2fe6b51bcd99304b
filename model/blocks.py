"""Building blocks of the networks: convolutions with batch norm, attention gates, AU-Nets.

An AU-Net is a U-Net whose skip connections pass an additive attention gate (Oktay et al.,
"Attention U-Net", 2018; reference [31] of the paper). Layers as in the released networks.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.precision import float32_region


def conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Bounded(torch.autograd.Function):
    """Clamps to [0, ceiling] and lets gradients through that lead back from a bound."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ceiling = ceiling
        return x.clamp(0.0, ceiling)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        stuck = ((x <= 0) & (gradient > 0)) | ((x >= ctx.ceiling) & (gradient < 0))
        return gradient.masked_fill(stuck, 0.0), None


def bounded(x: Tensor, ceiling: float = math.inf) -> Tensor:
    """Return ReLU(x), or min(ReLU(x), ceiling), whose outputs can leave a bound again.

    Nine tenths of a normal map are background, where the target is 0. With the plain ReLU
    of the published networks, an L1 loss can draw a whole head below 0, where it has no
    gradient and stays for ever. The values are those of ReLU and ReLU6.
    """
    return _Bounded.apply(x, ceiling)


class Float32Head(nn.Conv2d):
    """1x1 convolution in float32, under autocast too: bf16 steps near 2.0 are 1 cm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) of any float type to (B, outputs, H, W) float32."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """Two of `conv_norm_relu`."""
    return nn.Sequential(*conv_norm_relu(inputs, outputs), *conv_norm_relu(outputs, outputs))


def up_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Nearest-neighbour upsampling by two, then `conv_norm_relu`."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *conv_norm_relu(inputs, outputs))


class AttentionGate(nn.Module):
    """Scales a skip connection by where the decoder looks."""

    def __init__(self, gate: int, skip: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Conv2d(gate, hidden, 1), nn.BatchNorm2d(hidden))
        self.skip = nn.Sequential(nn.Conv2d(skip, hidden, 1), nn.BatchNorm2d(hidden))
        self.attend = nn.Sequential(nn.Conv2d(hidden, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Return (B, skip, H, W): the skip times an attention map in 0..1."""
        return skip * self.attend(functional.relu(self.gate(gate) + self.skip(skip)))


class Encoder(nn.Module):
    """Convolution blocks with 2x2 max pooling between them."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            conv_block(before, after)
            for before, after in zip((inputs, *widths[:-1]), widths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of each level, finest first."""
        features: list[Tensor] = []
        for block in self.blocks:
            x = block(functional.max_pool2d(features[-1], 2) if features else x)
            features.append(x)
        return features


class DecoderStage(nn.Module):
    """Upsample, gate the skip connection, join, convolve."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = up_conv(inputs, outputs)
        self.attention = AttentionGate(outputs, outputs, outputs // 2)
        self.merge = conv_block(2 * outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return (B, outputs, 2 H, 2 W)."""
        up = self.up(x)
        return self.merge(torch.cat([self.attention(up, skip), up], dim=1))


class Decoder(nn.Module):
    """Decoder stages from the coarsest features to the finest."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            DecoderStage(coarse, fine) for coarse, fine in zip(widths[:0:-1], widths[-2::-1])
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return features at full size from per-level features, finest first."""
        x = features[-1]
        for stage, skip in zip(self.stages, features[-2::-1], strict=True):
            x = stage(x, skip)
        return x


class AttentionUNet(nn.Module):
    """AU-Net from an image (and guides) to encoded normals of both sides.

    The head ends in a ReLU: outputs are at least 0.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        widths = tuple(width * 2**level for level in range(4))
        self.encoder = Encoder(inputs, widths)
        self.decoder = Decoder(widths)
        self.head = Float32Head(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W); H and W are multiples of 8."""
        return bounded(self.head(self.decoder(self.encoder(x))))


class DualEncoderAttentionUNet(nn.Module):
    """D-AU-Net: image and normals are encoded apart and decoded together (section 4.2)."""

    def __init__(self, image_inputs: int, normal_inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        widths = tuple(width * 2**level for level in range(5))
        self.image_encoder = Encoder(image_inputs, widths)
        self.normal_encoder = Encoder(normal_inputs, widths)
        self.decoder = Decoder(tuple(2 * each for each in widths))
        self.head = Float32Head(2 * width, outputs)

    def forward(self, image: Tensor, normal: Tensor) -> Tensor:
        """Map two (B, ., H, W) maps to (B, outputs, H, W); H and W are multiples of 16."""
        pairs = zip(self.image_encoder(image), self.normal_encoder(normal), strict=True)
        return self.head(self.decoder([torch.cat(pair, dim=1) for pair in pairs]))


class Refiner(nn.Module):
    """Three cascaded blocks that double the depth maps' resolution each (section 4.3).

    Each joins upsampled depth features with features of the blended normals, which are
    read by strided slices at the first two. The low-resolution depth is read in float32.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        joined = 2 * width
        self.depth = nn.ModuleList(up_conv(inputs, width) for inputs in (2, joined, joined))
        self.normal = nn.ModuleList(conv_norm_relu(6, width) for _ in range(3))
        self.merge = nn.ModuleList(conv_block(joined, joined) for _ in range(3))
        self.project = nn.ModuleList(nn.Conv2d(joined, joined, 1) for _ in range(2))
        self.head = Float32Head(joined, 3)

    def forward(self, low_depth: Tensor, normal: Tensor) -> Tensor:
        """Map (B, 2, R/8, R/8) depths and (B, 6, R, R) normals to (B, 3, R, R)."""
        slices = (normal[..., 1::4, 1::4], normal[..., ::2, ::2], normal)
        x = low_depth
        for stage, guide in enumerate(slices):
            with float32_region() if stage == 0 else nullcontext():
                depth_features = self.depth[stage](x)
            normal_features = self.normal[stage](guide)
            x = self.merge[stage](torch.cat([depth_features, normal_features], dim=1))
            if stage < 2:
                x = functional.relu(self.project[stage](x))
        return self.head(x)
