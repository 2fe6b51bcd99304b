"""Procedural indoor rooms: backgrounds for those who have no pictures of their own.

A room is a box with painted walls, a floor, a window and furniture made of boxes, drawn by
our own rasteriser and lit by the window, a lamp and the light that walls give back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from render import room_textures as textures
from render.boxes import BoxBuilder
from render.camera import Camera, yaw_rotation
from render.colour import linear_from_srgb_bytes, srgb_bytes_from_linear
from render.gbuffer import SideBuffer
from render.rasteriser import Rasteriser

_LARGEST_RENDER = 1024
_CORNER_SHADE_M = 0.45


@dataclass(frozen=True)
class Room:
    """What a room is, in its own frame (origin on the floor in the middle; metres).

    Attributes:
        builder: its surfaces.
        half: (3,) half the width, the whole height, half the depth.
        window_position: (3,) middle of the window.
        furniture: (N, 4) footprints on the floor: lowest x, lowest z, highest x, highest z.
        lamp_position: (3,).
    """

    builder: BoxBuilder
    half: NDArray[np.float64]
    window_position: NDArray[np.float64]
    furniture: NDArray[np.float64]
    lamp_position: NDArray[np.float64]


def draw_room(
    rng: np.random.Generator, resolution: int, rasteriser: Rasteriser
) -> NDArray[np.uint8]:
    """Return the (R, R, 3) uint8 sRGB picture of a random room.

    At most 1024 pixels are rendered; larger pictures are enlarged, as out of focus as what
    stands behind a person on a photograph is.
    """
    room = build_room(rng)
    camera = Camera(min(resolution, _LARGEST_RENDER), fov_deg=float(rng.uniform(48.0, 68.0)))
    position = room.half * np.array([rng.uniform(-0.4, 0.4), 0.0, rng.uniform(0.55, 0.9)])
    position[1] = rng.uniform(1.0, 1.6)
    pose = _look(position, float(rng.uniform(-28.0, 28.0)), float(rng.uniform(-8.0, 3.0)))
    handle = rasteriser.upload(room.builder.mesh())
    try:
        front = rasteriser.render(handle, camera, pose, sides="front").front
    finally:
        rasteriser.release(handle)
    picture = _light(front, room, camera, pose, rng)
    if camera.resolution != resolution:
        size = (resolution, resolution)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
    return picture


def build_room(rng: np.random.Generator) -> Room:
    """Build a random room."""
    builder = BoxBuilder()
    half = np.array([rng.uniform(1.8, 3.5), rng.uniform(2.4, 3.2), rng.uniform(2.2, 4.0)])
    _add_shell(builder, half, rng)
    window_position = _add_window(builder, half, rng)
    footprints = _add_furniture(builder, half, rng)
    lamp = np.array([rng.uniform(-0.5, 0.5), half[1] - 0.4, rng.uniform(-0.5, 0.5)])
    return Room(builder, half, window_position, footprints, lamp)


def _add_shell(builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator) -> None:
    x, y, z = half
    right, up, back = np.diag([2 * x, y, 2 * z])
    wall_paints = (textures.plain, textures.plain, textures.stripes, textures.bricks)
    wall_tone = _muted(rng, 0.5, 0.95)
    walls = builder.material(textures.plain(rng, wall_tone))
    paint = wall_paints[int(rng.integers(len(wall_paints)))]
    accent_tone = wall_tone if rng.random() < 0.5 else _muted(rng, 0.3, 0.95)
    accent = builder.material(paint(rng, accent_tone))
    floor_kind = (textures.planks, textures.planks, textures.checks, textures.cloth)
    wood = np.array([0.62, 0.45, 0.30]) * rng.uniform(0.6, 1.4)
    kind = floor_kind[int(rng.integers(len(floor_kind)))]
    tone = wood if kind is textures.planks else _muted(rng, 0.3, 0.8)
    floor = builder.material(kind(rng, tone))
    ceiling = builder.material(textures.plain(rng, np.full(3, rng.uniform(0.85, 0.95))))
    skirting = builder.material(textures.plain(rng, np.full(3, rng.uniform(0.3, 0.95))))
    corner = np.array([-x, 0.0, -z])
    tile = rng.uniform(0.8, 1.6)
    builder.quad(corner + back, right, -back, floor, tile)
    builder.quad(corner + up, right, back, ceiling, 2.0)
    builder.quad(corner, right, up, accent, tile)
    builder.quad(corner + back, -back, up, walls, 2.0)
    builder.quad(corner + right, back, up, walls, 2.0)
    builder.quad(corner + right + back, -right, up, walls, 2.0)
    builder.box(corner, corner + [2 * x, 0.09, 0.015], skirting)
    builder.box(corner, corner + [0.015, 0.09, 2 * z], skirting)
    builder.box(corner + [2 * x - 0.015, 0, 0], corner + [2 * x, 0.09, 2 * z], skirting)


def _add_window(
    builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    x, y, z = half
    width, height = rng.uniform(0.9, 2.0), rng.uniform(1.0, 1.5)
    bottom = rng.uniform(0.6, min(1.0, y - height - 0.1))
    material = builder.material(textures.window(rng))
    curtain = builder.material(textures.stripes(rng, _muted(rng, 0.3, 0.95)))
    place = int(rng.integers(3))
    if place == 0:
        left = rng.uniform(-x + 0.3, x - width - 0.3)
        builder.quad([left, bottom, -z + 0.01], [width, 0, 0], [0, height, 0], material)
        if rng.random() < 0.5:
            for start in (left - 0.35, left + width):
                builder.box(
                    [start, 0.05, -z + 0.02], [start + 0.35, y - 0.1, -z + 0.1], curtain, 0.5
                )
        return np.array([left + width / 2, bottom + height / 2, -z + 0.3])
    side = -1.0 if place == 1 else 1.0
    near = rng.uniform(-z + 0.4, max(-z + 0.5, z - width - 1.0))
    start, across = (near + width, -width) if side < 0 else (near, width)
    # Seen from inside, the left wall runs from the viewer to the far wall.
    builder.quad([side * (x - 0.01), bottom, start], [0, 0, across], [0, height, 0], material)
    return np.array([side * (x - 0.3), bottom + height / 2, near + width / 2])


def _add_furniture(
    builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Place some pieces along the far wall and the sides; return their footprints."""
    x, y, z = half
    footprints: list[list[float]] = []
    cursor = -x + rng.uniform(0.05, 0.4)
    pieces = (_sofa, _shelf, _table, _cabinet, _cabinet)
    while cursor < x - 0.6:
        width = float(min(rng.uniform(0.6, 2.0), x - cursor - 0.02))
        depth = float(rng.uniform(0.35, 0.8))
        if rng.random() < 0.75:
            low = np.array([cursor, 0.0, -z + 0.03])
            piece = pieces[int(rng.integers(len(pieces)))]
            piece(builder, low, width, depth, rng)
            footprints.append([cursor, -z, cursor + width, -z + depth])
        cursor += width + rng.uniform(0.05, 0.5)
    for side in (-1.0, 1.0):
        if rng.random() < 0.6:
            depth, length = rng.uniform(0.35, 0.6), rng.uniform(0.6, 1.4)
            left = -x + 0.03 if side < 0 else x - depth - 0.03
            start = rng.uniform(-z + 1.0, max(-z + 1.1, -length))
            tone = builder.material(textures.planks(rng, _muted(rng, 0.25, 0.9)))
            top = rng.uniform(0.5, 2.0)
            builder.box([left, 0.0, start], [left + depth, top, start + length], tone)
            footprints.append([left, start, left + depth, start + length])
    for _ in range(int(rng.integers(0, 3))):
        size = rng.uniform(0.35, 0.9, 2)
        left, bottom = rng.uniform(-x + 0.2, x - size[0] - 0.2), rng.uniform(1.2, y - size[1] - 0.1)
        material = builder.material(textures.painting(rng))
        builder.quad([left, bottom, -z + 0.02], [size[0], 0, 0], [0, size[1], 0], material)
    if rng.random() < 0.5:
        rug = builder.material(textures.rug(rng, _muted(rng, 0.2, 0.8)))
        size, middle = rng.uniform(1.2, 2.2, 2), rng.uniform(-0.6, 0.6, 2)
        low = np.array([middle[0] - size[0] / 2, 0.005, middle[1] + size[1] / 2])
        builder.quad(low, [size[0], 0, 0], [0, 0, -size[1]], rug)
    return np.array(footprints).reshape(-1, 4)


