"""Groups, order and comparisons of scores."""

from __future__ import annotations

import pytest

from eval.metrics import Measured
from eval.protocol import SampleKey, SampleScore, ScoreConfig
from eval.results import Results, compare, grouped_scores, summarise, worst_first

P2S = "p2s_pred_to_scan_cm"
CONFIG = ScoreConfig(metrics=("p2s",))


def score(
    method: str,
    subject: str,
    yaw_deg: float,
    value: float,
    pose: str = "",
    share: float | None = None,
    view: int | None = None,
) -> SampleScore:
    number = round(yaw_deg) if view is None else view
    key = SampleKey(subject, subject, number, yaw_deg, pose, share)
    return SampleScore(method, key, {P2S: Measured(value, 1)})


def results(*scores: SampleScore) -> Results:
    names = dict.fromkeys(score.method for score in scores)
    methods = tuple(summarise(name, scores, CONFIG, 2) for name in names)
    return Results(CONFIG, methods, scores)


def test_groups_are_means_over_what_has_something_in_common() -> None:
    groups = grouped_scores(
        results(
            score("a", "ann", 0, 1.0, "arms down", 0.0),
            score("a", "bob", 0, 3.0, "arms out", 0.2),
            score("a", "bob", 30, 5.0, "arms out", 0.02),
            score("b", "bob", 30, 7.0, "arms out", 0.02),
        )
    )
    yaw = {group.label: group.means for group in groups["Yaw"]}
    assert yaw == {"+0°": {"a": {P2S: 2.0}}, "+30°": {"a": {P2S: 5.0}, "b": {P2S: 7.0}}}
    assert [g.means["a"][P2S] for g in groups["Pose"]] == [1.0, 4.0]
    assert [g.views for g in groups["Pose"]] == [1, 2]
    # A method that missed a view shows that its mean is of fewer.
    assert [g.counts for g in groups["Pose"]] == [{"a": 1}, {"a": 2, "b": 1}]
    shares = groups["Self-occluded pixels"]
    assert [g.label for g in shares] == ["below 1%", "1% to 5%", "from 5%"]
    assert [g.means["a"][P2S] for g in shares] == [1.0, 5.0, 3.0]


def test_one_group_alone_is_left_out() -> None:
    assert grouped_scores(results(score("a", "ann", 0, 1.0))) == {}


def test_the_worst_of_the_first_method_comes_first_and_what_it_misses_before_it() -> None:
    order = worst_first(
        results(
            score("a", "ann", 0, 1.0),
            score("a", "bob", 0, 3.0),
            score("b", "ann", 0, 9.0),
            score("b", "eve", 0, 0.0),
        )
    )
    assert order == [("eve", 0), ("bob", 0), ("ann", 0)]


def test_methods_are_compared_on_the_views_of_both_by_subject() -> None:
    scores = (
        score("a", "ann", 0, 1.0),
        score("a", "ann", 10, 2.0),
        score("a", "bob", 0, 5.0),
        score("b", "ann", 0, 2.0),
        score("b", "ann", 10, 2.0),
        score("b", "bob", 10, 99.0),
    )
    compared = compare(scores, "a", scores, "b", P2S, 0)
    assert compared is not None
    assert compared.test.difference == pytest.approx(-0.5)
    assert compared.test.subjects == 1
    assert compare(scores, "a", scores, "none", P2S, 0) is None


def test_views_of_one_yaw_are_told_apart_by_their_numbers() -> None:
    # Three views at yaw 0, say at different heights; one method missed the last one.
    scores = [score("a", "ann", 0, value, view=number) for number, value in enumerate((1, 5, 9))]
    scores += [score("b", "ann", 0, value, view=number) for number, value in enumerate((2, 7))]
    compared = compare(scores, "a", scores, "b", P2S, 0)
    assert compared is not None and compared.test.difference == pytest.approx(3.0 - 4.5)
    # Another report may count its views otherwise, where each has a yaw of its own.
    others = [score("b", "ann", 0, 4.0, view=8)]
    across = compare(scores[:1], "a", others, "b", P2S, 0)
    assert across is not None and across.test.difference == pytest.approx(-3.0)
