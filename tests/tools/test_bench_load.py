from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tools.bench.load import main, seamed_mesh, wrong_corners


def test_charts_have_texture_coordinates_of_their_own() -> None:
    mesh = seamed_mesh(1000)
    assert mesh.vertices.shape == (33**2, 3) and mesh.faces.shape == (2 * 32**2, 3)
    assert mesh.uvs.shape == (4 * 17**2, 2)
    # A vertex on one seam has two rows, the one in the middle four.
    pairs = np.unique(np.stack([mesh.faces.ravel(), mesh.uv_faces.ravel()]), axis=1)
    rows = np.bincount(np.bincount(pairs[0]))
    np.testing.assert_array_equal(rows, [0, 33**2 - 65, 64, 0, 1])
    # Without the margin a chart covers as much of the texture as it does of the square.
    middle = mesh.vertices[mesh.faces, :2].mean(axis=1)
    np.testing.assert_allclose(mesh.uvs[mesh.uv_faces].mean(axis=1), middle, atol=0.03)


def test_wrong_corners_are_counted_once() -> None:
    mesh = seamed_mesh(1000)
    positions, uvs = mesh.vertices[mesh.faces], mesh.uvs[mesh.uv_faces]
    assert wrong_corners(mesh, positions, uvs) == 0
    positions[0, 0] += 0.1
    uvs[0, 0] += 0.1
    uvs[5, 2, 1] += 0.1
    assert wrong_corners(mesh, positions, uvs) == 2
    assert wrong_corners(mesh, positions[1:], uvs[1:]) == mesh.faces.size


def test_the_bench_finds_no_wrong_corner_of_ours_and_those_of_a_fast_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "load.json"
    assert main(["--vertices", "1000", "--repeats", "1", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())["readers"]
    assert rows["this toolkit"]["wrong_corners"] == 0.0
    assert rows["the same, maintain_order=True"]["wrong_corners"] > 0.01
    assert all(row["seconds"] > 0.0 for row in rows.values())
    assert "wrong corners" in capsys.readouterr().out
