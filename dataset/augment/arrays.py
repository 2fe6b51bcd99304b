"""One view as numpy arrays, before it is encoded for the networks.

What only the person has is kept in a window of the frame, a box around the person: at 2048
pixels it is a quarter of the frame, and the rest would be zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]
"""Rows and columns of the frame."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where the person of a view is.

    Attributes:
        resolution: R of the frame, pixels.
        window: part of the frame that has the person, h x w pixels.
        ray_distance: (2, h, w) float32, front and back, normalised units, 0 = background.
        reliable: (h, w) bool, person pixels whose surfaces are both reliable.
        joints: (31, 3) float32 pixels of the frame and confidence; confidence 0 = missing.
        normals: (2, h, w, 3) float32 rendered unit normals of front and back, camera frame, out
            of the body, 0 = background; None where they are not read.
    """

    resolution: int
    window: Window
    ray_distance: NDArray[np.float32]
    reliable: NDArray[np.bool_]
    joints: NDArray[np.float32]
    normals: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """The lit person of a view, apart from its background.

    Attributes:
        window: part of the frame outside of which nothing is covered, h x w pixels.
        pixels: (h, w, 3) uint8 sRGB, premultiplied.
        coverage: (h, w) uint8.
    """

    window: Window
    pixels: NDArray[np.uint8]
    coverage: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Painted:
    """The unlit person of a view.

    Attributes:
        person: as lit in the view; its window and coverage are those of all arrays here.
        albedo: (h, w, 3) uint8 sRGB, reaches as far as the coverage.
        normals: (h, w, 3) float32 of the front, as in `Geometry`.
        ray_distance: (h, w) float32 of the front.
    """

    person: Person
    albedo: NDArray[np.uint8]
    normals: NDArray[np.float32]
    ray_distance: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ViewSource:
    """What can be read of a view, and of those around it; nothing is read before it is asked for.

    Attributes:
        geometry: where the person is.
        image: returns the (R, R, 3) uint8 picture of the view.
        person: returns the person apart.
        painted: returns the person unlit.
        background: returns the (R, R, 3) uint8 background of the view, alone.
        other_background: returns that of another view, drawn by the generator.
    """

    geometry: Geometry
    image: Callable[[], NDArray[np.uint8]]
    person: Callable[[], Person]
    painted: Callable[[], Painted]
    background: Callable[[], NDArray[np.uint8]]
    other_background: Callable[[np.random.Generator], NDArray[np.uint8]]
