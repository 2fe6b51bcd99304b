"""From joint angles in degrees to bone rotations, and linear blend skinning.

Angles are anatomical and the same for every phenotype: zero is standing upright, arms and
legs straight down, thumbs forward. Everything is in the scan frame. A bone's rotation maps
rest-pose directions to posed directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.people.anatomy import BodyTemplate, RestShape
from dataset.people.poses import HAND_SHAPES, ArmAngles, LegAngles, Pose

FloatArray = NDArray[np.float64]

_DOWN = np.array([0.0, -1.0, 0.0])
_FORWARD = np.array([0.0, 0.0, 1.0])
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_TOE_OUT_DEG = 9.0


@dataclass(frozen=True, kw_only=True)
class BonePose:
    """Posed bones: rotations (B, 3, 3) from rest to posed, posed heads (B, 3) metres."""

    rotations: FloatArray
    heads: FloatArray


def rotation_x(angle_deg: float) -> FloatArray:
    """Return the (3, 3) rotation about +x."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rotation_y(angle_deg: float) -> FloatArray:
    """Return the (3, 3) rotation about +y: positive turns the front to the person's left."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation_z(angle_deg: float) -> FloatArray:
    """Return the (3, 3) rotation about +z: positive turns the person's left side up."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def rotation_about(axis: FloatArray, angle_deg: float) -> FloatArray:
    """Return the (3, 3) rotation about any axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(angle_deg)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _swing(elevation_deg: float, azimuth_deg: float) -> FloatArray:
    """Raise what hangs down by an elevation towards an azimuth (0 forward, 90 left), no twist."""
    turn = rotation_y(azimuth_deg)
    return turn @ rotation_x(-elevation_deg) @ turn.T


def _align(along: FloatArray, towards: FloatArray) -> FloatArray:
    """Return the rotation that takes `along` down and the rest of `towards` forward."""
    along = along / np.linalg.norm(along)
    side = towards - along * (along @ towards)
    side = side / np.linalg.norm(side)
    source = np.stack([along, side, np.cross(along, side)], axis=1)
    target = np.stack([_DOWN, _FORWARD, np.cross(_DOWN, _FORWARD)], axis=1)
    return target @ source.T


def pose_bones(body: BodyTemplate, rest: RestShape, pose: Pose) -> BonePose:
    """Turn a pose into bone rotations and posed bone heads (root at its rest place)."""
    head = {name: rest.bone_heads[i] for i, name in enumerate(body.bone_names)}
    spine = pose.spine
    pelvis = rotation_y(spine.turn) @ rotation_x(spine.pelvis_tilt)
    fixed: dict[str, tuple[str | None, FloatArray]] = {"root": (None, pelvis)}
    step = rotation_y(spine.twist / 5) @ rotation_z(spine.side / 5) @ rotation_x(spine.bend / 5)
    relative = dict.fromkeys(_SPINE, step)
    nod = rotation_y(spine.head_turn / 4) @ rotation_z(spine.head_tilt / 4)
    nod = nod @ rotation_x(spine.head_nod / 4)
    relative |= dict.fromkeys(_NECK, nod)
    limbs = (("L", pose.left_arm, pose.left_leg), ("R", pose.right_arm, pose.right_leg))
    for side, arm, leg in limbs:
        _arm_rotations(head, side, arm, fixed, relative)
        _leg_rotations(head, side, leg, spine.turn, fixed)
    return _chain(body, rest.bone_heads, fixed, relative)


def _arm_rotations(
    head: dict[str, FloatArray],
    side: str,
    arm: ArmAngles,
    fixed: dict[str, tuple[str | None, FloatArray]],
    relative: dict[str, FloatArray],
) -> None:
    sign = 1.0 if side == "L" else -1.0
    upper = head[f"lowerarm01.{side}"] - head[f"upperarm01.{side}"]
    fore = head[f"wrist.{side}"] - head[f"lowerarm01.{side}"]
    thumb = head[f"finger1-2.{side}"] - head[f"wrist.{side}"]
    swing = _swing(arm.elevation, sign * arm.azimuth) @ rotation_y(-sign * arm.twist)
    shrug = 0.22 * max(arm.elevation - 35.0, 0.0)
    relative[f"clavicle.{side}"] = _rise(head, side, shrug)
    bend = swing @ rotation_x(-arm.elbow)
    fixed[f"upperarm01.{side}"] = ("spine01", swing @ _align(upper, fore))
    # The forearm's own twist is spread over its bones, so that the skin does not pinch.
    hinge = _align(fore, -upper)
    untwist = _twist_angle(_align(fore, thumb) @ hinge.T)
    for bone, share in (("lowerarm01", 0.35), ("lowerarm02", 0.8), ("wrist", 1.0)):
        turned = bend @ rotation_y(-sign * arm.pronation * share)
        if bone == "wrist":
            turned = turned @ rotation_z(-sign * arm.wrist)
        fixed[f"{bone}.{side}"] = ("spine01", turned @ rotation_y(untwist * share) @ hinge)
    _finger_rotations(head, side, arm.hand, relative)


def _rise(head: dict[str, FloatArray], side: str, angle_deg: float) -> FloatArray:
    along = head[f"upperarm01.{side}"] - head[f"clavicle.{side}"]
    axis = np.cross(along, np.array([0.0, 1.0, 0.0]))
    return rotation_about(axis, angle_deg)


def _twist_angle(rotation: FloatArray) -> float:
    """Return the angle about +y, degrees, of a rotation that keeps the y axis."""
    return float(np.rad2deg(np.arctan2(rotation[0, 2], rotation[2, 2])))


def _finger_rotations(
    head: dict[str, FloatArray], side: str, hand: str, relative: dict[str, FloatArray]
) -> None:
    for finger, curls in enumerate(HAND_SHAPES[hand], start=1):
        points = [head[f"finger{finger}-{k}.{side}"] for k in (1, 2, 3)]
        axis = np.cross(points[1] - points[0], points[2] - points[1])
        for k, curl in enumerate(curls, start=1):
            relative[f"finger{finger}-{k}.{side}"] = rotation_about(axis, curl)


def _leg_rotations(
    head: dict[str, FloatArray],
    side: str,
    leg: LegAngles,
    turn_deg: float,
    fixed: dict[str, tuple[str | None, FloatArray]],
) -> None:
    sign = 1.0 if side == "L" else -1.0
    thigh = head[f"lowerleg01.{side}"] - head[f"upperleg01.{side}"]
    shank = head[f"foot.{side}"] - head[f"lowerleg01.{side}"]
    foot = (head[f"toe1-1.{side}"] + head[f"toe5-1.{side}"]) / 2 - head[f"foot.{side}"]
    yaw = rotation_y(turn_deg)
    swing = yaw @ rotation_z(sign * leg.abduction) @ rotation_x(-leg.flexion)
    swing = swing @ rotation_y(sign * leg.twist)
    lower = swing @ rotation_x(leg.knee)
    for bone in ("upperleg01", "upperleg02"):
        fixed[f"{bone}.{side}"] = (None, swing @ _align(thigh, foot))
    for bone in ("lowerleg01", "lowerleg02"):
        fixed[f"{bone}.{side}"] = (None, lower @ _align(shank, foot))
    heading = np.rad2deg(np.arctan2(foot[0], foot[2]))
    out = sign * (_TOE_OUT_DEG + leg.twist)
    level = yaw @ rotation_y(out) @ rotation_x(leg.foot_pitch) @ rotation_y(-heading)
    fixed[f"foot.{side}"] = (None, level)


def _chain(
    body: BodyTemplate,
    heads: FloatArray,
    fixed: dict[str, tuple[str | None, FloatArray]],
    relative: dict[str, FloatArray],
) -> BonePose:
    rotations = np.empty((len(heads), 3, 3))
    posed = np.empty_like(heads)
    for index, (name, parent) in enumerate(zip(body.bone_names, body.bone_parents)):
        if name in fixed:
            frame, absolute = fixed[name]
            base = np.eye(3) if frame is None else rotations[body.bone(frame)]
            rotations[index] = base @ absolute
        else:
            rotations[index] = rotations[parent] @ relative.get(name, np.eye(3))
        if parent < 0:
            posed[index] = heads[index]
        else:
            posed[index] = posed[parent] + rotations[parent] @ (heads[index] - heads[parent])
    return BonePose(rotations=rotations, heads=posed)


def skin(
    vertices: FloatArray, weights: FloatArray, rest_heads: FloatArray, bones: BonePose
) -> FloatArray:
    """Linear blend skinning.

    Args:
        vertices: (N, 3) rest pose; weights: (N, B), rows sum to 1; rest_heads: (B, 3).

    Returns:
        (N, 3) float64 posed vertices.
    """
    offsets = bones.heads - np.einsum("bij,bj->bi", bones.rotations, rest_heads)
    matrices = np.einsum("nb,bij->nij", weights, bones.rotations)
    return np.einsum("nij,nj->ni", matrices, vertices) + np.einsum("nb,bi->ni", weights, offsets)
