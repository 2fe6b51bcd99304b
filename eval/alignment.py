"""Brings a prediction to its scan before measuring, where the user asks for it.

An alignment hides what it fits: depth and scale errors, a tilt. It is an explicit choice, one for
all methods of a comparison, and what was fitted is part of every result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.surfaces import MetricError, Surface, moved

AlignmentMode = Literal["none", "translation", "icp"]
ALIGNMENT_MODES: tuple[AlignmentMode, ...] = ("none", "translation", "icp")

_POINTS = 2_000
_MOST_STEPS = 100
_KEPT_SHARE = 0.9
_STOP_CM = 1e-3


@dataclass(frozen=True)
class Alignment:
    """What was done to a prediction before it was measured.

    Attributes:
        mode: "none", "translation", or "icp" (rotation, translation and uniform scale).
        scale: factor of all lengths.
        rotation_deg: angle of the rotation, 0..180.
        translation_cm: (x, y, z) by which the centre of the prediction's box moved.
    """

    mode: AlignmentMode
    scale: float = 1.0
    rotation_deg: float = 0.0
    translation_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)


def aligned(
    prediction: Surface, scan: Surface, mode: AlignmentMode, rng: np.random.Generator
) -> tuple[Surface, Alignment]:
    """Return the prediction, moved onto the scan as far as the mode allows, and how.

    Iterated closest points (Besl and McKay 1992) in both directions, so that neither missing
    limbs nor spare parts pull alone; the worst tenth of the pairs is left out. "icp" starts from
    equal centres and heights, "translation" from equal centres.

    Args:
        prediction: cm; "translation" needs the scan's scale and axes, "icp" its axes roughly.
        scan: cm.
        mode: what may be fitted.
        rng: draws the points of both surfaces.

    Raises:
        MetricError: the prediction has no height, or the fit collapses.
    """
    if mode == "none":
        return prediction, Alignment("none")
    matrix = _start(prediction, scan, mode)
    own, other = prediction.sample(_POINTS, rng), scan.sample(_POINTS, rng)
    for _ in range(_MOST_STEPS):
        placed = own @ matrix[:3, :3].T + matrix[:3, 3]
        forth, targets = scan.nearest(placed)
        inverse = np.linalg.inv(matrix)
        back, sources = prediction.nearest(other @ inverse[:3, :3].T + inverse[:3, 3])
        back = back * np.cbrt(np.linalg.det(matrix[:3, :3]))
        kept = [side <= np.quantile(side, _KEPT_SHARE) for side in (forth, back)]
        source = np.concatenate([own[kept[0]], sources[kept[1]]])
        target = np.concatenate([targets[kept[0]], other[kept[1]]])
        new = (
            _translation(matrix, source, target)
            if mode == "translation"
            else _similarity(source, target)
        )
        step = np.abs(own @ (new - matrix)[:3, :3].T + (new - matrix)[:3, 3]).max()
        matrix = new
        if step < _STOP_CM:
            break
    return moved(prediction, matrix), _described(matrix, prediction, mode)


def _start(prediction: Surface, scan: Surface, mode: AlignmentMode) -> NDArray[np.float64]:
    sizes = [float(np.ptp(surface.bounds, axis=0)[1]) for surface in (prediction, scan)]
    if not sizes[0] > 0.0:
        raise MetricError("alignment: expected a prediction with a height, got none")
    scale = sizes[1] / sizes[0] if mode == "icp" else 1.0
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = scan.bounds.mean(axis=0) - scale * prediction.bounds.mean(axis=0)
    return matrix


def _translation(
    matrix: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    new = matrix.copy()
    new[:3, 3] = (target - source @ matrix[:3, :3].T).mean(axis=0)
    return new


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (4, 4) least-squares similarity between paired points (Umeyama 1991)."""
    middles = source.mean(axis=0), target.mean(axis=0)
    a, b = source - middles[0], target - middles[1]
    left, values, right = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    spread = float((a**2).sum())
    scale = float((values * signs).sum()) / spread if spread > 0.0 else 0.0
    if not scale > 0.0:
        raise MetricError("alignment: expected a fit with a positive scale, got none")
    matrix = np.eye(4)
    matrix[:3, :3] = scale * (left * signs) @ right
    matrix[:3, 3] = middles[1] - matrix[:3, :3] @ middles[0]
    return matrix


def _described(matrix: NDArray[np.float64], prediction: Surface, mode: AlignmentMode) -> Alignment:
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    cosine = (np.trace(matrix[:3, :3]) / scale - 1.0) / 2.0
    centre = prediction.bounds.mean(axis=0)
    x, y, z = (float(v) for v in matrix[:3, :3] @ centre + matrix[:3, 3] - centre)
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    return Alignment(mode, scale, angle, (x, y, z))
