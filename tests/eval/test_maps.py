"""Depth maps whose difference is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eval.maps import map_depth_error_cm
from eval.surfaces import MetricError


def test_depth_differences_are_averaged_over_both_sides_where_both_have_the_person() -> None:
    true = np.zeros((2, 2, 3))
    predicted = true.copy()
    predicted[0] += 1.0
    predicted[1] -= 2.0
    both = np.array([[True, True, False], [True, False, False]])
    predicted[:, ~both] = 99.0
    measured = map_depth_error_cm(predicted, true, both)
    assert (measured.value, measured.samples, measured.interval) == (1.5, 6, None)


def test_maps_without_a_common_pixel_or_with_nan_raise() -> None:
    flat, everywhere = np.zeros((2, 2, 2)), np.ones((2, 2), dtype=bool)
    with pytest.raises(MetricError, match="masks"):
        map_depth_error_cm(flat, flat, ~everywhere)
    with pytest.raises(MetricError, match="finite"):
        map_depth_error_cm(flat * np.nan, flat, everywhere)
    with pytest.raises(ValueError, match="maps"):
        map_depth_error_cm(flat, flat[:1], everywhere)
