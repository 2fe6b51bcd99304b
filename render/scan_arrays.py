"""What a scan file holds, whatever its format, and the checks before it becomes a mesh."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError
from render.mesh import Material, Mesh, area_vectors, normals_across_seams

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScanArrays:
    """The arrays of `Mesh.from_arrays`, as the file has them: nothing is checked yet.

    Attributes:
        vertices: (V, 3) float.
        faces: (F, 3) int, indices of vertices.
        uvs: (T, 2) float, origin bottom left, or None.
        uv_faces: (F, 3) int, indices of uvs; None: those of vertices.
        vertex_normals: (V, 3) float of any length, or None.
        vertex_colours: (V, 3) uint8 sRGB, or None.
        materials: empty for one grey material.
        face_materials: (F,) int, indices of materials; None: the first.
    """

    vertices: NDArray[np.floating]
    faces: NDArray[np.integer]
    uvs: NDArray[np.floating] | None = None
    uv_faces: NDArray[np.integer] | None = None
    vertex_normals: NDArray[np.floating] | None = None
    vertex_colours: NDArray[np.uint8] | None = None
    materials: tuple[Material, ...] = ()
    face_materials: NDArray[np.integer] | None = None


def checked_mesh(path: Path, scan: ScanArrays) -> Mesh:
    """Return the mesh without its faces of no area, of which a warning tells the number.

    Raises:
        ScanError: there is no face with an area, a coordinate is NaN or infinite, or an index
            is out of range.
    """
    faces, uv_faces, choice = scan.faces, scan.uv_faces, scan.face_materials
    if not len(faces):
        raise ScanError(f"{path}: expected a mesh with faces, got none")
    check_finite(path, "vertices", scan.vertices)
    check_range(path, "vertex", faces, len(scan.vertices))
    if scan.uvs is not None:
        check_finite(path, "texture coordinates", scan.uvs)
        corners = faces if uv_faces is None else uv_faces
        check_range(path, "texture coordinate", corners, len(scan.uvs))
    has_area = area_vectors(scan.vertices, faces).any(axis=0)
    empty = len(faces) - int(np.count_nonzero(has_area))
    if empty == len(faces):
        raise ScanError(f"{path}: expected faces with an area, got {empty} without any")
    if empty:
        LOGGER.warning("%s: %d of %d faces have no area; they are dropped", path, empty, len(faces))
        faces = faces[has_area]
        uv_faces = None if uv_faces is None else uv_faces[has_area]
        choice = None if choice is None else choice[has_area]
    normals = scan.vertex_normals
    if normals is None and scan.uvs is not None and uv_faces is None:
        normals = normals_across_seams(scan.vertices, faces)
    return Mesh.from_arrays(
        scan.vertices,
        faces,
        uvs=scan.uvs,
        uv_faces=uv_faces,
        vertex_normals=normals,
        vertex_colours=scan.vertex_colours,
        materials=scan.materials,
        face_materials=choice,
    )


def check_finite(path: Path, what: str, values: NDArray[np.floating]) -> None:
    """Raise a `ScanError` if a row of values has NaN or infinity."""
    is_finite = np.isfinite(values)
    if not is_finite.all():
        bad = int((~is_finite).any(axis=-1).sum())
        raise ScanError(f"{path}: expected finite {what}, got {bad} with NaN or infinity")


def check_range(path: Path, what: str, indices: NDArray[np.integer], count: int) -> None:
    """Raise a `ScanError` if an index (from 0 on) names none of `count` rows."""
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= count:
        wrong = high + 1 if high >= count else low + 1
        raise ScanError(
            f"{path}: expected faces to name one of {count} {what} rows, got number {wrong}"
        )


def colour_bytes(path: Path, colours: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return uint8 colours; text files hold them either from 0 to 1 or from 0 to 255.

    Raises:
        ScanError: one is NaN or infinite.
    """
    check_finite(path, "vertex colours", colours)
    scale = 255.0 if len(colours) and colours.max() <= 1.0 else 1.0
    return np.clip(np.rint(colours * scale), 0, 255).astype(np.uint8)
