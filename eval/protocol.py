"""How one reconstruction is scored and how scores are summed up.

The unit of scoring is a sample: one view of one scan. The unit of chance is the subject:
views of one person are not independent, so intervals are bootstrapped over subjects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.metrics import (
    DEFAULT_SAMPLES,
    DEFAULT_VOXELS,
    METRIC_NAMES,
    Measured,
    MetricColumn,
    Occupancy,
    chamfer_cm,
    columns_of,
    normal_error_rad,
    normal_l2,
    occupancy,
    p2s_pred_to_scan_cm,
    p2s_scan_to_pred_cm,
    volumetric_iou,
    voxel_pitch_cm,
)
from eval.normal_maps import NormalViews
from eval.surfaces import Surface
from render.errors import UserInputError

SCALE = "original"
BOOTSTRAP_DRAWS = 2_000
SIZE_LIMITS = {
    "samples": (100, 10_000_000),
    "voxels": (8, 512),
    "normal_resolution": (32, 4096),
}
"""Smallest and largest value of the sizes in `ScoreConfig`: from what means something to what
memory holds."""


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """What is measured, and how finely.

    Attributes:
        metrics: names out of `METRIC_NAMES`.
        samples: points drawn per surface and direction.
        voxels: cubic voxels along the longest side of the scan.
        normal_resolution: width and height of the rendered normal maps, pixels.
        seed: seed of the drawn points and of the bootstrap.
    """

    metrics: tuple[str, ...] = METRIC_NAMES
    samples: int = DEFAULT_SAMPLES
    voxels: int = DEFAULT_VOXELS
    normal_resolution: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        check_metric_names(self.metrics)
        for name, (least, most) in SIZE_LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserInputError(
                    f"--{name.replace('_', '-')}: expected {least} to {most}, "
                    f"got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class SampleKey:
    """Which view of which scan of which subject."""

    scan_id: str
    subject: str
    view: int
    yaw_deg: float


@dataclass(frozen=True)
class SampleScore:
    """The scores of one method on one sample.

    Attributes:
        method: name of what reconstructed.
        key: the sample.
        values: column key -> measured value and sample count.
        normal_per_view_rad: normal error at 0, 90, 180, 270 degrees; empty if not asked for.
        seconds: time that the reconstruction took, without scoring.
    """

    method: str
    key: SampleKey
    values: dict[str, Measured]
    normal_per_view_rad: tuple[float, ...] = ()
    seconds: float = 0.0


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
    """All columns of one method; `complete` is False when a sample failed."""

    method: str
    columns: dict[str, Summary]
    complete: bool


@dataclass(frozen=True)
class Results:
    """Everything that a report says, apart from its pictures.

    Attributes:
        config: what was measured.
        methods: one summary a method, in the order in which they were given.
        scores: one entry per method and sample that was scored.
        failures: what was not.
        source: where data and weights came from, as text by name (shards, checkpoint, ...).
    """

    config: ScoreConfig
    methods: tuple[MethodSummary, ...]
    scores: tuple[SampleScore, ...]
    failures: tuple[Failure, ...] = ()
    source: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[MetricColumn, ...]:
        """The columns that were asked for."""
        return columns_of(self.config.metrics)


def check_metric_names(names: Sequence[str]) -> None:
    """Raise UserInputError when a name is no metric, or none is given."""
    unknown = [name for name in names if name not in METRIC_NAMES]
    if unknown or not names:
        found = ", ".join(repr(name) for name in unknown) or "none"
        raise UserInputError(
            f"--metrics: expected names out of {', '.join(METRIC_NAMES)}, got {found}"
        )


def sample_rng(seed: int, *parts: object) -> np.random.Generator:
    """Return a generator that depends on the seed and the parts alone, on every machine."""
    text = "\x1f".join(str(part) for part in (seed, *parts))
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    )


@dataclass(frozen=True)
class Truth:
    """What the predictions of one sample are compared with.

    Attributes:
        key: the sample.
        surface: the scan, cm, scan frame.
        normals: the scan's rendered normals; needed by the metric `normal`.
        inside: the scan's voxels; saves time for the metric `iou`.
    """

    key: SampleKey
    surface: Surface
    normals: NormalViews | None = None
    inside: Occupancy | None = None


def scan_occupancy(scan: Surface, config: ScoreConfig) -> Occupancy | None:
    """Return the scan's voxels for `Truth.inside`, or None where `iou` is not asked for."""
    if "iou" not in config.metrics:
        return None
    return occupancy(scan, voxel_pitch_cm(scan, config.voxels))


