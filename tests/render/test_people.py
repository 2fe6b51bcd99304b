"""Two boxes at known places: who is in front, whose back is seen, how rims meet."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from render.camera import Camera, camera_from_normalised
from render.compositing import composite, premultiply
from render.gbuffer import UNRELIABLE, GBuffer, SideBuffer
from render.mesh import Mesh
from render.people import merge_people
from render.rasteriser import Rasteriser
from tests.render.shapes import draw

CAMERA = Camera(128, projection="orthographic")
POSE = camera_from_normalised(0.0)


def box(middle: tuple[float, float, float], grey: int) -> Mesh:
    """A box 0.2 wide, 0.4 high and 0.1 deep."""
    made = trimesh.creation.box((0.2, 0.4, 0.1))
    colours = np.full((8, 3), grey, dtype=np.uint8)
    return Mesh.from_arrays(made.vertices + middle, made.faces, vertex_colours=colours)


@pytest.fixture(scope="module")
def near_and_far(rasteriser: Rasteriser) -> tuple[GBuffer, GBuffer]:
    # The near one covers x -0.15..0.05 and z 0.1..0.2, the far one x -0.05..0.15, z -0.2..-0.1.
    boxes = box((-0.05, 0.0, 0.15), 60), box((0.05, 0.03, -0.15), 200)
    near, far = (draw(rasteriser, mesh, CAMERA, POSE) for mesh in boxes)
    return near, far


def part(left: float, right: float) -> NDArray[np.bool_]:
    """Pixels with x between left and right, y within 0.1 of the middle."""
    origins = CAMERA.ray_origins()
    return (origins[..., 0] > left) & (origins[..., 0] < right) & (np.abs(origins[..., 1]) < 0.1)


@pytest.mark.parametrize("far_first", [False, True])
def test_the_nearer_one_hides_the_other_and_shows_its_own_back(
    near_and_far: tuple[GBuffer, GBuffer], far_first: bool
) -> None:
    people = near_and_far[::-1] if far_first else near_and_far
    merged, instance = merge_people(people)
    near, far = (2, 1) if far_first else (1, 2)
    for pixels, number, front, back, grey in (
        (part(-0.14, 0.04), near, 0.8, 0.9, 60),
        (part(0.06, 0.14), far, 1.1, 1.2, 200),
    ):
        assert pixels.sum() > 100
        assert (instance[pixels] == number).all()
        assert merged.front.ray_distance[pixels] == pytest.approx(front, abs=1e-6)
        assert merged.back.ray_distance[pixels] == pytest.approx(back, abs=1e-6)
        assert (merged.front.albedo[pixels] == grey).all()
        assert (merged.back.albedo[pixels] == grey).all()
        assert (merged.back.normal[pixels][:, 2] < -0.5).all()
    outside = part(0.16, 0.4) | part(-0.4, -0.16)
    assert not instance[outside].any() and not merged.mask[outside].any()
    np.testing.assert_array_equal(instance > 0, merged.mask > 0)


def test_one_person_stays_as_drawn(near_and_far: tuple[GBuffer, GBuffer]) -> None:
    merged, instance = merge_people(near_and_far[:1])
    assert merged is near_and_far[0]
    np.testing.assert_array_equal(instance, near_and_far[0].mask)
    with pytest.raises(ValueError, match="at least one person"):
        merge_people([])


def test_nothing_of_the_background_shines_through_where_one_stands_before_the_other(
    near_and_far: tuple[GBuffer, GBuffer],
) -> None:
    merged, _ = merge_people(near_and_far)
    assert (merged.coverage[part(-0.13, 0.13)] == 255).all()
    for alone in near_and_far:
        assert (merged.coverage >= alone.coverage).all()
    lit = premultiply(merged.front.albedo, merged.coverage)
    red = np.zeros_like(lit)
    red[..., 0] = 255
    pixels = composite(lit, merged.coverage, red)[part(-0.13, 0.13)]
    assert (np.ptp(pixels, axis=1) == 0).all() and set(np.unique(pixels)) == {60, 200}


def test_rims_that_meet_cover_as_independent_ones_and_show_the_larger_share() -> None:
    def rim(coverage: int, grey: int, mask: int = 0) -> GBuffer:
        side = SideBuffer(
            np.full((1, 1, 3), grey, np.uint8),
            np.zeros((1, 1, 3), np.float32),
            np.full((1, 1), 1.0 if mask else 0.0, np.float32),
        )
        return GBuffer(side, side, np.array([[mask]], np.uint8), np.array([[coverage]], np.uint8))

    merged, instance = merge_people([rim(51, 10), rim(102, 20), rim(0, 0)])
    # 1 - 0.8 x 0.6 = 0.52, and 0.52 x 255 = 132.6.
    assert merged.coverage.item() == 133 and instance.item() == 0
    assert merged.front.albedo[0, 0].tolist() == [20, 20, 20]
    # A pixel whose centre somebody has is that person's, however small the share.
    merged, instance = merge_people([rim(200, 10), rim(90, 20, mask=1 | UNRELIABLE)])
    assert instance.item() == 2 and merged.front.albedo.max() == 20
    assert merged.mask.item() == 1 | UNRELIABLE
