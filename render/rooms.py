"""Procedural indoor rooms: backgrounds for those who have no pictures of their own.

A room is a box with painted walls, a floor, a window and furniture made of boxes, drawn by
our own rasteriser and lit by the sky, the sun, lamps and the light that walls give back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from render import room_colours as colours
from render import room_textures as textures
from render.boxes import BoxBuilder
from render.camera import Camera, camera_from_normalised
from render.rasteriser import Rasteriser
from render.room_furniture import furnish
from render.room_light import Surroundings, Window, light_room

_LARGEST_RENDER = 1024


@dataclass(frozen=True)
class Room:
    """A room in its own frame (origin on the floor in the middle; metres).

    Attributes:
        builder: its surfaces.
        place: what its light depends on.
    """

    builder: BoxBuilder
    place: Surroundings


def draw_room(
    rng: np.random.Generator, resolution: int, rasteriser: Rasteriser
) -> NDArray[np.uint8]:
    """Return the (R, R, 3) uint8 sRGB picture of a random room.

    At most 1024 pixels are rendered; larger pictures are enlarged, as out of focus as what
    stands behind a person on a photograph is.
    """
    room = build_room(rng)
    camera = Camera(min(resolution, _LARGEST_RENDER), fov_deg=float(rng.uniform(42.0, 68.0)))
    position = room.place.half * np.array([rng.uniform(-0.5, 0.5), 0.0, rng.uniform(0.4, 0.92)])
    position[1] = rng.uniform(0.9, 1.7)
    pose = _look(position, float(rng.uniform(-33.0, 33.0)), float(rng.uniform(-10.0, 4.0)))
    handle = rasteriser.upload(room.builder.mesh())
    try:
        front = rasteriser.render(handle, camera, pose, sides="front", antialiased=False).front
    finally:
        rasteriser.release(handle)
    picture = light_room(front, room.place, camera, pose, rng)
    if camera.resolution != resolution:
        size = (resolution, resolution)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
    return picture


def build_room(rng: np.random.Generator) -> Room:
    """Build a random room."""
    builder = BoxBuilder()
    half = np.array([rng.uniform(1.6, 3.8), rng.uniform(2.3, 3.4), rng.uniform(2.0, 4.5)])
    _add_shell(builder, half, rng)
    window = _add_window(builder, half, rng)
    solids = furnish(builder, half, rng)
    lamps = _add_lamps(builder, half, rng)
    shape = np.stack(solids) if solids else np.zeros((0, 2, 3))
    return Room(builder, Surroundings(half, window, lamps, shape))


def _add_shell(builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator) -> None:
    x, y, z = half
    right, up, back = np.diag([2 * x, y, 2 * z])
    wall_tone = colours.wall(rng)
    walls = builder.material(textures.plain(rng, wall_tone))
    paints = (textures.plain, textures.plain, textures.stripes, textures.bricks, textures.planks)
    paint = paints[int(rng.integers(len(paints)))]
    tones = {textures.bricks: colours.stone, textures.planks: colours.floor_wood}
    accent_tone = tones.get(paint, colours.accent)(rng)
    if paint is textures.plain and rng.random() < 0.5:
        accent_tone = wall_tone
    accent = builder.material(paint(rng, accent_tone))
    kinds = (textures.planks, textures.planks, textures.checks, textures.cloth)
    kind = kinds[int(rng.integers(len(kinds)))]
    tones = {textures.planks: colours.floor_wood, textures.checks: colours.stone}
    floor = builder.material(kind(rng, tones.get(kind, colours.cloth)(rng)))
    ceiling = builder.material(textures.plain(rng, np.full(3, rng.uniform(0.8, 0.95))))
    skirting = builder.material(textures.plain(rng, colours.wood(rng)))
    corner = np.array([-x, 0.0, -z])
    tile = rng.uniform(0.6, 1.8)
    builder.quad(corner + back, right, -back, floor, tile)
    builder.quad(corner + up, right, back, ceiling, 2.0)
    builder.quad(corner, right, up, accent, tile)
    builder.quad(corner + back, -back, up, walls, 2.0)
    builder.quad(corner + right, back, up, walls, 2.0)
    builder.quad(corner + right + back, -right, up, walls, 2.0)
    builder.box(corner, corner + [2 * x, 0.09, 0.015], skirting)
    builder.box(corner, corner + [0.015, 0.09, 2 * z], skirting)
    builder.box(corner + [2 * x - 0.015, 0, 0], corner + [2 * x, 0.09, 2 * z], skirting)
    if rng.random() < 0.15:
        for start in np.arange(-z + 0.3, z, rng.uniform(0.6, 1.2)):
            builder.box([-x, y - 0.16, start], [x, y, start + 0.14], skirting)


def _add_window(builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator) -> Window:
    x, y, z = half
    width, height = rng.uniform(0.8, min(2.6, 2 * x - 1.0)), rng.uniform(0.9, 1.6)
    bottom = rng.uniform(0.3, min(1.0, y - height - 0.1))
    material = builder.material(textures.window(rng))
    curtain = builder.material(textures.stripes(rng, colours.cloth(rng)))
    middle_y, up = bottom + height / 2, np.array([0.0, height / 2, 0.0])
    if rng.random() < 0.4:
        left = rng.uniform(-x + 0.4, x - width - 0.4)
        builder.quad([left, bottom, -z + 0.01], [width, 0, 0], [0, height, 0], material)
        if rng.random() < 0.5:
            for start in (left - 0.35, left + width):
                builder.box(
                    [start, 0.05, -z + 0.02], [start + 0.35, y - 0.1, -z + 0.1], curtain, 0.5
                )
        middle = np.array([left + width / 2, middle_y, -z + 0.01])
        return Window(middle, np.array([width / 2, 0.0, 0.0]), up, np.array([0.0, 0.0, 1.0]))
    side = rng.choice([-1.0, 1.0])
    near = rng.uniform(-z + 0.3, max(-z + 0.4, z - width - 1.0))
    start, across = (near + width, -width) if side < 0 else (near, width)
    # Seen from inside, the left wall runs from the viewer to the far wall.
    builder.quad([side * (x - 0.01), bottom, start], [0, 0, across], [0, height, 0], material)
    middle = np.array([side * (x - 0.01), middle_y, near + width / 2])
    return Window(middle, np.array([0.0, 0.0, across / 2]), up, np.array([-side, 0.0, 0.0]))


def _add_lamps(
    builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Hang a lamp or stand one in a corner; return (L, 3) where light comes from."""
    x, y, z = half
    shade = builder.material(textures.plain(rng, np.array([0.97, 0.94, 0.85])))
    lamps = [np.array([rng.uniform(-0.5, 0.5), y - rng.uniform(0.25, 0.9), rng.uniform(-1.0, 0.3)])]
    builder.box(lamps[0] + [-0.15, 0.06, -0.15], lamps[0] + [0.15, 0.24, 0.15], shade)
    if rng.random() < 0.4:
        corner = np.array([rng.choice([-1.0, 1.0]) * (x - 0.35), 1.45, -z + 0.4])
        pole = builder.material(textures.plain(rng, np.full(3, 0.15)))
        builder.box(corner + [-0.02, -1.45, -0.02], corner + [0.02, 0.0, 0.02], pole)
        builder.box(corner + [-0.18, 0.0, -0.18], corner + [0.18, 0.28, 0.18], shade)
        lamps.append(corner + [0.0, -0.1, 0.3])
    return np.stack(lamps)


def _look(position: NDArray[np.float64], yaw_deg: float, pitch_deg: float) -> NDArray[np.float64]:
    """Return the (4, 4) camera-from-room matrix of a viewer looking along -z, turned."""
    move = np.eye(4)
    move[:3, 3] = -position
    return np.asarray(camera_from_normalised(yaw_deg, -pitch_deg, distance=0.0) @ move)
