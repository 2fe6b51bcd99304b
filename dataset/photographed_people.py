"""The people of a photograph: found once each, chosen, with the outline that is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.detectors import Detection
from dataset.framing import silhouette_of_joints
from dataset.joints import JOINT_COUNT
from dataset.person_checks import (
    LEAST_INSIDE,
    PersonError,
    check_apart,
    check_joints,
    check_whole,
    share_on,
)
from dataset.photographs import Photograph

OPAQUE = 127
"""Pixels of a mask or alpha channel above this are the person."""

_OUTLINE_LEVEL = 0.5

_SAME_PERSON = 0.05
"""Mean distance of joints, as a share of the picture's box, below which two are one person."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a photograph, to be digitised.

    Attributes:
        joints: (31, 3) pixels of the photograph and confidence.
        outline: (H, W) bool where the person is, or None where nothing says so.
        outline_is_exact: the outline was given (alpha, mask) and not guessed by a detector.
        detection_seconds: what finding the people of the photograph took.
    """

    joints: NDArray[np.floating]
    outline: NDArray[np.bool_] | None = None
    outline_is_exact: bool = False
    detection_seconds: float = 0.0


def choose_person(
    photograph: Photograph,
    found: Sequence[Detection],
    mask: NDArray[np.uint8] | NDArray[np.bool_] | None = None,
    *,
    number: int | None = None,
    allow_cut_off: bool = False,
    name: str = "image",
) -> Person:
    """Return somebody of a photograph, ready to be digitised.

    Args:
        photograph: where they are.
        found: everybody, the largest first.
        mask: (H, W) bool, or uint8 above 127, where the person is; it goes before the alpha
            channel, and that before what a detector says.
        number: whom, out of several of whom the mask shows all; None for the first who is on the
            mask, which is then all theirs.
        allow_cut_off: take somebody of whom the photograph does not show all.
        name: of the photograph, for messages.

    Raises:
        PersonError: there is nobody, or they are cut off or tangled with another, or their joints
            are of another picture.
        ValueError: the mask is of another size.
    """
    if not found:
        raise PersonError(f"{name}: expected a person, found none")
    shape = (photograph.pixels.shape[0], photograph.pixels.shape[1])
    outline = _given_outline(photograph, mask)
    if number is None:
        number = 0 if outline is None else _first_on(outline, found)
        others = [] if mask is not None else list(found)
    else:
        others = list(found)
    person = found[number]
    check_joints(name, person.joints, shape, outline)
    if not allow_cut_off:
        check_whole(name, person.joints, shape)
    if mask is None:
        check_apart(name, person, found, shape)
    if outline is None:
        seen = None if person.mask is None else person.mask > _OUTLINE_LEVEL
        return Person(joints=person.joints, outline=seen)
    if others:
        outline = shares_of_outline(outline, [each.joints for each in others])[number]
    return Person(joints=person.joints, outline=outline, outline_is_exact=True)


def distinct_people(people: Sequence[Detection]) -> list[Detection]:
    """Return the people, the largest first, without second findings of the same one."""
    kept: list[Detection] = []
    for person in sorted(people, key=lambda each: -each.area):
        if not any(_is_same(person, other) for other in kept):
            kept.append(person)
    return kept


def _is_same(one: Detection, two: Detection) -> bool:
    both = (one.joints[:, 2] > 0.0) & (two.joints[:, 2] > 0.0)
    if not both.any():
        return False
    apart = np.linalg.norm(one.joints[both, :2] - two.joints[both, :2], axis=1).mean()
    left, top, right, bottom = two.box
    return bool(apart < _SAME_PERSON * max(right - left, bottom - top))


def detection_of_joints(joints: NDArray[np.floating]) -> Detection:
    """Return (31, 3) joints, pixels and confidence, as if a detector had found them.

    Raises:
        ValueError: another shape.
    """
    if joints.shape != (JOINT_COUNT, 3):
        raise ValueError(f"joints: expected ({JOINT_COUNT}, 3), got {joints.shape}")
    known = joints[joints[:, 2] > 0.0, :2]
    box = np.concatenate([known.min(0), known.max(0)]) if len(known) else np.zeros(4)
    return Detection(joints=joints.astype(np.float32), box=box.astype(np.float32), score=1.0)


def with_masks(people: Sequence[Detection], detected: Sequence[Detection]) -> list[Detection]:
    """Return people with the masks of those detected people that stand nearest to them."""

    def middle(person: Detection) -> NDArray[np.floating]:
        return (person.box[:2] + person.box[2:]) / 2.0

    result = []
    for person in people:
        nearest = min(
            detected,
            key=lambda each: float(np.linalg.norm(middle(each) - middle(person))),
            default=None,
        )
        result.append(replace(person, mask=None if nearest is None else nearest.mask))
    return result


def shares_of_outline(
    outline: NDArray[np.bool_], people: Sequence[NDArray[np.floating]]
) -> list[NDArray[np.bool_]]:
    """Part the outline of several people: each pixel goes to the person it is nearest to.

    Args:
        outline: (H, W) bool.
        people: (31, 3) joints of each.

    Returns:
        (H, W) bool for each person.
    """
    if len(people) == 1:
        return [outline]
    distances = []
    for joints in people:
        inside = silhouette_of_joints(joints, (outline.shape[0], outline.shape[1]))
        distances.append(cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3))
    nearest = np.argmin(distances, axis=0)
    return [outline & (nearest == number) for number in range(len(people))]


def _first_on(outline: NDArray[np.bool_], found: Sequence[Detection]) -> int:
    """Return the number of the first person most of whose joints are on an outline, else 0."""
    on = [share_on(outline, each.joints) >= LEAST_INSIDE for each in found]
    return on.index(True) if True in on else 0


def _given_outline(
    photograph: Photograph, mask: NDArray[np.uint8] | NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    shape = photograph.pixels.shape[:2]
    if mask is not None:
        if mask.shape != shape:
            raise ValueError(f"mask: expected {shape}, got {mask.shape}")
        return mask > OPAQUE if mask.dtype == np.uint8 else np.asarray(mask, dtype=bool)
    return None if photograph.alpha is None else photograph.alpha > OPAQUE
