"""Whether people of a photograph can be digitised: whole, apart from others, of this picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.detectors import Detection
from dataset.framing import silhouette_of_joints
from dataset.joints import JOINT_INDEX
from render.errors import UserInputError

MOST_OVERLAP = 0.25
"""Share of the smaller of two silhouettes behind or before the other: more is one tangle."""

LEAST_INSIDE = 0.5
"""Share of joints that lie in a picture, or on an outline, that they belong to."""

_CONTINUED: tuple[tuple[str, str, str, float], ...] = (
    ("wrist", "shoulder", "elbow", 0.8),
    ("knee", "shoulder", "hip", 0.85),
    ("ankle", "hip", "knee", 1.0),
    ("big_toe", "hip", "ankle", 0.12),
)
"""Missing joint, two joints before it, and how much further on it lies than they are apart."""

_HEAD_ON_TORSO = 0.5
_HIPS_UNDER_SHOULDERS = 1.4


class PersonError(UserInputError):
    """A photograph shows no person that can be digitised."""


def check_apart(
    name: str, person: Detection, people: Sequence[Detection], shape: tuple[int, int]
) -> None:
    """See that somebody overlaps with nobody else.

    Args:
        name: of the photograph, for messages.
        person: who is digitised, out of `people`.
        people: everybody who was found.
        shape: (H, W) of the photograph.

    Raises:
        PersonError: they do.
    """
    others = [other for other in people if other is not person]
    if not others:
        return
    own = silhouette_of_joints(person.joints, shape)
    for other in others:
        theirs = silhouette_of_joints(other.joints, shape)
        shared = (own & theirs).sum() / max(1, min(own.sum(), theirs.sum()))
        if shared > MOST_OVERLAP:
            raise PersonError(
                f"{name}: expected people apart from each other, found two who overlap by "
                f"{shared:.0%} (--mask FILE says which pixels are the person)"
            )


def check_whole(name: str, joints: NDArray[np.floating], shape: tuple[int, int]) -> None:
    """See that a photograph shows all of somebody (see `cut_off_sides`).

    Raises:
        PersonError: it does not.
    """
    sides = cut_off_sides(joints, shape)
    if sides:
        raise PersonError(
            f"{name}: expected a whole person, found one who is cut off at the "
            f"{' and '.join(sides)} (--allow-cut-off digitises what is there)"
        )


def check_joints(
    name: str,
    joints: NDArray[np.floating],
    shape: tuple[int, int],
    outline: NDArray[np.bool_] | None = None,
) -> None:
    """See that joints belong to a photograph.

    Args:
        name: of what gave them, for messages.
        joints: (31, 3) pixels and confidence.
        shape: (H, W) of the photograph.
        outline: (H, W) bool where the person is, if known.

    Raises:
        PersonError: there are none, they coincide, or most lie outside of the picture or of
            the outline.
    """
    known = joints[joints[:, 2] > 0.0, :2]
    if len(known) < 2:
        raise PersonError(f"{name}: expected joints of a person, found {len(known)}")
    if np.ptp(known, axis=0).max() < 0.01 * max(shape):
        raise PersonError(f"{name}: expected joints apart from each other, found all at one point")
    height, width = shape
    inside = ((known >= 0.0) & (known < [width, height])).all(axis=1)
    if inside.mean() < LEAST_INSIDE:
        raise PersonError(
            f"{name}: expected joints of this picture of {width} x {height} pixels, found "
            f"{inside.sum()} of {len(known)} inside of it: they are of another picture"
        )
    if outline is not None and (share := share_on(outline, joints)) < LEAST_INSIDE:
        raise PersonError(
            f"{name}: expected joints on the outline of the person, found {share:.0%} of them "
            "there: one of the two is of another picture"
        )


def share_on(outline: NDArray[np.bool_], joints: NDArray[np.floating]) -> float:
    """Return the share of known joints in the picture that lie on an outline, 0 to 1.

    Args:
        outline: (H, W) bool.
        joints: (31, 3) pixels and confidence.
    """
    known = joints[joints[:, 2] > 0.0, :2]
    inside = known[((known >= 0.0) & (known < outline.shape[::-1])).all(axis=1)]
    if not len(inside):
        return 0.0
    rows, columns = inside.astype(int)[:, ::-1].T
    # Joints at fingers and toes are a few pixels off.
    size = 2 * round(0.02 * max(outline.shape)) + 1
    near = cv2.dilate(outline.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    return float(near[rows, columns].mean())


def cut_off_sides(joints: NDArray[np.floating], shape: tuple[int, int]) -> tuple[str, ...]:
    """Return at which sides of a photograph a person is cut off, if at any.

    A person is cut off where a joint lies beyond the picture, or where one is missing and would
    lie beyond it if its limb were as long as limbs are.

    Args:
        joints: (31, 3) pixels and confidence; confidence 0 = missing.
        shape: (H, W) of the photograph.

    Returns:
        Some of "left", "right", "top", "bottom".
    """
    points = {
        name: np.asarray(joints[row, :2], dtype=np.float64)
        for name, row in JOINT_INDEX.items()
        if joints[row, 2] > 0.0
    }
    ends = list(points.values())
    for side in ("left", "right"):
        for missing, start, through, further in _CONTINUED:
            a, b = points.get(f"{side}_{start}"), points.get(f"{side}_{through}")
            if f"{side}_{missing}" not in points and a is not None and b is not None:
                ends.append(b + further * (b - a))
    ends += _ends_of_torso(points)
    if not ends:
        return ()
    (left, top), (right, bottom) = np.min(ends, axis=0), np.max(ends, axis=0)
    height, width = shape
    beyond = {"left": left < 0, "right": right > width, "top": top < 0, "bottom": bottom > height}
    return tuple(side for side, is_beyond in beyond.items() if is_beyond)


def _ends_of_torso(points: dict[str, NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return where head and hips have to be if they are missing and the shoulders are not."""
    if not {"left_shoulder", "right_shoulder"} <= points.keys():
        return []
    left, right = points["left_shoulder"], points["right_shoulder"]
    shoulders = (left + right) / 2.0
    hips = [points[name] for name in ("left_hip", "right_hip") if name in points]
    if not hips:
        down = np.array([0.0, _HIPS_UNDER_SHOULDERS * np.linalg.norm(left - right)])
        return [shoulders + down]
    head = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    if not head & points.keys():
        return [shoulders + _HEAD_ON_TORSO * (shoulders - np.mean(hips, axis=0))]
    return []
