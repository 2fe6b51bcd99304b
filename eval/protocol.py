"""How one reconstruction is scored: what is measured, on which sample, at which scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from eval.alignment import ALIGNMENT_MODES, Alignment, AlignmentMode
from eval.distances import (
    chamfer_cm,
    chamfer_squared_cm2,
    f_score,
    hausdorff_cm,
    hausdorff_percentile_cm,
    mean_distance_cm,
    percentile_cm,
    sampled_distances_cm,
)
from eval.metrics import (
    DEFAULT_METRICS,
    DEFAULT_SAMPLES,
    DEFAULT_VOXELS,
    F_SCORE_THRESHOLDS_CM,
    METRIC_NAMES,
    RENDERED_METRICS,
    Measured,
    columns_of,
)
from eval.normal_maps import BACK_TURN, FRONT_TURN, NormalViews
from eval.normals import normal_error_rad, normal_l2, silhouette_iou
from eval.statistics import sample_rng
from eval.surfaces import Surface
from eval.volumes import Occupancy, occupancy, volumetric_iou, voxel_pitch_cm
from render.errors import UserInputError

ScaleMode = Literal["original", "normalised"]
SCALE_MODES: tuple[ScaleMode, ...] = ("original", "normalised")
NORMALISED_HEIGHT_CM = 180.0

SIZE_LIMITS = {
    "samples": (100, 10_000_000),
    "voxels": (8, 512),
    "normal_resolution": (32, 4096),
}
"""Smallest and largest value of the sizes in `ScoreConfig`: from what means something to what
memory holds."""

_BOTH_WAYS = {"chamfer", "hausdorff", "fscore"}


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """What is measured, and how finely.

    Attributes:
        metrics: names out of `METRIC_NAMES`.
        samples: points drawn per surface and direction.
        voxels: cubic voxels along the longest side of the scan.
        normal_resolution: width and height of the rendered normal maps, pixels.
        seed: seed of the drawn points, the alignment and the bootstrap.
        scale: "original" centimetres, or "normalised": lengths are multiplied by what makes
            the scan 180 cm tall (Table 2's THuman2.0).
        align: what is fitted before measuring.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    samples: int = DEFAULT_SAMPLES
    voxels: int = DEFAULT_VOXELS
    normal_resolution: int = 512
    seed: int = 0
    scale: ScaleMode = "original"
    align: AlignmentMode = "none"

    def __post_init__(self) -> None:
        check_metric_names(self.metrics)
        for name, (least, most) in SIZE_LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserInputError(
                    f"--{name.replace('_', '-')}: expected {least} to {most}, "
                    f"got {getattr(self, name)}"
                )
        for name, known in (("scale", SCALE_MODES), ("align", ALIGNMENT_MODES)):
            if getattr(self, name) not in known:
                raise UserInputError(
                    f"--{name}: expected {' or '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def renders(self) -> bool:
        """Whether a metric needs both surfaces rendered."""
        return bool(set(RENDERED_METRICS) & set(self.metrics))


@dataclass(frozen=True)
class SampleKey:
    """Which view of which scan of which subject.

    Attributes:
        scan_id: the scan.
        subject: the person.
        view: number of the view.
        yaw_deg: by how much the scan is turned in it.
        pose_class: what the person does, as text; "" where it is not known.
        occluded_share: share of the silhouette behind which a second body part hides; None
            where it is not known.
    """

    scan_id: str
    subject: str
    view: int
    yaw_deg: float
    pose_class: str = ""
    occluded_share: float | None = None


@dataclass(frozen=True)
class SampleScore:
    """The scores of one method on one sample.

    Attributes:
        method: name of what reconstructed.
        key: the sample.
        values: column key -> measured value and sample count.
        normal_per_view_rad: normal error at 0, 90, 180, 270 degrees; empty if not asked for.
        seconds: time that the reconstruction took, without scoring; None where it is not known.
        alignment: what was fitted before.
    """

    method: str
    key: SampleKey
    values: dict[str, Measured]
    normal_per_view_rad: tuple[float, ...] = ()
    seconds: float | None = None
    alignment: Alignment = field(default_factory=lambda: Alignment("none"))


def check_metric_names(names: Sequence[str]) -> None:
    """Raise UserInputError when a name is no metric, or none is given."""
    unknown = [name for name in names if name not in METRIC_NAMES]
    if unknown or not names:
        found = ", ".join(repr(name) for name in unknown) or "none"
        raise UserInputError(
            f"--metrics: expected names out of {', '.join(METRIC_NAMES)}, got {found}"
        )


@dataclass(frozen=True)
class Truth:
    """What the predictions of one sample are compared with.

    Attributes:
        key: the sample.
        surface: the scan, cm, scan frame.
        normals: the scan's rendered normals; needed by the metrics `normal` and `silhouette`.
        inside: the scan's voxels; saves time for the metric `iou`.
    """

    key: SampleKey
    surface: Surface
    normals: NormalViews | None = None
    inside: Occupancy | None = None


@dataclass(frozen=True)
class Candidate:
    """A reconstruction to be scored, in the scan's frame.

    Attributes:
        method: name of what made it.
        surface: cm, scan frame, aligned already.
        normals: its rendered normals; needed by the metrics `normal` and `silhouette`.
        of_maps: the columns of the metric `maps`, where the method has maps.
        seconds: time that it took.
        alignment: what was fitted.
    """

    method: str
    surface: Surface
    normals: NormalViews | None = None
    of_maps: Mapping[str, Measured] = field(default_factory=dict)
    seconds: float | None = None
    alignment: Alignment = field(default_factory=lambda: Alignment("none"))


def scan_occupancy(scan: Surface, config: ScoreConfig) -> Occupancy | None:
    """Return the scan's voxels for `Truth.inside`, or None where `iou` is not asked for."""
    if "iou" not in config.metrics:
        return None
    return occupancy(scan, voxel_pitch_cm(scan, config.voxels))


def length_factor(scan: Surface, scale: ScaleMode) -> float:
    """Return what lengths are multiplied by: 1, or what makes the scan 180 cm tall."""
    if scale == "original":
        return 1.0
    return NORMALISED_HEIGHT_CM / float(np.ptp(scan.bounds, axis=0)[1])


def score_sample(candidate: Candidate, truth: Truth, config: ScoreConfig) -> SampleScore:
    """Score one reconstruction with every metric of the config.

    Every method gets the same random numbers for the same sample.

    Raises:
        MetricError: a metric cannot be computed.
        ValueError: a rendered metric is asked for and a set of normals is missing, or `maps`
            is and the candidate has none.
    """
    values = _distance_values(candidate.surface, truth, config)
    per_view: tuple[float, ...] = ()
    if config.renders:
        rendered, per_view = _rendered_values(candidate.normals, truth.normals)
        values |= rendered
    if "iou" in config.metrics:
        values["volumetric_iou"] = volumetric_iou(
            candidate.surface, truth.surface, config.voxels, truth.inside
        )
    factor = length_factor(truth.surface, config.scale)
    for name, measured in candidate.of_maps.items():
        values[name] = _times(measured, factor) if name.endswith("_cm") else measured
    wanted = [column.key for column in columns_of(config.metrics)]
    missing = [name for name in wanted if name not in values]
    if missing:
        raise ValueError(f"maps: expected the values of {', '.join(missing)}, got none")
    return SampleScore(
        method=candidate.method,
        key=truth.key,
        values={name: values[name] for name in wanted},
        normal_per_view_rad=per_view if "normal" in config.metrics else (),
        seconds=candidate.seconds,
        alignment=candidate.alignment,
    )


def _distance_values(prediction: Surface, truth: Truth, config: ScoreConfig) -> dict[str, Measured]:
    asked = set(config.metrics)
    if not asked & (_BOTH_WAYS | {"p2s"}):
        return {}
    key, factor = truth.key, length_factor(truth.surface, config.scale)

    def directed(source: Surface, target: Surface, name: str) -> np.ndarray:
        rng = sample_rng(config.seed, key.scan_id, key.view, name)
        return factor * sampled_distances_cm(source, target, rng, config.samples)

    forth = directed(prediction, truth.surface, "pred_to_scan")
    values = {"p2s_pred_to_scan_cm": mean_distance_cm(forth)}
    if not asked & _BOTH_WAYS:
        return values
    back = directed(truth.surface, prediction, "scan_to_pred")
    values |= {
        "p2s_scan_to_pred_cm": mean_distance_cm(back),
        "chamfer_cm": chamfer_cm(forth, back),
        "chamfer_squared_cm2": chamfer_squared_cm2(forth, back),
        "hausdorff_cm": hausdorff_cm(forth, back),
        "hausdorff_95_cm": hausdorff_percentile_cm(forth, back, 95.0),
        "p2s_median_cm": percentile_cm(forth, 50.0),
    }
    for threshold in F_SCORE_THRESHOLDS_CM:
        values[f"f_score_{round(10 * threshold)}mm"] = f_score(forth, back, threshold)
    return values


def _rendered_values(
    predicted: NormalViews | None, true: NormalViews | None
) -> tuple[dict[str, Measured], tuple[float, ...]]:
    if predicted is None or true is None:
        raise ValueError("normals: expected rendered normals for the metric 'normal', got None")
    pair = (predicted.normals, predicted.masks, true.normals, true.masks)
    error = normal_error_rad(*pair)
    values = {
        "normal_error_rad": Measured(error.mean_rad, error.pixels),
        "normal_error_deg": Measured(error.mean_deg, error.pixels),
        "normal_l2": normal_l2(*pair),
        "silhouette_iou": silhouette_iou(predicted.masks, true.masks),
    }
    for name, turn in (("normal_front_rad", FRONT_TURN), ("normal_back_rad", BACK_TURN)):
        values[name] = Measured(error.per_view_rad[turn], error.per_view_pixels[turn])
    return values, error.per_view_rad


def _times(measured: Measured, factor: float) -> Measured:
    ends = measured.interval
    scaled = None if ends is None else (ends[0] * factor, ends[1] * factor)
    return Measured(measured.value * factor, measured.samples, scaled)
