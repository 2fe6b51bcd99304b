"""What a scan is before it is read, and what its id may be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dataset.detectors.interface import DetectorName
from render.folders import folder_tree, is_junk
from render.readers import MESH_SUFFIXES

CM_PER_UNIT: dict[str, float] = {"m": 100.0, "cm": 1.0, "mm": 0.1}
LONGEST_ID = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


AXES: dict[str, tuple[int, int, int]] = {
    "+x": (1, 0, 0),
    "-x": (-1, 0, 0),
    "+y": (0, 1, 0),
    "-y": (0, -1, 0),
    "+z": (0, 0, 1),
    "-z": (0, 0, -1),
}

UnitRule = Literal["size", "size or height", "height"]
"""How a unit that is not stated is found: the one of m, cm and mm in which the scan is as tall
as a person; the same, and where there is none as "height"; as if the person were 180 cm tall."""

BODY_METADATA = "body_parameters"
"""Key of a scan's metadata that says what kind of body parameters came with it."""

JointSource = Literal["auto", "sidecar", "smplx", "detect"]


@dataclass(frozen=True, kw_only=True)
class Stance:
    """How the person stands in the mesh file.

    Attributes:
        up: name of the axis that points up; None: found from the mesh's extent.
        yaw_deg: turn about up, degrees, after which the person faces +z; None: found from the
            scan's parameters.
        scale: factor by which the mesh is too small for its unit.
        unit_rule: how the unit is found where it is not stated.
    """

    up: str | None = "+y"
    yaw_deg: float | None = 0.0
    scale: float = 1.0
    unit_rule: UnitRule = "size"


@dataclass(frozen=True, kw_only=True)
class BodySource:
    """Where a scan's body parameters are, and what is taken from them.

    Attributes:
        kind: how the file is read, a name of `dataset.scans.bodies.READERS`.
        path: the file.
        models: folder with the SMPL-X model files, or None.
        joints: whether joints come from the sidecar, from SMPL-X, from pictures of the scan, or
            from the first of these that there is.
        detector: what finds them in pictures.
    """

    kind: str = ""
    path: Path | None = None
    models: Path | None = None
    joints: JointSource = "auto"
    detector: DetectorName = "mediapipe"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan of a scan set, not read yet.

    Attributes:
        scan_id: unique in the set and safe as a file name.
        subject: the person; all scans of a subject are in one split.
        mesh_path: a file that `render.readers` reads, or what `mesh_kind` says.
        mesh_kind: how the mesh is read, a name of `dataset.scans.meshes.READERS`.
        item: which mesh, where the file holds many.
        texture_path: picture to lay on instead of what the OBJ file names, or None.
        has_fragments: whether pieces that float around the person are to be left out.
        unit_cm: length of one unit of the mesh, centimetres; None: found as `stance` says.
        stance: how the person stands in the mesh file.
        body: where the body parameters are.
        joints_path: sidecar with joints in the frame and unit of the mesh file, or None.
        split: "train", "val" or "test" where the scan set says so, else None.
        metadata: what the scan set says of the scan (JSON values).
        problem: why the scan cannot be used, found while listing; None if nothing was.
    """

    scan_id: str
    subject: str
    mesh_path: Path
    mesh_kind: str = "file"
    item: str = ""
    texture_path: Path | None = None
    has_fragments: bool = False
    unit_cm: float | None = None
    stance: Stance = Stance()
    body: BodySource = BodySource()
    joints_path: Path | None = None
    split: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


def mesh_files(folder: Path) -> list[Path]:
    """Return the mesh files of one folder, sorted, any case, without junk."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in MESH_SUFFIXES and not is_junk(path) and path.is_file()
    )


def all_files(root: Path) -> list[str]:
    """Return the paths of all files below a folder, with "/", sorted, without junk.

    Folders that are links are looked into; where two paths lead to one folder, once.
    """
    return sorted(
        path.relative_to(root).as_posix()
        for folder in folder_tree(root)
        for path in folder.iterdir()
        if not is_junk(path) and path.is_file()
    )


def safe_ids(names: Iterable[str]) -> dict[str, str]:
    """Return name -> id that is safe as a file name, and unique whatever the file system.

    "/" becomes "__", spaces and letters outside ASCII become "_". Names whose ids would be
    the same (or differ by case only), or be too long, get a digest of the name behind them.
    """
    plain = {name: _UNSAFE.sub("_", name.replace("/", "__")) for name in names}
    plain = {name: identifier.lstrip(".-") or "scan" for name, identifier in plain.items()}
    counts: dict[str, int] = {}
    for identifier in plain.values():
        counts[identifier.lower()] = counts.get(identifier.lower(), 0) + 1
    result = {}
    for name, identifier in plain.items():
        if counts[identifier.lower()] > 1 or len(identifier) > LONGEST_ID:
            digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
            identifier = f"{identifier[:LONGEST_ID]}-{digest}"
        result[name] = identifier
    return result
