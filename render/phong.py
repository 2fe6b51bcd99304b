"""Phong's formula for a row of pixels at a time, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.colour import LINEAR_OF_SRGB_BYTE, SRGB_BYTE_OF_ROOT
from render.compiled import compiled

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)


class Tables(NamedTuple):
    """Colours to light and back; handed over, as machine code that is kept would keep old ones.

    Attributes:
        linear_of_byte: (256,) float32 (see `LINEAR_OF_SRGB_BYTE`).
        byte_of_root: (N,) uint8 (see `SRGB_BYTE_OF_ROOT`).
    """

    linear_of_byte: Floats = LINEAR_OF_SRGB_BYTE
    byte_of_root: Bytes = SRGB_BYTE_OF_ROOT


class Surface(NamedTuple):
    """What is lit.

    Attributes:
        albedo: (h, w, 3) uint8 sRGB.
        normal: (h, w, 3) float32.
        ray_distance: (h, w) float32.
        known: (h, w) bool, where the others are known.
        x: (w,) float32, of the columns on the plane at distance 1 from the camera.
        y: (h,) float32, of the rows.
        is_orthographic: whether rays start on that plane, parallel, and not in the camera.
    """

    albedo: Bytes
    normal: Floats
    ray_distance: Floats
    known: NDArray[np.bool_]
    x: Floats
    y: Floats
    is_orthographic: bool


class Lamps(NamedTuple):
    """What lights it.

    Attributes:
        ambient: (3,) float32.
        positions: (L, 3) float32, camera frame.
        colours: (L, 3) float32.
        gloss: strength of the highlight, 0 for none.
        shininess: its exponent.
        towards_eye: 1 or -1, turns rays to where the surface is looked at from.
        exposure: factor on everything.
    """

    ambient: Floats
    positions: Floats
    colours: Floats
    gloss: np.float32
    shininess: np.float32
    towards_eye: np.float32
    exposure: np.float32


@compiled
def light_rows(
    surface: Surface,
    lamps: Lamps,
    tables: Tables,
    band: tuple[int, int],
    light: Floats,
    lit: Bytes,
) -> None:
    """Light a band of rows.

    Args:
        surface: what is lit.
        lamps: what lights it.
        tables: for its colours.
        band: first row, and one after the last.
        light: (h, w, 3), becomes what the albedo is multiplied with, where the surface is known.
        lit: (h, w, 3), becomes the colour there.
    """
    width = surface.known.shape[1]
    columns = np.empty(width, dtype=np.intp)
    # Of the known pixels of a row, a coordinate after the other: loops over them are vectorised.
    rays = np.empty((3, width), dtype=np.float32)
    points, normals = np.empty_like(rays), np.empty_like(rays)
    diffuse, glossy = np.empty_like(rays), np.empty_like(rays)
    cosines, powers = np.empty_like(rays[0]), np.empty_like(rays[0])
    for row in range(band[0], band[1]):
        count = _gather(surface, row, columns, rays, points, normals)
        for channel in range(3):
            diffuse[channel] = lamps.ambient[channel]
            glossy[channel] = _ZERO
        for lamp in range(len(lamps.positions)):
            _cosines(lamps.positions, lamp, points, normals, count, cosines)
            _add(lamps.colours, lamp, cosines, count, diffuse)
            if lamps.gloss > _ZERO:
                _highlights(lamps, lamp, rays, points, normals, count, cosines, powers)
                _add(lamps.colours, lamp, powers, count, glossy)
        for place in range(count):
            column = columns[place]
            for channel in range(3):
                linear = tables.linear_of_byte[surface.albedo[row, column, channel]]
                light[row, column, channel] = diffuse[channel, place]
                linear = linear * diffuse[channel, place] + lamps.gloss * glossy[channel, place]
                lit[row, column, channel] = _exposed(linear * lamps.exposure, tables)


@compiled
def light_rim(
    surface: Surface,
    exposure: np.float32,
    tables: Tables,
    pixels: NDArray[np.intp],
    light: Floats,
    lit: Bytes,
) -> None:
    """Light pixels, (P, 2) row and column, by the light that was carried there."""
    for row, column in pixels:
        for channel in range(3):
            linear = tables.linear_of_byte[surface.albedo[row, column, channel]]
            linear *= light[row, column, channel]
            lit[row, column, channel] = _exposed(linear * exposure, tables)


@compiled
def _exposed(linear: np.float32, tables: Tables) -> np.uint8:
    """Return the sRGB byte of linear light, 0..1 and clipped to it."""
    root = np.sqrt(min(max(linear, _ZERO), _ONE))
    steps = np.float32(len(tables.byte_of_root) - 1)
    return tables.byte_of_root[int(np.rint(root * steps))]


@compiled
def _gather(
    surface: Surface,
    row: int,
    columns: NDArray[np.intp],
    rays: Floats,
    points: Floats,
    normals: Floats,
) -> int:
    """Find the known pixels of a row, with unit rays, points and normals; return their count."""
    count = 0
    y = surface.y[row]
    for column in range(surface.known.shape[1]):
        if not surface.known[row, column]:
            continue
        x, distance = surface.x[column], surface.ray_distance[row, column]
        columns[count] = column
        if surface.is_orthographic:
            rays[0, count], rays[1, count], rays[2, count] = _ZERO, _ZERO, -_ONE
            points[0, count], points[1, count], points[2, count] = x, y, -distance
        else:
            length = np.sqrt(_ONE + x * x + y * y)
            rays[0, count], rays[1, count], rays[2, count] = x / length, y / length, -_ONE / length
            for axis in range(3):
                points[axis, count] = rays[axis, count] * distance
        for axis in range(3):
            normals[axis, count] = surface.normal[row, column, axis]
        count += 1
    return count


@compiled
def _cosines(
    positions: Floats,
    lamp: int,
    points: Floats,
    normals: Floats,
    count: int,
    cosines: Floats,
) -> None:
    """Compute the cosine between normal and direction of the lamp, 0 where it faces away."""
    lamp_x, lamp_y, lamp_z = positions[lamp, 0], positions[lamp, 1], positions[lamp, 2]
    for place in range(count):
        x, y, z = lamp_x - points[0, place], lamp_y - points[1, place], lamp_z - points[2, place]
        along = normals[0, place] * x + normals[1, place] * y + normals[2, place] * z
        cosines[place] = max(along / np.sqrt(x * x + y * y + z * z), _ZERO)


@compiled
def _add(colours: Floats, lamp: int, strengths: Floats, count: int, sums: Floats) -> None:
    red, green, blue = colours[lamp, 0], colours[lamp, 1], colours[lamp, 2]
    for place in range(count):
        sums[0, place] += red * strengths[place]
        sums[1, place] += green * strengths[place]
        sums[2, place] += blue * strengths[place]


@compiled
def _highlights(
    lamps: Lamps,
    lamp: int,
    rays: Floats,
    points: Floats,
    normals: Floats,
    count: int,
    cosines: Floats,
    powers: Floats,
) -> None:
    """Compute Phong's highlight of a lamp, weighted by the cosine there."""
    for place in range(count):
        viewed, to_lamp, square = _ZERO, _ZERO, _ZERO
        for axis in range(3):
            eye = rays[axis, place] * lamps.towards_eye
            way = lamps.positions[lamp, axis] - points[axis, place]
            viewed += normals[axis, place] * eye
            to_lamp += eye * way
            square += way * way
        mirrored = _TWO * cosines[place] * viewed - to_lamp / np.sqrt(square)
        powers[place] = cosines[place] * max(mirrored, _ZERO) ** lamps.shininess
