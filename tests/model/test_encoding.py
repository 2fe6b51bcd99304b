"""Network units go both ways, and normals of known surfaces come out right."""

from __future__ import annotations

import pytest
import torch

from model.encoding import (
    BACKGROUND_CUT_OFF,
    camera_normals_from_encoded,
    decode_depth,
    decode_image,
    encode_depth,
    encode_image,
    encoded_from_camera_normals,
    interior,
    normal_step,
    normals_from_depth,
    steeper,
)
from render.camera import Camera
from tests.model.conftest import ellipsoid_depth


def test_depth_in_network_units_is_the_released_pixels_over_512() -> None:
    # Released: pixels = (r - 1) f + 1024 with f = 2195.975, network = pixels / 512.
    distance = torch.tensor([0.8, 1.0, 1.25])
    expected = ((distance - 1.0) * 2195.975 + 1024.0) / 512.0
    assert torch.allclose(encode_depth(distance), expected, atol=1e-4)


def test_image_and_depth_return_from_network_units_and_background_stays_zero() -> None:
    distance = torch.tensor([0.0, 0.7, 1.0, 1.3])
    assert torch.allclose(decode_depth(encode_depth(distance)), distance, atol=1e-6)
    colours = torch.tensor([0.0, 0.25, 1.0])
    assert encode_image(colours).tolist() == [-1.0, -0.5, 1.0]
    assert torch.allclose(decode_image(encode_image(colours)), colours)


def test_a_slope_of_one_step_a_pixel_is_encoded_by_hand() -> None:
    # h = -1/255 and c = 1/255 at 2048: the vector is (-1, 0, 1) / sqrt(2).
    step = 1.0 / 255.0
    depth = (2.0 + step * torch.arange(6.0)).expand(1, 1, 6, 6)
    encoded = normals_from_depth(depth, 2048)
    expected = [(1 - 0.5**0.5) / 2, 0.5, (1 + 0.5**0.5) / 2]
    assert encoded[0, :, 3, 2].tolist() == pytest.approx(expected, abs=1e-4)
    # The last column has no right neighbour: flat.
    assert encoded[0, :, 3, 5].tolist() == pytest.approx([0.5, 0.5, 1.0])


def test_signs_grow_to_the_left_and_to_the_top() -> None:
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    faces_left = normals_from_depth((2.0 - 0.01 * columns)[None, None], 2048)
    faces_up = normals_from_depth((2.0 - 0.01 * rows)[None, None], 2048)
    assert faces_left[0, 0, 4, 4] > 0.5 and faces_left[0, 1, 4, 4] == 0.5
    assert faces_up[0, 1, 4, 4] > 0.5 and faces_up[0, 0, 4, 4] == 0.5


def test_background_normals_are_zero_and_interior_knows_its_neighbours() -> None:
    depth = torch.zeros(1, 1, 5, 5)
    depth[..., 1:4, 1:4] = 2.0
    encoded = normals_from_depth(depth, 512)
    assert (encoded[:, :, depth[0, 0] < BACKGROUND_CUT_OFF] == 0).all()
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[2:4, 1:3] = True
    assert torch.equal(interior(depth > 0)[0, 0], expected)


def test_the_same_slope_is_encoded_the_same_at_every_resolution() -> None:
    def encoded(resolution: int) -> torch.Tensor:
        slope = 4.0 / resolution
        depth = 2.0 + slope * torch.arange(8.0) * 0.3
        return normals_from_depth(depth.expand(1, 1, 8, 8), resolution)[0, :, 4, 4]

    for resolution in (128, 256, 512, 1024):
        # float32 steps near 2.0 are 6e-5 of the 1/255 between two pixels of 2048.
        assert torch.allclose(encoded(resolution), encoded(2048), atol=1e-4)
    assert normal_step(2048) == pytest.approx(1 / 255)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("resolution", [128, 256, 512])
