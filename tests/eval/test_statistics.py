"""Paired tests whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm as normal
from scipy.stats import t as student

from eval.statistics import paired_bootstrap


def test_the_same_difference_everywhere_has_no_spread() -> None:
    scores = np.arange(8.0)
    test = paired_bootstrap(scores + 0.25, scores, seed=0)
    assert (test.difference, test.interval, test.subjects) == (0.25, (0.25, 0.25), 8)
    # 1 of 2001 resampled means: 3.29 standard deviations, of a t with 7 degrees of freedom.
    expected = 2 * student.cdf(normal.ppf(1 / 2001) * np.sqrt(7 / 8), 7)
    assert test.p_value == pytest.approx(expected)


def test_equal_scores_do_not_differ() -> None:
    scores = np.arange(8.0)
    assert paired_bootstrap(scores, scores, seed=0).p_value == 1.0


def test_subjects_are_paired_before_they_are_compared() -> None:
    # Between people the scores differ by tens, within each person by one.
    people = np.random.default_rng(0).normal(size=20) * 30
    better = people - 1.0 + np.random.default_rng(1).normal(size=20) * 0.2
    test = paired_bootstrap(better, people, seed=0)
    assert test.p_value is not None and test.p_value < 0.01
    assert test.interval is not None and -1.2 < test.interval[0] < test.interval[1] < -0.8


@pytest.mark.parametrize("subjects", [6, 12, 40])
def test_without_a_difference_one_test_in_twenty_is_significant(subjects: int) -> None:
    # The plain percentile bootstrap finds 13 % at six subjects and 10 % at ten.
    generator = np.random.default_rng(2)
    found = 0
    for _ in range(600):
        test = paired_bootstrap(*generator.normal(size=(2, subjects)), seed=0)
        assert test.p_value is not None and test.interval is not None
        found += test.p_value < 0.05
        if abs(test.p_value - 0.05) > 0.02:
            assert (test.p_value > 0.05) == (test.interval[0] < 0 < test.interval[1])
    assert 0.02 < found / 600 < 0.09


def test_a_handful_of_subjects_gets_no_p_value() -> None:
    assert paired_bootstrap(np.arange(5.0) + 1, np.arange(5.0), seed=0).p_value is None
    alone = paired_bootstrap([2.0], [1.5], seed=0)
    assert (alone.difference, alone.interval, alone.p_value) == (0.5, None, None)
    with pytest.raises(ValueError, match="one length"):
        paired_bootstrap([1.0], [1.0, 2.0], seed=0)
