"""Colours of normals, depth and shading, and where pictures are cropped."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from eval.pictures import (
    BACKGROUND,
    Crop,
    crop_around,
    cropped,
    depth_bar,
    depth_picture,
    jpeg_bytes,
    normals_picture,
    shaded_picture,
)


def one(vector: tuple[float, float, float]) -> np.ndarray:
    return np.tile(np.array(vector, dtype=np.float32), (2, 2, 1))


INSIDE = np.ones((2, 2), dtype=bool)


def test_normals_share_one_palette_on_both_sides() -> None:
    assert tuple(normals_picture(one((0, 0, 1)), INSIDE)[0, 0]) == (128, 128, 255)
    assert tuple(normals_picture(one((0, 0, -1)), INSIDE, is_back=True)[0, 0]) == (128, 128, 255)
    assert tuple(normals_picture(one((1, 0, 0)), INSIDE)[0, 0]) == (255, 128, 128)


def test_what_is_not_covered_shows_the_background() -> None:
    for shown in (
        normals_picture(one((0, 0, 1)), ~INSIDE),
        shaded_picture(one((0, 0, 1)), ~INSIDE),
        depth_picture(np.zeros((2, 2)), ~INSIDE, 0.0, 1.0),
    ):
        assert (shown == BACKGROUND).all()


def test_depth_is_bright_near_and_dark_far_and_stays_in_its_range() -> None:
    near, far, beyond = (
        depth_picture(np.full((2, 2), value), INSIDE, -5.0, 5.0)[0, 0].astype(int)
        for value in (-5.0, 5.0, 50.0)
    )
    assert near.sum() > 2 * far.sum()
    assert (beyond == far).all()
    bar = depth_bar(16, 2).astype(int)
    assert bar[0, 0].sum() > bar[0, -1].sum()


def test_surfaces_that_face_the_light_are_brighter() -> None:
    lit, unlit = (shaded_picture(one(n), INSIDE)[0, 0, 0] for n in ((-0.4, 0.4, 0.82), (1, 0, 0)))
    assert lit > 200 and unlit < 80


def test_crop_is_a_square_around_the_person_with_a_margin() -> None:
    masks = np.zeros((2, 100, 100), dtype=bool)
    masks[0, 20:60, 30:50] = True
    masks[1, 40:60, 30:70] = True
    crop = crop_around(masks, margin=0.25)
    assert (crop.left, crop.top, crop.size) == pytest.approx((0.2, 0.1, 0.6))
    assert crop_around(masks & False) == Crop(0.0, 0.0, 1.0)
    border = crop_around(np.pad(np.ones((1, 10, 10), bool), ((0, 0), (0, 90), (0, 90))))
    assert (border.left, border.top) == (0.0, 0.0)


def test_the_same_crop_fits_pictures_of_any_size() -> None:
    small = np.zeros((50, 50, 3), dtype=np.uint8)
    small[25:, 25:] = 200
    large = np.kron(small, np.ones((4, 4, 1), dtype=np.uint8))
    for picture in (small, large):
        part = cropped(picture, Crop(0.5, 0.5, 0.5), 20)
        assert part.shape == (20, 20, 3) and (part == 200).all()


def test_jpeg_keeps_the_colour_order_and_is_reduced_to_the_cell() -> None:
    red = np.zeros((64, 64, 3), dtype=np.uint8)
    red[..., 0] = 220
    read = cv2.imdecode(np.frombuffer(jpeg_bytes(red, 16), np.uint8), cv2.IMREAD_COLOR)
    assert read.shape == (16, 16, 3)
    assert read[8, 8, 2] > 200 and read[8, 8, 0] < 30
