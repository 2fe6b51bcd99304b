"""Light in procedural rooms: sky and sun through a window, lamps, what walls give back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from render.camera import Camera
from render.colour import LINEAR_OF_SRGB_BYTE, SRGB_BYTE_OF_ROOT
from render.compiled import in_bands
from render.gbuffer import SideBuffer
from render.room_shading import RoomLights, RoomView, expose_rows, light_room_rows

_MOODS = ("sun", "clouds", "evening")
_MOOD_SHARES = (0.4, 0.35, 0.25)


@dataclass(frozen=True)
class Window:
    """A rectangle in a wall that light comes through; room frame, metres.

    Attributes:
        middle: (3,) of the rectangle.
        across: (3,) from the middle to the middle of its right edge.
        up: (3,) from the middle to the middle of its upper edge.
        inwards: (3,) unit vector into the room.
    """

    middle: NDArray[np.float64]
    across: NDArray[np.float64]
    up: NDArray[np.float64]
    inwards: NDArray[np.float64]


@dataclass(frozen=True)
class Surroundings:
    """What light depends on besides what is seen; room frame, metres.

    Attributes:
        half: (3,) half the width, the whole height, half the depth.
        window: where daylight comes from.
        lamps: (L, 3) places of lamps.
        solids: (N, 2, 3) lowest and highest corner of what stands in the room.
    """

    half: NDArray[np.float64]
    window: Window
    lamps: NDArray[np.float64]
    solids: NDArray[np.float64]


def light_room(
    front: SideBuffer,
    place: Surroundings,
    camera: Camera,
    pose: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the (R, R, 3) uint8 sRGB picture of a room under random light.

    Args:
        front: what is seen of it.
        place: the room.
        camera: of the picture.
        pose: (4, 4) camera-from-room.
        rng: draws the time of day and the strength and colour of lights.
    """
    mood = _MOODS[int(rng.choice(len(_MOODS), p=_MOOD_SHARES))]
    is_evening = mood == "evening"
    warm = np.array([1.0, rng.uniform(0.74, 0.9), rng.uniform(0.45, 0.75)])
    cool = np.array([rng.uniform(0.82, 1.0), 0.96, 1.0])
    day = rng.uniform(0.0, 0.12) if is_evening else rng.uniform(0.6, 1.0)
    lamp = rng.uniform(0.6, 1.0) if is_evening else rng.uniform(0.0, 0.45)
    sky = warm if is_evening else 0.6 * cool + 0.4 * warm
    sun, towards_sun = np.zeros(3), np.array([0.0, 1.0, 0.0])
    if mood == "sun":
        sun = np.array([1.0, 0.93, 0.8]) * rng.uniform(1.2, 2.6)
        towards_sun = draw_sun(place.window, rng)
    count = len(place.lamps)
    window = place.window.middle + 0.3 * place.window.inwards
    lights = RoomLights(
        positions=_floats([window, *place.lamps]),
        colours=_floats([0.9 * day * cool, *[lamp / max(count, 1) * warm] * count]),
        reaches=_floats([1.8, *[1.1] * count]),
        ambient=_floats((0.34 if is_evening else 0.28) * sky),
        sky=_floats(0.06 * sky),
        half=_floats(place.half),
        solids=_floats(place.solids),
        window=_floats(
            [place.window.middle, place.window.across, place.window.up, place.window.inwards]
        ),
        towards_sun=_floats(towards_sun),
        sun=_floats(sun),
        pane=np.float32(0.05 if is_evening else rng.uniform(0.9, 1.6)),
    )
    return _exposed(_light(front, lights, camera, pose), rng)


def _light(
    front: SideBuffer, lights: RoomLights, camera: Camera, pose: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return (R, R, 3) linear light."""
    rotation = pose[:3, :3].T
    view = RoomView(
        front.albedo,
        front.normal,
        front.ray_distance,
        *camera.pixel_slopes(np.float32),
        rotation=_floats(rotation),
        centre=_floats(-rotation @ pose[:3, 3]),
    )
    linear = np.empty_like(front.normal)

    def work(first: int, end: int) -> None:
        light_room_rows(view, lights, LINEAR_OF_SRGB_BYTE, (first, end), linear)

    in_bands(work, 0, len(linear))
    return linear


def draw_sun(window: Window, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a (3,) unit vector towards a sun that shines in through the window."""
    sideways = np.cross([0.0, 1.0, 0.0], window.inwards) * rng.uniform(-0.9, 0.9)
    travel = window.inwards + sideways - np.array([0.0, rng.uniform(0.5, 1.2), 0.0])
    return np.asarray(-travel / np.linalg.norm(travel))


def _floats(values: ArrayLike) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _exposed(linear: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Expose as a camera would, give or take, with a soft shoulder and some grain."""
    level = np.float32(rng.uniform(0.55, 1.2) * 0.42 / max(float(linear.mean() ** 0.5), 1e-3))
    grain = rng.standard_normal(linear.shape[:2], dtype=np.float32) * np.float32(0.024)
    picture = np.empty(linear.shape, dtype=np.uint8)

    def work(first: int, end: int) -> None:
        expose_rows(linear, level, grain, SRGB_BYTE_OF_ROOT, (first, end), picture)

    in_bands(work, 0, len(linear))
    return picture
