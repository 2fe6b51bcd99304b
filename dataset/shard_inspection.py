"""What a shard holds, in numbers, and whether its arrays agree with each other.

Arrays are read view by view, so that memory does not grow with the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from dataset.scans.scan import BODY_METADATA
from dataset.shard_codec import INSTANCE, NORMAL_STEPS, ShardError
from dataset.shard_index import read_splits
from dataset.shard_reader import ShardReader
from dataset.shards import ShardSet

PERSON, UNRELIABLE = 1, 2
DEPTH_SLACK = 1.5e-5
"""By how much front may exceed back where both are one surface: two steps of the depth code."""

LONGEST_ERROR = 1.0 / NORMAL_STEPS
"""How far the length of a stored normal may be from 1."""

SIZE_STRIDE = 4
_FLAT_CATEGORIES = ("pose", "age_group")


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """What one shard holds.

    Attributes:
        scan_id: the scan.
        subject: the person.
        split: its split, "" for none.
        views: number of views.
        people: number of people in every view.
        bytes: size of the file.
        vertices: of the scan; 0 where neither mesh nor metadata say.
        has_mesh: whether the geometry is stored.
        has_texture: whether the unlit colours differ from place to place.
        has_body: whether SMPL or SMPL-X parameters came with the scan.
        categories: name -> value, of the person the shard is named after.
        yaws_deg: turn of every view.
        person_share: share of the pixels that show people, of every view.
        unreliable_share: share of these that are marked unreliable.
        joints_known: joints with confidence above 0 in all views.
        joints_inside: those of them that lie on the people's pixels.
        height_cm: from the lowest to the highest point seen, in the most frontal view.
        angles_deg: name of a pose angle -> degrees, where its joints are known.
    """

    scan_id: str
    subject: str
    split: str
    views: int
    people: int
    bytes: int
    vertices: int
    has_mesh: bool
    has_texture: bool
    has_body: bool
    categories: Mapping[str, str]
    yaws_deg: tuple[float, ...]
    person_share: tuple[float, ...]
    unreliable_share: float
    joints_known: int
    joints_inside: int
    height_cm: float
    angles_deg: Mapping[str, float] = field(default_factory=dict)


def shard_facts(shards: ShardSet, scan_id: str, split: str = "") -> ShardFacts:
    """Return what a shard holds.

    Raises:
        ShardError: it is missing or damaged.
    """
    with shards.open(scan_id) as reader:
        metadata = leader_metadata(reader)
        shares, unreliable, known, inside = [], 0, 0, 0
        for view in range(reader.view_count):
            mask = reader.read("mask", view)
            person = (mask & PERSON) > 0
            shares.append(float(person.mean()))
            unreliable += int(((mask & UNRELIABLE) > 0).sum())
            on_person, count = _joints_on_person(reader.read("joints/2d", view), person)
            known, inside = known + count, inside + on_person
        yaws = [reader.yaw_deg(view) for view in range(reader.view_count)]
        frontal = int(np.argmin(np.abs(yaws)))
        pixels = sum(shares) * reader.resolution**2
        return ShardFacts(
            scan_id=scan_id,
            subject=reader.subject,
            split=split,
            views=reader.view_count,
            people=reader.people,
            bytes=reader.path.stat().st_size,
            vertices=_vertices(reader, metadata),
            has_mesh=reader.has_mesh,
            has_texture=_has_texture(reader, frontal),
            has_body=BODY_METADATA in metadata,
            categories=_categories(metadata),
            yaws_deg=tuple(yaws),
            person_share=tuple(shares),
            unreliable_share=unreliable / max(pixels, 1.0),
            joints_known=known,
            joints_inside=inside,
            height_cm=_height_cm(reader, frontal),
            angles_deg=pose_angles(reader.read("joints/3d", 0).reshape(-1, JOINT_COUNT, 4)[0]),
        )


def leader_metadata(reader: ShardReader) -> dict[str, Any]:
    """Return what the scan set says of the scan that a shard is named after."""
    metadata = reader.metadata
    people = metadata.get("people")
    if isinstance(people, list) and people and isinstance(people[0], dict):
        return people[0]
    return metadata


def verify_arrays(reader: ShardReader) -> list[str]:
    """Return what is wrong with the arrays of a shard, one sentence each; empty if nothing is.

    Raises:
        ShardError: an array cannot be read.
    """
    problems: list[str] = []
    for view in range(reader.view_count):
        problems += [f"view {view}: {problem}" for problem in _view_problems(reader, view)]
    return problems


def _view_problems(reader: ShardReader, view: int) -> list[str]:
    problems = []
    mask = reader.read("mask", view)
    person = (mask & PERSON) > 0
    if (mask > PERSON + UNRELIABLE).any() or ((mask == UNRELIABLE).any()):
        problems.append("mask: expected 0, 1 or 3, found other values")
    if not person.any():
        problems.append("mask: expected somebody, found nobody")
    coverage = reader.read("coverage", view)
    if ((coverage == 0) & person).any():
        problems.append(_count("coverage: expected above 0 on the person", coverage[person] == 0))
    premultiplied = reader.read("person/front", view).max(axis=-1)
    if (premultiplied > coverage).any():
        problems.append(
            _count("person/front: expected at most the coverage", premultiplied > coverage)
        )
    depths = {}
    for side in ("front", "back"):
        depths[side] = reader.read(f"depth/{side}", view)
        wrong = (depths[side] > 0.0) != person
        if wrong.any():
            problems.append(_count(f"depth/{side}: expected exactly on the mask", wrong))
        problems += _normal_problems(reader, side, view, person)
    behind = person & (depths["front"] > depths["back"] + DEPTH_SLACK)
    if behind.any():
        problems.append(_count("depth: expected front no farther than back", behind))
    if reader.people > 1:
        instance = reader.read(INSTANCE, view)
        wrong = ((instance > 0) != person) | (instance > reader.people)
        if wrong.any():
            problems.append(_count(f"{INSTANCE}: expected 1 to {reader.people} on people", wrong))
    for name in ("image/front", "image/back", "albedo/front", "albedo/back"):
        reader.read(name, view)
    for name in ("joints/2d", "joints/3d"):
        values = reader.read(name, view)
        if (
            not np.isfinite(values).all()
            or not ((values[..., -1] >= 0.0) & (values[..., -1] <= 1.0)).all()
        ):
            problems.append(f"{name}: expected finite places and confidence from 0 to 1")
    return problems


def _normal_problems(
    reader: ShardReader, side: str, view: int, person: NDArray[np.bool_]
) -> list[str]:
    code = reader.read_code(f"normal/{side}", view)[person].astype(np.float32)
    length = np.sqrt((code**2).sum(axis=-1)) / NORMAL_STEPS
    wrong = np.abs(length - 1.0) > LONGEST_ERROR
    return [_count(f"normal/{side}: expected unit vectors on the mask", wrong)] * bool(wrong.any())


def _count(expectation: str, wrong: NDArray[np.bool_]) -> str:
    return f"{expectation}, found {int(wrong.sum())} pixels otherwise"


def _joints_on_person(joints: NDArray[np.floating], person: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many known joints lie on the person, and how many are known."""
    flat = joints.reshape(-1, 3)
    known = flat[(flat[:, 2] > 0.0) & np.isfinite(flat).all(axis=1)]
    places = known[:, :2]
    pixels = places[((places >= 0.0) & (places < len(person))).all(axis=1)].astype(np.int64)
    return int(person[pixels[:, 1], pixels[:, 0]].sum()), len(known)


