"""Scores are summed up: means, intervals over subjects, who is best, groups, paired tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.metrics import MetricColumn, columns_of
from eval.protocol import SampleKey, SampleScore, ScoreConfig
from eval.statistics import PairedTest, bootstrap_interval, paired_bootstrap

OCCLUSION_LIMITS = (0.01, 0.05)
"""Shares of self-occluded pixels at which the groups of a report part."""


@dataclass(frozen=True)
class Failure:
    """A sample that a method did not get through, and why."""

    method: str
    scan_id: str
    view: int
    reason: str


@dataclass(frozen=True)
class Summary:
    """One column of one method over all its samples.

    Attributes:
        mean: mean over views.
        subject_mean: mean over subjects of their means over views.
        interval: bootstrap 95 % interval of `subject_mean`; None with fewer than two subjects.
        views: views that were scored.
        subjects: subjects that were scored.
    """

    mean: float
    subject_mean: float
    interval: tuple[float, float] | None
    views: int
    subjects: int


@dataclass(frozen=True)
class MethodSummary:
    """All columns of one method.

    Attributes:
        method: its name.
        columns: column key -> summary; empty where nothing was scored.
        missing: samples that it should have and has no scores for.
    """

    method: str
    columns: dict[str, Summary]
    missing: int = 0

    @property
    def complete(self) -> bool:
        """Whether every sample was scored."""
        return self.missing == 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one reconstruction costs.

    Attributes:
        network_seconds: median time of the networks alone (Table 2's column); None if unknown.
        total_seconds: median time from the decoded image to the mesh; None if unknown.
        runs: warm runs that the medians are of.
        peak_bytes: most memory in use; None if unknown.
        memory: whose memory that is, as text.
        device: where it ran.
    """

    network_seconds: float | None = None
    total_seconds: float | None = None
    runs: int = 0
    peak_bytes: int | None = None
    memory: str = ""
    device: str = ""


@dataclass(frozen=True)
class Results:
    """Everything that a report says, apart from its pictures.

    Attributes:
        config: what was measured.
        methods: one summary a method, in the order in which they were given.
        scores: one entry per method and sample that was scored.
        failures: what was not.
        source: where data and weights came from, as text by name (shards, checkpoint, ...).
        costs: method -> time and memory, where they were measured.
        notes: what the reader has to know of the data, a sentence each.
    """

    config: ScoreConfig
    methods: tuple[MethodSummary, ...]
    scores: tuple[SampleScore, ...]
    failures: tuple[Failure, ...] = ()
    source: dict[str, str] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[MetricColumn, ...]:
        """The columns that were asked for."""
        return columns_of(self.config.metrics)


@dataclass(frozen=True)
class Group:
    """The means of the samples that have something in common.

    Attributes:
        label: what they have in common.
        views: samples of the group, of all methods together.
        means: method -> column key -> mean over its samples.
        counts: method -> its samples.
    """

    label: str
    views: int
    means: dict[str, dict[str, float]]
    counts: dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """A method's column against that of another method, on the samples that both have."""

    first: str
    second: str
    column: str
    test: PairedTest


def summarise(
    method: str, scores: Sequence[SampleScore], config: ScoreConfig, expected_views: int
) -> MethodSummary:
    """Sum up the scores of one method, out of as many views as were expected of it."""
    own = [score for score in scores if score.method == method]
    columns: dict[str, Summary] = {}
    for column in columns_of(config.metrics) if own else ():
        by_subject = _by_subject(own, column.key)
        means = np.array([np.mean(values) for values in by_subject.values()])
        columns[column.key] = Summary(
            mean=float(np.mean([value for values in by_subject.values() for value in values])),
            subject_mean=float(means.mean()),
            interval=bootstrap_interval(means, config.seed),
            views=len(own),
            subjects=len(by_subject),
        )
    return MethodSummary(method, columns, missing=expected_views - len(own))


def best_methods(results: Results) -> dict[str, str]:
    """Return, per column, the method with the best mean over views.

    Only methods that scored every sample compete: leaving out hard samples must not win.
    """
    best: dict[str, str] = {}
    for column in results.columns:
        means = {
            summary.method: summary.columns[column.key].mean
            for summary in results.methods
            if summary.complete and column.key in summary.columns
        }
        if len(means) > 1:
            choose = min if column.better == "lower" else max
            best[column.key] = choose(means, key=lambda name: means[name])
    return best


