"""Screened Poisson reconstruction of two-sided depth maps (Kazhdan and Hoppe 2013).

The points and normals are those of the stitched mesh, whose walls along the silhouette close
the gap that both pixel grids leave where the surface turns away from the camera.
"""

from __future__ import annotations

import numpy as np
import trimesh

from model.carving import stitch_with_gaps
from model.meshing import DepthMaps
from render.camera import Camera
from render.errors import UserInputError


def fit_poisson(maps: DepthMaps, camera: Camera, depth: int) -> trimesh.Trimesh:
    """Return the closed surface that fits the points and normals of depth maps best.

    Args:
        maps: depth of both sides.
        camera: the camera of the maps.
        depth: of the octree.

    Returns:
        Camera frame, normalised units, faces outwards; possibly of several components.

    Raises:
        UserInputError: the package open3d is not installed.
        ValueError: the maps cannot be meshed.
    """
    try:
        import open3d
    except ImportError as error:
        raise UserInputError(
            "--mesh poisson: expected the package open3d-cpu, found none; install it with "
            "pip install '2k2k-toolkit[poisson]', or leave --mesh out"
        ) from error
    stitched = stitch_with_gaps(maps, camera)
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(np.array(stitched.vertices))
    cloud.normals = open3d.utility.Vector3dVector(np.array(stitched.vertex_normals))
    fitted, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=depth)
    return trimesh.Trimesh(
        vertices=np.asarray(fitted.vertices), faces=np.asarray(fitted.triangles), process=False
    )
