"""The rasteriser sees what rays see: whole people, against Embree, for both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from dataset.people.person import make_person, plan_person
from render.camera import (
    CAMERA_DISTANCE,
    Camera,
    camera_from_normalised,
    normalised_from_scan,
    transform_points,
)
from render.gbuffer import GBuffer, SideBuffer
from render.mesh import Mesh
from render.rasteriser import Rasteriser
from tests.dataset.people_fixtures import person, studio_and_model
from tests.render.shapes import draw, eroded

BEHIND = 2.0 * CAMERA_DISTANCE
"""Ray distance from where rays are sent back to find the farthest surface."""

DEPTH_EDGE = 0.02
"""Step between neighbouring pixels at 256 pixels, five pixels wide, that is an edge of depth."""

pytest.importorskip("embreex", reason="Embree has no package for this processor")


@dataclass(frozen=True)
class Hits:
    """What the ray of every pixel hits first.

    Attributes:
        distance: (R, R) along the ray, infinity where it hits nothing.
        normal: (R, R, 3) interpolated vertex normal.
        is_front: (R, R) bool, whether it comes from outside of the body.
    """

    distance: NDArray[np.float64]
    normal: NDArray[np.float64]
    is_front: NDArray[np.bool_]


def cast(mesh: Mesh, origins: NDArray[np.float64], directions: NDArray[np.float64]) -> Hits:
    """Send (R, R, 3) unit rays from (R, R, 3) points, or from one, through a mesh."""
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert type(solid.ray).__module__.endswith("ray_pyembree")
    shape = directions.shape[:2]
    flat, starts = directions.reshape(-1, 3), np.broadcast_to(origins, directions.shape)
    starts = starts.reshape(-1, 3)
    triangle = np.asarray(solid.ray.intersects_first(starts, flat))
    hit = triangle >= 0
    # Embree says which triangle, in single precision; where on it is worked out in double.
    corners = mesh.vertices[mesh.faces[triangle[hit]]]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = (flat[hit] * crossed).sum(axis=1)
    along = ((corners[:, 0] - starts[hit]) * crossed).sum(axis=1) / facing
    points = starts[hit] + along[:, None] * flat[hit]
    weights = np.stack(
        [
            (np.cross(corners[:, i - 2] - points, corners[:, i - 1] - points) * crossed).sum(axis=1)
            for i in range(3)
        ],
        axis=1,
    )
    weights /= weights.sum(axis=1, keepdims=True)
    normals = np.einsum("ij,ijk->ik", weights, mesh.vertex_normals[mesh.faces[triangle[hit]]])
    found = Hits(np.full(shape, np.inf), np.zeros((*shape, 3)), np.zeros(shape, dtype=bool))
    found.distance[hit.reshape(shape)] = along
    found.normal[hit.reshape(shape)] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    found.is_front[hit.reshape(shape)] = facing < 0.0
    return found


def cast_both_sides(mesh: Mesh, camera: Camera) -> tuple[Hits, Hits]:
    """Cast the rays of a camera through a mesh in its frame, from the front and from behind."""
    rays = camera.rays()
    back = cast(mesh, BEHIND * rays, -rays)
    # Seen from behind, what faces out of the body faces the ray that comes from there.
    return (
        cast(mesh, np.zeros(3), rays),
        Hits(BEHIND - back.distance, back.normal, back.is_front),
    )


def placed(mesh: Mesh, yaw_deg: float, pitch_deg: float = 0.0) -> tuple[Mesh, Mesh, NDArray]:
    """Return a mesh in the normalised frame, in the camera frame, and the pose between them."""
    matrix = normalised_from_scan(mesh.vertices, mesh.faces)
    vertices = transform_points(matrix, mesh.vertices)
    pose = camera_from_normalised(yaw_deg, pitch_deg)
    return (
        Mesh.from_arrays(vertices, mesh.faces),
        Mesh.from_arrays(transform_points(pose, vertices), mesh.faces),
        pose,
    )


def smooth_pixels(distance: NDArray[np.float64], edge: float) -> NDArray[np.bool_]:
    """Return the pixels more than two from the outline and from edges of depth."""
    with np.errstate(invalid="ignore"):
        steps = [np.abs(np.diff(distance, axis=axis, append=np.inf)) < edge for axis in range(2)]
    return eroded(steps[0] & steps[1] & np.isfinite(distance), 3)


def assert_agrees(view: GBuffer, camera: Camera, mesh: Mesh, least_smooth: float) -> None:
    """Compare a view with ray casting through the mesh in the camera frame."""
    edge = DEPTH_EDGE * 256.0 / camera.resolution
    both = cast_both_sides(mesh, camera)
    mask, hit = view.mask > 0, np.isfinite(both[0].distance)
    # Pixels are decided at their centres on both sides: only rays that graze an edge can differ.
    assert (hit & mask).sum() / (hit | mask).sum() >= 0.999
    sides: tuple[tuple[SideBuffer, Hits], ...] = ((view.front, both[0]), (view.back, both[1]))
    for side, expected in sides:
        smooth = mask & smooth_pixels(expected.distance, edge)
        assert smooth.sum() > least_smooth * hit.sum()
        error = np.abs(side.ray_distance - expected.distance)[smooth]
        assert (error < 1e-4).mean() >= 0.999
        assert (error < 1e-5).mean() >= 0.998
        reliable = smooth & (view.mask == 1)
        cosine = (side.normal * expected.normal).sum(axis=-1)[reliable]
        assert (cosine > np.cos(np.radians(0.5))).mean() >= 0.999


@pytest.mark.parametrize(("seed", "yaw_deg"), [(0, 20.0), (6, -30.0)])
def test_a_person_has_the_distances_normals_and_outline_that_ray_casting_finds(
    rasteriser: Rasteriser, seed: int, yaw_deg: float
) -> None:
    camera = Camera(256)
    made = person(seed)[1].mesh
    mesh, seen, pose = placed(Mesh.from_arrays(made.vertices, made.faces), yaw_deg)
    assert_agrees(draw(rasteriser, mesh, camera, pose), camera, seen, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "yaw_deg"), [(0, 0.0), (1, 30.0), (2, -20.0), (5, 10.0), (8, 150.0)]
)
def test_a_fine_person_at_2048_pixels_agrees_with_ray_casting(
    rasteriser: Rasteriser, seed: int, yaw_deg: float
) -> None:
    camera = Camera(2048)
    studio, model = studio_and_model()
    made = make_person(studio, plan_person(seed, model, studio.landmarks), 200_000).mesh
    mesh, seen, pose = placed(Mesh.from_arrays(made.vertices, made.faces), yaw_deg)
    assert_agrees(draw(rasteriser, mesh, camera, pose), camera, seen, 0.7)


def test_an_open_person_is_unreliable_exactly_where_rays_meet_the_inside(
    rasteriser: Rasteriser,
) -> None:
    camera = Camera(256)
    made = person(0)[1].mesh
    height = made.vertices[made.faces].mean(axis=1)[:, 1]
    # The head is cut off; seen from above one looks into the neck.
    headless = Mesh.from_arrays(made.vertices, made.faces[height < 0.83 * height.max()])
    mesh, seen, pose = placed(headless, 0.0, 50.0)
    view = draw(rasteriser, mesh, camera, pose)
    front, back = cast_both_sides(seen, camera)
    shows_inside = np.isfinite(front.distance) & ~(front.is_front & back.is_front)
    flagged = view.mask == 3
    assert flagged.sum() > 50
    assert (flagged & shows_inside).sum() / (flagged | shows_inside).sum() > 0.97
    # What is seen through the hole is there, its normal turned towards the camera.
    assert (view.front.ray_distance[flagged] > 0.0).all()
    facing = (view.front.normal * camera.rays()).sum(axis=-1)[flagged]
    assert (facing < 0.0).all()
