"""Edges of a composited person: no outline where there is none to see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from render.camera import Camera, camera_from_normalised
from render.compositing import composite, premultiply
from render.gbuffer import GBuffer
from render.lights import RigName, draw_rig, shade
from render.mesh import Mesh
from render.rasteriser import Rasteriser
from tests.render.shapes import draw
from tests.scenes import body

CAMERA = Camera(160)


def person(rasteriser: Rasteriser, white: bool) -> GBuffer:
    vertices, _, faces = body(16)
    colours = np.full(vertices.shape, 255, np.uint8)
    if not white:
        colours = np.where(vertices[:, :1] > 0, [210, 40, 30], [30, 60, 200]).astype(np.uint8)
    scaled = (vertices - [0.0, 0.9, 0.0]) * 0.36
    mesh = Mesh.from_arrays(scaled, faces, vertex_colours=colours)
    return draw(rasteriser, mesh, CAMERA, camera_from_normalised(20.0))


def test_a_white_person_on_a_white_wall_cannot_be_seen(rasteriser: Rasteriser) -> None:
    g = person(rasteriser, white=True)
    rig = draw_rig("none", np.random.default_rng(0))
    rim = (g.coverage > 0) & (g.coverage < 255)
    assert rim.sum() > 300
    for side in (g.front, g.back):
        lit = premultiply(shade(side, rig, CAMERA, g.mask), g.coverage)
        wall = np.full_like(lit, 255)
        assert (composite(lit, g.coverage, wall) == 255).all()


@pytest.mark.parametrize("rig_name", ["paper", "key"])
@pytest.mark.parametrize("wall_grey", [0, 128, 255])
def test_the_rim_is_neither_darker_nor_brighter_than_person_and_wall(
    rasteriser: Rasteriser, rig_name: RigName, wall_grey: int
) -> None:
    g = person(rasteriser, white=False)
    lit = shade(g.front, draw_rig(rig_name, np.random.default_rng(2)), CAMERA, g.mask)
    wall = np.full_like(lit, wall_grey)
    image = composite(premultiply(lit, g.coverage), g.coverage, wall).astype(int)
    inside = (g.mask > 0)[..., None]
    around = np.ones((9, 9), np.uint8)
    lowest = cv2.erode(np.where(inside, lit, 255).astype(np.uint8), around).astype(int)
    highest = cv2.dilate(np.where(inside, lit, 0).astype(np.uint8), around).astype(int)
    rim = (g.coverage > 0) & (g.coverage < 255)
    assert (image >= np.minimum(lowest, wall_grey) - 1)[rim].all()
    assert (image <= np.maximum(highest, wall_grey) + 1)[rim].all()


def test_albedo_light_and_coverage_end_at_the_same_pixels(rasteriser: Rasteriser) -> None:
    g = person(rasteriser, white=False)
    lit = shade(g.front, draw_rig("soft", np.random.default_rng(0)), CAMERA, g.mask)
    covered = g.coverage > 0
    for side in (g.front, g.back):
        np.testing.assert_array_equal(side.albedo.any(axis=-1), covered)
    np.testing.assert_array_equal(lit.any(axis=-1), covered)
    assert (g.mask > 0)[g.coverage == 255].mean() > 0.999
