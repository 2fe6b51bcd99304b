"""Reads one scan into the scan frame: mesh, joints, unit, and what was guessed on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataset.body_model import LARGEST_MISFIT_CM, misfit_cm, pose_body
from dataset.scans.bodies import READERS, BodyFacts
from dataset.scans.fragments import without_fragments
from dataset.scans.frames import facing_rotation, guessed_up, levelled, upright
from dataset.scans.meshes import read_scan_mesh
from dataset.scans.scan import CM_PER_UNIT, Scan
from dataset.sidecars import read_sidecar
from render.camera import yaw_rotation
from render.errors import ScanError
from render.mesh import Mesh, transformed

SHORTEST_M, TALLEST_M = 0.5, 3.0
"""What a scan may measure from its lowest to its highest point.

A standing person is 1 to 2.2 m tall; a seated one is lower and raised arms are higher. The
three units are factors of 10 and 100 apart, so the wider range stays unambiguous.
"""

ASSUMED_HEIGHT_CM = 180.0
"""Height of a person whose scan has no unit, as the released code takes it."""

FACING_UNKNOWN = "facing is not known, +z taken once up is +y"
BODY_UNUSED = "body parameters are not used"

FARTHEST_CM = 100.0
"""How far the origin of a body may be from the middle of its scan; it is near the chest."""


@dataclass(frozen=True, kw_only=True)
class LoadedScan:
    """A scan in memory.

    Attributes:
        scan: where it comes from.
        mesh: scan frame and unit.
        joints: (31, 4) in the same + confidence, or None.
        unit_cm: length of its unit, centimetres.
        notes: what was guessed, one sentence each.
        doubts: those of the guesses that had better be looked at.
    """

    scan: Scan
    mesh: Mesh
    joints: NDArray[np.float64] | None
    unit_cm: float
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def load_scan(scan: Scan) -> LoadedScan:
    """Read one scan and find out how it stands and how large it is.

    Raises:
        ScanError: the scan cannot be used, or its body parameters do not fit it.
    """
    if scan.problem is not None:
        raise ScanError(scan.problem)
    mesh = read_scan_mesh(scan)
    facts, notes = _body_facts(scan)
    if scan.has_fragments:
        mesh, count = without_fragments(mesh)
        notes += [f"{count} small pieces float around the person and are left out"] * bool(count)
    rotation, more = _rotation(scan, mesh, facts)
    notes += more
    if not np.array_equal(rotation, np.eye(3)):
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        mesh = transformed(mesh, matrix)
    unit_cm, more = _unit(scan, mesh, facts)
    notes += more
    fitted, more = _fitted_body(scan, mesh, rotation, unit_cm, facts)
    notes += more
    return LoadedScan(
        scan=scan,
        mesh=mesh,
        joints=_joints(scan, mesh, rotation, fitted),
        unit_cm=unit_cm,
        notes=tuple(notes),
        doubts=tuple(
            doubt
            for doubt in (FACING_UNKNOWN, BODY_UNUSED)
            if any(note.startswith(doubt) for note in notes)
        ),
    )


def scan_unit_cm(scan: Scan, mesh: Mesh) -> float:
    """Return the length of one unit of a scan in centimetres, guessed where it is not stated.

    Args:
        scan: what is known of it.
        mesh: scan frame.

    Raises:
        ScanError: the person is as tall as one in no unit.
    """
    scale = scan.stance.scale
    if scan.unit_cm is not None:
        return scan.unit_cm * scale
    height = float(np.ptp(used_vertices(mesh)[:, 1])) * scale
    if scan.stance.unit_rule != "height":
        for centimetres in CM_PER_UNIT.values():
            if SHORTEST_M <= height * centimetres / 100.0 <= TALLEST_M:
                return centimetres * scale
    if scan.stance.unit_rule != "size" and height > 0.0:
        return ASSUMED_HEIGHT_CM / height * scale
    raise ScanError(
        f"{scan.mesh_path}: expected a person 1 to 2.2 m tall in m, cm or mm with y up, "
        f"got a height of {height:.4g} units"
    )


def used_vertices(mesh: Mesh) -> NDArray[np.float64]:
    """Return the (U, 3) vertices that a face uses; scans may hold stray ones far away."""
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[mesh.faces.ravel()] = True
    return mesh.vertices[used]


def _needs_body(scan: Scan) -> bool:
    unit_unknown = scan.unit_cm is None and scan.stance.unit_rule == "height"
    return scan.stance.yaw_deg is None or unit_unknown or scan.body.joints == "smplx"


def _body_facts(scan: Scan) -> tuple[BodyFacts | None, list[str]]:
    """Read the parameters; where the scan can do without them, bad ones are only noted."""
    if scan.body.path is None:
        if scan.body.joints == "smplx":
            raise ScanError(f"{scan.mesh_path}: expected SMPL-X parameters of it, found none")
        return None, []
    try:
        return READERS[scan.body.kind](scan.body.path), []
    except ScanError as error:
        if _needs_body(scan):
            raise
        return None, [f"{BODY_UNUSED}: {error}"]


def _rotation(
    scan: Scan, mesh: Mesh, facts: BodyFacts | None
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the (3, 3) rotation from the mesh file's frame to the scan frame."""
    stance, notes = scan.stance, []
    if stance.up is None and facts is not None and facts.up is not None:
        standing = levelled(facts.up)
    else:
        up = stance.up or guessed_up(used_vertices(mesh))
        if stance.up is None and up != "+y":
            notes.append(f"up taken for {up}, from the extent")
        standing = upright(up)
    if stance.yaw_deg is not None:
        return yaw_rotation(stance.yaw_deg)[:3, :3] @ standing, notes
    found = None if facts is None else facing_rotation(standing[1], facts.facing)
    if found is not None:
        return found, [*notes, "facing taken from the body parameters"]
    return standing, [*notes, FACING_UNKNOWN]


