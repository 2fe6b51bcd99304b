"""Alignments of bodies whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from eval.alignment import Alignment, aligned
from eval.surfaces import MetricError, Surface, moved
from tests.eval.shapes import rng, square
from tests.scenes import body


def person() -> Surface:
    vertices, _, faces = body(12)
    return Surface(vertices * 100.0, faces)


def similarity(scale: float, turn_deg: float, shift: tuple[float, float, float]) -> np.ndarray:
    matrix = trimesh.transformations.rotation_matrix(np.radians(turn_deg), [0.3, 1.0, 0.2])
    matrix[:3, :3] *= scale
    matrix[:3, 3] = shift
    return np.asarray(matrix)


def test_without_alignment_nothing_moves() -> None:
    scan = person()
    same, how = aligned(scan, scan, "none", rng())
    assert same is scan
    assert how == Alignment("none", 1.0, 0.0, (0.0, 0.0, 0.0))


def test_a_translation_is_undone_and_told() -> None:
    scan = person()
    shifted = moved(scan, similarity(1.0, 0.0, (30.0, -5.0, 80.0)))
    back, how = aligned(shifted, scan, "translation", rng())
    np.testing.assert_allclose(back.vertices, scan.vertices, atol=0.02)
    np.testing.assert_allclose(how.translation_cm, (-30.0, 5.0, -80.0), atol=0.02)
    assert (how.scale, how.rotation_deg) == (1.0, 0.0)


def test_a_translation_hides_no_scale() -> None:
    scan = person()
    larger = moved(scan, similarity(1.2, 0.0, (0.0, 0.0, 0.0)))
    placed, _ = aligned(larger, scan, "translation", rng())
    sizes = [np.ptp(surface.bounds, axis=0) for surface in (placed, scan)]
    np.testing.assert_allclose(sizes[0], 1.2 * sizes[1])


def test_icp_undoes_scale_turn_and_shift_and_tells_them() -> None:
    scan = person()
    placed = moved(scan, similarity(0.01, 8.0, (3.0, 1.0, -2.0)))
    back, how = aligned(placed, scan, "icp", rng())
    assert how.scale == pytest.approx(100.0, rel=2e-3)
    assert how.rotation_deg == pytest.approx(8.0, abs=0.3)
    assert np.abs(back.vertices - scan.vertices).mean() < 0.5


def test_a_flat_prediction_cannot_be_scaled() -> None:
    flat = square(0.0)
    lying = Surface(flat.vertices[:, [0, 2, 1]], flat.faces)
    with pytest.raises(MetricError, match="height"):
        aligned(lying, person(), "icp", rng())
