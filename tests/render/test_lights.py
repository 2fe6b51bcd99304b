from __future__ import annotations

import numpy as np
import pytest

from render.camera import Camera, camera_from_normalised, unproject
from render.colour import (
    linear_from_srgb,
    linear_from_srgb_bytes,
    srgb_bytes_from_linear,
    srgb_from_linear,
)
from render.gbuffer import GBuffer, SideBuffer, extend_outwards
from render.lights import (
    PAPER_LIGHT_COUNT,
    RIG_NAMES,
    LightRig,
    RigName,
    draw_rig,
    rig_from_arrays,
    rig_to_arrays,
    shade,
)
from render.rasteriser import Rasteriser
from tests.render.shapes import draw, sphere

CAMERA = Camera(64)


@pytest.fixture(scope="module")
def g(rasteriser: Rasteriser) -> GBuffer:
    return draw(rasteriser, sphere(0.3, 4), CAMERA, camera_from_normalised(0.0))


def _phong(side: SideBuffer, rig: LightRig, row: int, column: int) -> np.ndarray:
    """Phong's formula for one pixel, light after light, in float64."""
    point = unproject(side.ray_distance.astype(np.float64), CAMERA)[row, column]
    normal = side.normal[row, column].astype(np.float64)
    eye = -point / np.linalg.norm(point)
    if eye @ normal < 0:
        eye = -eye
    light, gloss = rig.ambient.copy(), np.zeros(3)
    for position, colour in zip(rig.diffuse_positions, rig.diffuse_colours, strict=True):
        towards = (position - point) / np.linalg.norm(position - point)
        cosine = normal @ towards
        if cosine > 0:
            mirrored = 2.0 * cosine * normal - towards
            light += colour * cosine
            peak = max(0.0, mirrored @ eye) ** rig.shininess
            gloss += rig.specular_strength * colour * cosine * peak
    linear = linear_from_srgb(side.albedo[row, column] / 255.0) * light + gloss
    return srgb_from_linear(linear * rig.exposure) * 255.0


@pytest.mark.parametrize("name", RIG_NAMES)
def test_lighting_equals_phongs_formula_within_one_step(g: GBuffer, name: RigName) -> None:
    rig = draw_rig(name, np.random.default_rng(5))
    rows, columns = np.nonzero(g.mask)
    chosen = np.random.default_rng(0).choice(len(rows), 60, replace=False)
    for side in (g.front, g.back):
        lit = shade(side, rig, CAMERA, g.mask)
        for row, column in zip(rows[chosen], columns[chosen], strict=True):
            error = np.abs(lit[row, column] - _phong(side, rig, row, column))
            assert error.max() <= 1.0


def test_one_light_from_above_lights_the_upper_half_alone(g: GBuffer) -> None:
    rig = LightRig(np.zeros(3), np.array([[0.0, 50.0, -1.0]]), np.ones((1, 3)))
    lit = shade(g.front, rig, CAMERA, g.mask)
    assert lit[20, 32].max() > 100
    assert not lit[35:].any()


def test_without_lights_the_unlit_colours_come_back(g: GBuffer) -> None:
    lit = shade(g.front, draw_rig("none", np.random.default_rng(0)), CAMERA, g.mask)
    covered = g.coverage > 0
    np.testing.assert_array_equal(lit[covered], g.front.albedo[covered])
    assert not lit[~covered].any()


def test_rim_pixels_outside_the_mask_are_lit_as_their_neighbours(g: GBuffer) -> None:
    rim = (g.coverage > 0) & (g.mask == 0)
    lit = shade(g.front, draw_rig("soft", np.random.default_rng(0)), CAMERA, g.mask)
    assert rim.any() and lit[rim].any(axis=-1).all()


def test_an_empty_view_is_lit_black() -> None:
    empty = SideBuffer(
        np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64), np.float32),
    )  # fmt: skip
    rig = draw_rig("paper", np.random.default_rng(0))
    assert not shade(empty, rig, CAMERA, np.zeros((64, 64), np.uint8)).any()


