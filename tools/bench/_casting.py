"""What a G-buffer is compared with: the ray of every pixel cast for all its hits, on Embree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera
from render.gbuffer import GBuffer
from tools.bench._clock import Clock, Seconds

EDGE = 0.02
"""Step between neighbouring pixels, normalised units, that counts as an edge of depth."""


@dataclass(frozen=True, kw_only=True)
class Casting:
    """What ray casting finds, and how long it takes.

    Attributes:
        front, back: (R, R) float64 distance of the first and the last hit, 0 where there is none.
        hits: number of hits of all rays.
        structure: making Embree's search structure, once for every turn of the mesh.
        rays: casting the rays and keeping the first and last hit of each.
    """

    front: NDArray[np.float64]
    back: NDArray[np.float64]
    hits: int
    structure: Seconds
    rays: Seconds


def cast_all_hits(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], camera: Camera
) -> Casting:
    """Cast the ray of every pixel through a mesh.

    Args:
        vertices: (V, 3) camera frame.
        faces: (F, 3).
        camera: a perspective camera.
    """
    import trimesh

    rays = camera.rays().reshape(-1, 3)
    origins = np.zeros_like(rays)
    solid = trimesh.Trimesh(vertices, faces, process=False)
    if not type(solid.ray).__module__.endswith("ray_pyembree"):
        raise RuntimeError("trimesh: expected it to cast rays by Embree, which is not installed")
    clock = Clock()
    solid.ray.intersects_first(origins[:1], rays[:1])
    structure = clock.lap()
    points, ray, _ = solid.ray.intersects_location(origins, rays, multiple_hits=True)
    distance = np.linalg.norm(points, axis=1)
    front, back = np.full(len(rays), np.inf), np.zeros(len(rays))
    np.minimum.at(front, ray, distance)
    np.maximum.at(back, ray, distance)
    front[np.isinf(front)] = 0.0
    shape = (camera.resolution, camera.resolution)
    return Casting(
        front=front.reshape(shape),
        back=back.reshape(shape),
        hits=len(points),
        structure=structure,
        rays=clock.lap(),
    )


def agreement(view: GBuffer, casting: Casting) -> dict[str, float]:
    """Return the IoU of the masks, and the share of smooth pixels within 1e-4 on both sides."""
    mask, hit = view.mask > 0, casting.front > 0.0
    within, smooth_pixels = 0, 0
    for drawn, cast in ((view.front, casting.front), (view.back, casting.back)):
        smooth = mask & hit & (_steepest_step(cast) < EDGE)
        error = np.abs(drawn.ray_distance - cast)[smooth]
        within += int((error < 1e-4).sum())
        smooth_pixels += error.size
    return {
        "mask_iou": float((mask & hit).sum() / max((mask | hit).sum(), 1)),
        "share_within_1e-4": within / max(smooth_pixels, 1),
    }


def _steepest_step(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (R, R), the range of values among each pixel and its eight neighbours."""
    import cv2

    around = np.ones((3, 3), dtype=np.uint8)
    return np.asarray(cv2.dilate(distance, around) - cv2.erode(distance, around))
