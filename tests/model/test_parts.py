"""Sizes follow from the working resolution."""

from __future__ import annotations

import pytest

from model.parts import PART_NETWORKS, Resolution

RESOLUTIONS = (128, 256, 512, 1024, 2048)


@pytest.mark.parametrize("full", RESOLUTIONS)
def test_sizes_follow_the_working_resolution(full: int) -> None:
    resolution = Resolution(full)
    assert resolution.low * 8 == full
    for network in PART_NETWORKS:
        height, width = resolution.crop_size(network)
        assert height % 8 == 0 and width % 8 == 0
        assert height > 2 * resolution.erosion and width > 2 * resolution.erosion
    assert resolution.erosion == resolution.blur_radius + 1


def test_sizes_at_2048_are_the_published_ones() -> None:
    resolution = Resolution(2048)
    assert resolution.crop_size("face") == (368, 320)
    assert (resolution.blur_radius, resolution.blur_sigma, resolution.erosion) == (7, 5.0, 8)


@pytest.mark.parametrize("full", [0, 100, 4096])
def test_other_working_resolutions_are_refused(full: int) -> None:
    with pytest.raises(ValueError, match="multiple of 128"):
        Resolution(full)
