"""Building blocks of the networks: convolutions with batch norm, attention gates, AU-Nets.

An AU-Net is a U-Net whose skip connections pass an additive attention gate (Oktay et al.,
"Attention U-Net", 2018; reference [31] of the paper). Layers as in the released networks.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
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
        with float32_region():
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


def _halved(x: Tensor) -> Tensor:
    """Return the largest of each 2x2 pixels."""
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return functional.max_pool2d(x, 2)
    # Max pooling notes where each maximum was, which takes a processor ten times as long.
    rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


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
            x = block(_halved(features[-1]) if features else x)
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


@dataclass(frozen=True, kw_only=True)
class OpenSides:
    """The sides of a window on which the frame goes on.

    Attributes:
        top, left, bottom, right: whether it does.
    """

    top: bool = False
    left: bool = False
    bottom: bool = False
    right: bool = False

    def trim(self, values: Tensor, pixels: int) -> Tensor:
        """Return a view of (..., H, W) values without so many pixels of each open side."""
        height, width = values.shape[-2:]
        rows = slice(pixels * self.top, height - pixels * self.bottom)
        return values[..., rows, pixels * self.left : width - pixels * self.right]


WHOLE_FRAME = OpenSides()

REFINER_HALO = 24
"""Pixels of the frame around a window, on its open sides, that the refiner has to see."""

_STAGE_TRIMS = (3, 4, 4)
"""What each stage of the refiner leaves out on open sides, in its own pixels.

Three convolutions reach three pixels. With these, what is left of the halo is whole pixels of
the stage that follows, and nothing after the last.
"""


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

    def forward(self, low_depth: Tensor, normal: Tensor, sides: OpenSides = WHOLE_FRAME) -> Tensor:
        """Map (B, 2, H/8, W/8) depths and (B, 6, H, W) normals to (B, 3, H, W).

        Args:
            low_depth: network units.
            normal: encoded.
            sides: of a window; on these its inputs show `REFINER_HALO` pixels more, and what
                comes out lies inside them and equals what the whole frame gives there.
        """
        # What is left of the halo when a stage begins, in pixels of the frame.
        second = REFINER_HALO - 4 * _STAGE_TRIMS[0]
        third = second - 2 * _STAGE_TRIMS[1]
        slices = (
            normal[..., 1::4, 1::4],
            sides.trim(normal, REFINER_HALO - second)[..., ::2, ::2],
            sides.trim(normal, REFINER_HALO - third),
        )
        x = low_depth
        for stage, guide in enumerate(slices):
            with float32_region() if stage == 0 else nullcontext():
                depth_features = self.depth[stage](x)
            normal_features = self.normal[stage](guide)
            x = self.merge[stage](torch.cat([depth_features, normal_features], dim=1))
            x = sides.trim(x, _STAGE_TRIMS[stage])
            if stage < 2:
                x = functional.relu(self.project[stage](x))
        return self.head(x)