def _unit(scan: Scan, mesh: Mesh, facts: BodyFacts | None) -> tuple[float, list[str]]:
    if scan.unit_cm is None and facts is not None and facts.unit_cm is not None:
        known = replace(scan, unit_cm=facts.unit_cm)
        unit_cm, notes = scan_unit_cm(known, mesh), ["unit taken from the body parameters"]
    else:
        unit_cm, notes = scan_unit_cm(scan, mesh), []
        if scan.unit_cm is None:
            notes.append(f"one unit taken for {unit_cm:g} cm, from its height")
    height_m = float(np.ptp(used_vertices(mesh)[:, 1])) * unit_cm / 100.0
    if not SHORTEST_M <= height_m <= TALLEST_M:
        raise ScanError(
            f"{scan.mesh_path}: expected a person {SHORTEST_M:g} to {TALLEST_M:g} m tall, got "
            f"{height_m:.3g} m with one unit of {unit_cm:.4g} cm (a manifest can say unit, "
            "scale and up)"
        )
    return unit_cm, notes


def _fitted_body(
    scan: Scan,
    mesh: Mesh,
    rotation: NDArray[np.float64],
    unit_cm: float,
    facts: BodyFacts | None,
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Return the (31, 3) joints of a scan's SMPL-X body, scan frame, if it fits the scan.

    Raises:
        ScanError: it does not, and the scan cannot do without.
    """
    if facts is None or facts.parameters is None or scan.body.path is None:
        return None, []
    parameters, models, points = facts.parameters, scan.body.models, used_vertices(mesh)
    joints = None
    if models is None:
        origin = parameters.to_scan(np.zeros((1, 3)), unit_cm)[0] @ rotation.T
        middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
        distance, limit = float(np.linalg.norm(origin - middle)) * unit_cm, FARTHEST_CM
    else:
        body = pose_body(parameters, models)
        placed = parameters.to_scan(body.vertices, unit_cm) @ rotation.T
        distance, limit = misfit_cm(placed, points, unit_cm), LARGEST_MISFIT_CM
        joints = parameters.to_scan(body.joints, unit_cm) @ rotation.T
    if distance <= limit:
        fits = f"the body of {scan.body.path.name} is {distance:.3g} cm from the scan on average"
        return joints, [] if joints is None else [fits]
    misfit = (
        f"{scan.body.path}: expected a body at most {limit:g} cm from its scan, got "
        f"{distance:.3g} cm"
    )
    if _needs_body(scan):
        raise ScanError(f"{misfit} (a manifest can say parameters = ignore, yaw_deg and unit)")
    return None, [f"{BODY_UNUSED}: {misfit}"]


def _joints(
    scan: Scan,
    mesh: Mesh,
    rotation: NDArray[np.float64],
    fitted: NDArray[np.float64] | None,
) -> NDArray[np.float64] | None:
    """Return the (31, 4) joints of the sidecar, else of the body, scan frame, or None."""
    if scan.joints_path is not None and scan.body.joints in ("auto", "sidecar"):
        points = used_vertices(mesh) @ rotation
        joints = read_sidecar(scan.joints_path, np.stack([points.min(axis=0), points.max(axis=0)]))
        return np.concatenate([_turned(rotation, joints[:, :3]), joints[:, 3:]], axis=1)
    if fitted is None or scan.body.joints in ("sidecar", "detect"):
        return None
    return np.concatenate([fitted, np.ones((len(fitted), 1))], axis=1)


def _turned(rotation: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points if np.array_equal(rotation, np.eye(3)) else points @ rotation.T
