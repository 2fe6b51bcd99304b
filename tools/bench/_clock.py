"""Wall and processor time of steps."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Seconds:
    """How long something took.

    Attributes:
        wall: seconds on the clock.
        processor: seconds of all threads and of processes that ended.
    """

    wall: float
    processor: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.processor + other.processor)

    def rounded(self) -> dict[str, float]:
        """Return both as JSON values."""
        return {"wall": round(self.wall, 4), "processor": round(self.processor, 4)}


class Clock:
    """Measures laps, from when it is made."""

    def __init__(self) -> None:
        self._last = _now()

    def lap(self) -> Seconds:
        """Return the time since the last lap."""
        now = _now()
        lap = Seconds(now.wall - self._last.wall, now.processor - self._last.processor)
        self._last = now
        return lap


def median(runs: Sequence[Seconds]) -> Seconds:
    """Return the medians of wall and of processor time."""
    return Seconds(
        statistics.median(run.wall for run in runs),
        statistics.median(run.processor for run in runs),
    )


def timed(work: Callable[[], object], repeats: int) -> Seconds:
    """Return the median of some runs, after one that warms up."""
    work()
    clock, runs = Clock(), []
    for _ in range(repeats):
        work()
        runs.append(clock.lap())
    return median(runs)


def _now() -> Seconds:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Seconds(time.perf_counter(), sum(use.ru_utime + use.ru_stime for use in used))
