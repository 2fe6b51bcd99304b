"""Differences of rendered normals: as an angle, and as the number that ICON reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics import Measured
from eval.surfaces import MetricError

ONE_SIDED_ANGLE_RAD = np.pi / 2
_BACKGROUND_CODE = 1.0


@dataclass(frozen=True)
class NormalError:
    """Angles between two sets of normal maps.

    Attributes:
        mean_rad: mean angle over all union pixels of all views, radians, 0..pi.
        per_view_rad: mean angle of each view.
        pixels: number of union pixels in all views.
        per_view_pixels: number of union pixels of each view.
    """

    mean_rad: float
    per_view_rad: tuple[float, ...]
    pixels: int
    per_view_pixels: tuple[int, ...]

    @property
    def mean_deg(self) -> float:
        """The mean angle in degrees."""
        return float(np.degrees(self.mean_rad))


def normal_error_rad(
    predicted_normals: NDArray[np.floating],
    predicted_masks: NDArray[np.bool_],
    true_normals: NDArray[np.floating],
    true_masks: NDArray[np.bool_],
) -> NormalError:
    """Return the angles between normal maps over the union of their silhouettes.

    Every pixel of the union is counted, so there is no interval of drawing. Normals may have
    any length above 0.

    Args:
        predicted_normals: (K, H, W, 3) float, normals of K views of the prediction.
        predicted_masks: (K, H, W) bool, True where the prediction covers the pixel.
        true_normals: (K, H, W, 3) float, the same views of the scan.
        true_masks: (K, H, W) bool.

    Returns:
        Angles in radians; a pixel that only one mask has counts pi/2.

    Raises:
        ValueError: shapes differ.
        MetricError: a view in which neither covers a pixel, or normals that are not finite.
    """
    predicted, true = _checked(predicted_normals, predicted_masks, true_normals, true_masks)
    both, union = predicted_masks & true_masks, predicted_masks | true_masks
    per_view = union.sum(axis=(1, 2))
    if not per_view.all():
        raise MetricError("silhouettes: expected pixels in every view, got an empty one")
    angles = np.where(union, ONE_SIDED_ANGLE_RAD, 0.0)
    pair_a, pair_b = _unit(predicted[both]), _unit(true[both])
    # atan2 keeps its precision near 0 and pi, where arccos of a rounded dot product does not.
    angles[both] = np.arctan2(
        np.linalg.norm(np.cross(pair_a, pair_b), axis=-1), (pair_a * pair_b).sum(axis=-1)
    )
    pixels = int(per_view.sum())
    return NormalError(
        mean_rad=float(angles.sum() / pixels),
        per_view_rad=tuple(float(value) for value in angles.sum(axis=(1, 2)) / per_view),
        pixels=pixels,
        per_view_pixels=tuple(int(count) for count in per_view),
    )


def normal_l2(
    predicted_normals: NDArray[np.floating],
    predicted_masks: NDArray[np.bool_],
    true_normals: NDArray[np.floating],
    true_masks: NDArray[np.bool_],
) -> Measured:
    """Return the normal-map error as ICON reports it ("NC"); not an angle, and no unit.

    Normals are encoded (n + 1) / 2 over a white background; the squared difference is summed
    over the three channels, averaged over *all* pixels of a view, background included, and
    summed over the views (ICON lib/dataset/Evaluator.py:146-177, lib/renderer/gl/render2.py).
    It therefore depends on the framing and on the number of views: comparable only at ICON's
    own, which `eval.normal_maps` renders. Arguments as in `normal_error_rad`.

    Returns:
        The sum; `samples` counts all pixels of all views.
    """
    predicted, true = _checked(predicted_normals, predicted_masks, true_normals, true_masks)
    codes = [
        np.where(mask[..., None], (_filled_unit(normals, mask) + 1.0) / 2.0, _BACKGROUND_CODE)
        for normals, mask in ((predicted, predicted_masks), (true, true_masks))
    ]
    squares = ((codes[0] - codes[1]) ** 2).sum(axis=-1)
    return Measured(float(squares.mean(axis=(1, 2)).sum()), int(squares.size))


def silhouette_iou(predicted_masks: NDArray[np.bool_], true_masks: NDArray[np.bool_]) -> Measured:
    """Return shared over joint silhouette pixels of all views together, 0..1.

    Args:
        predicted_masks: (K, H, W) bool.
        true_masks: (K, H, W) bool, the same views.

    Raises:
        ValueError: shapes differ.
        MetricError: no mask has a pixel.
    """
    if predicted_masks.shape != true_masks.shape:
        raise ValueError(
            f"masks: expected one shape, got {predicted_masks.shape} and {true_masks.shape}"
        )
    joint = int((predicted_masks | true_masks).sum())
    if joint == 0:
        raise MetricError("silhouettes: expected pixels in at least one view, got none")
    return Measured(float((predicted_masks & true_masks).sum() / joint), joint)


def _checked(
    predicted_normals: NDArray[np.floating],
    predicted_masks: NDArray[np.bool_],
    true_normals: NDArray[np.floating],
    true_masks: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    predicted = np.asarray(predicted_normals, dtype=np.float64)
    true = np.asarray(true_normals, dtype=np.float64)
    shapes = {predicted.shape[:-1], true.shape[:-1], predicted_masks.shape, true_masks.shape}
    if len(shapes) != 1:
        raise ValueError(f"normals, masks: expected one (K, H, W), got {sorted(shapes)}")
    return predicted, true


def _filled_unit(normals: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    filled = np.zeros_like(normals)
    filled[mask] = _unit(normals[mask])
    return filled


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0.0)).all():
        raise MetricError("normals: expected finite vectors with a length, got NaN or zero")
    unit: NDArray[np.float64] = vectors / lengths
    return unit
