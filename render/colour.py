"""sRGB to linear light and back (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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


def linear_from_srgb_bytes(srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 linear light 0..1 of uint8 sRGB values (any shape), through a table."""
    table = linear_from_srgb(np.arange(256) / 255.0).astype(np.float32)
    return table[srgb]


def srgb_bytes_from_linear(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return uint8 sRGB values, rounded, of linear light (any shape, float; clipped to 0..1)."""
    return np.rint(srgb_from_linear(linear) * 255.0).astype(np.uint8)
