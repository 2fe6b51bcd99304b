"""Colours are shared by coverage, and holes filled from what is around them."""

from __future__ import annotations

import numpy as np

from render.compositing import composite, fill_smoothly, premultiply


def test_a_hole_is_filled_with_the_colours_around_it_and_the_rest_is_kept() -> None:
    left, right = np.full((64, 32, 3), 40, np.uint8), np.full((64, 32, 3), 200, np.uint8)
    picture = np.concatenate([left, right], axis=1)
    hidden = np.zeros((64, 64), bool)
    hidden[16:48, 16:48] = True
    spoilt = np.where(hidden[..., None], 255, picture).astype(np.uint8)
    filled = fill_smoothly(spoilt, hidden)
    assert (filled[~hidden] == picture[~hidden]).all()
    # Near each border the fill is near its colour, and the middle lies between them.
    assert np.abs(filled[32, 17].astype(int) - 40).max() < 20
    assert np.abs(filled[32, 46].astype(int) - 200).max() < 20
    assert filled[hidden].max() <= 200 and filled[hidden].min() >= 40


def test_sizes_that_are_not_powers_of_two_are_filled_too() -> None:
    hidden = np.zeros((37, 53), bool)
    hidden[5:30, 9:44] = True
    picture = np.where(hidden[..., None], 0, [10, 20, 30]).astype(np.uint8)
    assert (fill_smoothly(picture, hidden) == np.array([10, 20, 30])).all()
    assert not fill_smoothly(picture, np.ones_like(hidden)).any()


def test_every_colour_under_every_coverage_is_the_rounded_share() -> None:
    colour, coverage = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2)
    colours = np.stack([colour, colour[::-1], 255 - colour], axis=-1)
    premultiplied = premultiply(colours, coverage)
    shares = np.rint(colours * (coverage[..., None] / 255.0))
    np.testing.assert_array_equal(premultiplied, shares)
    behind = np.rint(colours[::-1] * (1.0 - coverage[..., None] / 255.0))
    composed = composite(premultiplied, coverage, np.ascontiguousarray(colours[::-1]))
    np.testing.assert_array_equal(composed, (shares + behind).astype(np.uint8))
