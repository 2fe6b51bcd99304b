"""Meshes with known answers."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray

from render.camera import Camera
from render.mesh import Material, Mesh
from render.rasteriser import GBuffer, Rasteriser, Sides

CENTRE = np.array([0.0, 0.0, -1.0])


def sphere(radius: float = 0.3, subdivisions: int = 5) -> Mesh:
    """A fine sphere around the origin; its colour is (y up) red above and blue below."""
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    colours = np.where(made.vertices[:, 1:2] > 0, [200, 30, 20], [20, 40, 220]).astype(np.uint8)
    return Mesh.from_arrays(
        made.vertices, made.faces, vertex_normals=made.vertices / radius, vertex_colours=colours
    )


def quad(corners: NDArray[np.float64], texture: NDArray[np.uint8] | None = None) -> Mesh:
    """A rectangle from lower left, lower right, upper right and upper left corner."""
    return Mesh.from_arrays(
        corners,
        np.array([[0, 1, 2], [0, 2, 3]]),
        uvs=np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),
        materials=(Material("m", np.array([0.2, 0.5, 0.9]), texture),),
    )


def draw(
    rasteriser: Rasteriser,
    mesh: Mesh,
    camera: Camera,
    pose: NDArray[np.floating],
    sides: Sides = "both",
) -> GBuffer:
    """Upload, render and release."""
    handle = rasteriser.upload(mesh)
    try:
        return rasteriser.render(handle, camera, pose, sides)
    finally:
        rasteriser.release(handle)


def eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Return the mask without pixels within `steps` of its rim."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = (
            padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1]
            & padded[1:-1, :-2] & padded[1:-1, 2:]
        )  # fmt: skip
    return mask
