"""Colours of distances."""

from __future__ import annotations

import numpy as np

from eval.heat import HEAT_END_CM, heat_bar, heat_colours, shaded_heat


def test_the_colour_scale_is_fixed_and_ends_at_its_end() -> None:
    colours = heat_colours(np.array([0.0, HEAT_END_CM / 2, HEAT_END_CM, 99.0]))
    assert colours.shape == (4, 3) and colours.dtype == np.uint8
    assert colours[0, 2] > colours[0, 1]
    assert tuple(colours[2]) == tuple(colours[3])
    assert colours[2, 0] > 200 and colours[2, 1] > 200 and colours[2, 2] < 80
    np.testing.assert_array_equal(heat_bar(3, 1)[0], colours[:3])


def test_what_turns_away_is_darker_and_keeps_its_hue() -> None:
    colour = np.array([[200, 100, 50], [200, 100, 50]], dtype=np.uint8)
    shaded = shaded_heat(colour, np.array([[0, 0, 1.0], [1.0, 0, 0]]))
    np.testing.assert_allclose(shaded[0], colour[0])
    np.testing.assert_allclose(shaded[1], 0.6 * colour[1])
