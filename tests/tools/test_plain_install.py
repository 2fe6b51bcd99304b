"""What `pip install .` gives, where it differs from what `make setup` gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RENDER_A_SPHERE = """
import numpy, OpenGL, trimesh
from render.camera import Camera, camera_from_normalised
from render.mesh import Material, Mesh
from render.rasteriser import render_gbuffer

sphere = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
texture = numpy.full((8, 8, 3), (200, 100, 50), dtype=numpy.uint8)
mesh = Mesh.from_arrays(
    sphere.vertices,
    sphere.faces,
    uvs=numpy.full((len(sphere.vertices), 2), 0.5),
    uv_faces=sphere.faces.astype(numpy.int32),
    materials=(Material(name="skin", base_colour=numpy.ones(3), texture=texture),),
)
buffer = render_gbuffer(mesh, Camera(resolution=64), camera_from_normalised())
print(OpenGL.__version__, buffer.front.ray_distance[32, 32], buffer.back.ray_distance[32, 32])
print(*buffer.front.albedo[32, 32])
"""


@pytest.mark.slow
def test_rendering_works_with_the_pyopengl_release_that_pyrender_demands(tmp_path: Path) -> None:
    """A textured sphere of radius 0.3 about the origin, seen from distance 1, is at 0.7 to 1.3."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*pip, str(tmp_path / "old"), "PyOpenGL==3.1.0"], check=True)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'old'}{os.pathsep}{ROOT}"}

    run = subprocess.run(
        [sys.executable, "-c", RENDER_A_SPHERE],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    version, front, back, *colour = run.stdout.split()
    assert version == "3.1.0"
    assert float(front) == pytest.approx(0.7, abs=2e-3)
    assert float(back) == pytest.approx(1.3, abs=2e-3)
    assert colour == ["200", "100", "50"]


@pytest.mark.slow
def test_the_installed_package_is_found_from_any_folder_and_brings_no_tests(tmp_path: Path) -> None:
    code = "import dataset, eval, model, render, tools; print(eval.__file__, tools.__file__)"

    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert [Path(name).parent.name for name in run.stdout.split()] == ["eval", "tools"]
