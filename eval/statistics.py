"""Chance: random streams, intervals over subjects, paired tests.

The unit of chance is the subject: views of one person are not independent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Return the percentile 95 % interval of the mean over subjects drawn with replacement.

    None with fewer than two subjects: one person says nothing about the spread between people.
    """
    values = np.asarray(subject_means, dtype=np.float64)
    if len(values) < 2:
        return None
    return _central_95(_resampled_means(values, seed, draws))


def paired_bootstrap(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
) -> PairedTest:
    """Compare two sets of scores of the same subjects, by bootstrap over the subjects.

    The p value inverts the percentile interval (Efron and Tibshirani 1993, 15.4 and 16.4): twice
    the share of resampled differences on the wrong side of 0, both counted with one more so that
    it is never 0. The bootstrap of few subjects is too sure of itself, so they get no p value.

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
        return PairedTest(mean, _central_95(means), None, len(differences))
    tails = ((means <= 0.0).sum() + 1, (means >= 0.0).sum() + 1)
    p_value = min(1.0, 2.0 * float(min(tails)) / (draws + 1))
    return PairedTest(mean, _central_95(means), p_value, len(differences))


def _resampled_means(values: NDArray[np.float64], seed: int, draws: int) -> NDArray[np.float64]:
    picks = sample_rng(seed, "bootstrap").integers(len(values), size=(draws, len(values)))
    means: NDArray[np.float64] = values[picks].mean(axis=1)
    return means


def _central_95(means: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
