"""Joints seen in several views become points in space, against outliers and swapped sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_NAMES, MIRRORED_JOINTS, is_measured

FloatArray = NDArray[np.float64]

LEAST_VIEWS = 3
"""Two wrong views may agree by chance, three hardly do."""

LEAST_ANGLE_DEG = 20.0
"""Between the cameras of a pair that proposes a point, and between one and the other's back."""

REFINEMENTS = 5
SWAP_ROUNDS = 2

_GROUPS: dict[str, tuple[str, ...]] = {
    "head": ("eye", "ear"),
    "arms": ("shoulder", "elbow", "wrist", "index", "middle", "ring", "pinky"),
    "legs": ("hip", "knee", "ankle", "big_toe", "small_toe", "heel"),
}
"""What a detector swaps at once where it takes left for right."""


@dataclass(frozen=True, kw_only=True)
class Triangulation:
    """Joints in space, and how well the views agree on them.

    Attributes:
        joints: (31, 4) float64 frame of the projections + confidence: the mean of the views
            that agree, 0 and zero throughout where fewer than three do.
        error_px: (31,) float64 root mean square of the distances from the joint's projections
            to where these views saw it, pixels; NaN where there is no joint.
        views: (31,) int, how many views agree.
        swapped: number of groups (head, arms, legs) of views whose sides were exchanged.
    """

    joints: FloatArray
    error_px: FloatArray
    views: NDArray[np.intp]
    swapped: int


def triangulate(
    seen: NDArray[np.floating], projections: NDArray[np.floating], inlier_px: float
) -> Triangulation:
    """Find the points that most of the views agree on.

    Every pair of views proposes a point; the one that most confidence agrees with is refined by
    weighted least squares over the views that see it within `inlier_px`. Joints that were
    filled, or are less sure than such, take no part. Then views in which the two sides of
    head, arms or legs fit better exchanged are exchanged, and all is done again.

    Args:
        seen: (V, 31, 3) pixels + confidence.
        projections: (V, 3, 4) from the frame of the result to homogeneous pixels.
        inlier_px: distance up to which a view agrees with a point.
    """
    points = np.asarray(seen, dtype=np.float64)
    matrices = np.asarray(projections, dtype=np.float64)
    pairs = _pairs(matrices)
    swapped = np.zeros((len(points), len(_GROUPS)), dtype=bool)
    joints, errors, views = _each_joint(points, matrices, pairs, inlier_px)
    for _ in range(SWAP_ROUNDS):
        points, changed = _unswapped(points, _reprojected(matrices, joints), joints)
        if not changed.any():
            break
        swapped ^= changed
        joints, errors, views = _each_joint(points, matrices, pairs, inlier_px)
    return Triangulation(joints=joints, error_px=errors, views=views, swapped=int(swapped.sum()))


def _pairs(matrices: FloatArray) -> NDArray[np.intp]:
    """Return (P, 2) pairs of views that look from different enough sides."""
    axes = matrices[:, 2, :3] / np.linalg.norm(matrices[:, 2, :3], axis=1, keepdims=True)
    first, second = np.triu_indices(len(matrices), 1)
    cosine = np.abs((axes[first] * axes[second]).sum(axis=1))
    return np.stack([first, second], axis=1)[cosine <= np.cos(np.radians(LEAST_ANGLE_DEG))]


