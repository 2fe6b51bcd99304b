"""Light in procedural rooms: sky and sun through a window, lamps, what walls give back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera
from render.colour import linear_from_srgb_bytes, tabled_srgb_bytes_from_linear
from render.gbuffer import SideBuffer

_CORNER_SHADE_M = 0.45
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
    rotation = pose[:3, :3].astype(np.float32)
    centre = (-pose[:3, :3].T @ pose[:3, 3]).astype(np.float32)
    seen = camera.rays(dtype=np.float32) * front.ray_distance[..., None]
    points = np.asarray(seen @ rotation + centre, dtype=np.float32)
    normals = front.normal @ rotation
    mood = _MOODS[int(rng.choice(len(_MOODS), p=_MOOD_SHARES))]
    is_evening = mood == "evening"
    warm = np.array([1.0, rng.uniform(0.74, 0.9), rng.uniform(0.45, 0.75)], dtype=np.float32)
    cool = np.array([rng.uniform(0.82, 1.0), 0.96, 1.0], dtype=np.float32)
    day = rng.uniform(0.0, 0.12) if is_evening else rng.uniform(0.6, 1.0)
    lamp = rng.uniform(0.6, 1.0) if is_evening else rng.uniform(0.0, 0.45)
    window = place.window.middle + 0.3 * place.window.inwards
    light = (0.9 * day) * _point_light(points, normals, window, 1.8)[..., None] * cool
    for position in place.lamps:
        glow = _point_light(points, normals, position, 1.1)[..., None] * warm
        light += lamp / len(place.lamps) * glow
    ambient = (0.34 if is_evening else 0.28) + 0.06 * normals[..., 1:2]
    light += ambient * (warm if is_evening else 0.6 * cool + 0.4 * warm)
    light *= _corner_shade(points, place)[..., None]
    if mood == "sun":
        sun = np.array([1.0, 0.93, 0.8], dtype=np.float32) * np.float32(rng.uniform(1.2, 2.6))
        light += sunlight(points, normals, place, rng)[..., None] * sun
    linear = linear_from_srgb_bytes(front.albedo) * light
    outside = _distance_from(points, place.window) < 0.03
    linear[outside] = linear_from_srgb_bytes(front.albedo[outside]) * np.float32(
        0.05 if is_evening else rng.uniform(0.9, 1.6)
    )
    return _exposed(linear, rng)


def _exposed(linear: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Expose as a camera would, give or take, with a soft shoulder and some grain."""
    level = rng.uniform(0.55, 1.2) * 0.42 / max(float(linear.mean() ** 0.5), 1e-3)
    linear = linear * np.float32(level)
    # A soft shoulder instead of hard clipping in the brightest places.
    bright = linear > 0.7
    linear[bright] = 0.7 + 0.3 * np.tanh((linear[bright] - 0.7) / 0.3)
    grain = rng.standard_normal(linear.shape[:2], dtype=np.float32)[..., None] * 0.024
    return tabled_srgb_bytes_from_linear(linear * (1.0 + grain))


def sunlight(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    place: Surroundings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return (R, R) cosine of the sun where it falls through the window past the furniture."""
    window = place.window
    sideways = np.cross([0.0, 1.0, 0.0], window.inwards) * rng.uniform(-0.9, 0.9)
    travel = window.inwards + sideways - np.array([0.0, rng.uniform(0.5, 1.2), 0.0])
    towards_sun = (-travel / np.linalg.norm(travel)).astype(np.float32)
    # Where the line from the point to the sun passes the plane of the window.
    gaps = (points - window.middle.astype(np.float32)) @ window.inwards.astype(np.float32)
    steps = gaps / np.float32(-(towards_sun @ window.inwards))
    passed = points + steps[..., None] * towards_sun - window.middle.astype(np.float32)
    is_lit = (normals @ towards_sun > 0.0) & (steps > 0.0)
    for half in (window.across, window.up):
        is_lit &= np.abs(passed @ half.astype(np.float32)) < np.float32(half @ half)
    cosines = np.zeros(points.shape[:2], dtype=np.float32)
    rows, columns = np.nonzero(is_lit)
    free = ~_blocked(points[rows, columns], towards_sun, place.solids)
    rows, columns = rows[free], columns[free]
    cosines[rows, columns] = normals[rows, columns] @ towards_sun
    return cosines


def _blocked(
    points: NDArray[np.float32], direction: NDArray[np.float32], solids: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (P,) whether the way from each point in a direction meets a solid."""
    blocked = np.zeros(len(points), dtype=bool)
    inverse = 1.0 / np.where(np.abs(direction) < 1e-6, np.float32(1e-6), direction)
    for low, high in solids.astype(np.float32):
        first, second = (low - points) * inverse, (high - points) * inverse
        enters = np.minimum(first, second).max(axis=1)
        leaves = np.maximum(first, second).min(axis=1)
        blocked |= (leaves > np.maximum(enters, 0.0)) & (leaves > 0.02)
    return blocked


def _distance_from(points: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return (R, R) distance from the window's plane within its rectangle, infinite outside."""
    offsets = points - window.middle.astype(np.float32)
    distances = np.abs(offsets @ window.inwards.astype(np.float32))
    for half in (window.across, window.up):
        is_beside = np.abs(offsets @ half.astype(np.float32)) > np.float32(half @ half)
        distances[is_beside] = np.inf
    return distances


def _point_light(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    position: NDArray[np.float64],
    reach_m: float,
) -> NDArray[np.float32]:
    """Return (R, R) cosine with a soft falloff, wrapped a little as from a broad light."""
    towards = position.astype(np.float32) - points
    squares = np.einsum("ijk,ijk->ij", towards, towards)
    cosines = np.einsum("ijk,ijk->ij", towards, normals) / np.sqrt(np.maximum(squares, 1e-6))
    wrapped = np.maximum(0.85 * cosines + 0.15, 0.0)
    return np.asarray(wrapped * (2.0 / (1.0 + squares / reach_m**2)), dtype=np.float32)


def _corner_shade(points: NDArray[np.float32], place: Surroundings) -> NDArray[np.float32]:
    """Return (R, R) 0..1: darker where walls meet and on the floor beside furniture."""
    x, y, z = (points[..., axis] for axis in range(3))
    half = place.half.astype(np.float32)
    side, end = half[0] - np.abs(x), half[2] - np.abs(z)
    level = np.minimum(y, half[1] - y)
    # The nearest wall is the surface itself; the next one makes the corner. Floor and ceiling
    # are never both near, so that the second smallest of three gaps is the one.
    second = np.maximum(np.minimum(side, end), np.minimum(np.maximum(side, end), level))
    shade = 1.0 - 0.4 * np.exp(-np.maximum(second, 0.0) / np.float32(_CORNER_SHADE_M))
    rows, columns = np.nonzero(y < 0.03)
    across, along = x[rows, columns], z[rows, columns]
    contact = np.ones(len(rows), dtype=np.float32)
    for low, high in place.solids.astype(np.float32):
        if low[1] > 0.3:
            continue
        outside_x = np.maximum(np.maximum(low[0] - across, across - high[0]), 0.0)
        outside_z = np.maximum(np.maximum(low[2] - along, along - high[2]), 0.0)
        contact *= 1.0 - 0.55 * np.exp(-np.hypot(outside_x, outside_z) / np.float32(0.18))
    shade[rows, columns] *= contact
    return np.asarray(shade, dtype=np.float32)
