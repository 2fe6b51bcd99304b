"""Putting a person in front of a picture; the one formula for it, whoever composites.

Values are sRGB bytes throughout, so that an image composed while reading is equal, byte by
byte, to one composed while rendering.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_LARGEST_ZOOM = 1.4


@dataclass(frozen=True)
class CoverCrop:
    """A square cut out of a picture.

    Attributes:
        pixels: (R, R, 3) uint8.
        crop: (4,) float32: left, top, width, height of the square in pixels of the picture.
    """

    pixels: NDArray[np.uint8]
    crop: NDArray[np.float32]


def premultiply(lit: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return round(lit * coverage / 255).

    Args:
        lit: (H, W, 3) uint8 sRGB.
        coverage: (H, W) uint8, 255 = wholly covered.
    """
    _check_same_size(lit, coverage)
    return _share(lit, coverage)


def composite(
    premultiplied: NDArray[np.uint8],
    coverage: NDArray[np.uint8],
    background: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Return premultiplied + round(background * (255 - coverage) / 255).

    Args:
        premultiplied: (H, W, 3) uint8 sRGB, from `premultiply` with the same coverage.
        coverage: (H, W) uint8.
        background: (H, W, 3) uint8 sRGB.
    """
    _check_same_size(premultiplied, coverage)
    _check_same_size(background, coverage)
    return premultiplied + _share(background, 255 - coverage)


def resize_cover_crop(
    image: NDArray[np.uint8], resolution: int, rng: np.random.Generator
) -> CoverCrop:
    """Cut a random square from a picture and resize it.

    The square is as high (or wide) as the picture, or up to 1.4 times smaller.

    Args:
        image: (H, W, 3) uint8.
        resolution: side of the result, pixels.
        rng: source of randomness.
    """
    height, width = image.shape[:2]
    side = max(1, int(round(min(height, width) / rng.uniform(1.0, _LARGEST_ZOOM))))
    left = int(rng.integers(0, width - side + 1))
    top = int(rng.integers(0, height - side + 1))
    cut = np.ascontiguousarray(image[top : top + side, left : left + side])
    method = cv2.INTER_AREA if side >= resolution else cv2.INTER_CUBIC
    pixels = cv2.resize(cut, (resolution, resolution), interpolation=method)
    crop = np.array([left, top, side, side], dtype=np.float32)
    return CoverCrop(pixels=np.asarray(pixels, dtype=np.uint8), crop=crop)


def _share(colours: NDArray[np.uint8], part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Exact though it passes through floats: 255 is odd, so that no quotient is near a half.
    return np.asarray(cv2.multiply(colours, cv2.merge([part] * 3), scale=1 / 255), dtype=np.uint8)


def _check_same_size(colours: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> None:
    if colours.shape != (*coverage.shape, 3) or colours.dtype != np.uint8:
        raise ValueError(
            f"colours: expected {(*coverage.shape, 3)} uint8, got {colours.shape} {colours.dtype}"
        )
    if coverage.dtype != np.uint8:
        raise ValueError(f"coverage: expected uint8, got {coverage.dtype}")


def fill_smoothly(image: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Fill hidden pixels from those around them: pull-push over a pyramid.

    Args:
        image: (H, W, 3) uint8.
        hidden: (H, W) bool, pixels whose values do not count.

    Returns:
        (H, W, 3) uint8; the other pixels are as they were. Black where all are hidden.
    """
    seen = (~hidden).astype(np.float32)
    filled = pull_push(image * seen[..., None], seen)
    return np.where(hidden[..., None], np.rint(filled), image).astype(np.uint8)


def pull_push(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means (sums over weights), with those of halved images where the weight is 0.

    Args:
        sums: (H, W, C) float32, values times weights.
        weights: (H, W) float32, at least 0.

    Returns:
        (H, W, C) float32; 0 where all weights are 0.
    """
    divisor = np.where(weights > 0.0, weights, np.float32(1.0))[..., None]
    means = np.asarray(sums / divisor, dtype=np.float32)
    height, width = weights.shape
    if weights.all() or min(height, width) < 2:
        return means
    half = (width // 2, height // 2)
    coarse = pull_push(
        _resized(sums, half, cv2.INTER_AREA),
        _resized(weights[..., None], half, cv2.INTER_AREA)[..., 0],
    )
    enlarged = _resized(coarse, (width, height), cv2.INTER_LINEAR)
    return np.where(weights[..., None] > 0.0, means, enlarged).astype(np.float32)


def _resized(
    values: NDArray[np.float32], size: tuple[int, int], method: int
) -> NDArray[np.float32]:
    """Return (H', W', C) of (H, W, C); OpenCV drops the axis of a single channel."""
    resized = np.asarray(cv2.resize(values, size, interpolation=method), dtype=np.float32)
    return resized.reshape(size[1], size[0], values.shape[2])
