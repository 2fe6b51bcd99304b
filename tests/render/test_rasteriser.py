from __future__ import annotations

import numpy as np
import pytest
import trimesh

from render.camera import Camera, camera_from_normalised
from render.mesh import Material, Mesh, transformed
from render.rasteriser import Rasteriser, render_gbuffer
from tests.render.shapes import CENTRE, draw, eroded, quad, sphere

CAMERA = Camera(128)
POSE = camera_from_normalised(0.0)


def _sphere_hits(camera: Camera, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hit, nearest and farthest distance of |t d - c| = radius, solved for t."""
    along = camera.rays() @ CENTRE
    root = along**2 - (CENTRE @ CENTRE - radius**2)
    hit = root > 0.0
    half = np.sqrt(np.maximum(root, 0.0))
    return hit, along - half, along + half


def test_a_sphere_has_the_distances_and_normals_of_the_ray_equation_on_both_sides(
    rasteriser: Rasteriser,
) -> None:
    g = draw(rasteriser, sphere(0.3, 6), CAMERA, POSE)
    hit, near, far = _sphere_hits(CAMERA, 0.3)
    mask = g.mask > 0
    assert (hit & mask).sum() / (hit | mask).sum() > 0.995
    inner = eroded(hit & mask, 3)
    # The flat faces of the fine sphere lie up to 0.3 (edge / radius)^2 / 8 = 1.4e-5 below it.
    for side, true in ((g.front, near), (g.back, far)):
        assert np.abs(side.ray_distance - true)[inner].max() < 2e-4
        normals = (CAMERA.rays() * true[..., None] - CENTRE) / 0.3
        cosines = (side.normal * normals).sum(axis=-1)[inner]
        assert cosines.min() > np.cos(np.radians(0.3))
        np.testing.assert_allclose(np.linalg.norm(side.normal[mask], axis=-1), 1.0, atol=1e-5)


def test_front_normals_face_the_camera_and_back_normals_face_away_up_to_the_rim(
    rasteriser: Rasteriser,
) -> None:
    g = draw(rasteriser, sphere(0.3, 2), CAMERA, POSE)
    mask = g.mask > 0
    assert ((g.front.normal * CAMERA.rays()).sum(axis=-1)[mask] < 0.0).all()
    assert ((g.back.normal * CAMERA.rays()).sum(axis=-1)[mask] > 0.0).all()
    assert (g.mask[mask] == 1).all()


def test_the_background_is_zero_everywhere(rasteriser: Rasteriser) -> None:
    g = draw(rasteriser, sphere(), CAMERA, POSE)
    outside = g.coverage == 0
    assert outside.any()
    for side in (g.front, g.back):
        assert not side.albedo[outside].any()
        assert not side.normal[g.mask == 0].any()
        assert not side.ray_distance[g.mask == 0].any()


def test_a_tilted_textured_plane_has_exact_distances_normals_and_colours(
    rasteriser: Rasteriser,
) -> None:
    texture = np.zeros((2, 2, 3), dtype=np.uint8)
    texture[0, 0], texture[0, 1] = (250, 10, 20), (30, 240, 50)
    texture[1, 0], texture[1, 1] = (60, 70, 230), (255, 255, 255)
    texture = texture.repeat(64, axis=0).repeat(64, axis=1)
    # The right edge is nearer to the camera: a slope of 0.5 in z along x.
    corners = np.array([[x, y, 0.5 * x] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) * 0.3
    g = draw(rasteriser, quad(corners, texture), CAMERA, POSE)
    mask = g.mask > 0
    normal = np.array([-0.5, 0.0, 1.0]) / np.sqrt(1.25)
    distance = (CENTRE @ normal) / (CAMERA.rays() @ normal)
    assert np.abs(g.front.ray_distance - distance)[mask].max() < 1e-5
    assert np.abs(g.front.ray_distance - distance)[eroded(mask, 1)].max() < 5e-7
    np.testing.assert_allclose(g.front.normal[mask] @ normal, 1.0, atol=1e-6)
    points = CAMERA.rays() * distance[..., None] - CENTRE
    inside = (np.abs(points[..., :2]) < 0.3).all(axis=-1)
    assert (inside == mask).mean() > 0.998
    # v runs upwards and row 0 of the texture is the top: red is at the upper left.
    for column, row, colour in ((-1, 1, 0), (1, 1, 1), (-1, -1, 2), (1, -1, 3)):
        patch = inside & (points[..., 0] * column > 0.02) & (points[..., 1] * row > 0.02)
        expected = texture[::64, ::64].reshape(4, 3)[colour].astype(int)
        assert np.abs(g.front.albedo[eroded(patch, 2)].astype(int) - expected).max() <= 1


def test_an_open_plane_is_reliable_in_front_and_its_pixels_unreliable_behind(
    rasteriser: Rasteriser,
) -> None:
    corners = np.array([[-0.2, -0.2, 0], [0.2, -0.2, 0], [0.2, 0.2, 0], [-0.2, 0.2, 0]])
    g = draw(rasteriser, quad(corners), CAMERA, POSE)
    # The farthest surface is the plane's front too, so the back side shows the wrong side.
    assert (g.mask[g.mask > 0] == 3).all()
    np.testing.assert_allclose(g.front.normal[64, 64], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(g.back.normal[64, 64], [0, 0, -1], atol=1e-6)
    front_only = draw(rasteriser, quad(corners), CAMERA, POSE, sides="front")
    assert (front_only.mask[front_only.mask > 0] == 1).all()


def test_a_sphere_with_a_hole_is_unreliable_exactly_where_its_inside_shows(
    rasteriser: Rasteriser,
) -> None:
    made = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    kept = made.triangles_center[:, 2] < 0.25
    mesh = Mesh.from_arrays(made.vertices, made.faces[kept])
    g = draw(rasteriser, mesh, CAMERA, POSE)
    assert g.mask[64, 64] == 3
    assert g.mask[64, 30] == 1
    # The hole has radius sqrt(0.3^2 - 0.25^2) at distance 0.75, the outline sine 0.3.
    hole, outline = (0.3**2 - 0.25**2) / 0.75**2, 0.3**2 / (1.0 - 0.3**2)
    share = (g.mask == 3).sum() / (g.mask > 0).sum()
    assert share == pytest.approx(hole / outline, abs=0.02)


def test_each_side_of_a_cube_with_uv_islands_has_its_own_colour(rasteriser: Rasteriser) -> None:
    box = trimesh.creation.box(extents=(0.3, 0.3, 0.3))
    colours = np.random.default_rng(3).integers(0, 256, (6, 3)).astype(np.uint8)
    texture = np.repeat(np.repeat(colours[None], 64, axis=1), 16, axis=0)
    side_of_face = box.face_normals @ np.diag([1.0, 2.0, 3.0])
    sides, place = np.unique(np.rint(side_of_face.sum(axis=1)), return_inverse=True)
    # Every side uses its own stretch of the texture, by corners shared with the other sides.
    u = (np.arange(6)[:, None] + [0.3, 0.7]) / 6.0
    uvs = np.stack([np.repeat(u.ravel(), 2), np.tile([0.3, 0.7], 12)], axis=1)
    uv_faces = place[:, None] * 4 + np.array([0, 1, 2])
    mesh = Mesh.from_arrays(
        box.vertices, box.faces, uvs=uvs, uv_faces=uv_faces,
        materials=(Material("m", np.ones(3), texture),),
    )  # fmt: skip
    for yaw, front, back in ((0, 3, -3), (90, -1, 1), (180, -3, 3), (270, 1, -1)):
        g = draw(rasteriser, mesh, CAMERA, camera_from_normalised(yaw))
        for side, expected in ((g.front, front), (g.back, back)):
            colour = colours[np.searchsorted(sides, expected)].astype(int)
            assert np.abs(side.albedo[64, 64].astype(int) - colour).max() <= 1


def test_vertex_colours_and_base_colours_reach_the_pixels(rasteriser: Rasteriser) -> None:
    g = draw(rasteriser, sphere(), CAMERA, POSE)
    np.testing.assert_array_equal(g.front.albedo[45, 64], [200, 30, 20])
    np.testing.assert_array_equal(g.back.albedo[83, 64], [20, 40, 220])
    corners = np.array([[-0.2, -0.2, 0], [0.2, -0.2, 0], [0.2, 0.2, 0], [-0.2, 0.2, 0]])
    g = draw(rasteriser, quad(corners), CAMERA, POSE)
    np.testing.assert_allclose(g.front.albedo[64, 64], [51, 128, 230], atol=1)


def test_a_fine_texture_far_away_becomes_its_mean_in_linear_light(rasteriser: Rasteriser) -> None:
    checks = np.indices((512, 512)).sum(axis=0) % 2 * 255
    texture = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    corners = np.array([[-0.2, -0.2, 0], [0.2, -0.2, 0], [0.2, 0.2, 0], [-0.2, 0.2, 0]])
    g = draw(rasteriser, quad(corners, texture), Camera(64), POSE)
    # Half of the light is sRGB 188; the mean of the bytes would be 128.
    inner = eroded(g.mask > 0, 2)
    assert np.abs(g.front.albedo[inner].astype(int) - 188).max() <= 2


def test_coverage_of_a_slanted_edge_is_the_covered_area(rasteriser: Rasteriser) -> None:
    corners = np.array([[-0.3, -0.2, 0], [0.25, -0.25, 0], [0.3, 0.2, 0], [-0.25, 0.28, 0]])
    g = draw(rasteriser, quad(corners), Camera(64), POSE)
    pixels = corners[:, :2] * Camera(64).focal_px
    x, y = pixels.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert g.coverage.sum() / 255.0 == pytest.approx(area, rel=0.005)
    assert (g.coverage[g.mask > 0] > 0).all()
    rim = (g.coverage > 0) & (g.mask == 0)
    assert rim.any() and g.front.albedo[rim].any(axis=-1).all()
    assert (g.coverage[eroded(g.mask > 0, 2)] == 255).all()


def test_ray_casting_agrees_with_the_rasteriser_on_a_bumpy_body(rasteriser: Rasteriser) -> None:
    made = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    bumps = 1.0 + 0.2 * np.sin(made.vertices @ np.array([7.0, 5.0, 6.0]))
    vertices = made.vertices * bumps[:, None] * [0.12, 0.28, 0.1]
    mesh = Mesh.from_arrays(vertices, made.faces)
    pose = camera_from_normalised(20.0)
    g = draw(rasteriser, mesh, CAMERA, pose)
    body = trimesh.Trimesh(transformed(mesh, pose).vertices, mesh.faces, process=False)
    rays = CAMERA.rays().reshape(-1, 3)
    points, ray_index, _ = body.ray.intersects_location(np.zeros_like(rays), rays)
    distances = np.linalg.norm(points, axis=1)
    near, far = np.full(len(rays), np.inf), np.zeros(len(rays))
    np.minimum.at(near, ray_index, distances)
    np.maximum.at(far, ray_index, distances)
    hit = (far > 0).reshape(g.mask.shape)
    mask = g.mask > 0
    assert (hit & mask).sum() / (hit | mask).sum() > 0.999
    inner = eroded(hit & mask, 3)
    for side, true in ((g.front, near), (g.back, far)):
        error = np.abs(side.ray_distance - true.reshape(mask.shape))[inner]
        assert (error < 1e-4).mean() > 0.999


def test_yaw_turns_the_picture_of_the_person_to_the_right(rasteriser: Rasteriser) -> None:
    nose = trimesh.creation.icosphere(subdivisions=2, radius=0.03)
    mesh = Mesh.from_arrays(nose.vertices + [0.0, 0.0, 0.3], nose.faces)
    columns = [
        np.nonzero(draw(rasteriser, mesh, CAMERA, camera_from_normalised(yaw)).mask)[1].mean()
        for yaw in (-30, 0, 30)
    ]
    assert columns[0] < 50 < columns[1] < 78 < columns[2]


def test_without_antialiasing_coverage_is_the_mask_and_nothing_else_changes(
    rasteriser: Rasteriser,
) -> None:
    handle = rasteriser.upload(sphere())
    smooth = rasteriser.render(handle, CAMERA, POSE)
    plain = rasteriser.render(handle, CAMERA, POSE, antialiased=False)
    rasteriser.release(handle)
    assert np.array_equal(plain.coverage, np.where(plain.mask > 0, 255, 0))
    assert np.array_equal(plain.mask, smooth.mask)
    assert np.array_equal(plain.back.ray_distance, smooth.back.ray_distance)
    assert not np.array_equal(plain.coverage, smooth.coverage)


def test_faces_of_several_materials_keep_their_colours(rasteriser: Rasteriser) -> None:
    left = np.array([[-0.3, -0.2, 0], [0, -0.2, 0], [0, 0.2, 0], [-0.3, 0.2, 0]])
    red = np.tile(np.uint8([220, 10, 10]), (8, 8, 1))
    mesh = Mesh.from_arrays(
        np.concatenate([left, left + [0.3, 0, 0]]),
        np.array([[4, 5, 6], [0, 1, 2], [4, 6, 7], [0, 2, 3]]),
        uvs=np.full((8, 2), 0.5),
        materials=(Material("red", np.ones(3), red), Material("green", np.array([0, 1.0, 0]))),
        face_materials=np.array([1, 0, 1, 0]),
    )
    g = draw(rasteriser, mesh, CAMERA, POSE)
    np.testing.assert_allclose(g.front.albedo[64, 50], [220, 10, 10], atol=1)
    np.testing.assert_allclose(g.front.albedo[64, 80], [0, 255, 0], atol=1)


def test_a_context_of_its_own_gives_the_same_pixels(rasteriser: Rasteriser) -> None:
    camera = Camera(64)
    shared = draw(rasteriser, sphere(), camera, POSE)
    own = render_gbuffer(sphere(), camera, POSE)
    np.testing.assert_array_equal(own.front.ray_distance, shared.front.ray_distance)
    again = draw(rasteriser, sphere(), camera, POSE)
    np.testing.assert_array_equal(again.back.albedo, shared.back.albedo)


def test_a_mesh_outside_the_picture_leaves_it_empty(rasteriser: Rasteriser) -> None:
    pose = POSE.copy()
    pose[0, 3] = 5.0
    g = draw(rasteriser, sphere(), CAMERA, pose)
    assert not g.mask.any() and not g.coverage.any() and not g.front.ray_distance.any()
