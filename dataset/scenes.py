"""What stands before the camera in all views of a shard: one scan, or a group of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.groups import around, group_from_scans
from dataset.joints import JOINT_COUNT
from dataset.scans import LoadedScan, used_vertices
from dataset.shard_checks import GroupMember
from dataset.synthesis_config import GROUP_STREAM, SynthesisConfig
from dataset.views import View, border_shrink, depth_shrink, joints_in_normalised_frame
from render.camera import normalised_from_scan, transform_points
from render.errors import ScanError


@dataclass(frozen=True, kw_only=True)
class Scene:
    """People in their place.

    Attributes:
        people: the scans, the one that the shard is named after first.
        views: from where they are seen.
        normalised_from_scans: (4, 4) of each person, shrink included.
        normalised_from_group: (4, 4), from the scan's frame where there is one person.
        unit_cm: length of a unit of that frame, centimetres.
        shrink: factor by which everything was made smaller to clear the image border, and for
            depth to be within what shards hold.
        members: of a group; empty for one person.
        joints_3d: (31, 4) normalised frame + confidence; (P, 31, 4) of a group.
    """

    people: tuple[LoadedScan, ...]
    views: tuple[View, ...]
    normalised_from_scans: tuple[NDArray[np.floating], ...]
    normalised_from_group: NDArray[np.floating]
    unit_cm: float
    shrink: float
    members: tuple[GroupMember, ...]
    joints_3d: NDArray[np.float64]


def check_area(person: LoadedScan) -> None:
    """Raise ScanError where the surface of a scan has no area."""
    _normalised(person, person.mesh.vertices, person.mesh.faces)


def _normalised(
    person: LoadedScan,
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    shrink: float = 1.0,
) -> NDArray[np.floating]:
    try:
        return normalised_from_scan(vertices, faces, shrink)
    except ValueError as error:
        raise ScanError(f"{person.scan.mesh_path}: {error}") from error


def set_scene(people: Sequence[LoadedScan], config: SynthesisConfig) -> Scene:
    """Put people before the camera: centred, scaled, and shrunk where a view needs it.

    Args:
        people: the one that the shard is named after first.
        config: of the shard set.

    Raises:
        ScanError: the surface has no area.
    """
    name = people[0].scan.scan_id
    views = config.views(name)
    placements = [np.eye(4)]
    if len(people) > 1:
        rng = config.generator(name, 0, GROUP_STREAM)
        cylinders = [around(used_vertices(person.mesh)) for person in people]
        placements = group_from_scans(cylinders, [person.unit_cm for person in people], rng)
    vertices, faces = _joined(people, placements)
    matrix = _normalised(people[0], vertices, faces)
    is_used = np.zeros(len(vertices), dtype=bool)
    is_used[faces.ravel()] = True
    points = transform_points(matrix, vertices[is_used])
    shrink = min(border_shrink(points, views), depth_shrink(points, views))
    if shrink < 1.0:
        matrix = _normalised(people[0], vertices, faces, shrink)
    matrices = tuple(matrix @ placement for placement in placements)
    joints = [
        joints_in_normalised_frame(person.joints, to_normalised, JOINT_COUNT)
        for person, to_normalised in zip(people, matrices, strict=True)
    ]
    return Scene(
        people=tuple(people),
        views=views,
        normalised_from_scans=matrices,
        normalised_from_group=matrix,
        unit_cm=people[0].unit_cm if len(people) == 1 else 1.0,
        shrink=shrink,
        members=_members(people, placements),
        joints_3d=joints[0] if len(people) == 1 else np.stack(joints),
    )


def _joined(
    people: Sequence[LoadedScan], placements: Sequence[NDArray[np.floating]]
) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Return vertices and faces of all people in the frame of the group."""
    if len(people) == 1:
        return people[0].mesh.vertices, people[0].mesh.faces
    starts = np.cumsum([0] + [len(person.mesh.vertices) for person in people[:-1]])
    vertices = [
        transform_points(placement, person.mesh.vertices)
        for person, placement in zip(people, placements, strict=True)
    ]
    faces = [
        person.mesh.faces + start for person, start in zip(people, starts.tolist(), strict=True)
    ]
    return np.concatenate(vertices), np.concatenate(faces)


def _members(
    people: Sequence[LoadedScan], placements: Sequence[NDArray[np.floating]]
) -> tuple[GroupMember, ...]:
    if len(people) == 1:
        return ()
    return tuple(
        GroupMember(
            scan_id=person.scan.scan_id, subject=person.scan.subject, group_from_scan=placement
        )
        for person, placement in zip(people, placements, strict=True)
    )