def score_sample(
    method: str,
    prediction: Surface,
    truth: Truth,
    config: ScoreConfig,
    predicted_normals: NormalViews | None = None,
    seconds: float = 0.0,
) -> SampleScore:
    """Score one reconstruction with every metric of the config.

    Every method gets the same random numbers for the same sample.

    Args:
        method: its name.
        prediction: cm, scan frame.
        truth: the scan.
        config: what to measure.
        predicted_normals: the prediction's rendered normals, needed by the metric `normal`.
        seconds: time that the reconstruction took.

    Raises:
        MetricError: a metric cannot be computed.
        ValueError: `normal` is asked for and a set of normals is missing.
    """
    values: dict[str, Measured] = {}
    per_view: tuple[float, ...] = ()
    scan, key = truth.surface, truth.key
    if {"p2s", "chamfer"} & set(config.metrics):
        rng = sample_rng(config.seed, key.scan_id, key.view, "pred_to_scan")
        forth = p2s_pred_to_scan_cm(prediction, scan, rng, config.samples)
        values["p2s_pred_to_scan_cm"] = forth
        if "chamfer" in config.metrics:
            rng = sample_rng(config.seed, key.scan_id, key.view, "scan_to_pred")
            back = p2s_scan_to_pred_cm(prediction, scan, rng, config.samples)
            values["p2s_scan_to_pred_cm"], values["chamfer_cm"] = back, chamfer_cm(forth, back)
    if "normal" in config.metrics:
        if predicted_normals is None or truth.normals is None:
            raise ValueError("normals: expected rendered normals for the metric 'normal', got None")
        error = normal_error_rad(
            predicted_normals.normals,
            predicted_normals.masks,
            truth.normals.normals,
            truth.normals.masks,
        )
        per_view = error.per_view_rad
        values["normal_error_rad"] = Measured(error.mean_rad, error.pixels)
        values["normal_l2"] = normal_l2(error)
    if "iou" in config.metrics:
        values["volumetric_iou"] = volumetric_iou(prediction, scan, config.voxels, truth.inside)
    wanted = [column.key for column in columns_of(config.metrics)]
    return SampleScore(method, key, {name: values[name] for name in wanted}, per_view, seconds)


def summarise(
    method: str, scores: Sequence[SampleScore], config: ScoreConfig, expected_views: int
) -> MethodSummary:
    """Sum up the scores of one method; `expected_views` decides whether it is complete."""
    own = [score for score in scores if score.method == method]
    subjects = sorted({score.key.subject for score in own})
    columns: dict[str, Summary] = {}
    for column in columns_of(config.metrics) if own else ():
        by_subject = [
            [s.values[column.key].value for s in own if s.key.subject == subject]
            for subject in subjects
        ]
        columns[column.key] = _summary(by_subject, config.seed)
    return MethodSummary(method, columns, complete=len(own) == expected_views)


def _summary(by_subject: list[list[float]], seed: int) -> Summary:
    everything = [value for values in by_subject for value in values]
    means = np.array([np.mean(values) for values in by_subject])
    return Summary(
        mean=float(np.mean(everything)),
        subject_mean=float(means.mean()),
        interval=bootstrap_interval(means, seed),
        views=len(everything),
        subjects=len(by_subject),
    )


def bootstrap_interval(
    subject_means: Sequence[float] | np.ndarray, seed: int, draws: int = BOOTSTRAP_DRAWS
) -> tuple[float, float] | None:
    """Return the percentile 95 % interval of the mean over subjects drawn with replacement.

    None with fewer than two subjects: one person says nothing about the spread between people.
    """
    values = np.asarray(subject_means, dtype=np.float64)
    if len(values) < 2:
        return None
    picks = sample_rng(seed, "bootstrap").integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


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
