"""What a run of render-dataset will take, from figures measured on two shared CPU cores."""

from __future__ import annotations

from dataclasses import dataclass

from dataset.synthesis_config import SynthesisConfig

SECONDS_PER_SCAN = 2.0
"""Reading and uploading a scan of 200,000 vertices."""

SECONDS_PER_VIEW, SECONDS_PER_MEGAPIXEL = 0.4, 0.9

BYTES_PER_VIEW_AT_512, GROWTH = 0.86e6, 1.8
"""Size of a view, half of it the room; it grows a little slower than the number of pixels."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take.

    Attributes:
        views: number of pictures.
        bytes: size of the shard set.
        hours: wall time.
    """

    views: int
    bytes: float
    hours: float


def estimate(scans: int, config: SynthesisConfig, jobs: int) -> Estimate:
    """Return what rendering this many scans will take; right to a factor of two or so."""
    views, pixels = scans * len(config.yaws_deg), config.resolution**2
    size = BYTES_PER_VIEW_AT_512 * (config.resolution / 512.0) ** GROWTH
    seconds = SECONDS_PER_VIEW + SECONDS_PER_MEGAPIXEL * pixels / 1e6
    people = config.people_per_image
    total = scans * people * SECONDS_PER_SCAN + views * (seconds + (people - 1) * SECONDS_PER_VIEW)
    return Estimate(views=views, bytes=views * size, hours=total / jobs / 3600.0)