def worst_first(results: Results) -> list[tuple[str, int]]:
    """Return (scan id, view) of all samples, the worst of the first method first.

    What the first method has no score for comes before everything else. Otherwise the first
    column decides.
    """
    if not results.methods or not results.columns:
        return []
    column, method = results.columns[0], results.methods[0].method
    sign = -1.0 if column.better == "lower" else 1.0
    place: dict[tuple[str, int], float] = {}
    for score in results.scores:
        place.setdefault((score.key.scan_id, score.key.view), -np.inf)
    for score in results.scores:
        if score.method == method:
            identity = (score.key.scan_id, score.key.view)
            place[identity] = sign * score.values[column.key].value
    return sorted(place, key=lambda identity: (place[identity], identity))


def grouped_scores(results: Results) -> dict[str, tuple[Group, ...]]:
    """Return the means by yaw, by pose class and by share of self-occluded pixels.

    A kind of grouping with fewer than two groups says nothing and is left out.
    """
    kinds: dict[str, Callable[[SampleKey], tuple[float, str] | None]] = {
        "Yaw": lambda key: (key.yaw_deg, f"{key.yaw_deg:+.0f}°"),
        "Pose": lambda key: (0.0, key.pose_class) if key.pose_class else None,
        "Self-occluded pixels": _occlusion_group,
    }
    found = {kind: _groups(results, place) for kind, place in kinds.items()}
    return {kind: groups for kind, groups in found.items() if len(groups) > 1}


def _occlusion_group(key: SampleKey) -> tuple[float, str] | None:
    if key.occluded_share is None:
        return None
    few, many = OCCLUSION_LIMITS
    if key.occluded_share < few:
        return 0.0, f"below {few:.0%}"
    return (
        (1.0, f"{few:.0%} to {many:.0%}")
        if key.occluded_share < many
        else (2.0, f"from {many:.0%}")
    )


def _groups(
    results: Results, place: Callable[[SampleKey], tuple[float, str] | None]
) -> tuple[Group, ...]:
    members: dict[tuple[float, str], list[SampleScore]] = {}
    for score in results.scores:
        group = place(score.key)
        if group is not None:
            members.setdefault(group, []).append(score)
    groups = []
    for (_, label), scores in sorted(members.items(), key=lambda entry: entry[0]):
        means, counts = {}, {}
        for method in dict.fromkeys(score.method for score in scores):
            own = [score for score in scores if score.method == method]
            counts[method] = len(own)
            means[method] = {
                column.key: float(np.mean([score.values[column.key].value for score in own]))
                for column in results.columns
            }
        views = len({(score.key.scan_id, score.key.view) for score in scores})
        groups.append(Group(label, views, means, counts))
    return tuple(groups)


def paired_comparisons(results: Results) -> tuple[Comparison, ...]:
    """Compare the first method with every other one, column by column."""
    names = [method.method for method in results.methods]
    return tuple(
        comparison
        for other in names[1:]
        for column in results.columns
        for comparison in [
            compare(
                results.scores, names[0], results.scores, other, column.key, results.config.seed
            )
        ]
        if comparison is not None
    )


def compare(
    first_scores: Sequence[SampleScore],
    first: str,
    second_scores: Sequence[SampleScore],
    second: str,
    column: str,
    seed: int,
) -> Comparison | None:
    """Test whether two methods differ in a column, on the samples (scan and yaw) of both.

    Where a scan has several views of one yaw, their numbers tell them apart. None where they
    share no sample.
    """
    crowded = _crowded_places(first_scores) | _crowded_places(second_scores)
    sides = [
        {
            (*_place(score.key), score.key.view if _place(score.key) in crowded else 0): score
            for score in scores
            if score.method == method and column in score.values
        }
        for scores, method in ((first_scores, first), (second_scores, second))
    ]
    shared = [identity for identity in sides[0] if identity in sides[1]]
    if not shared:
        return None
    # Subjects are those of the first side, so that both sides have the same.
    subjects = [sides[0][identity].key.subject for identity in shared]
    means = [
        [
            np.mean(
                [
                    side[identity].values[column].value
                    for identity, whose in zip(shared, subjects)
                    if whose == subject
                ]
            )
            for subject in dict.fromkeys(subjects)
        ]
        for side in sides
    ]
    test = paired_bootstrap(np.array(means[0]), np.array(means[1]), seed)
    return Comparison(first, second, column, test)


def _place(key: SampleKey) -> tuple[str, float]:
    return key.scan_id, round(key.yaw_deg, 3)


def _crowded_places(scores: Sequence[SampleScore]) -> set[tuple[str, float]]:
    """Return the scans and yaws of which one report has several views."""
    views: dict[tuple[str, float], set[int]] = {}
    for score in scores:
        views.setdefault(_place(score.key), set()).add(score.key.view)
    return {place for place, numbers in views.items() if len(numbers) > 1}


def _by_subject(scores: Sequence[SampleScore], column: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for score in sorted(scores, key=lambda score: score.key.subject):
        values.setdefault(score.key.subject, []).append(score.values[column].value)
    return values
