"""How the arrays of a shard are stored: names, shapes, numbers (their one home).

Everything is lossless but two: ray distance is held in steps of 1/32 pixel of the
2048-pixel camera, and normals in steps of 1/127. Both codings refuse what they cannot
hold; nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import CAMERA_DISTANCE, Camera
from render.errors import UserInputError

SCHEMA_VERSION = 1
RESOLUTION_LIMITS = (16, 8192)
"""Smallest and largest width and height of a view, pixels."""

MOST_VIEWS = 3600
TILE = 256
"""Edge of the square tiles that arrays are chunked in, pixels."""

DEPTH_STEPS_PER_UNIT = 32.0 * float(Camera(2048).focal_px)
"""Steps of the depth code in one normalised unit: 32 per pixel of the 2048 camera."""

DEPTH_OFFSET_STEPS = 32.0 * 1024.0
"""Depth code of a point at the distance of the frame's centre."""

DEPTH_MIN = CAMERA_DISTANCE + (1.0 - DEPTH_OFFSET_STEPS) / DEPTH_STEPS_PER_UNIT
DEPTH_MAX = CAMERA_DISTANCE + (65535.0 - DEPTH_OFFSET_STEPS) / DEPTH_STEPS_PER_UNIT
"""Ray distances that the depth code can hold, normalised units (0.534..1.466)."""

NORMAL_STEPS = 127.0

Codec = Literal["raw", "depth", "normal"]


class ShardError(UserInputError):
    """A shard or a shard set cannot be written or read."""


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """How one picture-like array is stored.

    Attributes:
        channels: 0 for (N, H, W), else (N, H, W, channels).
        dtype: numpy dtype at rest.
        codec: "raw", "depth" (ray distance) or "normal" (unit vectors).
    """

    channels: int = 0
    dtype: str = "uint8"
    codec: Codec = "raw"

    def shape(self, views: int, resolution: int) -> tuple[int, ...]:
        """Return the shape of the dataset for this many square views."""
        channels = (self.channels,) if self.channels else ()
        return (views, resolution, resolution, *channels)

    def chunks(self, resolution: int) -> tuple[int, ...]:
        """Return the chunk shape: one view, one tile, all channels."""
        return (1, *self.shape(1, min(TILE, resolution))[1:])


_COLOUR = ArraySpec(channels=3)
_DEPTH = ArraySpec(dtype="uint16", codec="depth")
_NORMAL = ArraySpec(channels=3, dtype="int8", codec="normal")

IMAGE_FRONT = "image/front"
BACKGROUND_PIXELS = "background/pixels"

PICTURES: dict[str, ArraySpec] = {
    IMAGE_FRONT: _COLOUR,
    "image/back": _COLOUR,
    "person/front": _COLOUR,
    "albedo/front": _COLOUR,
    "albedo/back": _COLOUR,
    "depth/front": _DEPTH,
    "depth/back": _DEPTH,
    "normal/front": _NORMAL,
    "normal/back": _NORMAL,
    "mask": ArraySpec(),
    "coverage": ArraySpec(),
    BACKGROUND_PIXELS: _COLOUR,
}
"""The picture-like arrays; a shard holds all but one, see `stored_pictures`."""


def stored_pictures(composite: str) -> tuple[str, ...]:
    """Return the pictures that a shard with this composite ("baked" or "on-read") holds."""
    absent = {"baked": BACKGROUND_PIXELS, "on-read": IMAGE_FRONT}
    if composite not in absent:
        raise ValueError(f"composite: expected baked or on-read, got {composite!r}")
    return tuple(name for name in PICTURES if name != absent[composite])


def encode_depth(ray_distance: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Code ray distances; 0 stays 0 (background).

    Args:
        ray_distance: any shape, normalised units, 0 on the background.

    Returns:
        uint16 of the same shape, code = round(32 ((r - 1) f + 1024)), f = 2196 pixels.

    Raises:
        ShardError: a distance is not finite or outside `DEPTH_MIN`..`DEPTH_MAX`.
    """
    distance = np.asarray(ray_distance, dtype=np.float64)
    code = np.rint((distance - CAMERA_DISTANCE) * DEPTH_STEPS_PER_UNIT + DEPTH_OFFSET_STEPS)
    person = distance != 0.0
    bad = person & ~((code >= 1.0) & (code <= 65535.0))
    if bad.any():
        raise ShardError(
            f"depth: expected ray distances of {DEPTH_MIN:.3f} to {DEPTH_MAX:.3f} normalised "
            f"units, got {distance[bad][0]:.6g} (and {int(bad.sum()) - 1} more)"
        )
    return np.where(person, code, 0.0).astype(np.uint16)


def decode_depth(code: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the ray distances of depth codes, within 7.3e-6 (1/64 pixel at 2048)."""
    distance = code.astype(np.float32)  # exact: the codes have 16 bits
    distance -= np.float32(DEPTH_OFFSET_STEPS)
    distance *= np.float32(1.0 / DEPTH_STEPS_PER_UNIT)
    distance += np.float32(CAMERA_DISTANCE)
    distance[code == 0] = 0.0
    return distance


def encode_normal(normal: NDArray[np.floating]) -> NDArray[np.int8]:
    """Code unit vectors as round(127 n); the zero vector stays zero (background).

    Args:
        normal: (..., 3), unit length or zero.

    Raises:
        ShardError: a vector is neither a unit vector nor zero.
    """
    normal = np.asarray(normal, dtype=np.float32)
    squared = np.einsum("...c,...c->...", normal, normal)
    bad = ~((np.abs(squared - 1.0) < 2e-3) | (squared == 0.0))
    if bad.any():
        raise ShardError(
            "normal: expected unit vectors (or zero on the background), got one of length "
            f"{float(np.sqrt(squared[bad][0])):.6g} (and {int(bad.sum()) - 1} more)"
        )
    return np.rint(normal * NORMAL_STEPS).astype(np.int8)


def decode_normal(code: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return (..., 3) float32 unit vectors within 0.4 degree; zero where the code is zero."""
    normal = code.astype(np.float32)
    squared = np.einsum("...c,...c->...", normal, normal)
    normal *= (1.0 / np.sqrt(np.maximum(squared, np.float32(1.0))))[..., None]
    return normal


def _encode_raw(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values


ENCODERS: dict[Codec, Callable[..., NDArray]] = {
    "raw": _encode_raw,
    "depth": encode_depth,
    "normal": encode_normal,
}
DECODERS: dict[Codec, Callable[..., NDArray]] = {
    "raw": _encode_raw,
    "depth": decode_depth,
    "normal": decode_normal,
}


def encode_picture(name: str, values: NDArray) -> NDArray:
    """Return one view of a picture as it is stored.

    Raises:
        ShardError: the values do not fit the code, or are not of the dtype and shape
            that the array has.
    """
    spec = PICTURES[name]
    coded = ENCODERS[spec.codec](values)
    channels = (spec.channels,) if spec.channels else ()
    if coded.dtype != np.dtype(spec.dtype) or coded.shape[2:] != channels:
        raise ShardError(
            f"{name}: expected (R, R{''.join(f', {c}' for c in channels)}) {spec.dtype}, "
            f"got {coded.shape} {coded.dtype}"
        )
    return coded


def decode_picture(name: str, code: NDArray) -> NDArray:
    """Return stored values of a picture as physical ones (colours and masks as they are)."""
    return DECODERS[PICTURES[name].codec](code)