def _vertices(reader: ShardReader, metadata: Mapping[str, Any]) -> int:
    if reader.has_mesh:
        return len(reader.mesh()[0])
    count = metadata.get("vertices")
    return count if isinstance(count, int) and not isinstance(count, bool) else 0


def _has_texture(reader: ShardReader, view: int) -> bool:
    person = (reader.read("mask", view) & PERSON) > 0
    colours = reader.read("albedo/front", view)[person]
    return bool(len(colours) and (colours != colours[0]).any())


def _categories(metadata: Mapping[str, Any]) -> dict[str, str]:
    found = metadata.get("categories")
    categories = dict(found) if isinstance(found, dict) else {}
    categories |= {name: metadata[name] for name in _FLAT_CATEGORIES if name in metadata}
    return {str(name): str(value) for name, value in categories.items()}


def _height_cm(reader: ShardReader, number: int) -> float:
    """Return the extent of what is seen along the scan's up axis, centimetres; 0 for nobody."""
    camera, part = reader.view(number).camera, slice(None, None, SIZE_STRIDE)
    depth = reader.read("depth/front", number)[part, part].astype(np.float64)
    rays, origins = camera.rays(part, part), camera.ray_origins(part, part)
    points = (depth[..., None] * rays + origins)[depth > 0.0]
    if not len(points):
        return 0.0
    scan_from_camera = np.linalg.inv(reader.pose(number) @ reader.normalised_from_scan)
    up = points @ scan_from_camera[1, :3] + scan_from_camera[1, 3]
    return float(np.ptp(up)) * reader.unit_cm


