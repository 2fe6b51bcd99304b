"""A surface gets the photograph's colours, free of the background's, on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.colouring import ColourConfig, colour_mesh
from model.meshing import stitch
from render.camera import Camera, camera_from_normalised
from render.mesh import Mesh
from render.rasteriser import render_gbuffer
from tests.model.sphere_maps import sphere_maps

RED, BLUE, GREEN = (200, 20, 20), (20, 20, 200), (0, 255, 0)
MAPS, CAMERA = sphere_maps(0.3, 64), Camera(64)


def photograph(scale: int = 2) -> NDArray[np.uint8]:
    """A ball, red on the left and blue on the right, before green that leaks into its rim."""
    mask = np.kron(MAPS.mask, np.ones((scale, scale), dtype=bool))
    image = np.empty((*mask.shape, 3), dtype=np.uint8)
    image[:, : mask.shape[1] // 2], image[:, mask.shape[1] // 2 :] = RED, BLUE
    image[~mask] = GREEN
    inner = mask & np.roll(mask, scale, 0) & np.roll(mask, -scale, 0)
    inner &= np.roll(mask, scale, 1) & np.roll(mask, -scale, 1)
    image[~inner] = GREEN
    return image


def coloured(**values: object) -> Mesh:
    config = ColourConfig(texture_size=256, rim=0.06, seam=0.1, **values)  # type: ignore[arg-type]
    return colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, photograph(), config)


def seen(mesh: Mesh, yaw_deg: float = 0.0) -> NDArray[np.uint8]:
    """Return the (64, 64, 3) colours of the texture, the mesh turned about its middle."""
    to_middle = np.eye(4)
    to_middle[2, 3] = 1.0
    pose = camera_from_normalised(yaw_deg) @ to_middle
    return render_gbuffer(mesh, CAMERA, pose, "front").front.albedo


def test_texture_and_vertices_show_the_photograph_and_nothing_of_its_background() -> None:
    mesh = coloured()
    image = seen(mesh)
    assert np.abs(image[32, 20].astype(int) - RED).max() <= 3
    assert np.abs(image[32, 44].astype(int) - BLUE).max() <= 3
    assert image[MAPS.mask][:, 1].max() < 60
    assert mesh.vertex_colours is not None and mesh.vertex_colours[:, 1].max() < 60
    left = mesh.vertices[:, 0] < -0.2
    assert np.abs(mesh.vertex_colours[left].astype(int) - RED).max() <= 8


def test_a_mirrored_back_shows_the_colour_that_lies_before_it() -> None:
    # Seen from behind, what is red on the left of the photograph lies on the right.
    image = seen(coloured(back="mirror"), 180.0)
    assert np.abs(image[32, 44].astype(int) - RED).max() <= 3
    assert np.abs(image[32, 20].astype(int) - BLUE).max() <= 3


def test_a_filled_back_has_the_colours_of_the_silhouette() -> None:
    spot = photograph()
    spot[54:74, 54:74] = (255, 255, 255)
    config = ColourConfig(texture_size=256, rim=0.06, seam=0.1, back="fill")
    mesh = colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, spot, config)
    assert seen(mesh)[32, 32].min() > 240
    assert seen(mesh, 180.0)[32, 32].max() < 160


def test_a_back_that_is_given_is_shown_and_blends_into_the_front() -> None:
    back = np.full((128, 128, 3), 90, dtype=np.uint8)
    config = ColourConfig(texture_size=256, rim=0.06, seam=0.1)
    mesh = colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, photograph(), config, back)
    image = seen(mesh, 180.0)
    assert np.abs(image[32, 32].astype(int) - 90).max() <= 3
    assert image[32, 53, 0] > 110


def test_where_the_photograph_shows_no_person_the_colours_beside_it_are_taken() -> None:
    image = photograph()
    image[:, 76:] = GREEN
    person = MAPS.mask.copy()
    person[:, 36:] = False
    config = ColourConfig(texture_size=256, rim=0.02, seam=0.1)
    mesh = colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, image, config, person=person)
    assert seen(mesh)[32, 44, 1] < 60 and seen(mesh, 180.0)[32, 20, 1] < 60
    with pytest.raises(ValueError, match=r"person: expected \(64, 64\), got \(4, 4\)"):
        colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, image, person=np.ones((4, 4), dtype=bool))
    nobody = np.zeros((64, 64), dtype=bool)
    mesh = colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, image, config, person=nobody)
    assert np.abs(seen(mesh)[32, 20].astype(int) - RED).max() <= 3


@pytest.mark.parametrize(
    ("shape", "message"), [((4, 5, 3), "front_image"), ((4, 4), "front_image")]
)
def test_a_picture_of_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        colour_mesh(stitch(MAPS, CAMERA), MAPS, CAMERA, np.zeros(shape, dtype=np.uint8))
