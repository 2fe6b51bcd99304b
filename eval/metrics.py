"""The metrics between a predicted surface and a scan: distances, normals, volume.

Every distance is in centimetres, every angle in radians, and no function scales, aligns or
hides anything: both surfaces come in one frame. A value that cannot be computed raises
`MetricError`; NaN never becomes a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import igl
import numpy as np
from numpy.typing import NDArray

from eval.surfaces import MetricError, Surface

DEFAULT_SAMPLES = 10_000
DEFAULT_VOXELS = 96
ONE_SIDED_ANGLE_RAD = np.pi / 2


@dataclass(frozen=True)
class Measured:
    """A value and the number of samples (points, pixels or voxels) that it is the mean over."""

    value: float
    samples: int


@dataclass(frozen=True)
class NormalError:
    """Difference of two sets of rendered normal maps.

    Attributes:
        mean_rad: mean angle over all union pixels of all views, radians, 0..pi.
        per_view_rad: mean angle of each view.
        l2: mean over the same pixels of the squared length of the difference of the unit
            normals (background normal = 0), as ICON sums it up; not an angle.
        pixels: number of union pixels in all views.
    """

    mean_rad: float
    per_view_rad: tuple[float, ...]
    l2: float
    pixels: int


@dataclass(frozen=True)
class MetricColumn:
    """One column of the results: how it is called, measured and compared."""

    key: str
    metric: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    definition: str


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
        "normal_error_rad", "normal", "Normal", "rad", "lower",
        "Mean angle between rendered normals at 0, 90, 180 and 270 degrees from the input view, "
        "over the union of the silhouettes; a pixel that only one of the two covers counts pi/2.",
    ),
    MetricColumn(
        "normal_l2", "normal", "Normal L2", "", "lower",
        "Mean squared length of the difference of the same rendered normals (as ICON reports).",
    ),
    MetricColumn(
        "volumetric_iou", "iou", "IoU", "", "higher",
        "Shared volume over joint volume, from generalised winding numbers on a voxel lattice.",
    ),
)  # fmt: skip
"""All columns, in the order in which they are shown."""

METRIC_NAMES: tuple[str, ...] = tuple(dict.fromkeys(column.metric for column in COLUMNS))


def columns_of(metrics: tuple[str, ...]) -> tuple[MetricColumn, ...]:
    """Return the columns that the named metrics fill, in the order of `COLUMNS`."""
    return tuple(column for column in COLUMNS if column.metric in metrics)


def p2s_pred_to_scan_cm(
    prediction: Surface,
    scan: Surface,
    rng: np.random.Generator,
    samples: int = DEFAULT_SAMPLES,
) -> Measured:
    """Return P2S: the mean distance from points of the prediction to the surface of the scan.

    This is the direction of PIFuHD; it does not see parts of the scan that are missing from
    the prediction (`p2s_scan_to_pred_cm` does).

    Args:
        prediction: cm, same frame as the scan.
        scan: cm.
        rng: draws the points, uniform over the area of the prediction.
        samples: number of points.

    Returns:
        The mean in cm. Distances are exact point-to-triangle distances in float64.

    Raises:
        MetricError: a distance is not finite.
    """
    return _mean_distance(prediction, scan, rng, samples)


def p2s_scan_to_pred_cm(
    prediction: Surface,
    scan: Surface,
    rng: np.random.Generator,
    samples: int = DEFAULT_SAMPLES,
) -> Measured:
    """Return the mean distance from points of the scan to the surface of the prediction.

    The direction that ICON calls P2S. Arguments, unit and errors as in `p2s_pred_to_scan_cm`;
    the points are uniform over the area of the scan.
    """
    return _mean_distance(scan, prediction, rng, samples)


def chamfer_cm(pred_to_scan: Measured, scan_to_pred: Measured) -> Measured:
    """Return the Chamfer distance, cm: the mean of the two directions (not their sum)."""
    return Measured(
        value=(pred_to_scan.value + scan_to_pred.value) / 2.0,
        samples=pred_to_scan.samples + scan_to_pred.samples,
    )


def _mean_distance(
    source: Surface, target: Surface, rng: np.random.Generator, samples: int
) -> Measured:
    mean = float(target.distances(source.sample(samples, rng)).mean())
    if not np.isfinite(mean):
        raise MetricError("distances: expected finite values, got NaN or infinity")
    return Measured(value=mean, samples=samples)


def normal_error_rad(
    predicted_normals: NDArray[np.floating],
    predicted_masks: NDArray[np.bool_],
    true_normals: NDArray[np.floating],
    true_masks: NDArray[np.bool_],
) -> NormalError:
    """Compare rendered normal maps over the union of their silhouettes.

    Args:
        predicted_normals: (K, H, W, 3) float, unit normals of K views of the prediction.
        predicted_masks: (K, H, W) bool, True where the prediction covers the pixel.
        true_normals: (K, H, W, 3) float, the same views of the scan.
        true_masks: (K, H, W) bool.

    Returns:
        Angles in radians; a pixel that only one mask has counts pi/2 (and 1 in `l2`).

    Raises:
        ValueError: shapes differ.
        MetricError: a view in which neither covers a pixel, or normals that are not finite.
    """
    predicted = np.asarray(predicted_normals, dtype=np.float64)
    true = np.asarray(true_normals, dtype=np.float64)
    shapes = {predicted.shape[:-1], true.shape[:-1], predicted_masks.shape, true_masks.shape}
    if len(shapes) != 1:
        raise ValueError(f"normals, masks: expected one (K, H, W), got {sorted(shapes)}")
    both, union = predicted_masks & true_masks, predicted_masks | true_masks
    per_view = union.sum(axis=(1, 2))
    if not per_view.all():
        raise MetricError("silhouettes: expected pixels in every view, got an empty one")
    angles = np.where(union, ONE_SIDED_ANGLE_RAD, 0.0)
    squares = union.astype(np.float64)
    pair_a, pair_b = _unit(predicted[both]), _unit(true[both])
    # atan2 keeps its precision near 0 and pi, where arccos of a rounded dot product does not.
    angles[both] = np.arctan2(
        np.linalg.norm(np.cross(pair_a, pair_b), axis=-1), (pair_a * pair_b).sum(axis=-1)
    )
    squares[both] = ((pair_a - pair_b) ** 2).sum(axis=-1)
    if not np.isfinite(angles).all():
        raise MetricError("normals: expected finite unit vectors, got NaN or zero length")
    pixels = int(per_view.sum())
    return NormalError(
        mean_rad=float(angles.sum() / pixels),
        per_view_rad=tuple(float(value) for value in angles.sum(axis=(1, 2)) / per_view),
        l2=float(squares.sum() / pixels),
        pixels=pixels,
    )


def normal_l2(error: NormalError) -> Measured:
    """Return the squared normal-map error; a number of its own, never shown as an angle."""
    return Measured(value=error.l2, samples=error.pixels)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0.0).all():
        raise MetricError("normals: expected finite unit vectors, got NaN or zero length")
    unit: NDArray[np.float64] = vectors / lengths
    return unit


@dataclass(frozen=True)
class Occupancy:
    """The voxels of a lattice whose centres lie inside a surface.

    Voxel (i, j, k) has its centre at (index + 0.5) * pitch_cm in the frame of the surface.

    Attributes:
        pitch_cm: edge of the cubic voxels.
        first: (3,) int64, index of `inside[0, 0, 0]`.
        inside: (X, Y, Z) bool over the bounding box of the surface.
    """

    pitch_cm: float
    first: NDArray[np.int64]
    inside: NDArray[np.bool_]


def voxel_pitch_cm(scan: Surface, voxels: int = DEFAULT_VOXELS) -> float:
    """Return the voxel edge, cm, at which the scan's longest side is `voxels` long."""
    if voxels < 1:
        raise ValueError(f"voxels: expected at least 1, got {voxels}")
    low, high = scan.bounds
    return float((high - low).max() / voxels)


