"""Groups: several people of one split in one image, each on a place of the floor.

The frame of a group has its origin on the floor, y up, +z towards where the group faces, and
centimetres.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.scans import Scan
from render.camera import yaw_rotation

GAP_CM = 5.0
"""Least distance between the cylinders around two people."""

LARGEST_TURN_DEG = 30.0
"""How far the people of a group face away from where the group faces."""

_ROOM_GROWTH = 1.15


@dataclass(frozen=True)
class Cylinder:
    """An upright cylinder around a person, frame and unit of the scan.

    Attributes:
        middle: (3,) middle of its lower end.
        radius: distance of the farthest vertex from the axis.
    """

    middle: NDArray[np.floating]
    radius: float


def ranked_partners(
    leader: Scan, others: Sequence[Scan], seed: int, count: int
) -> tuple[Scan, ...]:
    """Return who may stand beside a scan, first choices first.

    The order is that of a digest of seed and both ids: it does not depend on the order of
    the scans, and a scan that is added or removed leaves that of the others as it is.

    Args:
        leader: the scan that the group is named after.
        others: scans of its split, the leader allowed among them.
        seed: of the shard set.
        count: return this many at most.
    """
    ranks = {
        hashlib.sha256(f"{seed}/{leader.scan_id}/{scan.scan_id}".encode()).digest(): scan
        for scan in others
        if scan.subject != leader.subject
    }
    return tuple(ranks[rank] for rank in sorted(ranks)[:count])


def around(vertices: NDArray[np.floating]) -> Cylinder:
    """Return the upright cylinder around (V, 3) vertices, its axis in the middle of their box."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    middle = (low + high) / 2.0
    middle[1] = low[1]
    across = vertices[:, [0, 2]] - middle[[0, 2]]
    return Cylinder(middle, float(np.sqrt((across**2).sum(axis=1).max())))


def place_on_floor(radii_cm: Sequence[float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (P, 2) places x, z whose circles do not touch, random and close together.

    The first stands at the origin; the others are drawn in a disc around it that grows until
    there is room.

    Args:
        radii_cm: of the circles.
        rng: source of randomness.
    """
    places = np.zeros((1, 2))
    for number, radius in enumerate(radii_cm[1:], start=1):
        apart = np.array(radii_cm[:number]) + radius + GAP_CM
        reach = float(apart[0])
        while True:
            angle, share = rng.uniform(0.0, 2.0 * np.pi), rng.uniform()
            place = reach * np.sqrt(share) * np.array([np.sin(angle), np.cos(angle)])
            if (np.linalg.norm(places - place, axis=1) >= apart).all():
                break
            reach *= _ROOM_GROWTH
        places = np.concatenate([places, place[None]])
    return places


def group_from_scans(
    cylinders: Sequence[Cylinder], units_cm: Sequence[float], rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return, for each person, the (4, 4) matrix from the scan's frame to the group's.

    Everybody stands on the floor, turned by up to 30 degrees; nobody's cylinder touches
    another's.

    Args:
        cylinders: around the people, scan units.
        units_cm: length of each scan's unit, centimetres.
        rng: source of randomness.
    """
    radii = [cylinder.radius * unit for cylinder, unit in zip(cylinders, units_cm, strict=True)]
    places = place_on_floor(radii, rng)
    matrices = []
    for cylinder, unit, place in zip(cylinders, units_cm, places, strict=True):
        to_axis = np.diag([unit, unit, unit, 1.0])
        to_axis[:3, 3] = -unit * cylinder.middle
        matrix = yaw_rotation(rng.uniform(-LARGEST_TURN_DEG, LARGEST_TURN_DEG)) @ to_axis
        matrix[[0, 2], 3] += place
        matrices.append(np.asarray(matrix, dtype=np.float64))
    return matrices
