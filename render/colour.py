"""sRGB to linear light and back (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


def linear_from_srgb(srgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return linear light 0..1 of sRGB values 0..1 (any shape, float; dtype is kept)."""
    srgb = np.asarray(srgb)
    low = srgb / 12.92
    high = ((srgb + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= 0.04045, low, high).astype(srgb.dtype, copy=False)


def srgb_from_linear(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return sRGB values 0..1 of linear light (any shape, float, clipped; dtype is kept)."""
    linear = np.clip(linear, 0.0, 1.0)
    high = 1.055 * np.power(linear, 1.0 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, high).astype(linear.dtype, copy=False)


LINEAR_OF_SRGB_BYTE = linear_from_srgb(np.arange(256) / 255.0).astype(np.float32)
"""(256,) float32, linear light of sRGB values."""


def linear_from_srgb_bytes(srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 linear light 0..1 of uint8 sRGB values (any shape), through a table."""
    return LINEAR_OF_SRGB_BYTE[srgb]


def srgb_bytes_from_linear(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return uint8 sRGB values, rounded, of linear light (any shape, float; clipped to 0..1)."""
    return np.rint(srgb_from_linear(linear) * 255.0).astype(np.uint8)


_ROOT_STEPS = 1 << 14

SRGB_BYTE_OF_ROOT = srgb_bytes_from_linear((np.arange(_ROOT_STEPS + 1) / _ROOT_STEPS) ** 2)
"""(16385,) uint8, sRGB values by the square root of linear light, in even steps from 0 to 1: fine
enough to differ from the formula in rounding alone."""


def vary_camera_colours(
    image: NDArray[np.uint8], amount: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and white balance of a picture at random.

    Args:
        image: (H, W, 3) uint8 sRGB.
        amount: 0 changes nothing; with 1 the first three are scaled by 0.5 to 1.5, and red
            and blue by 0.8 to 1.2.
        rng: source of randomness.
    """
    brightness, contrast, saturation = 1.0 + amount * rng.uniform(-0.5, 0.5, 3)
    red, blue = 1.0 + amount * rng.uniform(-0.2, 0.2, 2)
    colours = image.astype(np.float32) * np.array([red, 1.0, blue], dtype=np.float32)
    colours *= np.float32(brightness)
    grey = sum(colours[..., channel] * weight for channel, weight in enumerate(LUMA))
    colours = grey[..., None] + np.float32(saturation) * (colours - grey[..., None])
    mean = grey.mean(dtype=np.float64)
    colours = np.float32(mean) + np.float32(contrast) * (colours - np.float32(mean))
    return np.rint(np.clip(colours, 0.0, 255.0)).astype(np.uint8)