def _sofa(
    builder: BoxBuilder, low: NDArray[np.float64], width: float, depth: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    cloth = builder.material(textures.cloth(rng, _muted(rng, 0.2, 0.8)))
    depth = max(depth, 0.7)
    seat, back, arm = rng.uniform(0.38, 0.46), rng.uniform(0.7, 0.9), 0.16
    builder.box(low + [0, 0.06, 0], low + [width, seat, depth], cloth)
    builder.box(low + [0, seat, 0], low + [width, back, 0.2], cloth)
    builder.box(low + [0, seat, 0.2], low + [arm, seat + 0.18, depth], cloth)
    builder.box(low + [width - arm, seat, 0.2], low + [width, seat + 0.18, depth], cloth)


def _shelf(
    builder: BoxBuilder, low: NDArray[np.float64], width: float, depth: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    height = rng.uniform(1.2, 2.1)
    wood = builder.material(textures.planks(rng, _muted(rng, 0.25, 0.9)))
    front = builder.material(textures.books(rng))
    builder.box(low, low + [width, height, 0.3], wood)
    origin = low + [0.03, 0.05, 0.301]
    builder.quad(origin, np.array([width - 0.06, 0, 0]), np.array([0, height - 0.1, 0]), front)


def _table(
    builder: BoxBuilder, low: NDArray[np.float64], width: float, depth: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    wood = builder.material(textures.planks(rng, _muted(rng, 0.25, 0.9)))
    height = rng.uniform(0.45, 0.78)
    builder.box(low + [0, height - 0.04, 0], low + [width, height, depth], wood)
    for right in (0.0, width - 0.05):
        for near in (0.0, depth - 0.05):
            builder.box(
                low + [right, 0, near], low + [right + 0.05, height - 0.04, near + 0.05], wood
            )
    thing = builder.material(textures.plain(rng, _muted(rng, 0.1, 0.9)))
    start = rng.uniform(0.0, max(0.01, width - 0.4))
    size = rng.uniform(0.08, 0.35, 2)
    builder.box(low + [start, height, 0.1], low + [start + size[0], height + size[1], 0.3], thing)


def _cabinet(
    builder: BoxBuilder, low: NDArray[np.float64], width: float, depth: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    body = builder.material(textures.planks(rng, _muted(rng, 0.3, 0.95)))
    door = builder.material(textures.plain(rng, _muted(rng, 0.3, 0.95)))
    height = rng.uniform(0.5, 2.0)
    builder.box(low, low + [width, height, depth], body)
    count = max(1, round(width / 0.5))
    step = width / count
    for index in range(count):
        start = low + [index * step + 0.02, 0.05, depth]
        builder.box(start, start + [step - 0.04, height - 0.1, 0.018], door)


def _light(
    front: SideBuffer,
    room: Room,
    camera: Camera,
    pose: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Light the room: window, lamp, light from all sides, darker corners and contact shadows."""
    rays = camera.rays().astype(np.float32)
    rotation = pose[:3, :3].astype(np.float32)
    centre = (-pose[:3, :3].T @ pose[:3, 3]).astype(np.float32)
    seen = rays * front.ray_distance[..., None]
    points = np.asarray(seen @ rotation + centre, dtype=np.float32)
    normals = front.normal @ rotation
    day = rng.uniform(0.5, 1.0)
    warm = np.array([1.0, rng.uniform(0.78, 0.92), rng.uniform(0.55, 0.8)], dtype=np.float32)
    cool = np.array([rng.uniform(0.85, 1.0), 0.97, 1.0], dtype=np.float32)
    window = _point_light(points, normals, room.window_position, 1.6)[..., None] * cool * day
    lamp = _point_light(points, normals, room.lamp_position, 1.2)[..., None]
    ambient = 0.34 + 0.06 * normals[..., 1:2]
    light = 0.9 * window + rng.uniform(0.1, 0.6) * lamp * warm + ambient * (cool + warm) / 2.0
    light *= _corner_shade(points, room)[..., None]
    linear = linear_from_srgb_bytes(front.albedo) * light
    linear *= rng.uniform(0.75, 1.1) * 0.42 / max(float(linear.mean() ** 0.5), 1e-3)
    # A soft shoulder instead of hard clipping in the brightest places.
    linear = np.where(linear > 0.7, 0.7 + 0.3 * np.tanh((linear - 0.7) / 0.3), linear)
    grain = rng.standard_normal(linear.shape[:2], dtype=np.float32)[..., None] * 0.006
    return srgb_bytes_from_linear(linear * (1.0 + grain * 4.0))


def _point_light(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    position: NDArray[np.float64],
    reach_m: float,
) -> NDArray[np.float32]:
    """Return (R, R) cosine with a soft falloff, wrapped a little as from a broad light."""
    towards = position.astype(np.float32) - points
    squares = np.einsum("ijk,ijk->ij", towards, towards)
    cosines = np.einsum("ijk,ijk->ij", towards, normals) / np.sqrt(squares)
    wrapped = np.maximum(0.85 * cosines + 0.15, 0.0)
    return np.asarray(wrapped * (2.0 / (1.0 + squares / reach_m**2)), dtype=np.float32)


def _corner_shade(points: NDArray[np.float32], room: Room) -> NDArray[np.float32]:
    """Return (R, R) 0..1: darker where walls meet and on the floor beside furniture."""
    x, y, z = (points[..., axis] for axis in range(3))
    half = room.half.astype(np.float32)
    gaps = np.stack([half[0] - np.abs(x), y, half[1] - y, half[2] - np.abs(z)], axis=-1)
    gaps = np.sort(np.maximum(gaps, 0.0), axis=-1)
    # The nearest wall is the surface itself; the next one makes the corner.
    shade = 1.0 - 0.4 * np.exp(-gaps[..., 1] / _CORNER_SHADE_M)
    on_floor = y < 0.03
    for low_x, low_z, high_x, high_z in room.furniture.astype(np.float32):
        outside_x = np.maximum(np.maximum(low_x - x, x - high_x), 0.0)
        outside_z = np.maximum(np.maximum(low_z - z, z - high_z), 0.0)
        contact = 0.55 * np.exp(-np.hypot(outside_x, outside_z) / 0.18)
        shade = shade * np.where(on_floor, 1.0 - contact, 1.0)
    return np.asarray(shade, dtype=np.float32)


def _look(position: NDArray[np.float64], yaw_deg: float, pitch_deg: float) -> NDArray[np.float64]:
    """Return the (4, 4) camera-from-room matrix of a viewer looking along -z, turned."""
    pitch = np.radians(pitch_deg)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(pitch), np.sin(pitch)], [-np.sin(pitch), np.cos(pitch)]]
    move = np.eye(4)
    move[:3, 3] = -position
    return np.asarray(tilt @ yaw_rotation(yaw_deg) @ move)


def _muted(rng: np.random.Generator, lowest: float, highest: float) -> NDArray[np.float64]:
    """Return a (3,) sRGB colour of low saturation, as paints and cloths in homes mostly are."""
    level = rng.uniform(lowest, highest)
    spread = rng.uniform(0.0, 0.16) if rng.random() < 0.8 else rng.uniform(0.2, 0.5)
    return np.clip(level * (1.0 + spread * rng.uniform(-1.0, 1.0, 3)), 0.03, 0.97)
