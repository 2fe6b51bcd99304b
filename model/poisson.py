"""Screened Poisson reconstruction of two-sided depth maps (Kazhdan and Hoppe 2013).

The points and normals are those of the stitched mesh, whose walls along the silhouette close
the gap that both pixel grids leave where the surface turns away from the camera.
"""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray

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
    vertices, faces = separated(
        np.asarray(fitted.vertices), np.asarray(fitted.triangles, dtype=np.int64)
    )
    return trimesh.Trimesh(vertices=vertices, faces=faces, process=False)


def separated(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Let every edge of a closed surface have two faces, where sheets touch in an edge too.

    Such an edge, which the octree leaves now and then, gets a middle for each of both sheets.

    Args:
        vertices: (V, 3).
        faces: (F, 3), every edge with two or four faces, one half of them in each direction.
    """
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    keys = edges[:, 0] * len(vertices) + edges[:, 1]
    found, counts = np.unique(keys, return_counts=True)
    count = len(vertices)
    for key in found[counts > 2]:
        start, end = divmod(int(key), count)
        ends = np.array([start, end])
        around = np.flatnonzero(np.isin(faces, ends).sum(axis=1) == 2)
        # A face begins with the edge, so that the third corner lies opposite.
        turned = np.array(
            [
                np.roll(face, -int(np.flatnonzero(~np.isin(face, ends))[0]) - 1)
                for face in faces[around]
            ]
        )
        sides = np.cross(
            vertices[turned[:, 1]] - vertices[turned[:, 0]],
            vertices[turned[:, 2]] - vertices[turned[:, 0]],
        )
        ahead, astern = (np.flatnonzero(turned[:, 0] == first) for first in (start, end))
        if len(ahead) != 2 or len(astern) != 2:
            continue
        unit = sides / np.linalg.norm(sides, axis=1, keepdims=True)
        alike = unit[ahead] @ unit[astern].T
        # The sheets go on as smoothly as they can.
        if alike[0, 1] + alike[1, 0] > alike[0, 0] + alike[1, 1]:
            astern = astern[::-1]
        number = len(vertices)
        new = [
            corners
            for sheet, pair in enumerate(zip(ahead, astern, strict=True))
            for a, b, c in turned[list(pair)]
            for corners in ((a, number + sheet, c), (number + sheet, b, c))
        ]
        faces = np.concatenate([np.delete(faces, around, axis=0), np.array(new)])
        vertices = np.concatenate(
            [vertices, np.repeat(vertices[ends].mean(axis=0)[None], 2, axis=0)]
        )
    return vertices, faces
