"""Reading the mesh of a scan, from mesh files and from what some scan sets keep instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.scans.scan import Scan
from render.errors import ScanError
from render.mesh import Mesh
from render.readers import read_mesh

SMPL_VERTICES = 6890
FACES_OF_CAPE = ("misc/smpl_tris.npy",)
SURFACE_OF_HUMBI = (
    "text_uv_coor_smpl.obj",
    "model/text_uv_coor_smpl.obj",
    "body/model/text_uv_coor_smpl.obj",
)


def read_scan_mesh(scan: Scan) -> Mesh:
    """Read a scan's mesh in the frame and unit of its file.

    Raises:
        ScanError: the file, its texture, or what it takes its faces from cannot be used.
    """
    return READERS[scan.mesh_kind](scan)


def _from_file(scan: Scan) -> Mesh:
    return read_mesh(scan.mesh_path, scan.texture_path)


def _from_cape(scan: Scan) -> Mesh:
    """CAPE: the posed vertices of an npz file, the faces of `misc/smpl_tris.npy`."""
    faces_path = _above(scan.mesh_path, FACES_OF_CAPE)
    try:
        with np.load(scan.mesh_path, allow_pickle=False) as file:
            vertices = np.asarray(file["v_posed"], dtype=np.float64)
        faces = np.load(faces_path, allow_pickle=False)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ScanError(
            f"{scan.mesh_path}: expected v_posed, and faces in {faces_path.name}, got: {error}"
        ) from error
    return _checked(scan, vertices, faces)


def _from_dfaust(scan: Scan) -> Mesh:
    """DFAUST: one frame of the (6890, 3, T) array of a sequence."""
    import h5py

    sequence, _, frame = scan.item.partition("/")
    try:
        with h5py.File(scan.mesh_path, "r") as file:
            vertices, faces = file[sequence][:, :, int(frame)], file["faces"][()]
    except (OSError, ValueError, KeyError) as error:
        raise ScanError(f"{scan.mesh_path}: expected {sequence} and faces, got: {error}") from error
    return _checked(scan, np.asarray(vertices, dtype=np.float64), faces)


def _from_humbi(scan: Scan) -> Mesh:
    """HUMBI: vertices as text; faces and texture coordinates of the model in the set's code."""
    surface_path = _above(scan.mesh_path, SURFACE_OF_HUMBI)
    surface = read_mesh(surface_path, scan.texture_path)
    try:
        vertices = np.array(scan.mesh_path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise ScanError(f"{scan.mesh_path}: expected numbers, got: {error}") from error
    plain = _checked(scan, vertices.reshape(-1, 3 if vertices.size % 3 == 0 else 1), surface.faces)
    return Mesh.from_arrays(
        plain.vertices,
        plain.faces,
        uvs=surface.uvs,
        uv_faces=surface.uv_faces,
        materials=surface.materials,
        face_materials=surface.face_materials,
    )


def _above(path: Path, names: tuple[str, ...]) -> Path:
    """Return the first of some files that stands in a folder above a path."""
    for folder in path.parents:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise ScanError(f"{path}: expected {names[0]}, which has its faces, above it, found none")


def _checked(scan: Scan, vertices: NDArray[np.float64], faces: NDArray[np.integer]) -> Mesh:
    if vertices.shape != (SMPL_VERTICES, 3) or not np.isfinite(vertices).all():
        raise ScanError(
            f"{scan.mesh_path}: expected ({SMPL_VERTICES}, 3) finite vertices, got {vertices.shape}"
        )
    try:
        return Mesh.from_arrays(vertices, faces)
    except (ValueError, TypeError) as error:
        raise ScanError(f"{scan.mesh_path}: {error}") from error


READERS: dict[str, Callable[[Scan], Mesh]] = {
    "file": _from_file,
    "cape": _from_cape,
    "dfaust": _from_dfaust,
    "humbi": _from_humbi,
}
