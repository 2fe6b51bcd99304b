"""What a scan set looks like on disk, as a table, and how its scans are found with it.

Patterns are regular expressions for the end of a file's path below the folder of scans, with
"/" between folders, in any case. Their named groups make the scan's id, and tie its files
together: those of one scan give the same id.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from dataset.scans.scan import (
    BODY_METADATA,
    CM_PER_UNIT,
    BodySource,
    Scan,
    Stance,
    UnitRule,
    safe_ids,
)
from render.materials import PICTURE_FORMATS

LONE = "*"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tga", ".tif", ".tiff", ".bmp")
STUB_PX = 4
"""Pictures of so few pixels a side stand in for textures in repacked sets."""


@dataclass(frozen=True, kw_only=True)
class Meshes:
    """One place where a set keeps meshes.

    Attributes:
        path: pattern of the mesh files; a group "split" says the split.
        kind: how they are read, a name of `dataset.scans.meshes.READERS`.
        unit: "m", "cm" or "mm", where it is not the layout's.
        items: lists what a file with many meshes holds, as named groups; None: one mesh a file.
    """

    path: str
    kind: str = "file"
    unit: str | None = None
    items: Callable[[Path], Iterable[dict[str, str]]] | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A scan set.

    Attributes:
        name: what --layout calls it.
        looks_like: its meshes in words, for messages.
        meshes: where they are; of two for one scan the one that stands first here is taken.
        scan_id: made of the patterns' groups.
        subject: the same; empty: the scan's id.
        textures: names of the texture from the mesh's folder, made of groups, the first that is
            there counts; "*": the only picture there. None there: what the OBJ file names.
        body: patterns of the parameter files.
        body_kind: how they are read, a name of `dataset.scans.bodies.READERS`.
        joints: patterns of sidecars.
        unit: "m", "cm" or "mm"; None: found as `unit_rule` says.
        unit_rule: see `Stance`.
        up: axis of the file that points up; None: found from the extent.
        facing_known: whether everybody faces +z once up is +y; else the parameters say it.
        has_fragments: whether pieces that float around people are to be left out.
        facts: packaged manifests with what is known of single scans.
        left_out: patterns of meshes that belong to the set and are no scans, beside those of
            fitted bodies.
        marks: pattern of files of which one has to be there for --layout auto to take the set
            for this; empty: the meshes are mark enough; None: it has to be asked for.
    """

    name: str
    looks_like: str
    meshes: tuple[Meshes, ...]
    scan_id: str = "{id}"
    subject: str = ""
    textures: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    body_kind: str = "smplx"
    joints: tuple[str, ...] = ()
    unit: str | None = None
    unit_rule: UnitRule = "size"
    up: str | None = "+y"
    facing_known: bool = True
    has_fragments: bool = False
    facts: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    marks: str | None = ""


@dataclass(frozen=True)
class _Candidate:
    rank: int
    path: str
    groups: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Files:
    """What was found of one scan; more than one mesh, body or sidecar is one too many."""

    meshes: Sequence[_Candidate]
    bodies: Sequence[str]
    joints: Sequence[str]
    texture: str | None


def matched(pattern: str, path: str) -> dict[str, str] | None:
    """Return the named groups of a path that ends as a pattern says, or None."""
    found = _compiled(pattern).search(path)
    return None if found is None else {k: v for k, v in found.groupdict().items() if v is not None}


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|/)(?:{pattern})$", re.IGNORECASE)


def is_mesh_of(layout: Layout, path: str) -> bool:
    """Whether a path is one of a layout's meshes."""
    return any(matched(meshes.path, path) is not None for meshes in layout.meshes)


def find_in_layout(layout: Layout, root: Path, files: Sequence[str]) -> list[Scan]:
    """Return the scans of a set; two meshes for one scan are that scan's problem.

    Args:
        layout: how the set is laid out.
        root: the folder.
        files: paths of all files below it.
    """
    candidates: dict[str, list[_Candidate]] = {}
    for path in files:
        for candidate in _candidates(layout, root, path):
            name = layout.scan_id.format(**candidate.groups)
            candidates.setdefault(name, []).append(candidate)
    ids = safe_ids(candidates)
    bodies = _companions(layout, layout.body, files)
    joints = _companions(layout, layout.joints, files)
    pictures = [path for path in files if path.lower().endswith(IMAGE_SUFFIXES)]
    textures = _Textures(root, layout.textures, pictures)
    return [
        _scan(
            layout,
            root,
            ids[name],
            _Files(
                meshes=_best(found),
                bodies=bodies.get(name, []),
                joints=joints.get(name, []),
                texture=textures.of(_best(found)[0]),
            ),
        )
        for name, found in candidates.items()
    ]