def occupancy(surface: Surface, pitch_cm: float) -> Occupancy:
    """Return the voxels inside a surface, by its generalised winding number.

    The winding number (Barill et al. 2018, through libigl) degrades gently where a scan has
    holes. Its magnitude is compared with 0.5, so a surface turned inside out counts the same.
    Only the bounding box is evaluated: from outside, an open piece of a closed surface covers
    less than half of all directions, so nothing out there is inside.

    Args:
        surface: cm.
        pitch_cm: edge of the cubic voxels of the lattice through the origin.
    """
    low, high = surface.bounds
    first = np.floor(low / pitch_cm).astype(np.int64)
    shape = np.maximum(np.ceil(high / pitch_cm).astype(np.int64) - first, 1)
    axes = [(first[axis] + np.arange(shape[axis]) + 0.5) * pitch_cm for axis in range(3)]
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    winding = np.asarray(igl.fast_winding_number(surface.vertices, surface.faces, centres))
    if not np.isfinite(winding).all():
        raise MetricError("winding numbers: expected finite values, got NaN or infinity")
    inside = (np.abs(winding) > 0.5).reshape(tuple(shape))
    return Occupancy(pitch_cm=pitch_cm, first=first, inside=inside)


def volumetric_iou(
    prediction: Surface,
    scan: Surface,
    voxels: int = DEFAULT_VOXELS,
    scan_occupancy: Occupancy | None = None,
) -> Measured:
    """Return shared volume / joint volume, 0 (disjoint) to 1, on a lattice over both boxes.

    Args:
        prediction: cm, same frame as the scan.
        scan: cm; may be open.
        voxels: cubic voxels along the longest side of the scan's bounding box; on bodies, 96
            and 192 give ratios within 0.002 of each other.
        scan_occupancy: `occupancy(scan, voxel_pitch_cm(scan, voxels))` of an earlier call.

    Returns:
        The ratio; `samples` is the number of voxels in the joint volume.

    Raises:
        MetricError: no voxel centre is inside either surface.
    """
    pitch = voxel_pitch_cm(scan, voxels)
    true = scan_occupancy if scan_occupancy is not None else occupancy(scan, pitch)
    if true.pitch_cm != pitch:
        raise ValueError(f"scan_occupancy: expected pitch {pitch} cm, got {true.pitch_cm} cm")
    predicted = occupancy(prediction, pitch)
    start = np.maximum(predicted.first, true.first)
    stop = np.minimum(
        predicted.first + predicted.inside.shape, true.first + np.array(true.inside.shape)
    )
    shared = 0
    if (stop > start).all():
        shared = int((_window(predicted, start, stop) & _window(true, start, stop)).sum())
    joint = int(predicted.inside.sum()) + int(true.inside.sum()) - shared
    if joint == 0:
        raise MetricError("volumes: expected voxels inside at least one surface, got none")
    return Measured(value=shared / joint, samples=joint)


def _window(
    grid: Occupancy, start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.bool_]:
    low, high = start - grid.first, stop - grid.first
    return grid.inside[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