def _each_joint(
    points: FloatArray, matrices: FloatArray, pairs: NDArray[np.intp], inlier_px: float
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return (J, 4) joints, (J,) errors and (J,) numbers of views."""
    count = points.shape[1]
    joints, errors = np.zeros((count, 4)), np.full(count, np.nan)
    views = np.zeros(count, dtype=np.intp)
    for joint in range(count):
        place, weights = points[:, joint, :2], points[:, joint, 2]
        weights = np.where(is_measured(points[:, joint]), weights, 0.0)
        position = _best_proposal(place, weights, matrices, pairs, inlier_px)
        if position is None:
            continue
        for _ in range(REFINEMENTS):
            agrees = (_distances(position[None], place, matrices)[0] < inlier_px) & (weights > 0.0)
            if agrees.sum() < LEAST_VIEWS:
                break
            position = _solved(place[agrees], weights[agrees], matrices[agrees], position)
        distances = _distances(position[None], place, matrices)[0]
        agrees = (distances < inlier_px) & (weights > 0.0)
        if agrees.sum() < LEAST_VIEWS:
            continue
        joints[joint] = (*position, weights[agrees].mean())
        errors[joint] = np.sqrt((distances[agrees] ** 2).mean())
        views[joint] = agrees.sum()
    return joints, errors, views


def _best_proposal(
    place: FloatArray,
    weights: FloatArray,
    matrices: FloatArray,
    pairs: NDArray[np.intp],
    inlier_px: float,
) -> FloatArray | None:
    usable = pairs[(weights[pairs] > 0.0).all(axis=1)]
    if not len(usable):
        return None
    rows = _rows(place, matrices)[usable].reshape(len(usable), 4, 4)
    proposals = _least_squares(rows)
    distances = _distances(proposals, place, matrices)
    agreement = np.maximum(0.0, 1.0 - (distances / inlier_px) ** 2) @ weights
    best: FloatArray = proposals[int(agreement.argmax())]
    return best


def _solved(
    place: FloatArray, weights: FloatArray, matrices: FloatArray, near: FloatArray
) -> FloatArray:
    """Return the point with the least weighted square distances in pixels, from a near one."""
    depth = matrices[:, 2] @ np.append(near, 1.0)
    # Weights that are squared here: a view that is half as sure counts a quarter.
    rows = _rows(place, matrices) * (weights / depth)[:, None, None]
    nearest: FloatArray = _least_squares(rows.reshape(1, -1, 4))[0]
    return nearest


def _rows(place: FloatArray, matrices: FloatArray) -> FloatArray:
    """Return (V, 2, 4) rows whose product with (x, y, z, 1) is zero on the ray of each view."""
    return place[:, :, None] * matrices[:, 2:3] - matrices[:, :2]


def _least_squares(rows: FloatArray) -> FloatArray:
    """Return (N, 3) points of (N, R, 4) rows."""
    left, right = rows[..., :3], -rows[..., 3:]
    transposed = np.swapaxes(left, 1, 2)
    solutions = np.linalg.solve(transposed @ left, transposed @ right)
    return np.asarray(solutions[..., 0], dtype=np.float64)


def _distances(positions: FloatArray, place: FloatArray, matrices: FloatArray) -> FloatArray:
    """Return (N, V) pixels between the projections of (N, 3) points and (V, 2) places."""
    homogeneous = np.concatenate([positions, np.ones((len(positions), 1))], axis=1)
    projected = np.einsum("vij,nj->nvi", matrices, homogeneous)
    # Behind a camera, where a pair that hardly agrees may put it, nothing is seen.
    behind = projected[..., 2] <= 0.0
    depth = np.where(behind, 1.0, projected[..., 2])
    distances = np.linalg.norm(projected[..., :2] / depth[..., None] - place, axis=-1)
    return np.where(behind, np.inf, distances)


def _reprojected(matrices: FloatArray, joints: FloatArray) -> FloatArray:
    """Return (V, J, 2) pixels of (J, 4) joints."""
    homogeneous = np.concatenate([joints[:, :3], np.ones((len(joints), 1))], axis=1)
    projected = np.einsum("vij,nj->vni", matrices, homogeneous)
    return projected[..., :2] / projected[..., 2:]


def _unswapped(
    points: FloatArray, expected: FloatArray, joints: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Exchange the sides of groups of views where that is nearer to what is expected.

    Returns:
        (V, J, 3) points; (V, G) bool: which groups were exchanged.
    """
    mirrored = points[:, list(MIRRORED_JOINTS)]
    known = joints[:, 3] > 0.0
    result = points.copy()
    changed = np.zeros((len(points), len(_GROUPS)), dtype=bool)
    for number, parts in enumerate(_GROUPS.values()):
        members = np.array([name.partition("_")[2] in parts for name in JOINT_NAMES])
        compared = members & known
        usable = is_measured(points) & is_measured(mirrored) & compared
        as_is, other = (
            (np.linalg.norm(places[..., :2] - expected, axis=-1) * usable).sum(axis=1)
            for places in (points, mirrored)
        )
        changed[:, number] = other < as_is
        rows = np.ix_(changed[:, number], members)
        result[rows] = mirrored[rows]
    return result, changed