def _best(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    rank = min(candidate.rank for candidate in candidates)
    return [candidate for candidate in candidates if candidate.rank == rank]


def _candidates(layout: Layout, root: Path, path: str) -> Iterable[_Candidate]:
    for rank, meshes in enumerate(layout.meshes):
        groups = matched(meshes.path, path)
        if groups is not None:
            items = [{}] if meshes.items is None else meshes.items(root / path)
            return [_Candidate(rank, path, groups | item) for item in items]
    return []


def _companions(
    layout: Layout, patterns: Iterable[str], files: Sequence[str]
) -> dict[str, list[str]]:
    """Return scan's name -> paths of the files that belong to it, those of one pattern only."""
    result: dict[str, list[str]] = {}
    for pattern in patterns:
        found: dict[str, list[str]] = {}
        for path in files:
            groups = matched(pattern, path)
            if groups is not None:
                found.setdefault(layout.scan_id.format(**groups), []).append(path)
        result = found | result
    return result


class _Textures:
    """Finds the texture of a scan among all pictures of a set, in any case."""

    def __init__(self, root: Path, names: Sequence[str], pictures: Iterable[str]) -> None:
        self._root, self._names = root, names
        self._by_path: dict[str, str] = {}
        self._by_folder: dict[str, list[str]] = {}
        for path in pictures:
            self._by_path[path.lower()] = path
            self._by_folder.setdefault(posixpath.dirname(path), []).append(path)

    def of(self, candidate: _Candidate) -> str | None:
        folder = posixpath.dirname(candidate.path)
        for name in self._names:
            if name == LONE:
                found = self._by_folder.get(folder, [])
            else:
                wanted = posixpath.join(folder, name.format(**candidate.groups))
                found = [self._by_path.get(posixpath.normpath(wanted).lower(), "")]
            real = [path for path in found if path and not _is_stub(self._root / path)]
            if len(real) == 1:
                return real[0]
        return None


def _is_stub(path: Path) -> bool:
    """Whether a picture is too small to be a texture; a damaged one is left to its reader."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_FORMATS) as picture:
                return max(picture.size) <= STUB_PX
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _scan(layout: Layout, root: Path, scan_id: str, files: _Files) -> Scan:
    chosen = files.meshes[0]
    meshes = layout.meshes[chosen.rank]
    unit = meshes.unit or layout.unit
    body, joints, texture = (
        None if path is None else root / path
        for path in (
            next(iter(files.bodies), None),
            next(iter(files.joints), None),
            files.texture,
        )
    )
    return Scan(
        scan_id=scan_id,
        subject=(layout.subject or layout.scan_id).format(**chosen.groups),
        mesh_path=root / chosen.path,
        mesh_kind=meshes.kind,
        item=chosen.groups.get("item", ""),
        texture_path=texture,
        has_fragments=layout.has_fragments,
        unit_cm=None if unit is None else CM_PER_UNIT[unit],
        stance=Stance(
            up=layout.up,
            yaw_deg=0.0 if layout.facing_known else None,
            unit_rule=layout.unit_rule,
        ),
        body=BodySource(kind=layout.body_kind, path=body),
        joints_path=joints,
        split=chosen.groups.get("split", "").lower() or None,
        metadata=_metadata(layout, chosen, body),
        problem=_rivals(root, scan_id, files),
    )


def _metadata(layout: Layout, chosen: _Candidate, body: Path | None) -> dict[str, object]:
    metadata: dict[str, object] = {"layout": layout.name}
    gender = {"f": "female", "m": "male"}.get(chosen.groups.get("gender", "").lower())
    if gender:
        metadata["categories"] = {"gender": gender}
    if body is not None:
        metadata[BODY_METADATA] = layout.body_kind
    return metadata


def _rivals(root: Path, scan_id: str, files: _Files) -> str | None:
    """Return the sentence that names two files where a scan has one, or None."""
    for what, paths in (
        ("mesh", [candidate.path for candidate in files.meshes]),
        ("file of body parameters", files.bodies),
        ("file of joints", files.joints),
    ):
        if len(paths) > 1:
            return (
                f"{root}: expected one {what} for the scan {scan_id}, got {paths[0]} and {paths[1]}"
            )
    return None
