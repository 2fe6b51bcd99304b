"""The volume that a surface encloses, also where it has holes, and what two of them share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics import DEFAULT_VOXELS, Measured
from eval.surfaces import MetricError, Surface
from eval.winding import Lattice, winding_numbers

MOST_VOXELS = 64_000_000
"""What fits into memory; far more comes from a prediction in another unit than its scan."""


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

    The winding number (Jacobson et al. 2013, `eval.winding`) degrades gently where a scan has
    holes. Its magnitude is compared with 0.5, so a surface turned inside out counts the same.
    Only the bounding box is evaluated: from outside, an open piece of a closed surface covers
    less than half of all directions, so nothing out there is inside.

    Args:
        surface: cm.
        pitch_cm: edge of the cubic voxels of the lattice through the origin.

    Raises:
        MetricError: a winding number is not finite, or the box has too many voxels.
    """
    low, high = surface.bounds
    first = np.floor(low / pitch_cm).astype(np.int64)
    shape = np.maximum(np.ceil(high / pitch_cm).astype(np.int64) - first, 1)
    if np.prod(shape, dtype=np.float64) > MOST_VOXELS:
        raise MetricError(
            f"volumes: expected a surface of at most {MOST_VOXELS:,} voxels of {pitch_cm:.3g} cm, "
            f"got one of {' x '.join(f'{side:.4g}' for side in high - low)} cm"
        )
    lattice = Lattice(first, (int(shape[0]), int(shape[1]), int(shape[2])), pitch_cm)
    inside = np.abs(winding_numbers(surface, lattice)) > 0.5
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


def self_occluded_share(scan: Occupancy, rotation: NDArray[np.floating]) -> float:
    """Return the share of the body's silhouette behind which a second part of it hides, 0..1.

    Parallel rays along the camera axis, one voxel apart, that enter the body more than once:
    where front and back depth maps cannot say all. Gaps thinner than a voxel are not seen.

    Args:
        scan: of `occupancy`.
        rotation: (3, 3), from the scan frame to a camera that looks along -z.

    Raises:
        MetricError: nothing is inside, or too little for any ray.
    """
    indices = np.stack(np.nonzero(scan.inside), axis=-1)
    if len(indices) == 0:
        raise MetricError("volumes: expected voxels inside the scan, got none")
    turned = (indices + 0.5) @ np.asarray(rotation, dtype=np.float64).T
    low = np.floor(turned.min(axis=0)) - 1
    size = (np.ceil(turned.max(axis=0)) - low + 1).astype(np.int64)
    places = np.indices(tuple(size)).reshape(3, -1).T + low + 0.5
    back = np.floor(places @ np.asarray(rotation, dtype=np.float64)).astype(np.int64)
    limits = np.array(scan.inside.shape)
    within = ((back >= 0) & (back < limits)).all(axis=1)
    covered = np.zeros(len(places), dtype=bool)
    covered[within] = scan.inside[tuple(back[within].T)]
    along = np.pad(covered.reshape(tuple(size)), ((0, 0), (0, 0), (1, 0)))
    entries = (~along[..., :-1] & along[..., 1:]).sum(axis=2)
    rays = int((entries > 0).sum())
    if rays == 0:
        raise MetricError("volumes: expected voxels of the scan on some ray, got none")
    return float((entries > 1).sum() / rays)
