"""Parts are found where their joints are, and left out where those do not fix them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dataset.joints import JOINT_INDEX
from model.part_crops import crop_parts
from model.part_fitting import (
    PartTransforms,
    fit_part,
    fit_parts,
    fit_similarity,
    normalise_joints,
    stack_transforms,
)
from model.parts import PART_NETWORKS, PARTS, Part, Resolution
from tests.model.conftest import standing_joints


def part(name: str) -> Part:
    return next(each for each in PARTS if each.name == name)


def standing() -> np.ndarray:
    return normalise_joints(standing_joints(2048), 2048)


def test_a_turn_a_scale_and_a_shift_are_recovered() -> None:
    points = np.array([[0.1, 0.2], [0.3, -0.1], [-0.2, 0.4]])
    expected = np.array([[0.0, -1.5, 0.25], [1.5, 0.0, -0.5]])
    targets = points @ expected[:, :2].T + expected[:, 2]
    assert np.allclose(fit_similarity(points, targets), expected)


def test_long_limbs_land_on_their_anchors_and_short_ones_are_never_magnified() -> None:
    joints = standing()
    shoulder, elbow = JOINT_INDEX["left_shoulder"], JOINT_INDEX["left_elbow"]
    joints[shoulder, :2], joints[elbow, :2] = (0.0, -0.25), (0.0, 0.25)
    matrix = fit_part(part("left_upper_arm"), joints)
    assert matrix is not None
    # A limb of 0.5 is twice the canonical 1/4: scale 1/2, shoulder at (0, -3/16).
    assert matrix[0, 0] == pytest.approx(0.5)
    assert matrix @ [0.0, -0.25, 1.0] == pytest.approx([0.0, -3 / 16])
    joints[elbow, :2] = (0.0, -0.15)
    short = fit_part(part("left_upper_arm"), joints)
    assert short is not None and np.hypot(short[0, 0], short[1, 0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("missing", "left_out"),
    [
        (["left_elbow"], ["left_upper_arm", "left_lower_arm"]),
        (["left_index", "left_middle", "left_ring", "left_pinky"], []),
        (["left_ear"], []),
        (["left_ear", "left_eye"], ["face"]),
        (["right_big_toe", "right_heel"], []),
        (["right_big_toe", "right_small_toe"], ["right_foot"]),
        (["left_shoulder", "left_hip"], ["left_upper_arm", "left_upper_leg"]),
    ],
)
def test_missing_joints_leave_out_what_they_alone_fix(
    missing: list[str], left_out: list[str]
) -> None:
    joints = standing()
    for name in missing:
        joints[JOINT_INDEX[name]] = 0
    transforms = fit_parts(joints)
    assert sorted(transforms.left_out()[0]) == sorted(left_out)
    assert torch.isfinite(transforms.canonical_to_image).all()


def test_coincident_joints_leave_the_part_out() -> None:
    joints = standing()
    joints[JOINT_INDEX["left_elbow"]] = joints[JOINT_INDEX["left_shoulder"]]
    assert fit_parts(joints).left_out() == [("left_upper_arm",)]


def test_joints_that_are_not_finite_are_missing() -> None:
    joints = standing()
    joints[JOINT_INDEX["right_knee"], 0] = np.nan
    joints[JOINT_INDEX["left_ankle"], 1] = np.inf
    transforms = fit_parts(joints)
    legs = ("left_lower_leg", "right_upper_leg", "right_lower_leg")
    assert transforms.left_out() == [legs]
    assert torch.isfinite(transforms.image_to_canonical).all()


def test_parts_below_the_image_are_left_out_person_by_person() -> None:
    lower, upper = standing(), standing()
    lower[:, 1] += 0.6
    transforms = stack_transforms([fit_parts(upper), fit_parts(lower)])
    assert transforms.left_out() == [(), ("left_foot", "right_foot")]


@pytest.mark.parametrize("degrees", [0, 37])
def test_parts_are_left_out_where_their_crops_see_no_pixel(degrees: int) -> None:
    resolution = Resolution(1024)
    ones = torch.ones(1, 1, 1024, 1024)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    found, expected = [], []
    for shift in (0.5, 0.8, 0.95, 1.1, 1.3):
        joints = standing()
        joints[:, :2] = joints[:, :2] @ [[cosine, sine], [-sine, cosine]] + [shift, 0.31]
        # Every part, left out or not, by what its crop would show.
        matrices = [_matrix(part, joints) for part in PARTS]
        inverse = torch.from_numpy(np.linalg.inv(matrices)[:, :2]).float()[None]
        forward = torch.from_numpy(np.stack(matrices)[:, :2]).float()[None]
        every = PartTransforms(forward, inverse, torch.ones(1, 12, dtype=torch.bool))
        crops = [crop_parts(ones, every, name, resolution) for name in PART_NETWORKS]
        expected += [bool(crop.any()) for network in crops for crop in network[0]]
        found += fit_parts(joints).present.tolist()
    assert found == expected
    assert 10 < sum(found) < 50


def _matrix(part: Part, joints: np.ndarray) -> np.ndarray:
    """Return the (3, 3) similarity of a part wherever it lies: fitted after a shift to 0."""
    centre = joints[:, :2].mean(axis=0)
    there = joints.copy()
    there[:, :2] -= centre
    matrix = fit_part(part, there)
    assert matrix is not None
    back = np.eye(3)
    back[:2, 2] = -centre
    return np.vstack([matrix, [0.0, 0.0, 1.0]]) @ back
