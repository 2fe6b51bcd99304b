"""Named poses and the rig: hand-computed limb directions, natural limits, distinct people."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dataset.people.person import draw_phenotype, generator_for
from dataset.people.poses import _LIMITS, HAND_SHAPES, POSES, ArmAngles, LegAngles, Pose, jittered
from dataset.people.rig import BonePose, pose_bones, rotation_x, rotation_y, rotation_z, skin
from tests.dataset.people_fixtures import studio_and_model


def _posed(pose: Pose) -> dict[str, np.ndarray]:
    from dataset.people.garments import canonical_shape

    studio, model = studio_and_model()
    rest = canonical_shape(model, studio.body)
    heads = pose_bones(studio.body, rest, pose).heads
    return {name: heads[i] for i, name in enumerate(studio.body.bone_names)}


def _direction(heads: dict[str, np.ndarray], start: str, end: str) -> np.ndarray:
    vector = heads[end] - heads[start]
    return vector / np.linalg.norm(vector)


def test_the_three_elementary_rotations_turn_the_way_their_docstrings_say() -> None:
    assert rotation_x(90) @ [0, 1, 0] == pytest.approx([0, 0, 1])
    assert rotation_y(90) @ [0, 0, 1] == pytest.approx([1, 0, 0])
    assert rotation_z(90) @ [1, 0, 0] == pytest.approx([0, 1, 0])


def test_straight_limbs_hang_down_when_all_angles_are_zero() -> None:
    arm = ArmAngles(elevation=0, azimuth=0, twist=0, elbow=0, pronation=0)
    leg = LegAngles(flexion=0, abduction=0, twist=0, knee=0)
    heads = _posed(Pose(name="zero", left_arm=arm, right_arm=arm, left_leg=leg, right_leg=leg))
    for side in ("L", "R"):
        for start, end in (
            ("upperarm01", "lowerarm01"),
            ("lowerarm01", "wrist"),
            ("upperleg01", "lowerleg01"),
            ("lowerleg01", "foot"),
        ):
            way = _direction(heads, f"{start}.{side}", f"{end}.{side}")
            assert way == pytest.approx([0, -1, 0], abs=0.02), (start, side)


def test_arms_level_outward_with_bent_elbows_point_to_the_sides_and_forward() -> None:
    arm = ArmAngles(elevation=90, azimuth=90, twist=0, elbow=90, pronation=0)
    heads = _posed(Pose(name="level", left_arm=arm, right_arm=arm))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        upper = _direction(heads, f"upperarm01.{side}", f"lowerarm01.{side}")
        fore = _direction(heads, f"lowerarm01.{side}", f"wrist.{side}")
        assert upper == pytest.approx([sign, 0, 0], abs=0.02)
        assert fore == pytest.approx([0, 0, 1], abs=0.03)


def test_outward_twist_of_a_level_arm_raises_the_bent_forearm() -> None:
    arm = ArmAngles(elevation=90, azimuth=90, twist=-90, elbow=90, pronation=0)
    heads = _posed(Pose(name="up", right_arm=arm))
    assert _direction(heads, "lowerarm01.R", "wrist.R") == pytest.approx([0, 1, 0], abs=0.03)


def test_a_right_angle_in_hip_and_knee_puts_the_thigh_forward_and_the_shank_down() -> None:
    leg = LegAngles(flexion=90, abduction=0, twist=0, knee=90)
    heads = _posed(Pose(name="chair", left_leg=leg))
    assert _direction(heads, "upperleg01.L", "lowerleg01.L") == pytest.approx([0, 0, 1], abs=0.02)
    assert _direction(heads, "lowerleg01.L", "foot.L") == pytest.approx([0, -1, 0], abs=0.03)


def test_curled_fingers_come_nearer_to_the_wrist() -> None:
    def reach(hand: str) -> float:
        heads = _posed(Pose(name=hand, left_arm=ArmAngles(hand=hand)))
        return float(np.linalg.norm(heads["finger3-3.L"] - heads["wrist.L"]))

    assert reach("fist") < reach("relaxed") < reach("open")


def test_skinning_blends_two_bones_by_their_weights() -> None:
    bones = BonePose(
        rotations=np.stack([np.eye(3), rotation_z(90)]),
        heads=np.array([[0.0, 0, 0], [0.0, 0, 0]]),
    )
    points = np.array([[1.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]])
    weights = np.array([[1.0, 0], [0, 1], [0.5, 0.5]])
    posed = skin(points, weights, np.zeros((2, 3)), bones)
    assert posed == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]))


def test_at_least_seventeen_distinct_poses_and_ordinary_ones_for_the_demo_test_people() -> None:
    names = [pose.name for pose in POSES]
    assert len(set(names)) == len(names) >= 17
    assert len({repr(pose) for pose in POSES}) == len(POSES)
    assert all(leg.flexion < 30 for p in POSES[14:17] for leg in (p.left_leg, p.right_leg))


def test_jitter_changes_every_pose_but_stays_within_the_joint_limits() -> None:
    for seed, pose in enumerate(POSES):
        moved = jittered(pose, generator_for(seed, "pose"))
        assert moved != pose and moved.name == pose.name
        for part in ("left_arm", "right_arm", "left_leg", "right_leg", "spine"):
            for field in fields(getattr(moved, part)):
                value = getattr(getattr(moved, part), field.name)
                if field.name in _LIMITS:
                    low, high = _LIMITS[field.name]
                    assert low <= value <= high, (pose.name, part, field.name)
                elif field.name == "hand":
                    assert value in HAND_SHAPES


def test_every_angle_of_the_pose_table_is_within_its_limits() -> None:
    for pose in POSES:
        for part in ("left_arm", "right_arm", "left_leg", "right_leg", "spine"):
            for field in fields(getattr(pose, part)):
                if field.name in _LIMITS:
                    low, high = _LIMITS[field.name]
                    assert low <= getattr(getattr(pose, part), field.name) <= high, pose.name


def test_the_same_seed_draws_the_same_phenotype_and_others_differ() -> None:
    assert draw_phenotype(5) == draw_phenotype(5)
    drawn = {tuple(draw_phenotype(seed).items()) for seed in range(17)}
    assert len(drawn) == 17