def test_rendered_normals_of_a_plane_encode_as_its_depth_does(back: bool, resolution: int) -> None:
    normal = torch.tensor([0.35, -0.25, 0.9])
    normal = normal / normal.norm()
    rays = torch.from_numpy(Camera(resolution).rays()).permute(2, 0, 1)
    point = torch.tensor([0.02, 0.01, -1.0], dtype=torch.float64)
    distance = ((normal * point).sum() / (normal[:, None, None] * rays).sum(0))[None, None]
    outward = (-normal if back else normal).expand(1, resolution, resolution, 3).permute(0, 3, 1, 2)
    encoded = encoded_from_camera_normals(outward, distance.float(), resolution, back)
    measured = normals_from_depth(encode_depth(distance), resolution).float()
    # Finite differences sit half a pixel off: the error falls with the pixel size.
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert (encoded - measured)[inner].abs().max() < 0.4 / resolution
    restored = camera_normals_from_encoded(encoded, distance.float(), resolution, back)
    assert torch.allclose(restored, outward, atol=1e-5)


def test_larger_pixels_show_a_steeper_slope() -> None:
    # (1, -2, 6) / 41^0.5 at 4 times the pixel size is (4, -8, 6) / 116^0.5; 0 is background.
    vector = torch.tensor([1.0, -2.0, 6.0]).view(1, 3, 1, 1) / 41**0.5
    found = steeper((torch.cat([vector, vector], 1) + 1) / 2, 4.0)
    expected = (torch.tensor([4.0, -8.0, 6.0]) / 116**0.5 + 1) / 2
    assert found.flatten().tolist() == pytest.approx([*expected.tolist(), *expected.tolist()])
    assert not steeper(torch.zeros(1, 6, 2, 2), 4.0).any()


def test_rendered_normals_of_a_smooth_body_are_the_targets_that_its_depth_gives() -> None:
    resolution = 512
    axes = torch.tensor([0.12, 0.33, 0.10], dtype=torch.float64).view(1, 3, 1, 1)
    distance = torch.from_numpy(ellipsoid_depth(resolution))
    rays = torch.from_numpy(Camera(resolution).rays()).permute(2, 0, 1)
    points = distance[:, None] * rays + torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    outward = torch.nn.functional.normalize(points / axes**2, dim=1).float()
    ray_distance = distance[None].float()
    rendered = torch.cat(
        [
            encoded_from_camera_normals(
                outward[side : side + 1], ray_distance[:, side : side + 1], resolution, side == 1
            )
            for side in (0, 1)
        ],
        dim=1,
    )
    depth = encode_depth(ray_distance)
    low_depth = depth[..., 3::8, 3::8]
    pairs = (
        (rendered, normals_from_depth(depth, resolution), depth, 0.01),
        (
            steeper(rendered[..., 3::8, 3::8], 8),
            normals_from_depth(low_depth, resolution),
            low_depth,
            0.06,
        ),
    )
    for found, expected, where, tolerance in pairs:
        # Away from the silhouette, where depth steps over what is not the body.
        body = where[:, :1] > 0
        inside = -torch.nn.functional.max_pool2d((~body).float(), 5, 1, 2) == 0
        error = (found - expected).abs().mean(1, keepdim=True)[inside]
        # Both signs of slopes to the sides occur, so that a wrong one would show.
        assert (expected[:, :1][inside] > 0.8).any() and (expected[:, :1][inside] < 0.2).any()
        assert error.mean() < tolerance and error.median() < tolerance
        assert ((found == 0) == (expected == 0)).float().mean() > 0.999


def test_a_window_of_a_frame_gives_the_normals_that_the_frame_has_there() -> None:
    rng = torch.Generator().manual_seed(0)
    encoded = 0.3 + 0.6 * torch.rand(1, 3, 64, 64, generator=rng)
    distance = 0.9 + 0.2 * torch.rand(1, 1, 64, 64, generator=rng)
    window = slice(5, 40), slice(33, 61)
    whole = camera_normals_from_encoded(encoded, distance, 64, True)
    part = camera_normals_from_encoded(
        encoded[..., *window], distance[..., *window], 64, True, window
    )
    assert torch.allclose(part, whole[..., *window], atol=1e-6)
    assert torch.allclose(whole.norm(dim=1), torch.ones(1, 64, 64))


def test_background_stays_background_when_normals_are_converted() -> None:
    normal = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    distance = torch.zeros(1, 1, 8, 8)
    assert (encoded_from_camera_normals(normal, distance, 128, False) == 0).all()
    assert (camera_normals_from_encoded(normal, distance, 128, False) == 0).all()
    uncovered = camera_normals_from_encoded(normal * 0, distance + 1, 128, False)
    assert torch.isfinite(uncovered).all()
