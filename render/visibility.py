"""The nearest and the farthest face at every pixel centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.compiled import in_bands
from render.picture_box import Box
from render.scan_conversion import Indices, ScreenMesh, draw_faces, seen_faces


@dataclass(frozen=True)
class VisibleFaces:
    """What is seen at the pixels of a box.

    Attributes:
        pixels: (P,) intp, the pixels of the box that any face covers, row by row.
        nearest: (P,) intp, number of the nearest face.
        farthest: (P,) intp, number of the farthest face.
    """

    pixels: Indices
    nearest: Indices
    farthest: Indices


def find_visible(mesh: ScreenMesh, box: Box) -> VisibleFaces:
    """Find the nearest and the farthest face at every pixel centre of a box.

    Of faces at the same depth the one with the lowest number is nearer, so that the result
    does not depend on the order of the faces.
    """
    # Depth above face number in one integer: the least one is the nearest face.
    # That of the nearest beside that of the farthest: they are looked at together.
    keys = np.empty((box.height, box.width, 2), dtype=np.int64)
    numbers = np.empty(0, dtype=np.intp) if mesh.numbers is None else mesh.numbers
    points = mesh.x, mesh.y, mesh.depth

    def draw(first_row: int, end_row: int) -> None:
        draw_faces(points, mesh.faces, numbers, (box.left, box.top), (first_row, end_row), keys)

    in_bands(draw, box.top, box.top + box.height)
    return VisibleFaces(*seen_faces(keys.reshape(-1, 2)))


def project_faces(
    positions: NDArray[np.float32],
    faces: Indices,
    clip_from_mesh: NDArray[np.float64],
    resolution: int,
) -> ScreenMesh:
    """Project faces into a square picture; what lies before the near plane is cut off.

    Args:
        positions: (3, N) float32.
        faces: (3, F) intp.
        clip_from_mesh: (4, 4), OpenGL clip coordinates with y downwards.
        resolution: pixels a side.
    """
    matrix = clip_from_mesh.astype(np.float32)
    x, y, z = positions
    clip = [row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix]
    is_hidden = clip[2] < -clip[3]
    numbers = None
    if is_hidden.any():
        faces, numbers, added = _cut(faces, is_hidden, np.stack(clip))
        clip[3][is_hidden] = 1.0  # no face has these corners any more
        clip = [np.concatenate([old, new]) for old, new in zip(clip, added, strict=True)]
    inverse = np.float32(1.0) / clip[3]
    half = np.float32(resolution / 2.0)
    return ScreenMesh(
        x=(clip[0] * inverse + np.float32(1.0)) * half,
        y=(clip[1] * inverse + np.float32(1.0)) * half,
        depth=clip[2] * inverse,
        faces=faces,
        numbers=numbers,
    )


def _cut(
    faces: Indices, is_hidden: NDArray[np.bool_], clip: NDArray[np.float32]
) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Cut faces at the near plane.

    Returns:
        (3, G) intp faces in front of the plane; (G,) intp face that each is a part of;
        (4, M) float32 clip coordinates of new points, numbered from N on.
    """
    hidden = is_hidden[faces]
    count = hidden.sum(axis=0)
    parts, numbers = [faces[:, count == 0]], [np.flatnonzero(count == 0)]
    added: list[NDArray[np.float32]] = []
    known = clip.shape[1]
    for hidden_corners in (1, 2):
        chosen = np.flatnonzero(count == hidden_corners)
        # The lone corner first: the hidden one of one, the one in front of two.
        lone = (hidden[:, chosen] == (hidden_corners == 1)).argmax(axis=0)
        a, b, c = (faces[(lone + turn) % 3, chosen] for turn in range(3))
        first = known + np.arange(len(chosen))
        second = first + len(chosen)
        added += [_crossing(clip, a, b), _crossing(clip, a, c)]
        known += 2 * len(chosen)
        pieces = [(a, first, second)]
        if hidden_corners == 1:
            pieces = [(first, b, c), (first, c, second)]
        parts += [np.stack(piece) for piece in pieces]
        numbers += [chosen] * len(pieces)
    return np.concatenate(parts, axis=1), np.concatenate(numbers), np.concatenate(added, axis=1)


def _crossing(clip: NDArray[np.float32], one: Indices, other: Indices) -> NDArray[np.float32]:
    """Return (4, K) where edges cross the near plane, alike from both faces of an edge."""
    above = clip[2] + clip[3]
    swap = above[one] > above[other]
    hidden, shown = np.where(swap, other, one), np.where(swap, one, other)
    share = above[hidden] / (above[hidden] - above[shown])
    return np.asarray(clip[:, hidden] + share * (clip[:, shown] - clip[:, hidden]))
