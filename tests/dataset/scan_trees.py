"""Small people in files as the scan sets have them: any unit, axes and yaw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dataset.scans import LoadedScan
from tests.scenes import body

BOX_CM = np.array([[-54.0, -1.0, -13.0], [54.0, 173.0, 19.0]])
"""Of the person, standing upright and facing +z; only the feet reach so far to the front."""

ABOUT_Y = {
    0: np.eye(3),
    90: np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    180: np.diag([-1.0, 1, -1]),
}
"""Rotations that turn a person who faces +z to +z, +x and -z."""

Y_DOWN = np.diag([1.0, -1.0, -1.0])
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def points(
    unit: float = 1.0, axes: NDArray[np.float64] = ABOUT_Y[0], offset: object = 0.0
) -> NDArray[np.float64]:
    """Return the vertices, `unit` to the metre."""
    return body(4)[0] * unit @ axes.T + np.asarray(offset)


def write_obj(path: Path, vertices: NDArray[np.float64], head: str = "", colour: str = "") -> Path:
    """Write an OBJ file with texture coordinates; `head` comes first, `colour` after positions."""
    _, uvs, faces = body(4)
    lines = [head, *("v %.5f %.5f %.5f" % tuple(row) + colour for row in vertices)]
    lines += ["vt %.4f %.4f" % tuple(row) for row in uvs]
    lines += ["f {0}/{0} {1}/{1} {2}/{2}".format(*row) for row in faces + 1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ply(path: Path, vertices: NDArray[np.float64]) -> Path:
    """Write an ASCII PLY file with red vertices."""
    faces = body(4)[2]
    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    lines += ["%.5f %.5f %.5f 250 10 20" % tuple(row) for row in vertices]
    lines += ["3 %d %d %d" % tuple(row) for row in faces]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_picture(path: Path, red: int, size: int = 8) -> Path:
    """Write a picture of one colour, told apart by its red."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    pixels = np.full((size, size, 3), (red, 100, 100), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG" if suffix == ".png" else "JPEG", quality=95)
    return path


def red_of(scan: LoadedScan) -> int:
    """Return the red of a scan's texture."""
    texture = scan.mesh.materials[0].texture
    assert texture is not None
    return int(round(float(texture[..., 0].mean()), -1))


def assert_stands(scan: LoadedScan, offset_cm: object = 0.0, tolerance_cm: float = 0.2) -> None:
    """Assert that the person is upright, faces +z and has the right size."""
    box = np.stack([scan.mesh.vertices.min(axis=0), scan.mesh.vertices.max(axis=0)])
    np.testing.assert_allclose(
        box * scan.unit_cm, BOX_CM + np.asarray(offset_cm), atol=tolerance_cm
    )