def test_the_paper_rig_has_90_lights_at_radius_2_and_a_fixed_ambient_light() -> None:
    rigs = [draw_rig("paper", np.random.default_rng(seed)) for seed in range(8)]
    for rig in rigs:
        assert len(rig.diffuse_positions) == PAPER_LIGHT_COUNT == 90
        radii = np.linalg.norm(rig.diffuse_positions - [0, 0, -1], axis=1)
        np.testing.assert_allclose(radii, 2.0)
        assert rig.specular_strength == 0.0
        assert rig.diffuse_colours.min() >= 0.0
        np.testing.assert_array_equal(rig.ambient, rigs[0].ambient)
    assert not np.allclose(rigs[0].diffuse_colours, rigs[1].diffuse_colours)


@pytest.mark.parametrize("name", ["paper", "key", "soft"])
def test_light_shades_a_white_body_visibly_and_clips_under_one_percent(
    g: GBuffer, name: RigName
) -> None:
    white = SideBuffer(np.full_like(g.front.albedo, 245), g.front.normal, g.front.ray_distance)
    clipped, ranges = [], []
    for seed in range(20):
        rig = draw_rig(name, np.random.default_rng(seed))
        lit = shade(white, rig, CAMERA, g.mask)[g.mask > 0]
        clipped.append((lit == 255).any(axis=-1).mean())
        ranges.append(np.ptp(np.percentile(lit.mean(axis=-1), [2, 98])))
    assert max(clipped) < 0.01
    assert min(ranges) > 30


def test_the_same_generator_state_draws_the_same_rig() -> None:
    one, two = (draw_rig("paper", np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one.diffuse_colours, two.diffuse_colours)


def test_a_rig_survives_being_written_as_arrays() -> None:
    rig = draw_rig("key", np.random.default_rng(3))
    back = rig_from_arrays(rig_to_arrays(rig))
    np.testing.assert_allclose(back.diffuse_positions, rig.diffuse_positions, rtol=1e-6)
    assert back.exposure == pytest.approx(rig.exposure)
    assert back.specular_strength == pytest.approx(rig.specular_strength)


def test_a_rig_stands_around_the_scan_wherever_the_camera_is() -> None:
    near, far = (draw_rig("soft", np.random.default_rng(1), d) for d in (1.0, 2.5))
    np.testing.assert_allclose(near.diffuse_positions - far.diffuse_positions, [[0, 0, 1.5]] * 48)
    np.testing.assert_array_equal(near.diffuse_colours, far.diffuse_colours)


def test_unknown_rigs_and_missing_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="paper, key, soft, none"):
        draw_rig("sun", np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ambient"):
        rig_from_arrays({})


def test_srgb_bytes_survive_linear_light_and_known_values_hold() -> None:
    bytes_ = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(srgb_bytes_from_linear(linear_from_srgb_bytes(bytes_)), bytes_)
    assert linear_from_srgb(np.array(0.5)) == pytest.approx(0.21404, abs=1e-5)
    assert srgb_bytes_from_linear(np.array(2.0)) == 255


def test_colours_are_carried_outwards_as_the_mean_of_known_neighbours() -> None:
    values = np.zeros((1, 6, 1), dtype=np.uint8)
    values[0, 0], values[0, 1] = 10, 30
    known = np.array([[True, True, False, False, False, False]])
    reached = extend_outwards(values, known, np.ones_like(known))
    np.testing.assert_array_equal(values[0, :, 0], [10, 30, 30, 30, 30, 0])
    np.testing.assert_array_equal(known, [[True] * 5 + [False]])
    np.testing.assert_array_equal(reached, [[0, 2], [0, 3], [0, 4]])


def test_a_colour_between_two_known_ones_is_their_rounded_mean() -> None:
    values = np.array([[[10], [0], [21]]], dtype=np.uint8)
    extend_outwards(values, values[..., 0] > 0, np.ones((1, 3), dtype=bool))
    np.testing.assert_array_equal(values[0, :, 0], [10, 16, 21])
