"""Angles and ICON's number on maps whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eval.normals import normal_error_rad, normal_l2, silhouette_iou
from eval.surfaces import MetricError


def maps(normal: tuple[float, float, float], columns: slice) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros((1, 4, 8), dtype=bool)
    masks[:, :, columns] = True
    return masks[..., None] * np.array(normal), masks


def test_normal_error_of_identical_maps_is_exactly_zero() -> None:
    normals, masks = maps((0.6, 0.0, 0.8), slice(0, 5))
    error = normal_error_rad(normals, masks, normals, masks)
    assert (error.mean_rad, error.pixels, error.per_view_pixels) == (0.0, 20, (20,))
    assert normal_l2(normals, masks, normals, masks).value == 0.0


def test_normal_error_of_disjoint_silhouettes_is_a_right_angle() -> None:
    error = normal_error_rad(*maps((0, 0, 1), slice(0, 4)), *maps((0, 0, 1), slice(4, 8)))
    assert error.mean_rad == pytest.approx(np.pi / 2)
    assert error.pixels == 32


@pytest.mark.parametrize("tilt_deg", [0.001, 10.0, 90.0, 179.0])
def test_normal_error_is_the_tilt_between_two_planes(tilt_deg: float) -> None:
    tilt = np.radians(tilt_deg)
    pair = (*maps((0, 0, 1), slice(0, 8)), *maps((np.sin(tilt), 0, np.cos(tilt)), slice(0, 8)))
    error = normal_error_rad(*pair)
    assert error.mean_rad == pytest.approx(tilt, rel=1e-6)
    assert error.mean_deg == pytest.approx(tilt_deg, rel=1e-6)
    # Codes are half as long as the normals.
    assert normal_l2(*pair).value == pytest.approx(np.sin(tilt / 2) ** 2, rel=1e-5)


def test_one_sided_pixels_and_opposite_normals_average_over_the_union() -> None:
    # 4 columns of the union: one agrees (0), two are opposite (pi), one is one-sided (pi/2).
    normals, masks = maps((0, 0, 1), slice(0, 4))
    other = normals.copy()
    other[:, :, 1:3] *= -1
    cut = masks.copy()
    cut[:, :, 3] = False
    error = normal_error_rad(normals, masks, other, cut)
    assert error.mean_rad == pytest.approx((0 + 2 * np.pi + np.pi / 2) / 4)


def test_the_l2_of_icon_counts_every_pixel_over_white_and_adds_up_the_views() -> None:
    # Half of the 32 pixels lie against white: (0.5, 0.5, 1) is 0.5 away from (1, 1, 1).
    normals, masks = maps((0, 0, 1), slice(0, 4))
    nothing = masks & False
    one = normal_l2(normals, masks, normals, nothing)
    assert (one.value, one.samples) == (0.25, 32)
    twice = [np.concatenate([part, part]) for part in (normals, masks, normals, nothing)]
    assert normal_l2(*twice).value == 0.5


def test_silhouettes_share_pixels_of_all_views_together() -> None:
    _, left = maps((0, 0, 1), slice(0, 4))
    _, middle = maps((0, 0, 1), slice(2, 6))
    assert silhouette_iou(left, middle).value == pytest.approx(2 / 6)
    assert silhouette_iou(np.concatenate([left, left]), np.concatenate([middle, left])).value == (
        pytest.approx(6 / 10)
    )
    with pytest.raises(MetricError, match="silhouettes"):
        silhouette_iou(left & False, left & False)
    with pytest.raises(ValueError, match="masks"):
        silhouette_iou(left, left[:, :2])


def test_views_with_more_pixels_weigh_more_and_are_listed_one_by_one() -> None:
    flat, wide = maps((0, 0, 1), slice(0, 6))
    side, narrow = maps((1, 0, 0), slice(0, 2))
    normals, masks = np.concatenate([flat, side]), np.concatenate([wide, narrow])
    error = normal_error_rad(normals, masks, masks[..., None] * np.array([0, 0, 1.0]), masks)
    assert error.per_view_rad == pytest.approx((0.0, np.pi / 2))
    assert error.mean_rad == pytest.approx(np.pi / 2 * 8 / 32)


def test_normals_without_length_or_without_silhouette_raise() -> None:
    normals, masks = maps((0, 0, 1), slice(0, 4))
    for bad in (np.nan, 0.0):
        with pytest.raises(MetricError, match="normals"):
            normal_error_rad(normals * bad, masks, normals, masks)
    with pytest.raises(MetricError, match="silhouettes"):
        normal_error_rad(normals, masks & False, normals, masks & False)
    with pytest.raises(ValueError, match="expected one"):
        normal_error_rad(normals[:, :2], masks, normals, masks)
