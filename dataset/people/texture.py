"""The texels of the body: which canonical place each one shows, and filling between islands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.people.anatomy import BodyTemplate

FloatArray = NDArray[np.float64]

_SHIFT = 6


@dataclass(frozen=True, kw_only=True)
class TexelMap:
    """Canonical fields of the texels that the body covers.

    Attributes:
        size: texture is size x size.
        rows: (P,) int64 flat indices of the covered texels (row 0 at the top).
        fields: (P, C) float32 fields there.
        nearest: (size * size,) int32, for every texel the number 0..P-1 of the covered texel
            that gives its colour; islands so extend outwards and mip maps do not bleed.
    """

    size: int
    rows: NDArray[np.int64]
    fields: NDArray[np.float32]
    nearest: NDArray[np.int32]


def texel_map(body: BodyTemplate, fields: FloatArray, size: int) -> TexelMap:
    """Rasterise (V, C) per-vertex fields into the uv layout."""
    import cv2

    corners = body.uvs[body.uv_faces] * [size, -size] + [0, size]
    owner = np.full((size, size), -1, dtype=np.int32)
    # Texel (column, row) is sampled at its centre: +0.5.
    fixed = np.round((corners - 0.5) * (1 << _SHIFT)).astype(np.int32)
    for index, triangle in enumerate(fixed):
        cv2.fillConvexPoly(owner, triangle, float(index), lineType=cv2.LINE_8, shift=_SHIFT)
    rows = np.flatnonzero(owner.ravel() >= 0)
    face = owner.ravel()[rows]
    centres = np.stack([rows % size + 0.5, rows // size + 0.5], axis=1)
    weights = _barycentric(corners[face], centres).astype(np.float32)
    values = np.zeros((len(rows), fields.shape[1]), dtype=np.float32)
    narrow = fields.astype(np.float32)
    for corner in range(3):
        values += weights[:, corner : corner + 1] * narrow[body.faces[face, corner]]
    return TexelMap(size=size, rows=rows, fields=values, nearest=_nearest(owner, rows))


def _barycentric(corners: FloatArray, points: FloatArray) -> FloatArray:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, points - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    second = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    third = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    weights = np.stack([1 - second - third, second, third], axis=1)
    # Texels on the rim lie a little outside of their triangle.
    weights = np.clip(weights, 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _nearest(owner: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    import cv2

    empty = (owner < 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat = labels.ravel()
    number = np.zeros(int(flat.max()) + 1, dtype=np.int32)
    number[flat[rows]] = np.arange(len(rows), dtype=np.int32)
    return number[flat]


def fill(texels: TexelMap, colours: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Spread (P, 3) colours, 0..1, over a whole (size, size, 3) uint8 texture."""
    levels = np.clip(np.round(colours * 255.0), 0, 255).astype(np.uint8)
    return levels[texels.nearest].reshape(texels.size, texels.size, 3)
