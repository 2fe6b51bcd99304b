"""Where the body parts lie in an image: similarities fitted to joints (equation 2).

Coordinates are normalised to -1..1 over the frame with pixel edges at -1 and 1 (torch's
`align_corners=False`), x right and y down. A part's similarity M maps the image to the
canonical frame, in which the part is upright at a fixed place around the origin; the crop
is the centre of that frame.

A joint is missing when its confidence is 0 or it is not finite, and then it is left out of
the fit, in both conventions: the authors' own code puts it at the centre of the image when it
reconstructs and into its corner when it trains, and no weights can expect both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from model.encoding import REFERENCE_RESOLUTION
from model.parts import CROP_SIZES_2048, PARTS, Part

DISTINCT_POINTS = 1e-6
"""Joints closer than this (normalised units) do not fix a direction."""

_FINGER_EXTENSION = 0.25
"""Canonical wrist-to-finger over elbow-to-wrist: stands in for fingers that are missing."""


@dataclass(frozen=True)
class PartTransforms:
    """Similarities of the twelve parts.

    Attributes:
        image_to_canonical: (..., 12, 2, 3) float32, M of equation 2.
        canonical_to_image: (..., 12, 2, 3) float32, its inverse.
        present: (..., 12) bool; parts whose joints are missing or coincide, or whose crop
            lies outside the image, are left out and carry identities.
    """

    image_to_canonical: Tensor
    canonical_to_image: Tensor
    present: Tensor

    def item(self, index: int) -> PartTransforms:
        """Return one person's transforms as a batch of one."""
        chosen = slice(index, index + 1)
        return PartTransforms(
            self.image_to_canonical[chosen], self.canonical_to_image[chosen], self.present[chosen]
        )

    def left_out(self) -> list[tuple[str, ...]]:
        """Return the names of the parts that are left out, person by person."""
        rows = self.present.reshape(-1, len(PARTS)).tolist()
        return [tuple(part.name for part, there in zip(PARTS, row) if not there) for row in rows]


def normalise_joints(joints: NDArray[np.floating], resolution: int) -> NDArray[np.float64]:
    """Return (31, 3) joints with x and y in -1..1 instead of pixels; confidence unchanged."""
    normalised = np.array(joints, dtype=np.float64)
    normalised[:, :2] = 2.0 * normalised[:, :2] / resolution - 1.0
    return normalised


def _part_points(part: Part, joints: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return the (2,) point of each anchor whose joints are known, by anchor number."""

    def located(names: tuple[str, ...]) -> list[NDArray[np.float64]]:
        rows = joints[[JOINT_INDEX[name] for name in names]]
        return [row[:2] for row in rows if row[2] > 0 and np.isfinite(row).all()]

    points: dict[int, NDArray[np.float64]] = {}
    for index, anchor in enumerate(part.anchors):
        found = located(anchor.joints)
        if not found and anchor.substitute is not None:
            found = located((anchor.substitute,))
        if found:
            points[index] = np.mean(found, axis=0)
    if part.name.endswith("lower_arm") and 2 not in points and {0, 1} <= set(points):
        points[2] = points[1] + _FINGER_EXTENSION * (points[1] - points[0])
    return points


def fit_similarity(
    points: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (2, 3) rotation + scale + shift that best maps points to targets.

    Args:
        points: (K, 2), at least two of them distinct.
        targets: (K, 2).
    """
    rows = np.zeros((2 * len(points), 4))
    x, y = points.T
    rows[0::2] = np.stack([x, -y, np.ones_like(x), np.zeros_like(x)], axis=1)
    rows[1::2] = np.stack([y, x, np.zeros_like(x), np.ones_like(x)], axis=1)
    a, b, shift_x, shift_y = np.linalg.pinv(rows) @ targets.reshape(-1)
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def _sees_image(matrix: NDArray[np.float64], network: str) -> bool:
    """Return whether a part's crop overlaps the image: no side of either parts them."""
    height, width = CROP_SIZES_2048[network]
    half = np.array([width, height]) / REFERENCE_RESOLUTION
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    linear, shift = matrix[:, :2], matrix[:, 2]
    image = corners @ linear.T + shift
    crop = (corners * half - shift) @ np.linalg.inv(linear).T
    return all(
        bool((points.min(0) < limit).all() and (points.max(0) > -limit).all())
        for points, limit in ((image, half), (crop, np.ones(2)))
    )


def fit_part(part: Part, joints: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return M of one part, or None when its joints do not fix it or its crop sees no image.

    Args:
        part: the part.
        joints: (31, 3) normalised x, y and confidence; confidence 0 or not finite = missing.
    """
    points = _part_points(part, joints)
    if len(points) < part.required:
        return None
    located = np.stack(list(points.values()))
    targets = np.array([part.anchors[index].position for index in points])
    if part.limb is not None:
        if not set(part.limb) <= set(points):
            return None
        length = float(np.linalg.norm(points[part.limb[1]] - points[part.limb[0]]))
        anchors = np.array([part.anchors[index].position for index in part.limb])
        threshold = float(np.linalg.norm(anchors[1] - anchors[0]))
        targets = targets * min(1.0, length / threshold)
    matrix = fit_similarity(located, targets)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    spread = np.abs(located - located.mean(axis=0)).max()
    if spread < DISTINCT_POINTS or scale < DISTINCT_POINTS or not np.isfinite(matrix).all():
        return None
    return matrix if _sees_image(matrix, part.network) else None


def invert(matrix: Tensor) -> Tensor:
    """Return the inverses of (..., 2, 3) affine maps, rounded as in the released networks."""
    linear = torch.linalg.inv(matrix[..., :2])
    return torch.cat([linear, -linear @ matrix[..., 2:]], dim=-1)


def fit_parts(joints: NDArray[np.floating]) -> PartTransforms:
    """Fit the similarities of all parts of one person.

    Args:
        joints: (31, 3) normalised x, y in -1..1 and confidence; see `normalise_joints`.

    Returns:
        Transforms without a batch dimension: (12, 2, 3), (12, 2, 3), (12,).

    Raises:
        ValueError: joints of another shape.
    """
    if joints.shape != (JOINT_COUNT, 3):
        raise ValueError(f"joints: expected ({JOINT_COUNT}, 3), got {joints.shape}")
    forward = np.tile(np.eye(2, 3), (len(PARTS), 1, 1))
    present = np.zeros(len(PARTS), dtype=bool)
    for index, part in enumerate(PARTS):
        matrix = fit_part(part, np.asarray(joints, dtype=np.float64))
        if matrix is not None:
            forward[index] = matrix
            present[index] = True
    matrices = torch.from_numpy(forward).float()
    return PartTransforms(matrices, invert(matrices), torch.from_numpy(present))


def stack_transforms(transforms: list[PartTransforms]) -> PartTransforms:
    """Join the transforms of several people along a new first dimension."""
    return PartTransforms(
        torch.stack([item.image_to_canonical for item in transforms]),
        torch.stack([item.canonical_to_image for item in transforms]),
        torch.stack([item.present for item in transforms]),
    )
