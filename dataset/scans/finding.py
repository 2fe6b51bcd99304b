"""Lists the scans of a folder, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath

from dataset.detectors.interface import DetectorName
from dataset.scans import (
    axyz,
    buff,
    cape,
    demo,
    dfaust,
    generic,
    humbi,
    humman,
    multihuman,
    release_2k2k,
    renderpeople,
    thuman,
    thuman2,
    twindom,
)
from dataset.scans.layout import Layout, find_in_layout, is_mesh_of, matched
from dataset.scans.manifest import apply_manifest, read_manifest
from dataset.scans.scan import JointSource, Scan, all_files
from render.errors import ScanError, UserInputError
from render.readers import MESH_KINDS, MESH_SUFFIXES

TABLES: dict[str, Layout] = {
    module.LAYOUT.name: module.LAYOUT
    for module in (
        renderpeople,
        thuman2,
        thuman,
        multihuman,
        release_2k2k,
        buff,
        cape,
        dfaust,
        humbi,
        humman,
        axyz,
        twindom,
    )
}
LAYOUT_NAMES: tuple[str, ...] = ("demo", *TABLES, "generic")

FITTED_BODIES = r".*(smpl|minimal).*"
"""Files of whose path this is true are bodies that were fitted to scans, not scans."""


def find_scans(
    root: Path,
    layout: str = "auto",
    *,
    manifest: Path | None = None,
    joints: JointSource = "auto",
    body_models: Path | None = None,
    detector: DetectorName = "mediapipe",
) -> list[Scan]:
    """Return the scans of a folder, sorted by id.

    Args:
        root: the folder.
        layout: a name of LAYOUT_NAMES, or "auto": the one set whose files these are, demo where
            there is a metadata.json, else generic.
        manifest: facts of single scans, before all that is found; see `dataset.scans.manifest`.
        joints: where joints come from.
        body_models: folder with SMPL-X model files, or None.
        detector: what finds joints in pictures of a scan.

    Raises:
        ScanError: there is no such folder, or no scan in it; it could be two layouts; the
            manifest cannot be used.
        UserInputError: joints of SMPL-X are asked for without its models.
    """
    if layout != "auto" and layout not in LAYOUT_NAMES:
        raise ValueError(f"layout: expected auto, {', '.join(LAYOUT_NAMES)}, got {layout!r}")
    root = Path(root)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise ScanError(f"{root}: expected a folder of scans, found {found}")
    if joints == "smplx" and body_models is None:
        raise UserInputError(
            "--joints smplx: expected --body-models with SMPL-X model files, got none"
        )
    paths = [] if layout in ("demo", "generic") else all_files(root)
    asked = layout
    if layout == "auto":
        layout = detected_layout(root, paths)
    scans = _listed(root, layout, paths)
    if not scans:
        tried = f"; tried {_automatic()}" if asked == "auto" else ""
        raise ScanError(f"{root}: expected {_wanted(layout)} (layout {layout}), found none{tried}")
    for name in TABLES[layout].facts if layout in TABLES else ():
        with as_file(files("dataset.scans") / "data" / name) as path:
            scans = apply_manifest(scans, read_manifest(path))
    if manifest is not None:
        scans = apply_manifest(scans, read_manifest(manifest), manifest)
        if not scans:
            raise ScanError(f"{manifest}: expected at least one scan not to be skipped, got none")
    scans = [_with_choices(scan, joints, body_models, detector) for scan in scans]
    return sorted(scans, key=lambda scan: scan.scan_id)


def detected_layout(root: Path, paths: Sequence[str]) -> str:
    """Return the name of the layout that a folder has; "generic" where it has none other.

    Args:
        root: the folder, for messages.
        paths: of all files below it.

    Raises:
        ScanError: it could be two, or some of its meshes are of another kind.
    """
    is_demo = any(PurePosixPath(path).name == demo.METADATA_NAME for path in paths)
    fitting = [layout for layout in TABLES.values() if _fits(layout, paths)]
    if not fitting:
        return "demo" if is_demo else "generic"
    if len(fitting) + is_demo > 1:
        found = [f"{layout.name} ({layout.looks_like})" for layout in fitting]
        found += [f"demo ({_wanted('demo')})"] * is_demo
        raise ScanError(
            f"{root}: expected scans of one layout, found those of {' and '.join(found)}; "
            "choose with --layout, or name the folder of one of them"
        )
    layout = fitting[0]
    others = [path for path in paths if _is_other_mesh(layout, path)]
    if others:
        raise ScanError(
            f"{root}: expected scans of one layout, found those of {layout.name} "
            f"({layout.looks_like}) and {len(others)} other meshes such as {others[0]}; choose "
            f"--layout {layout.name} for the first alone, or --layout generic for all"
        )
    return layout.name


def _fits(layout: Layout, paths: Sequence[str]) -> bool:
    if layout.marks is None or not any(is_mesh_of(layout, path) for path in paths):
        return False
    return not layout.marks or any(matched(layout.marks, path) is not None for path in paths)


def _is_other_mesh(layout: Layout, path: str) -> bool:
    if PurePosixPath(path).suffix.lower() not in MESH_SUFFIXES or is_mesh_of(layout, path):
        return False
    return all(matched(pattern, path) is None for pattern in (FITTED_BODIES, *layout.left_out))


def _listed(root: Path, layout: str, paths: Sequence[str]) -> list[Scan]:
    if layout == "demo":
        return demo.find(root)
    if layout == "generic":
        return generic.find(root)
    return find_in_layout(TABLES[layout], root, paths)


def _wanted(layout: str) -> str:
    if layout in TABLES:
        return TABLES[layout].looks_like
    return "folders with a metadata.json" if layout == "demo" else f"{MESH_KINDS} files"


def _automatic() -> str:
    """Return the patterns of the layouts that are looked for, for messages."""
    tables = (table for table in TABLES.values() if table.marks is not None)
    return "; ".join(f"{table.name}: {table.looks_like}" for table in tables)


def _with_choices(
    scan: Scan, joints: JointSource, body_models: Path | None, detector: DetectorName
) -> Scan:
    body = replace(scan.body, joints=joints, models=body_models, detector=detector)
    stated: dict[str, object] = {}
    if joints != "auto":
        stated["joints"] = joints
    if detector != "mediapipe":
        stated["detector"] = detector
    if body_models is not None and body.path is not None and body.kind == "smplx":
        stated["body_models"] = True
    metadata = dict(scan.metadata)
    if stated:
        before = metadata.get("stated")
        metadata["stated"] = (dict(before) if isinstance(before, dict) else {}) | stated
    return replace(scan, body=body, metadata=metadata)
