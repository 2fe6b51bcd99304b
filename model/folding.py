"""The networks as predictions run them: batch norm folded, half precision where it is asked for.

In evaluation mode batch norm is a factor and a shift of each channel, which the convolution
before it can take over. That and the ReLU done in place spare two passes over the features of
every layer.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from model.blocks import Float32Head
from model.networks import DigitisationNetwork

LEAST_WINOGRAD_CHANNELS = 16
"""Below this, transforming the input takes longer than the multiplications that it spares."""

_Module = TypeVar("_Module", bound=nn.Module)


class FoldedConvolution(nn.Module):
    """A convolution with the batch norm and the ReLU behind it.

    Args:
        convolution: of an odd kernel that keeps the size of maps; its weights are copied.
        norm: batch norm with running statistics, or None.
        rectified: whether a ReLU follows.
        dtype: what it is computed in.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d | None,
        rectified: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        weight, bias = convolution.weight, convolution.bias
        if norm is not None:
            assert norm.running_mean is not None and norm.running_var is not None
            weight, bias = fuse_conv_bn_weights(
                weight,
                bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
        self._winograd = _takes_winograd(convolution, dtype)
        layout = torch.contiguous_format if _has_winograd(weight) else torch.channels_last
        self.register_buffer("weight", weight.detach().to(dtype, memory_format=layout))
        self.register_buffer("bias", None if bias is None else bias.detach().to(dtype))
        self._padding = [size // 2 for size in convolution.kernel_size]
        self._rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any float type to features of this one's type."""
        x = x.to(self.weight.dtype)
        if self._winograd:
            y = torch._nnpack_spatial_convolution(x, self.weight, self.bias, self._padding, [1, 1])
        else:
            y = functional.conv2d(x, self.weight, self.bias, padding=self._padding)
        return y.relu_() if self._rectified else y


def _has_winograd(weight: Tensor) -> bool:
    """Return whether Winograd's algorithm multiplies faster than oneDNN's direct convolutions.

    NNPACK has it, with vectors of 256 bits; oneDNN with 512 bits is as fast without.
    """
    if weight.device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    return bool(torch._nnpack_available())


def _takes_winograd(convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    return (
        convolution.kernel_size == (3, 3)
        and convolution.in_channels >= LEAST_WINOGRAD_CHANNELS
        and dtype == torch.float32
        and _has_winograd(convolution.weight)
    )


class _OneByOne(nn.Module):
    """Runs a batch item by item: their features need not be in memory together."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.network(item) for item in x.split(1)])


def _folded_sequence(sequence: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    layers: list[nn.Module] = []
    pending = list(sequence)
    while pending:
        layer = pending.pop(0)
        if isinstance(layer, nn.Conv2d):
            norm = pending.pop(0) if pending and isinstance(pending[0], nn.BatchNorm2d) else None
            rectified = bool(pending) and isinstance(pending[0], nn.ReLU)
            if rectified:
                pending.pop(0)
            layer = FoldedConvolution(layer, norm, rectified, dtype)  # type: ignore[arg-type]
        layers.append(layer)
    return nn.Sequential(*layers)


def _folded(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a module that shares with the given one what is not folded."""
    if isinstance(module, nn.Sequential):
        return _folded_sequence(module, dtype)
    if isinstance(module, nn.Conv2d) and not isinstance(module, Float32Head):
        return FoldedConvolution(module, None, False, dtype)
    return _with_children(
        module, {name: _folded(child, dtype) for name, child in module.named_children()}
    )


def _with_children(module: _Module, children: dict[str, nn.Module]) -> _Module:
    twin = copy.copy(module)
    twin._modules = dict(children)
    return twin


@torch.no_grad()
def fold(network: DigitisationNetwork, dtype: torch.dtype = torch.float32) -> DigitisationNetwork:
    """Return networks that answer the same up to rounding, in less time and memory.

    Heads and the refiner's first look at the low-resolution depth stay float32. On a processor
    the part networks take one crop at a time.

    Args:
        network: in evaluation mode, on its device; it is left as it is.
        dtype: of all other convolutions.

    Raises:
        ValueError: the network is in training mode.
    """
    if network.training:
        raise ValueError("network: expected evaluation mode, got training mode")
    folded = _folded(network, dtype)
    assert isinstance(folded, DigitisationNetwork)
    folded.refiner.depth[0] = _folded(network.refiner.depth[0], torch.float32)
    if network.centre_plane.device.type == "cpu":
        for name, part_network in list(folded.part_normal.items()):
            folded.part_normal[name] = _OneByOne(part_network)
    return folded
