"""Coloured meshes as files: GLB, OBJ with its texture, PLY.

A file appears under its name only when it is complete.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from render.errors import UserInputError
from render.files import write_bytes_atomically
from render.mesh import Mesh, transformed
from render.number_lines import decimal_lines, number_lines
from render.upload import corner_vertices

MESH_SUFFIXES = (".glb", ".obj", ".ply")


def scaled_to_height(mesh: Mesh, height_cm: float) -> Mesh:
    """Return the mesh in centimetres, standing on y = 0 over the origin.

    Args:
        mesh: any unit, y up.
        height_cm: distance from its lowest to its highest vertex in the result.

    Raises:
        ValueError: the height is not above 0, or the mesh has none.
    """
    if not height_cm > 0.0:
        raise ValueError(f"height_cm: expected above 0, got {height_cm}")
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    if not high[1] > low[1]:
        raise ValueError("mesh: expected a mesh with a height, got a flat one")
    scale = height_cm / (high[1] - low[1])
    matrix = np.diag([scale, scale, scale, 1.0])
    middle = (low + high) / 2.0
    matrix[:3, 3] = -scale * np.array([middle[0], low[1], middle[2]])
    return transformed(mesh, matrix)


def write_mesh(path: Path, mesh: Mesh, unit_m: float | None = None) -> None:
    """Write a mesh; the suffix says how.

    Args:
        path: ".glb": one file with the texture in it. ".obj": beside it NAME.mtl and
            NAME_texture.png. ".ply": binary, with vertex colours.
        mesh: textures, where it has one, else vertex colours (OBJ and PLY keep both).
        unit_m: metres in a unit of the mesh where that is known; GLB files, whose unit is the
            metre, are scaled by it. The others keep the mesh's unit.

    Raises:
        UserInputError: another suffix.
        OutputError: a file cannot be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UserInputError(
            f"{path}: expected a name that ends in {', '.join(MESH_SUFFIXES)}, "
            f"got {path.suffix or 'none'}"
        )
    if unit_m is not None and write is _glb_files:
        mesh = transformed(mesh, np.diag([unit_m, unit_m, unit_m, 1.0]))
    # The mesh comes last: where it is, all that it names is complete.
    for target, data in write(path, mesh):
        write_bytes_atomically(target, data)


def _texture(mesh: Mesh) -> NDArray[np.uint8] | None:
    return mesh.materials[0].texture if mesh.uvs is not None else None


def textured_trimesh(mesh: Mesh) -> trimesh.Trimesh:
    """Return the mesh as GLB has it, with a vertex for each pair of position and uv."""
    texture = _texture(mesh)
    rows, uv_rows, faces = corner_vertices(mesh)
    visual: trimesh.visual.texture.TextureVisuals | trimesh.visual.ColorVisuals
    if texture is not None and mesh.uvs is not None:
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.fromarray(texture), metallicFactor=0.0, roughnessFactor=1.0
        )
        visual = trimesh.visual.texture.TextureVisuals(uv=mesh.uvs[uv_rows], material=material)
    else:
        colours = None if mesh.vertex_colours is None else mesh.vertex_colours[rows]
        visual = trimesh.visual.ColorVisuals(vertex_colors=colours)
    return trimesh.Trimesh(
        vertices=mesh.vertices[rows],
        faces=faces,
        vertex_normals=mesh.vertex_normals[rows],
        visual=visual,
        process=False,
    )


def _glb_files(path: Path, mesh: Mesh) -> list[tuple[Path, bytes]]:
    return [(path, _exported(textured_trimesh(mesh), "glb"))]


def _obj_files(path: Path, mesh: Mesh) -> list[tuple[Path, bytes]]:
    texture = _texture(mesh)
    points = mesh.vertices
    if mesh.vertex_colours is not None:
        points = np.concatenate([points, mesh.vertex_colours / 255.0], axis=1)
    lines = [decimal_lines("v", points)]
    if texture is None or mesh.uvs is None or mesh.uv_faces is None:
        return [(path, b"".join([*lines, number_lines("f %d %d %d\n", mesh.faces + 1)]))]
    # NAME.png might be the photograph that the mesh was made of.
    library, picture = path.with_suffix(".mtl"), path.with_name(f"{path.stem}_texture.png")
    corners = np.stack([mesh.faces, mesh.uv_faces], axis=2).reshape(-1, 6) + 1
    lines = [f"mtllib {library.name}\n".encode(), *lines, decimal_lines("vt", mesh.uvs)]
    lines += [b"usemtl person\n", number_lines("f %d/%d %d/%d %d/%d\n", corners)]
    material = f"newmtl person\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture.name}\n"
    encoded = io.BytesIO()
    Image.fromarray(texture).save(encoded, format="png")
    return [
        (picture, encoded.getvalue()),
        (library, material.encode()),
        (path, b"".join(lines)),
    ]


def _ply_files(path: Path, mesh: Mesh) -> list[tuple[Path, bytes]]:
    visual = trimesh.visual.ColorVisuals(vertex_colors=mesh.vertex_colours)
    shown = trimesh.Trimesh(
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_normals=mesh.vertex_normals,
        visual=visual,
        process=False,
    )
    return [(path, _exported(shown, "ply"))]


def _exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
    data = mesh.export(file_type=kind)
    if not isinstance(data, bytes):
        raise TypeError(f"{kind}: expected bytes from the exporter, got {type(data).__name__}")
    return data


_Files = Callable[[Path, Mesh], list[tuple[Path, bytes]]]
_WRITERS: dict[str, _Files] = dict(
    zip(MESH_SUFFIXES, (_glb_files, _obj_files, _ply_files), strict=True)
)
