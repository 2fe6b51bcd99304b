"""What floats around a scanned person goes, what the person wears stays."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.scans import used_vertices
from dataset.scans.fragments import without_fragments
from render.mesh import Mesh
from tests.scenes import ellipsoid


def test_small_pieces_that_float_around_the_person_are_left_out() -> None:
    # A sphere of many faces, a pair of glasses 2 cm before it, and two left-overs far away.
    vertices, _, faces = ellipsoid((0.0, 1.0, 0.0), (0.4, 0.9, 0.4), 16)
    corner = np.array([[0.0, 0, 0], [0.02, 0, 0], [0, 0.02, 0]])
    pieces = [corner + place for place in ((0.0, 1.0, 0.42), (1.0, 1.0, 0.0), (0.0, 2.4, 0.0))]
    places = np.concatenate([vertices, *pieces])
    extra = len(vertices) + np.arange(9).reshape(3, 3)
    mesh, count = without_fragments(Mesh.from_arrays(places, np.concatenate([faces, extra])))
    assert count == 2 and len(mesh.faces) == len(faces) + 1
    assert used_vertices(mesh).max(axis=0) == pytest.approx([0.4, 1.9, 0.42], abs=0.03)
    corners = np.arange(3 * (len(faces) + 3)).reshape(-1, 3)
    whole, count = without_fragments(Mesh.from_arrays(vertices, faces))
    assert count == 0 and len(whole.faces) == len(faces)
    soup = Mesh.from_arrays(places[np.concatenate([faces, extra])].reshape(-1, 3), corners)
    assert without_fragments(soup)[1] == 0