def pose_angles(joints: NDArray[np.floating]) -> dict[str, float]:
    """Return how far arms are raised and elbows and knees bent, degrees.

    Args:
        joints: (31, 4) places, y up, and confidence.

    Returns:
        "arm raised" (0 hanging, 180 straight up) and "elbow bent", "knee bent" (0 straight) of
        the more raised or bent side; those whose joints are not known are left out.
    """
    joints = np.where(np.isfinite(joints).all(axis=1, keepdims=True), joints, 0.0)
    corners = {
        "elbow bent": ("shoulder", "elbow", "wrist"),
        "knee bent": ("hip", "knee", "ankle"),
    }
    found: dict[str, list[float]] = {}
    for side in ("left", "right"):
        place = {
            name: joints[JOINT_INDEX[f"{side}_{name}"]]
            for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        }
        if place["shoulder"][3] > 0.0 and place["elbow"][3] > 0.0:
            arm = place["elbow"][:3] - place["shoulder"][:3]
            found.setdefault("arm raised", []).append(_angle(arm, np.array([0.0, -1.0, 0.0])))
        for name, (first, middle, last) in corners.items():
            if all(place[each][3] > 0.0 for each in (first, middle, last)):
                upper = place[middle][:3] - place[first][:3]
                lower = place[last][:3] - place[middle][:3]
                found.setdefault(name, []).append(_angle(upper, lower))
    return {name: max(angles) for name, angles in found.items()}


def _angle(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    if length == 0.0:
        return 0.0
    return float(np.degrees(np.arccos(np.clip(float(first @ second) / length, -1.0, 1.0))))


def inspect_shard(
    shards: ShardSet, scan_id: str, split: str, verify: bool
) -> tuple[ShardFacts | None, list[str]]:
    """Return what a shard holds and what is wrong with it; no facts if it cannot be read."""
    try:
        facts = shard_facts(shards, scan_id, split)
        if not verify:
            return facts, []
        shards.verify(scan_id)
        with shards.open(scan_id) as reader:
            return facts, verify_arrays(reader)
    except ShardError as error:
        return None, [str(error)]


def set_problems(shards: ShardSet) -> list[str]:
    """Return what is wrong with the split lists of a set."""
    listed = read_splits(shards.root)
    splits_of: dict[str, set[str]] = {}
    problems = []
    for entry in shards.index.shards:
        if entry.scan_id in listed:
            splits_of.setdefault(entry.subject, set()).add(listed[entry.scan_id])
    for subject, splits in sorted(splits_of.items()):
        if len(splits) > 1:
            found = " and ".join(sorted(splits))
            problems.append(f"subject {subject}: expected one split, found {found}")
    problems += [
        f"{name}: expected in a split list, found in none"
        for name in shards.scan_ids
        if name not in listed
    ]
    return problems
