"""Random changes of a view that training sees: where all augmentation lives.

Each change is a function of arrays and of an explicit random generator. Inputs are never
modified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dataset.joints import MIRRORED_JOINTS
from render.colour import LUMA
from render.compositing import composite


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training samples.

    Attributes:
        colour: lowest factor of brightness, contrast and saturation, drawn in [colour, 1];
            1 changes nothing.
        mirror: probability of a left-right mirrored sample.
        background: probability of the background of another view.
    """

    colour: float = 0.7
    mirror: float = 0.5
    background: float = 0.8

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{item.name}: expected 0 to 1, got {value}")


MIRRORED_NORMAL = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
"""What a mirror does to the components of a normal in the camera frame."""

UNCHANGED = AugmentConfig(colour=1.0, mirror=0.0, background=0.0)


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Person and background apart, so that other rooms can be put behind the person.

    Attributes:
        person: (R, R, 3) uint8 sRGB, premultiplied.
        coverage: (R, R) uint8.
        background: (R, R, 3) uint8 sRGB; behind the person known with `--composite on-read`,
            else filled smoothly.
    """

    person: NDArray[np.uint8]
    coverage: NDArray[np.uint8]
    background: NDArray[np.uint8]

    def mirrored(self) -> Layers:
        """Return the layers left-right mirrored."""
        return Layers(
            person=self.person[:, ::-1],
            coverage=self.coverage[:, ::-1],
            background=self.background[:, ::-1],
        )


@dataclass(frozen=True, kw_only=True)
class ViewArrays:
    """One view at the working resolution R, before encoding.

    Attributes:
        image: (R, R, 3) uint8 sRGB.
        ray_distance: (2, R, R) float32, front and back, normalised units, 0 = background.
        reliable: (R, R) bool.
        joints: (31, 3) float32 pixels of the R frame and confidence.
        layers: what the image was composed of; None where they are not read.
        normals: (2, R, R, 3) float32 rendered unit normals of front and back, camera frame, out
            of the body, 0 = background; None where they are not read.
    """

    image: NDArray[np.uint8]
    ray_distance: NDArray[np.float32]
    reliable: NDArray[np.bool_]
    joints: NDArray[np.float32]
    layers: Layers | None = None
    normals: NDArray[np.float32] | None = None


def mirror_view(arrays: ViewArrays) -> ViewArrays:
    """Return the left-right mirrored view; the camera's axis is the mirror."""
    joints = arrays.joints[list(MIRRORED_JOINTS)]
    known = joints[:, 2] > 0
    joints[known, 0] = arrays.image.shape[1] - joints[known, 0]
    return ViewArrays(
        image=arrays.image[:, ::-1],
        ray_distance=arrays.ray_distance[:, :, ::-1],
        reliable=arrays.reliable[:, ::-1],
        joints=joints,
        layers=arrays.layers.mirrored() if arrays.layers is not None else None,
        normals=None if arrays.normals is None else arrays.normals[:, :, ::-1] * MIRRORED_NORMAL,
    )


def change_room(arrays: ViewArrays, other: ViewArrays, rng: np.random.Generator) -> ViewArrays:
    """Return the view before the background of another, mirrored or not.

    Both views need their layers; without them the view comes back as it is.
    """
    if arrays.layers is None or other.layers is None:
        return arrays
    room = other.layers.background
    room = room if rng.random() < 0.5 else room[:, ::-1]
    image = composite(arrays.layers.person, arrays.layers.coverage, room)
    return replace(arrays, image=image)


def scale_colours(
    image: NDArray[np.uint8], brightness: float, contrast: float, saturation: float
) -> NDArray[np.float32]:
    """Return an image in 0..1 with brightness, contrast and saturation scaled, in this order.

    Args:
        image: (H, W, 3) uint8.
        brightness, contrast, saturation: factors; 1 changes nothing, 0 leaves black, the mean
            grey of the image, and greys.
    """
    result = image.astype(np.float32) * (brightness / 255.0)
    grey = result @ LUMA
    result = contrast * result + (1.0 - contrast) * grey.mean()
    grey = contrast * grey + (1.0 - contrast) * grey.mean()
    return saturation * result + (1.0 - saturation) * grey[..., None]


def jitter_colours(
    image: NDArray[np.uint8], lowest: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return an image in 0..1 with brightness, contrast and saturation scaled by [lowest, 1].

    Args:
        image: (H, W, 3) uint8.
        lowest: 1 changes nothing.
        rng: draws the three factors.
    """
    return scale_colours(image, *rng.uniform(lowest, 1.0, 3).astype(np.float32))


def augment_view(
    arrays: ViewArrays,
    config: AugmentConfig,
    rng: np.random.Generator,
    another_view: Callable[[np.random.Generator], ViewArrays],
) -> tuple[ViewArrays, NDArray[np.float32]]:
    """Return a randomly changed view and its image in 0..1.

    Args:
        arrays: the view.
        config: which changes, how often or how strong.
        rng: decides everything.
        another_view: draws the view whose background is taken; called only where one is.
    """
    if rng.random() < config.mirror:
        arrays = mirror_view(arrays)
    if rng.random() < config.background:
        arrays = change_room(arrays, another_view(rng), rng)
    return arrays, jitter_colours(arrays.image, config.colour, rng)
