"""Depth maps become one closed surface, by either method, as fine as wanted.

Both methods give a watertight mesh of one component with its faces outwards, in the camera
frame and normalised units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import igl
import numpy as np
import trimesh

from model.carving import largest_part, stitch_with_gaps
from model.meshing import DepthMaps
from render.camera import Camera

SurfaceMethod = Literal["stitch", "poisson"]
SURFACE_METHODS: tuple[SurfaceMethod, ...] = get_args(SurfaceMethod)
MIN_FACES = 100


@dataclass(frozen=True, kw_only=True)
class SurfaceConfig:
    """How maps become a surface.

    Attributes:
        method: "stitch" joins the two pixel grids and opens gaps behind depth edges; "poisson" fits
            a smooth surface to the points and normals of that (needs the extra `poisson`).
        poisson_depth: the octree of "poisson" has 2^depth cells along a side.
        max_faces: faces are merged until at most so many are left; None keeps all.
    """

    method: SurfaceMethod = "stitch"
    poisson_depth: int = 10
    max_faces: int | None = None

    def __post_init__(self) -> None:
        if self.method not in SURFACE_METHODS:
            raise ValueError(f"method: expected {' or '.join(SURFACE_METHODS)}, got {self.method}")
        if not 4 <= self.poisson_depth <= 12:
            raise ValueError(f"poisson_depth: expected 4 to 12, got {self.poisson_depth}")
        if self.max_faces is not None and self.max_faces < MIN_FACES:
            raise ValueError(f"max_faces: expected at least {MIN_FACES}, got {self.max_faces}")


def reconstruct_surface(
    maps: DepthMaps, camera: Camera, config: SurfaceConfig | None = None
) -> trimesh.Trimesh:
    """Return the closed surface of a person.

    Args:
        maps: depth of both sides; of the mask the largest part is kept.
        camera: the camera of the maps, of the same resolution.
        config: the method; None for stitching at full resolution.

    Returns:
        A watertight mesh of one component, faces outwards; camera frame, normalised units.

    Raises:
        UserInputError: "poisson" without its package.
        ValueError: the maps cannot be meshed (see `model.meshing.stitch`).
    """
    config = config or SurfaceConfig()
    if config.method == "poisson":
        from model.poisson import fit_poisson

        surface = largest_part(fit_poisson(maps, camera, config.poisson_depth))
    else:
        surface = stitch_with_gaps(maps, camera)
    if config.max_faces is not None and len(surface.faces) > config.max_faces:
        surface = decimated(surface, config.max_faces)
    return surface


def decimated(surface: trimesh.Trimesh, max_faces: int) -> trimesh.Trimesh:
    """Return a closed surface with edges collapsed until at most `max_faces` faces are left.

    The order is that of quadric errors (Garland and Heckbert 1997); collapses that would
    break the closed surface are left out.
    """
    vertices, faces, _, _ = igl.qslim(
        np.asarray(surface.vertices), np.asarray(surface.faces, dtype=np.int64), max_faces
    )
    return trimesh.Trimesh(vertices=vertices, faces=faces, process=False)
