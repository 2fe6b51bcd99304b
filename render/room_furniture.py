"""Furniture made of boxes, as it stands along the walls of procedural rooms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from render import room_colours as colours
from render import room_textures as textures
from render.boxes import BoxBuilder

Solid = NDArray[np.float64]
"""(2, 3) lowest and highest corner, room frame, metres."""

Piece = Callable[[BoxBuilder, Solid, np.random.Generator], list[Solid]]


def furnish(
    builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator
) -> list[Solid]:
    """Place pieces along the far wall and the sides, and pictures and a rug.

    Args:
        builder: takes the surfaces.
        half: (3,) half the width, the whole height, half the depth of the room.
        rng: source of randomness.

    Returns:
        What light does not pass.
    """
    x, y, z = half
    solids: list[Solid] = []
    density = rng.uniform(0.35, 0.95)
    cursor = -x + rng.uniform(0.05, 0.5)
    while cursor < x - 0.6:
        width = float(min(rng.uniform(0.6, 2.1), x - cursor - 0.02))
        depth = float(rng.uniform(0.35, 0.8))
        if rng.random() < density:
            space = _box([cursor, 0.0, -z + 0.03], [width, y, depth])
            solids += _PIECES[int(rng.integers(len(_PIECES)))](builder, space, rng)
        cursor += width + rng.uniform(0.05, 0.6)
    for side in (-1.0, 1.0):
        if rng.random() < density:
            depth, length = rng.uniform(0.35, 0.6), rng.uniform(0.6, 1.4)
            left = -x + 0.03 if side < 0 else x - depth - 0.03
            start = rng.uniform(-z + 1.0, max(-z + 1.1, -length))
            solids.append(_box([left, 0.0, start], [depth, rng.uniform(0.5, 2.0), length]))
            builder.box(
                solids[-1][0],
                solids[-1][1],
                builder.material(textures.planks(rng, colours.wood(rng))),
            )
    if rng.random() < 0.4:
        place = [rng.uniform(-0.7, 0.7) * x, 0.0, rng.uniform(-0.5, 0.1) * z]
        loose = (_stool, _plant, _coffee_table)[int(rng.integers(3))]
        solids += loose(builder, _box(place, [0.5, y, 0.5]), rng)
    _hang_pictures(builder, half, rng)
    if rng.random() < 0.5:
        rug = builder.material(textures.rug(rng, colours.cloth(rng)))
        size, middle = rng.uniform(1.2, 2.6, 2), rng.uniform(-0.6, 0.6, 2)
        low = np.array([middle[0] - size[0] / 2, 0.005, middle[1] + size[1] / 2])
        builder.quad(low, [size[0], 0, 0], [0, 0, -size[1]], rug)
    return solids


def _hang_pictures(
    builder: BoxBuilder, half: NDArray[np.float64], rng: np.random.Generator
) -> None:
    x, y, z = half
    for _ in range(int(rng.integers(0, 4))):
        size = rng.uniform(0.3, 1.0, 2)
        left, bottom = rng.uniform(-x + 0.2, x - size[0] - 0.2), rng.uniform(1.1, y - size[1] - 0.1)
        material = builder.material(textures.painting(rng))
        if rng.random() < 0.6:
            builder.quad([left, bottom, -z + 0.02], [size[0], 0, 0], [0, size[1], 0], material)
            continue
        side, along = rng.choice([-1.0, 1.0]), rng.uniform(-0.7, 0.2) * z
        # Seen from inside: the left wall runs from the viewer to the far wall.
        builder.quad(
            [side * (x - 0.02), bottom, along - side * -size[0] / 2],
            [0, 0, side * size[0]],
            [0, size[1], 0],
            material,
        )


def _box(low: object, size: object) -> Solid:
    start = np.asarray(low, dtype=np.float64)
    return np.stack([start, start + np.asarray(size, dtype=np.float64)])


def _sofa(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    cloth = builder.material(textures.cloth(rng, colours.cloth(rng)))
    low, width = space[0], float(space[1, 0] - space[0, 0])
    depth, arm = rng.uniform(0.75, 0.95), 0.16
    seat, back = rng.uniform(0.38, 0.46), rng.uniform(0.7, 0.9)
    parts = [
        _box(low + [0, 0.06, 0], [width, seat - 0.06, depth]),
        _box(low + [0, seat, 0], [width, back - seat, 0.2]),
        _box(low + [0, seat, 0.2], [arm, 0.18, depth - 0.2]),
        _box(low + [width - arm, seat, 0.2], [arm, 0.18, depth - 0.2]),
    ]
    for part in parts:
        builder.box(part[0], part[1], cloth)
    if rng.random() < 0.6:
        cushion = builder.material(textures.cloth(rng, colours.cloth(rng)))
        start = low + [rng.uniform(arm, max(arm, width - 0.6)), seat, 0.2]
        builder.box(start, start + [0.4, 0.36, 0.14], cushion)
    return parts


def _bed(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    low, width = space[0], max(float(space[1, 0] - space[0, 0]), 0.9)
    frame = builder.material(textures.planks(rng, colours.wood(rng)))
    sheet = builder.material(textures.cloth(rng, colours.cloth(rng)))
    pillow = builder.material(textures.cloth(rng, np.array([0.92, 0.91, 0.88])))
    parts = [_box(low, [width, 0.28, 2.0]), _box(low, [width, rng.uniform(0.7, 1.2), 0.07])]
    for part in parts:
        builder.box(part[0], part[1], frame)
    builder.box(low + [0.03, 0.28, 0.07], low + [width - 0.03, 0.5, 1.97], sheet)
    builder.box(low + [0.12, 0.5, 0.12], low + [width - 0.12, 0.62, 0.5], pillow)
    return parts


def _shelf(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    low, width = space[0], float(space[1, 0] - space[0, 0])
    height = rng.uniform(0.9, 2.2)
    body = _box(low, [width, height, 0.3])
    builder.box(body[0], body[1], builder.material(textures.planks(rng, colours.wood(rng))))
    front = builder.material(textures.books(rng))
    origin = low + [0.03, 0.05, 0.301]
    builder.quad(origin, [width - 0.06, 0, 0], [0, height - 0.1, 0], front)
    return [body]


def _table(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    low, (width, _, depth) = space[0], space[1] - space[0]
    wood = builder.material(textures.planks(rng, colours.wood(rng)))
    height = rng.uniform(0.45, 0.78)
    top = _box(low + [0, height - 0.04, 0], [width, 0.04, depth])
    builder.box(top[0], top[1], wood)
    for right in (0.0, width - 0.05):
        for near in (0.0, depth - 0.05):
            builder.box(
                low + [right, 0, near], low + [right + 0.05, height - 0.04, near + 0.05], wood
            )
    for _ in range(int(rng.integers(0, 4))):
        thing = builder.material(textures.plain(rng, colours.cloth(rng)))
        start = low + [rng.uniform(0.0, max(0.01, width - 0.4)), height, rng.uniform(0.0, 0.15)]
        size = rng.uniform([0.05, 0.06, 0.05], [0.4, 0.4, 0.25])
        builder.box(start, start + size, thing)
    return [top]


def _cabinet(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    low, (width, _, depth) = space[0], space[1] - space[0]
    tone = colours.wood(rng)
    body = builder.material(textures.planks(rng, tone))
    paint = tone if rng.random() < 0.6 else colours.wood(rng)
    door = builder.material(textures.plain(rng, paint))
    knob = builder.material(textures.plain(rng, np.full(3, rng.choice([0.12, 0.7]))))
    solid = _box(low, [width, rng.uniform(0.5, 2.2), depth])
    builder.box(solid[0], solid[1], body)
    rows = int(rng.integers(1, 5)) if solid[1, 1] < 1.3 else 1
    columns = max(1, round(width / 0.5))
    size = np.array([width / columns, (solid[1, 1] - 0.05) / rows])
    for row in range(rows):
        for column in range(columns):
            start = low + [column * size[0] + 0.02, row * size[1] + 0.05, depth]
            builder.box(start, start + [size[0] - 0.04, size[1] - 0.04, 0.018], door)
            middle = start + [size[0] * 0.45, size[1] * 0.45, 0.018]
            builder.box(middle, middle + [0.09, 0.02, 0.02], knob)
    return [solid]


def _television(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    solids = _cabinet(builder, _box(space[0], [max(space[1, 0] - space[0, 0], 1.0), 1.0, 0.4]), rng)
    low, high = solids[0]
    screen = builder.material(textures.plain(rng, np.full(3, rng.uniform(0.03, 0.09))))
    width = min(float(high[0] - low[0]) * 0.9, 1.3)
    start = [(low[0] + high[0] - width) / 2, high[1] + 0.05, low[2] + 0.15]
    builder.box(start, np.array(start) + [width, width * 0.56, 0.05], screen)
    return solids


def _door(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    low = space[0] + [0.0, 0.0, -0.02]
    frame = builder.material(textures.plain(rng, colours.wood(rng)))
    leaf = builder.material(textures.planks(rng, colours.wood(rng)))
    builder.box(low, low + [0.98, 2.08, 0.03], frame)
    builder.box(low + [0.06, 0, 0.03], low + [0.92, 2.02, 0.045], leaf)
    handle = builder.material(textures.plain(rng, np.full(3, 0.6)))
    builder.box(low + [0.82, 1.0, 0.045], low + [0.9, 1.03, 0.1], handle)
    return []


def _stool(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    wood = builder.material(textures.planks(rng, colours.wood(rng)))
    low, size = space[0], 0.42
    seat = _box(low + [0, 0.42, 0], [size, 0.05, size])
    builder.box(seat[0], seat[1], wood)
    if rng.random() < 0.6:
        builder.box(low + [0, 0.47, 0], low + [size, 0.95, 0.04], wood)
    for right in (0.0, size - 0.04):
        for near in (0.0, size - 0.04):
            builder.box(low + [right, 0, near], low + [right + 0.04, 0.42, near + 0.04], wood)
    return [seat]


def _coffee_table(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    size = [rng.uniform(0.7, 1.2), 0.8, rng.uniform(0.5, 0.7)]
    return _table(builder, _box(space[0], size), rng)


def _plant(builder: BoxBuilder, space: Solid, rng: np.random.Generator) -> list[Solid]:
    """A pot with leaves that stand out in all directions."""
    low = space[0]
    pot = _box(low, [0.34, rng.uniform(0.25, 0.45), 0.34])
    builder.box(pot[0], pot[1], builder.material(textures.plain(rng, colours.stone(rng))))
    green = np.array([rng.uniform(0.15, 0.35), rng.uniform(0.35, 0.5), rng.uniform(0.12, 0.25)])
    leaves = [builder.material(textures.cloth(rng, green * tone)) for tone in (0.8, 1.0, 1.2)]
    root, height = low + [0.17, pot[1, 1] - low[1], 0.17], rng.uniform(0.4, 1.1)
    for number in range(int(rng.integers(14, 34))):
        angle, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.9)
        out = np.array([np.sin(angle), 0.0, np.cos(angle)])
        side = np.array([np.cos(angle), 0.0, -np.sin(angle)]) * rng.uniform(0.05, 0.13)
        rise = (out * lean + [0.0, 1.1 - lean, 0.0]) * height * rng.uniform(0.5, 1.0)
        builder.quad(root - side / 2, side, rise, leaves[number % 3])
        builder.quad(root + side / 2, -side, rise, leaves[number % 3])
    return [pot]


_PIECES: tuple[Piece, ...] = (
    _sofa, _bed, _shelf, _shelf, _table, _cabinet, _cabinet, _television, _door, _plant,
)  # fmt: skip
