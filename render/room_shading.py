"""The light that falls on the surfaces of a room, pixel by pixel, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.compiled import compiled

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_CORNER_SHARE, _CORNER_M = np.float32(0.4), np.float32(0.45)
_CONTACT_SHARE, _CONTACT_M = np.float32(0.55), np.float32(0.18)
_ON_FLOOR_M, _STANDING_M = np.float32(0.03), np.float32(0.3)
_WRAP, _SHOULDER = np.float32(0.15), np.float32(0.7)
_IN_PANE_M, _OFF_SURFACE_M = np.float32(0.005), np.float32(0.02)


class RoomView(NamedTuple):
    """What a camera sees of a room.

    Attributes:
        albedo: (R, R, 3) uint8 sRGB.
        normal: (R, R, 3) float32, camera frame.
        ray_distance: (R, R) float32.
        x: (R,) float32, of the columns on the plane at distance 1 from the camera.
        y: (R,) float32, of the rows.
        rotation: (3, 3) float32, room from camera.
        centre: (3,) float32, the camera in the room.
    """

    albedo: Bytes
    normal: Floats
    ray_distance: Floats
    x: Floats
    y: Floats
    rotation: Floats
    centre: Floats


class RoomLights(NamedTuple):
    """What lights a room; room frame, metres, float32.

    Attributes:
        positions: (L, 3) of the window and the lamps.
        colours: (L, 3).
        reaches: (L,) how far off they are a third as bright again as they seem, metres.
        ambient: (3,), on upright surfaces.
        sky: (3,), added to it on surfaces that face upwards.
        half: (3,) half the width, the whole height, half the depth of the room.
        solids: (N, 2, 3) lowest and highest corner of what stands in it.
        window: (4, 3) middle, half across, half up, unit vector inwards.
        towards_sun: (3,) unit vector.
        sun: (3,) colour; 0 where it does not shine in.
        pane: what the colour of the window's pane is multiplied with.
    """

    positions: Floats
    colours: Floats
    reaches: Floats
    ambient: Floats
    sky: Floats
    half: Floats
    solids: Floats
    window: Floats
    towards_sun: Floats
    sun: Floats
    pane: np.float32


@compiled
def light_room_rows(
    view: RoomView,
    lights: RoomLights,
    linear_of_byte: Floats,
    band: tuple[int, int],
    linear: Floats,
) -> None:
    """Compute the linear light that comes from a band of rows of (R, R, 3).

    Args:
        view: what is seen.
        lights: what lights it.
        linear_of_byte: (256,) linear light of sRGB values.
        band: first row, and one after the last.
        linear: (R, R, 3), changed.
    """
    point, normal, ray = np.empty((3, 3), dtype=np.float32)
    colour = np.empty(3, dtype=np.float32)
    has_sun = lights.sun[0] > _ZERO
    for row in range(band[0], band[1]):
        ray[1], ray[2] = view.y[row], -_ONE
        for column in range(linear.shape[1]):
            ray[0] = view.x[column]
            away = view.ray_distance[row, column] / np.sqrt(
                ray[0] * ray[0] + ray[1] * ray[1] + _ONE
            )
            for axis in range(3):
                point[axis], normal[axis] = view.centre[axis], _ZERO
                for other in range(3):
                    point[axis] += view.rotation[axis, other] * ray[other] * away
                    normal[axis] += view.rotation[axis, other] * view.normal[row, column, other]
            gap, is_beside = _at_window(point, normal, _ZERO, lights.window)
            if abs(gap) < _IN_PANE_M and not is_beside:
                for channel in range(3):
                    own = linear_of_byte[view.albedo[row, column, channel]]
                    linear[row, column, channel] = own * lights.pane
                continue
            for channel in range(3):
                colour[channel] = lights.ambient[channel] + normal[1] * lights.sky[channel]
            _add_lamps(point, normal, lights, colour)
            shade = _corner_shade(point, lights.half)
            if point[1] < _ON_FLOOR_M:
                shade *= _contact_shade(point, lights.solids)
            sun = sun_cosine(point, normal, lights) if has_sun else _ZERO
            for channel in range(3):
                light = colour[channel] * shade + sun * lights.sun[channel]
                own = linear_of_byte[view.albedo[row, column, channel]]
                linear[row, column, channel] = own * light


@compiled
def expose_rows(
    linear: Floats,
    level: np.float32,
    grain: Floats,
    byte_of_root: Bytes,
    band: tuple[int, int],
    picture: Bytes,
) -> None:
    """Expose a band of rows, with a soft shoulder instead of clipping in the brightest places.

    Args:
        linear: (R, R, 3), linear light.
        level: what it is multiplied with.
        grain: (R, R), added to 1 for another factor.
        byte_of_root: (N,) sRGB values by the square root of linear light.
        band: first row, and one after the last.
        picture: (R, R, 3), changed.
    """
    steps = np.float32(len(byte_of_root) - 1)
    for row in range(band[0], band[1]):
        for column in range(picture.shape[1]):
            for channel in range(3):
                value = linear[row, column, channel] * level
                if value > _SHOULDER:
                    rest = _ONE - _SHOULDER
                    value = _SHOULDER + rest * np.tanh((value - _SHOULDER) / rest)
                value *= _ONE + grain[row, column]
                root = np.sqrt(min(max(value, _ZERO), _ONE))
                picture[row, column, channel] = byte_of_root[int(np.rint(root * steps))]


@compiled
def _add_lamps(point: Floats, normal: Floats, lights: RoomLights, colour: Floats) -> None:
    """Add the light of lamps: a soft falloff, wrapped a little as from a broad light."""
    for lamp in range(len(lights.positions)):
        along, square = _ZERO, _ZERO
        for axis in range(3):
            way = lights.positions[lamp, axis] - point[axis]
            along += way * normal[axis]
            square += way * way
        cosine = along / np.sqrt(max(square, np.float32(1e-6)))
        strength = max((_ONE - _WRAP) * cosine + _WRAP, _ZERO)
        strength *= np.float32(2.0) / (_ONE + square / lights.reaches[lamp] ** 2)
        for channel in range(3):
            colour[channel] += strength * lights.colours[lamp, channel]


@compiled
def _corner_shade(point: Floats, half: Floats) -> np.float32:
    """Return 0..1, darker where walls meet."""
    side, end = half[0] - abs(point[0]), half[2] - abs(point[2])
    level = min(point[1], half[1] - point[1])
    # The nearest wall is the surface itself; the next one makes the corner. Floor and ceiling
    # are never both near, so that the second smallest of three gaps is the one.
    second = max(min(side, end), min(max(side, end), level))
    return _ONE - _CORNER_SHARE * np.exp(-max(second, _ZERO) / _CORNER_M)


@compiled
def _contact_shade(point: Floats, solids: Floats) -> np.float32:
    """Return 0..1, darker on the floor beside furniture."""
    shade = _ONE
    for solid in range(len(solids)):
        if solids[solid, 0, 1] > _STANDING_M:
            continue
        square = _ZERO
        for axis in (0, 2):
            outside = max(
                solids[solid, 0, axis] - point[axis], point[axis] - solids[solid, 1, axis]
            )
            square += max(outside, _ZERO) ** 2
        shade *= _ONE - _CONTACT_SHARE * np.exp(-np.sqrt(square) / _CONTACT_M)
    return shade


@compiled
def _at_window(
    point: Floats, way: Floats, steps: np.float32, window: Floats
) -> tuple[np.float32, bool]:
    """Return how far a point, moved, is before the window's plane, and if beside the window."""
    gap, across, up = _ZERO, _ZERO, _ZERO
    width, height = _ZERO, _ZERO
    for axis in range(3):
        offset = point[axis] + steps * way[axis] - window[0, axis]
        across += offset * window[1, axis]
        up += offset * window[2, axis]
        gap += offset * window[3, axis]
        width += window[1, axis] ** 2
        height += window[2, axis] ** 2
    return gap, bool(abs(across) > width or abs(up) > height)


