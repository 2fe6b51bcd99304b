"""How the arrays of a shard are stored: names, shapes, numbers (their one home).

Everything is lossless but two: ray distance is held in steps of 1/32 pixel of the
2048-pixel camera, and normals in steps of 1/255. Both codings refuse what they cannot
hold; nothing is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import CAMERA_DISTANCE, Camera
from render.errors import UserInputError

SCHEMA_VERSION = 2
"""2: a camera for every view, and several people in one image."""

RESOLUTION_LIMITS = (16, 8192)
"""Smallest and largest width and height of a view, pixels."""

MOST_VIEWS = 3600
MOST_PEOPLE = 16
"""Largest number of people in one image."""

TILE = 256
"""Edge of the square tiles that arrays are chunked in, pixels."""

DEPTH_STEPS_PER_UNIT = 32.0 * float(Camera(2048).focal_px)
"""Steps of the depth code in one normalised unit: 32 per pixel of the 2048 camera."""

DEPTH_OFFSET_STEPS = 32.0 * 1024.0
"""Depth code of a point at the camera's distance from the middle of the scan."""

DEPTH_MIN = CAMERA_DISTANCE + (1.0 - DEPTH_OFFSET_STEPS) / DEPTH_STEPS_PER_UNIT
DEPTH_MAX = CAMERA_DISTANCE + (65535.0 - DEPTH_OFFSET_STEPS) / DEPTH_STEPS_PER_UNIT
"""Ray distances that the depth code can hold for a camera at distance 1 (0.534..1.466)."""

NORMAL_STEPS = 255.0
"""Twice what a byte could hold: lit again by a single lamp, views would differ by 2 of 255."""

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


_COLOUR = ArraySpec(channels=3)
_DEPTH = ArraySpec(dtype="uint16", codec="depth")
_NORMAL = ArraySpec(channels=3, dtype="int16", codec="normal")

IMAGE_FRONT = "image/front"
BACKGROUND_PIXELS = "background/pixels"
INSTANCE = "instance"

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
    INSTANCE: ArraySpec(),
}
"""The picture-like arrays; which of them a shard holds, `stored_pictures` says."""


def stored_pictures(composite: str, people: int) -> tuple[str, ...]:
    """Return the pictures that a shard holds.

    Args:
        composite: "baked" or "on-read".
        people: number of people in the image; one needs no instance mask.
    """
    absent = {"baked": {BACKGROUND_PIXELS}, "on-read": {IMAGE_FRONT}}.get(composite)
    if absent is None:
        raise ValueError(f"composite: expected baked or on-read, got {composite!r}")
    if people == 1:
        absent = absent | {INSTANCE}
    return tuple(name for name in PICTURES if name not in absent)


def encode_depth(
    ray_distance: NDArray[np.floating], camera_distance: float = CAMERA_DISTANCE
) -> NDArray[np.uint16]:
    """Code ray distances; 0 stays 0 (background).

    Args:
        ray_distance: any shape, normalised units, 0 on the background.
        camera_distance: D, of the camera from the middle of the scan.

    Returns:
        uint16 of the same shape, code = round(32 ((r - D) f + 1024)), f = 2196 pixels.

    Raises:
        ShardError: a distance is not finite, or `DEPTH_MAX` - 1 or more away from D.
    """
    distance = np.asarray(ray_distance, dtype=np.float64)
    code = np.rint((distance - camera_distance) * DEPTH_STEPS_PER_UNIT + DEPTH_OFFSET_STEPS)
    person = distance != 0.0
    bad = person & ~((code >= 1.0) & (code <= 65535.0))
    if bad.any():
        offset = camera_distance - CAMERA_DISTANCE
        raise ShardError(
            f"depth: expected ray distances of {DEPTH_MIN + offset:.3f} to "
            f"{DEPTH_MAX + offset:.3f} normalised units, got {distance[bad][0]:.6g} "
            f"(and {int(bad.sum()) - 1} more)"
        )
    return np.where(person, code, 0.0).astype(np.uint16)


def decode_depth(
    code: NDArray[np.uint16], camera_distance: float = CAMERA_DISTANCE
) -> NDArray[np.float32]:
    """Return the ray distances of depth codes, within 7.3e-6 (1/64 pixel at 2048)."""
    distance = code.astype(np.float32)  # exact: the codes have 16 bits
    distance -= np.float32(DEPTH_OFFSET_STEPS)
    distance *= np.float32(1.0 / DEPTH_STEPS_PER_UNIT)
    distance += np.float32(camera_distance)
    distance[code == 0] = 0.0
    return distance


def encode_normal(normal: NDArray[np.floating]) -> NDArray[np.int16]:
    """Code unit vectors as round(255 n); the zero vector stays zero (background).

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
    return np.rint(normal * NORMAL_STEPS).astype(np.int16)


def decode_normal(code: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return (..., 3) float32 unit vectors within 0.2 degree; zero where the code is zero."""
    normal = code.astype(np.float32)
    squared = np.einsum("...c,...c->...", normal, normal)
    normal *= (1.0 / np.sqrt(np.maximum(squared, np.float32(1.0))))[..., None]
    return normal


def encode_picture(name: str, values: NDArray, camera_distance: float) -> NDArray:
    """Return one view of a picture as it is stored.

    Args:
        name: one of `PICTURES`.
        values: physical ones, (R, R) or (R, R, C), or a part.
        camera_distance: of the view.

    Raises:
        ShardError: the values do not fit the code, or are not of the dtype and shape
            that the array has.
    """
    spec, coded = PICTURES[name], values
    if spec.codec == "depth":
        coded = encode_depth(values, camera_distance)
    elif spec.codec == "normal":
        coded = encode_normal(values)
    channels = (spec.channels,) if spec.channels else ()
    if coded.dtype != np.dtype(spec.dtype) or coded.shape[2:] != channels:
        raise ShardError(
            f"{name}: expected (R, R{''.join(f', {c}' for c in channels)}) {spec.dtype}, "
            f"got {coded.shape} {coded.dtype}"
        )
    return coded


def decode_picture(name: str, code: NDArray, camera_distance: float) -> NDArray:
    """Return stored values of a picture as physical ones (colours and masks as they are)."""
    codec = PICTURES[name].codec
    if codec == "depth":
        return decode_depth(code, camera_distance)
    return decode_normal(code) if codec == "normal" else code
