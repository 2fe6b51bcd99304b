"""Chance: random streams, intervals over subjects, paired tests.

The unit of chance is the subject: views of one person are not independent. The plain bootstrap of
few subjects is too sure of itself (of ten without a difference one test in ten has p < 0.05), so
its shares are read as those of Student's t (the expanded percentile interval; Hesterberg 2015,
"What teachers should know about the bootstrap", section 3.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

BOOTSTRAP_DRAWS = 2_000
FEWEST_TESTED = 6
"""Subjects below which no p value is given: with five, all better, an exact sign test has 0.06."""


@dataclass(frozen=True)
class PairedTest:
    """Two sets of scores of the same subjects, compared.

    Attributes:
        difference: mean over subjects of first minus second.
        interval: bootstrap 95 % interval of it; None with fewer than two subjects.
        p_value: two-sided, that the difference is 0; None with fewer than `FEWEST_TESTED`.
        subjects: how many both have.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    subjects: int


def sample_rng(seed: int, *parts: object) -> np.random.Generator:
    """Return a generator that depends on the seed and the parts alone, on every machine."""
    text = "\x1f".join(str(part) for part in (seed, *parts))
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    )


def bootstrap_interval(
    subject_means: Sequence[float] | NDArray[np.float64], seed: int, draws: int = BOOTSTRAP_DRAWS
) -> tuple[float, float] | None:
    """Return the bootstrap 95 % interval of the mean over subjects drawn with replacement.

    None with fewer than two subjects: one person says nothing about the spread between people.
    """
    values = np.asarray(subject_means, dtype=np.float64)
    if len(values) < 2:
        return None
    return _central_95(_resampled_means(values, seed, draws), len(values))


def paired_bootstrap(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
) -> PairedTest:
    """Compare two sets of scores of the same subjects, by bootstrap over the subjects.

    The p value inverts the interval (Efron and Tibshirani 1993, 15.4 and 16.4): it comes from the
    share of resampled differences on the wrong side of 0, counted with one more so that it is
    never 0. Very few subjects get no p value.

    Args:
        first: (S,) means over the views of each subject.
        second: (S,) the same subjects in the same order.
        seed: of the resampling.
        draws: number of resamplings.

    Raises:
        ValueError: the lengths differ, or there is no subject.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise ValueError(f"scores: expected two of one length above 0, got {a.shape}, {b.shape}")
    differences = a - b
    mean = float(differences.mean())
    if len(differences) < 2:
        return PairedTest(mean, None, None, len(differences))
    means = _resampled_means(differences, seed, draws)
    if len(differences) < FEWEST_TESTED:
        return PairedTest(mean, _central_95(means, len(differences)), None, len(differences))
    tail = min((means <= 0.0).sum() + 1, (means >= 0.0).sum() + 1) / (draws + 1)
    deviation = ndtri(min(0.5, tail)) / _widening(len(differences))
    p_value = 2.0 * float(stdtr(len(differences) - 1, deviation))
    interval = _central_95(means, len(differences))
    return PairedTest(mean, interval, p_value, len(differences))


def _resampled_means(values: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    picks = sample_rng(seed, "bootstrap").integers(len(values), size=(draws, len(values)))
    means: NDArray[np.float64] = values[picks].mean(axis=1)
    return means


def _widening(subjects: int) -> float:
    """Return by how much the spread of resampled means is too narrow."""
    return float(np.sqrt(subjects / (subjects - 1)))


def _central_95(means: NDArray[np.float64], subjects: int) -> tuple[float, float]:
    tail = float(ndtr(_widening(subjects) * stdtrit(subjects - 1, 0.025)))
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
