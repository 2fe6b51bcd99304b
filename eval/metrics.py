"""Which metrics there are: their columns, units and definitions (one home for their names)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

DEFAULT_SAMPLES = 10_000
DEFAULT_VOXELS = 96
F_SCORE_THRESHOLDS_CM = (0.5, 1.0, 2.0)
DEFAULT_METRICS = ("p2s", "chamfer", "normal", "iou")


@dataclass(frozen=True)
class Measured:
    """A value, and what it is measured on.

    Attributes:
        value: in the unit of its column.
        samples: number of points, pixels or voxels.
        interval: where the value would lie, with 95 % confidence, with endlessly many random
            points; None where nothing is drawn (all pixels, all voxels) or it cannot be said.
    """

    value: float
    samples: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class MetricColumn:
    """One column of the results: how it is called, measured and compared.

    Attributes:
        key: name in JSON, CSV and code; carries direction and unit.
        metric: what to ask for on the command line.
        label: heading.
        unit: "" for none.
        better: which values are better.
        definition: one sentence for the reader of a report.
        headline: shown in the first table; the others follow in a second one.
    """

    key: str
    metric: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    definition: str
    headline: bool = True


_SAME_VIEWS = "over the same views"

COLUMNS: tuple[MetricColumn, ...] = (
    MetricColumn(
        "p2s_pred_to_scan_cm", "p2s", "P2S", "cm", "lower",
        "Mean distance from area-uniform points of the prediction to the surface of the scan.",
    ),
    MetricColumn(
        "chamfer_cm", "chamfer", "Chamfer", "cm", "lower",
        "Mean of both directions, prediction to scan and scan to prediction.",
    ),
    MetricColumn(
        "p2s_scan_to_pred_cm", "chamfer", "Scan to pred.", "cm", "lower",
        "Mean distance from area-uniform points of the scan to the surface of the prediction.",
    ),
    MetricColumn(
        "chamfer_squared_cm2", "chamfer", "Chamfer, squared", "cm²", "lower",
        "Mean of both directions' mean squared distances (the sum, as some print, is twice this).",
        headline=False,
    ),
    MetricColumn(
        "hausdorff_cm", "hausdorff", "Hausdorff", "cm", "lower",
        "Largest distance of the drawn points, of either direction.",
    ),
    MetricColumn(
        "hausdorff_95_cm", "hausdorff", "Hausdorff 95 %", "cm", "lower",
        "Larger of both directions' 95th percentiles of distance.",
    ),
    MetricColumn(
        "p2s_median_cm", "hausdorff", "P2S median", "cm", "lower",
        "Median distance from points of the prediction to the surface of the scan.",
        headline=False,
    ),
    *(
        MetricColumn(
            f"f_score_{round(10 * threshold)}mm", "fscore", f"F-score {threshold:g} cm", "",
            "higher", "Harmonic mean of the shares of prediction and scan that lie within "
            f"{threshold:g} cm of the other.",
        )
        for threshold in F_SCORE_THRESHOLDS_CM
    ),
    MetricColumn(
        "normal_error_rad", "normal", "Normal", "rad", "lower",
        "Mean angle between rendered normals at 0, 90, 180 and 270 degrees from the input view, "
        "over the union of the silhouettes; a pixel that only one of the two covers counts pi/2.",
    ),
    MetricColumn(
        "normal_error_deg", "normal", "Normal", "°", "lower",
        "The same mean angle in degrees.", headline=False,
    ),
    MetricColumn(
        "normal_front_rad", "normal", "Normal, front", "rad", "lower",
        "The same mean angle in the input view (0 degrees) alone.", headline=False,
    ),
    MetricColumn(
        "normal_back_rad", "normal", "Normal, back", "rad", "lower",
        "The same mean angle from behind (180 degrees) alone.", headline=False,
    ),
    MetricColumn(
        "normal_l2", "normal", "Normal L2", "", "lower",
        "Squared difference of normals encoded (n + 1) / 2 on white, summed over channels and "
        f"{_SAME_VIEWS}, averaged over all pixels of a view (as ICON reports; not an angle).",
    ),
    MetricColumn(
        "volumetric_iou", "iou", "IoU", "", "higher",
        "Shared volume over joint volume, from generalised winding numbers on a voxel lattice.",
    ),
    MetricColumn(
        "silhouette_iou", "silhouette", "Silhouette IoU", "", "higher",
        f"Shared over joint pixels of the silhouettes, {_SAME_VIEWS} as the normals.",
    ),
    MetricColumn(
        "map_depth_error_cm", "maps", "Depth maps", "cm", "lower",
        "Mean absolute difference of front and back depth along the rays of the input view, "
        "where both maps have the person.",
    ),
    MetricColumn(
        "map_normal_error_rad", "maps", "Normal maps", "rad", "lower",
        "Mean angle between the predicted and the true front and back normal maps of the input "
        "view, over the union of the masks; one-sided pixels count pi/2.",
    ),
    MetricColumn(
        "map_mask_iou", "maps", "Mask IoU", "", "higher",
        "Shared over joint pixels of predicted and true mask in the input view.",
        headline=False,
    ),
)  # fmt: skip
"""All columns, in the order in which they are shown."""

METRIC_NAMES: tuple[str, ...] = tuple(dict.fromkeys(column.metric for column in COLUMNS))
MAP_METRICS = ("maps",)
"""Metrics that compare the maps of a view, so that meshes alone are not enough."""

RENDERED_METRICS = ("normal", "silhouette")
"""Metrics that need both surfaces rendered."""


def columns_of(metrics: Sequence[str]) -> tuple[MetricColumn, ...]:
    """Return the columns that the named metrics fill, in the order of `COLUMNS`."""
    return tuple(column for column in COLUMNS if column.metric in metrics)
