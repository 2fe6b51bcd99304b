"""Textures close up and far away: planes whose texels have a known size in pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from render.camera import Camera, camera_from_normalised
from render.colour import linear_from_srgb, srgb_bytes_from_linear
from render.mesh import Material, Mesh
from render.rasteriser import Rasteriser
from tests.render.shapes import draw, eroded, quad

CAMERA = Camera(128)
POSE = camera_from_normalised(0.0)
MEAN = 188
"""Half of the light of white, as an sRGB byte."""


def square(left_px: float, side_px: float) -> NDArray[np.float64]:
    """Return the corners of an upright square by its place in the picture; its top is at row 28."""
    half = CAMERA.resolution / 2.0
    left, right = ((x - half) / CAMERA.focal_px for x in (left_px, left_px + side_px))
    low, high = ((half - y) / CAMERA.focal_px for y in (28.0 + side_px, 28.0))
    return np.array([[left, low, 0], [right, low, 0], [right, high, 0], [left, high, 0]])


def checks(texels: int) -> NDArray[np.uint8]:
    """Return a checkerboard of single black and white texels."""
    board = np.indices((texels, texels)).sum(axis=0) % 2 * 255
    return np.repeat(board[..., None], 3, axis=2).astype(np.uint8)


def test_magnified_texels_are_exact_at_their_centres_and_mixed_in_linear_light_between(
    rasteriser: Rasteriser,
) -> None:
    # Eight texels of nine pixels: the fifth pixel of each looks at the centre of the texel.
    texture = checks(8)
    texture[::2, ::2], texture[1::2, 1::2] = (200, 30, 90), (10, 60, 250)
    g = draw(rasteriser, quad(square(28, 72), texture), CAMERA, POSE)
    seen = g.front.albedo[28:100, 28:100]
    assert (g.mask[28:100, 28:100] > 0).all() and (g.mask > 0).sum() == 72 * 72
    np.testing.assert_array_equal(seen[4::9, 4::9], texture)
    # Four ninths of the way from one centre to the next, and so on, in both directions.
    centres = (np.arange(72) + 0.5) / 9.0 - 0.5
    first = np.clip(np.floor(centres).astype(int), 0, 6)
    share = centres - first
    light = linear_from_srgb(texture / 255.0)
    rows = light[first] * (1.0 - share)[:, None, None] + light[first + 1] * share[:, None, None]
    mixed = (
        rows[:, first] * (1.0 - share)[None, :, None] + rows[:, first + 1] * share[None, :, None]
    )
    inner = slice(4, 68)
    difference = seen[inner, inner].astype(int) - srgb_bytes_from_linear(mixed[inner, inner])
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("texels_per_pixel", [2.0, 3.7, 11.0])
def test_a_minified_checkerboard_is_its_mean_in_linear_light_without_a_pattern(
    rasteriser: Rasteriser, texels_per_pixel: float
) -> None:
    texels = 512
    plane = quad(square(20.3, texels / texels_per_pixel), checks(texels))
    if texels / texels_per_pixel > 100:
        plane = quad(square(20.3, 80), checks(round(80 * texels_per_pixel)))
    g = draw(rasteriser, plane, CAMERA, POSE)
    inner = g.front.albedo[eroded(g.mask > 0, 2)].astype(int)
    assert len(inner) > 1000
    assert np.abs(inner - MEAN).max() <= 2
    assert inner.std() < 1.0


def test_every_pixel_is_filtered_for_its_own_distance_whatever_is_drawn_beside_it(
    rasteriser: Rasteriser,
) -> None:
    # One texture, magnified on the left and repeated 256 times on the right.
    near, far = square(10, 36), square(60, 37)
    uvs = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    texture = checks(4)
    mesh = Mesh.from_arrays(
        np.concatenate([near, far]),
        np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]),
        uvs=np.concatenate([uvs, uvs * 256.0]),
        materials=(Material("checks", np.ones(3), texture),),
    )
    g = draw(rasteriser, mesh, CAMERA, POSE)
    np.testing.assert_array_equal(g.front.albedo[32:64:9, 14:46:9], texture)
    right = g.front.albedo[eroded(g.mask > 0, 2) & (np.arange(128) > 60)].astype(int)
    assert len(right) > 1000
    assert np.abs(right - MEAN).max() <= 2
