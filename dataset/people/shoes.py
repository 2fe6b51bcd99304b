"""Shoes in place of the bare feet: convex slices of the foot, stacked into one closed patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.people.capping import ring_faces

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Share of the way from the ankle cut to the ground, of each ring of the upper.
_UPPER_LEVELS = (0.10, 0.22, 0.34, 0.46, 0.57, 0.67, 0.76, 0.84, 0.91, 0.97)
_UPPER_THICKNESS_M = 0.005
_SOLE_THICKNESS_M = 0.018
# Height under the ground of the bare foot, and scale about the middle, of the sole's rings.
_SOLE_RINGS = ((-0.25, 1.03), (0.0, 1.045), (0.5, 1.045), (1.0, 1.04), (1.0, 0.97), (1.0, 0.6))
SOLE_RAMP_START = len(_UPPER_LEVELS) / (len(_UPPER_LEVELS) + len(_SOLE_RINGS) + 1)


@dataclass(frozen=True, kw_only=True)
class ShoeLayout:
    """Topology of one shoe: rings of as many vertices as the ankle cut, then one middle vertex.

    Attributes:
        side: 'left' or 'right', the person's own.
        loop: (N,) int64, body vertices along the ankle cut, foremost first.
        foot_faces: (G, 3) int64, anny's triangles of the bare foot.
        vertex_count: vertices that the patch adds.
        faces, uv_faces: (H, 3) int64; uvs: (U, 2) float64.
        ramp: (vertex_count,) float64, 0 at the ankle to 1 under the sole.
    """

    side: str
    loop: IntArray
    foot_faces: IntArray
    vertex_count: int
    faces: IntArray
    uv_faces: IntArray
    uvs: FloatArray
    ramp: FloatArray


def shoe_layout(
    *,
    side: str,
    loop: IntArray,
    foot_faces: IntArray,
    first_vertex: int,
    first_uv: int,
    uv_centre: tuple[float, float],
    uv_radius: float = 0.076,
) -> ShoeLayout:
    """Number the vertices, uvs and triangles of a shoe patch (see `ShoeLayout`)."""
    count = len(loop)
    ring_count = len(_UPPER_LEVELS) + len(_SOLE_RINGS)
    index = [first_vertex + k * count + np.arange(count) for k in range(ring_count)]
    faces = ring_faces([loop, *index], first_vertex + ring_count * count)
    uv_index = [first_uv + k * count + np.arange(count) for k in range(ring_count + 1)]
    uv_faces = ring_faces(uv_index, first_uv + (ring_count + 1) * count)
    level = np.arange(ring_count + 2) / (ring_count + 1)
    angle = 2 * np.pi * np.arange(count) / count
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = [np.asarray(uv_centre) + uv_radius * (1 - t) * circle for t in level[:-1]]
    return ShoeLayout(
        side=side,
        loop=loop,
        foot_faces=foot_faces,
        vertex_count=ring_count * count + 1,
        faces=faces,
        uv_faces=uv_faces,
        uvs=np.concatenate([*rings, [uv_centre]]),
        ramp=np.concatenate([np.repeat(level[1:-1], count), [1.0]]),
    )


def shoe_vertices(layout: ShoeLayout, vertices: FloatArray) -> FloatArray:
    """Return the (vertex_count, 3) vertices of a shoe around a bare foot in the rest pose.

    Args:
        layout: which foot.
        vertices: (A, 3) float64, the bare body in the rest pose, scan frame, metres.
    """
    foot = vertices[layout.foot_faces]
    loop = vertices[layout.loop]
    ground, ankle = foot[..., 1].min(), loop[:, 1].mean()
    loop_share = _length_share(loop[:, [0, 2]])
    rings = []
    for level in _UPPER_LEVELS:
        height = ankle + (ground - ankle) * level
        outline = _outline(foot, max(height, ground + 0.004), loop_share)
        ring = np.stack([outline[:, 0], np.full(len(loop), height), outline[:, 1]], axis=1)
        keep = max(0.0, 1.0 - level / 0.25)
        rings.append(keep * loop_at(loop, height, ankle) + (1 - keep) * ring)
    widest = _outline(foot, ground + 0.010, loop_share)
    middle = widest.mean(axis=0)
    for depth, scale in _SOLE_RINGS:
        ring = np.empty((len(loop), 3))
        ring[:, [0, 2]] = middle + (widest - middle) * scale
        ring[:, 1] = ground - depth * _SOLE_THICKNESS_M
        rings.append(ring)
    centre = np.array([[middle[0], ground - _SOLE_THICKNESS_M, middle[1]]])
    return np.concatenate([*rings, centre])


def loop_at(loop: FloatArray, height: float, ankle: float) -> FloatArray:
    """Return the ankle loop lowered as a whole to a height."""
    return loop + np.array([0.0, height - ankle, 0.0])


def shoe_weights(layout: ShoeLayout, bone_weights: FloatArray, foot_bone: int) -> FloatArray:
    """Return the (vertex_count, B) bone weights: the ankle's own at the top, then the foot's."""
    count = len(layout.loop)
    rings = (layout.vertex_count - 1) // count
    rigid = np.zeros(bone_weights.shape[1])
    rigid[foot_bone] = 1.0
    weights = np.tile(rigid, (layout.vertex_count, 1))
    for ring in range(min(4, rings)):
        share = 1.0 - (ring + 1) / 5
        rows = slice(ring * count, (ring + 1) * count)
        weights[rows] = share * bone_weights[layout.loop] + (1 - share) * rigid
    return weights


def _length_share(points: FloatArray) -> FloatArray:
    steps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    return (np.cumsum(steps) - steps) / steps.sum()


def _outline(foot: FloatArray, height: float, shares: FloatArray) -> FloatArray:
    """Return the slice of a foot at a height as (N, 2) points x, z on its convex outline.

    They go round as the ankle loop does (seen from above, from the foremost point), at the
    given shares of the outline's length.
    """
    from scipy.spatial import ConvexHull

    cuts = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        low, high = foot[:, a], foot[:, b]
        crossing = (low[:, 1] - height) * (high[:, 1] - height) < 0
        t = (height - low[crossing, 1]) / (high[crossing, 1] - low[crossing, 1])
        cuts.append(low[crossing] + t[:, None] * (high[crossing] - low[crossing]))
    points = np.concatenate(cuts)[:, [0, 2]]
    # Qhull goes counter-clockwise in (x, z); the ankle loop goes the other way.
    hull = points[ConvexHull(points).vertices][::-1]
    middle = hull.mean(axis=0)
    hull = hull + _UPPER_THICKNESS_M * _unit(hull - middle)
    start = int(hull[:, 1].argmax())
    hull = np.roll(hull, -start, axis=0)
    share = np.append(_length_share(hull), 1.0)
    closed = np.concatenate([hull, hull[:1]])
    return np.stack([np.interp(shares, share, closed[:, k]) for k in range(2)], axis=1)


def _unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