@compiled
def sun_cosine(point: Floats, normal: Floats, lights: RoomLights) -> np.float32:
    """Return the cosine of the sun where it falls through the window past the furniture."""
    cosine, falling, gap = _ZERO, _ZERO, _ZERO
    for axis in range(3):
        cosine += normal[axis] * lights.towards_sun[axis]
        falling -= lights.towards_sun[axis] * lights.window[3, axis]
        gap += (point[axis] - lights.window[0, axis]) * lights.window[3, axis]
    # Where the line from the point to the sun passes the plane of the window.
    steps = gap / falling
    if cosine <= _ZERO or steps <= _ZERO:
        return _ZERO
    _, is_beside = _at_window(point, lights.towards_sun, steps, lights.window)
    if is_beside:
        return _ZERO
    for solid in range(len(lights.solids)):
        enters, leaves = _ZERO, np.float32(np.inf)
        for axis in range(3):
            way = lights.towards_sun[axis]
            way = np.float32(1e-6) if abs(way) < np.float32(1e-6) else way
            first = (lights.solids[solid, 0, axis] - point[axis]) / way
            second = (lights.solids[solid, 1, axis] - point[axis]) / way
            enters, leaves = max(enters, min(first, second)), min(leaves, max(first, second))
        if leaves > enters and leaves > _OFF_SURFACE_M:
            return _ZERO
    return cosine
