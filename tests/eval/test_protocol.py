"""Scores of samples, means over views and subjects, intervals, who is best."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from eval.metrics import Measured
from eval.normal_maps import NormalViews
from eval.protocol import (
    Candidate,
    SampleKey,
    SampleScore,
    ScoreConfig,
    Truth,
    check_metric_names,
    scan_occupancy,
    score_sample,
)
from eval.results import Failure, Results, best_methods, summarise
from eval.statistics import bootstrap_interval, sample_rng
from eval.surfaces import Surface
from render.errors import UserInputError

P2S = "p2s_pred_to_scan_cm"
CONFIG = ScoreConfig(metrics=("p2s", "iou"), samples=500, voxels=16)


def score(method: str, subject: str, view: int, p2s: float, iou: float = 0.5) -> SampleScore:
    values = {P2S: Measured(p2s, 500), "volumetric_iou": Measured(iou, 9)}
    return SampleScore(method, SampleKey(f"{subject}-scan", subject, view, 10.0), values)


def ball(radius_cm: float) -> Surface:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius_cm)
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def test_means_over_views_and_over_subjects_differ_when_view_counts_do() -> None:
    scores = [score("a", "ann", 0, 1.0), score("a", "ann", 1, 2.0), score("a", "ann", 2, 3.0)]
    scores += [score("a", "bob", 0, 6.0), score("other", "bob", 0, 100.0)]
    summary = summarise("a", scores, CONFIG, expected_views=4)
    column = summary.columns[P2S]
    assert (column.mean, column.subject_mean) == (3.0, 4.0)
    assert (column.views, column.subjects, summary.complete) == (4, 2, True)
    assert column.interval is not None
    assert column.interval[0] == 2.0 and column.interval[1] == 6.0


def test_interval_resamples_subjects_and_not_views() -> None:
    interval = bootstrap_interval(np.array([0.0, 1.0] * 50), seed=0)
    assert interval is not None
    # The standard error of the mean of 100 coin flips is 0.05.
    assert interval[0] == pytest.approx(0.4, abs=0.02)
    assert interval[1] == pytest.approx(0.6, abs=0.02)


def test_one_subject_has_no_interval() -> None:
    assert bootstrap_interval([1.0], seed=0) is None


def test_a_method_that_missed_a_sample_is_incomplete_and_never_best() -> None:
    scores = [score("whole", "ann", 0, 2.0, 0.7), score("whole", "bob", 0, 2.0, 0.7)]
    scores += [score("poor", "ann", 0, 3.0, 0.8), score("poor", "bob", 0, 3.0, 0.8)]
    scores += [score("partial", "ann", 0, 1.0, 0.9)]
    methods = tuple(summarise(name, scores, CONFIG, 2) for name in ("whole", "poor", "partial"))
    results = Results(CONFIG, methods, tuple(scores), (Failure("partial", "bob-scan", 0, "x"),))
    assert [method.complete for method in methods] == [True, True, False]
    assert best_methods(results) == {P2S: "whole", "volumetric_iou": "poor"}


def test_a_method_without_any_score_has_no_columns_rather_than_zeros() -> None:
    assert summarise("none", [], CONFIG, 3).columns == {}


def test_unknown_metrics_are_named_with_the_known_ones() -> None:
    with pytest.raises(UserInputError, match="p2s, chamfer, .*, got 'psnr'"):
        check_metric_names(["p2s", "psnr"])
    with pytest.raises(UserInputError, match="none"):
        ScoreConfig(metrics=())
    with pytest.raises(UserInputError, match="samples"):
        ScoreConfig(samples=0)


def test_random_numbers_depend_on_seed_and_sample_alone() -> None:
    first = sample_rng(0, "scan", 1).random(3)
    np.testing.assert_array_equal(first, sample_rng(0, "scan", 1).random(3))
    assert not np.array_equal(first, sample_rng(1, "scan", 1).random(3))
    assert not np.array_equal(sample_rng(0, "a", "bc").random(), sample_rng(0, "ab", "c").random())


def test_a_sample_gets_the_columns_of_its_metrics_and_no_others() -> None:
    config = ScoreConfig(metrics=("iou", "chamfer"), samples=2_000, voxels=32)
    scan = ball(10.0)
    truth = Truth(SampleKey("s", "s", 0, 0.0), scan, inside=scan_occupancy(scan, config))
    scored = score_sample(Candidate("m", ball(8.0), seconds=1.5), truth, config)
    keys = ["chamfer_cm", "p2s_scan_to_pred_cm", "chamfer_squared_cm2", "volumetric_iou"]
    assert list(scored.values) == keys
    assert scored.values["chamfer_cm"].value == pytest.approx(2.0, abs=0.05)
    assert scored.values["chamfer_cm"].samples == 4_000
    assert scored.values["volumetric_iou"].value == pytest.approx(0.8**3, abs=0.01)
    assert scored.seconds == 1.5


def test_normals_are_compared_only_when_they_are_given() -> None:
    config = ScoreConfig(metrics=("normal",))
    masks = np.ones((4, 2, 2), dtype=bool)
    up = NormalViews(np.tile(np.float32([0, 0, 1]), (4, 2, 2, 1)), masks)
    side = NormalViews(np.tile(np.float32([1, 0, 0]), (4, 2, 2, 1)), masks)
    key = SampleKey("s", "s", 0, 0.0)
    candidate = Candidate("m", ball(1), normals=side)
    scored = score_sample(candidate, Truth(key, ball(1), normals=up), config)
    assert scored.values["normal_error_rad"].value == pytest.approx(np.pi / 2)
    assert scored.values["normal_error_deg"].value == pytest.approx(90.0)
    assert scored.values["normal_front_rad"] == Measured(pytest.approx(np.pi / 2), 4)
    # (0.5, 0.5, 1) against (1, 0.5, 0.5): 0.5 a pixel, four views.
    assert scored.values["normal_l2"] == Measured(pytest.approx(2.0), 16)
    assert scored.normal_per_view_rad == pytest.approx([np.pi / 2] * 4)
    with pytest.raises(ValueError, match="normals"):
        score_sample(candidate, Truth(key, ball(1)), config)
