"""People who are cut off, tangled, or of another picture are told from those who are not."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.detectors import Detection
from dataset.joints import JOINT_INDEX
from dataset.person_checks import PersonError, check_apart, check_joints, cut_off_sides
from dataset.photographed_people import choose_person, distinct_people, shares_of_outline
from dataset.photographs import Photograph
from tests.model.digitized import joints_at

SHAPE = (320, 480)


def detection(joints: np.ndarray) -> Detection:
    known = joints[joints[:, 2] > 0, :2]
    box = np.concatenate([known.min(0), known.max(0)]).astype(np.float32)
    return Detection(joints=joints.astype(np.float32), box=box, score=1.0)


def without(joints: np.ndarray, *names: str) -> np.ndarray:
    result = joints.copy()
    for name in names:
        for side in ("left_", "right_", ""):
            if side + name in JOINT_INDEX:
                result[JOINT_INDEX[side + name]] = 0.0
    return result


def test_a_person_found_twice_is_one_and_the_largest_comes_first() -> None:
    small, large = detection(joints_at(0, 80, 160)), detection(joints_at(200))
    again = detection(joints_at(203))
    people = distinct_people([small, large, again])
    assert [person.area for person in people] == [large.area, small.area]


def test_people_who_overlap_are_refused_and_those_beside_each_other_are_not() -> None:
    one, beside, before = (detection(joints_at(left)) for left in (0, 200, 20))
    check_apart("p.jpg", one, [one, beside], SHAPE)
    with pytest.raises(PersonError, match=r"p.jpg: .*found two who overlap by \d\d%"):
        check_apart("p.jpg", one, [one, beside, before], SHAPE)
    check_apart("p.jpg", beside, [one, beside, before], SHAPE)


def test_the_mask_says_who_is_meant() -> None:
    photograph = Photograph(np.zeros((*SHAPE, 3), dtype=np.uint8))
    people = [detection(joints_at(0)), detection(joints_at(220, 60, 200))]
    assert choose_person(photograph, people).joints[0, 0] < 240
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, 250:] = 255
    person = choose_person(photograph, people, mask)
    assert person.joints[0, 0] > 240 and person.outline_is_exact
    assert np.array_equal(person.outline, mask > 0), "all of it is theirs"
    with pytest.raises(PersonError, match="expected a person, found none"):
        choose_person(photograph, [])


def test_alpha_of_a_group_is_shared_out() -> None:
    alpha = np.full(SHAPE, 255, dtype=np.uint8)
    alpha[0] = 0
    photograph = Photograph(np.zeros((*SHAPE, 3), dtype=np.uint8), alpha)
    people = [detection(joints_at(0)), detection(joints_at(220, 60, 200))]
    outlines = [choose_person(photograph, people, number=number).outline for number in (0, 1)]
    assert outlines[0] is not None and outlines[1] is not None
    assert not (outlines[0] & outlines[1]).any()
    assert np.array_equal(outlines[0] | outlines[1], alpha > 0)


def test_whole_people_are_not_cut_off_even_where_joints_are_hidden() -> None:
    joints = joints_at()
    assert cut_off_sides(joints, SHAPE) == ()
    assert cut_off_sides(without(joints, "ankle", "heel", "big_toe", "small_toe"), SHAPE) == ()
    assert cut_off_sides(without(joints, "nose", "eye", "ear"), SHAPE) == ()
    assert cut_off_sides(np.zeros((31, 3)), SHAPE) == ()


FEET = ("ankle", "heel", "big_toe", "small_toe")


@pytest.mark.parametrize(
    ("missing", "shift", "side"),
    [
        ((), (0, 120), "bottom"),
        ((), (-150, 0), "left"),
        (FEET, (0, 100), "bottom"),
        (("knee", *FEET), (0, 140), "bottom"),
        (("hip", "knee", *FEET), (0, 180), "bottom"),
        (("nose", "eye", "ear"), (0, -110), "top"),
    ],
)
def test_the_side_at_which_somebody_is_cut_off_is_named(
    missing: tuple[str, ...], shift: tuple[float, float], side: str
) -> None:
    joints = joints_at()
    joints[:, :2] += shift
    assert cut_off_sides(without(joints, *missing), (320, 300)) == (side,)


def test_joints_of_another_picture_are_refused() -> None:
    joints = joints_at()
    check_joints("k.json", joints, SHAPE)
    with pytest.raises(PersonError, match=r"k.json: expected joints of this picture of 60 x 50"):
        check_joints("k.json", joints, (50, 60))
    outline = np.zeros(SHAPE, dtype=bool)
    outline[:, 300:] = True
    with pytest.raises(PersonError, match="one of the two is of another picture"):
        check_joints("k.json", joints, SHAPE, outline)
    with pytest.raises(PersonError, match="found all at one point"):
        check_joints("k.json", np.full((31, 3), 50.0), SHAPE)
    with pytest.raises(PersonError, match="expected joints of a person, found 0"):
        check_joints("k.json", np.zeros((31, 3)), SHAPE)


def test_an_outline_of_several_is_parted_between_them() -> None:
    outline = np.ones(SHAPE, dtype=bool)
    left, right = shares_of_outline(outline, [joints_at(0), joints_at(240)])
    assert left[:, :200].all() and right[:, 280:].all()
    assert not (left & right).any() and (left | right).all()
    (whole,) = shares_of_outline(outline, [joints_at(0)])
    assert whole.all()
