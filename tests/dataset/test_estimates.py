"""What a run will take, before it is run."""

from __future__ import annotations

import pytest

from dataset.estimates import estimate
from dataset.synthesis_config import SynthesisConfig


def test_the_estimate_is_near_what_was_measured() -> None:
    small = estimate(1, SynthesisConfig(resolution=512), jobs=1)
    large = estimate(1, SynthesisConfig(resolution=2048), jobs=1)
    assert (small.views, large.views) == (7, 7)
    assert small.bytes == pytest.approx(6.0e6, rel=0.3)
    assert large.bytes == pytest.approx(70e6, rel=0.3)


def test_the_estimate_grows_with_scans_and_shrinks_with_jobs() -> None:
    config = SynthesisConfig()
    one, many = estimate(1, config, jobs=1), estimate(500, config, jobs=1)
    assert many.bytes == pytest.approx(500 * one.bytes)
    assert many.hours == pytest.approx(500 * one.hours)
    assert estimate(500, config, jobs=4).hours == pytest.approx(many.hours / 4)


def test_groups_take_longer_for_each_scan_that_is_read_and_drawn_again() -> None:
    one, three = (estimate(10, SynthesisConfig(people_per_image=n), jobs=1) for n in (1, 3))
    assert three.views == one.views and three.bytes == one.bytes
    assert three.hours > one.hours
