"""Layout "demo": folders with a metadata.json, as make-demo-scans writes them.

The scan id is the folder's path. `metadata.json` is an object; keys that are read, all
optional: "subject" (default the scan id), "mesh" and "joints" (names of files in the folder),
"unit" ("m", "cm" or "mm"; default: guessed from the height), "split"; "up" and "facing" have to
be "+y" and "+z" if they are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dataset.scans.scan import CM_PER_UNIT, Scan, mesh_files, safe_ids
from dataset.splits import SPLITS
from render.errors import ScanError
from render.folders import folder_tree
from render.readers import MESH_KINDS

METADATA_NAME = "metadata.json"
JOINTS_NAME = "joints.json"
FRAME = {"up": "+y", "facing": "+z"}


def find(root: Path) -> list[Scan]:
    """Return one scan per folder with a metadata.json; bad ones carry their problem."""
    folders = [folder for folder in folder_tree(root) if (folder / METADATA_NAME).is_file()]
    names = {folder: folder.relative_to(root).as_posix() for folder in folders}
    names = {folder: root.resolve().name if name == "." else name for folder, name in names.items()}
    ids = safe_ids(names.values())
    return [_scan(folder, ids[names[folder]]) for folder in folders]


def _scan(folder: Path, scan_id: str) -> Scan:
    try:
        metadata = json.loads((folder / METADATA_NAME).read_text(encoding="utf-8"))
        if not isinstance(metadata, dict):
            raise ScanError(f"expected an object, got {type(metadata).__name__}")
        unit = _choice(metadata, "unit", CM_PER_UNIT)
        subject = metadata.get("subject", scan_id)
        if not isinstance(subject, str) or not subject.strip():
            raise ScanError(f"expected subject to be a name, got {subject!r}")
        subject.encode("utf-8")  # half of a surrogate pair is JSON, but has no hash
        for key, value in FRAME.items():
            if metadata.get(key, value) != value:
                raise ScanError(f"expected {key} {value}, got {metadata[key]!r}")
        return Scan(
            scan_id=scan_id,
            subject=subject.strip(),
            mesh_path=_mesh_path(folder, metadata),
            unit_cm=None if unit is None else CM_PER_UNIT[unit],
            joints_path=_joints_path(folder, metadata),
            split=_choice(metadata, "split", SPLITS),
            metadata=metadata,
        )
    except (OSError, ValueError, RecursionError) as error:
        return Scan(
            scan_id=scan_id,
            subject=scan_id,
            mesh_path=folder,
            problem=f"{folder / METADATA_NAME}: {error}",
        )


def _choice(metadata: dict[str, Any], key: str, allowed: Iterable[str]) -> str | None:
    value = metadata.get(key)
    if value is None or (isinstance(value, str) and value in allowed):
        return value
    raise ScanError(f"expected {key} {', '.join(allowed)}, got {value!r}")


def _inside(folder: Path, name: object) -> Path:
    path = folder / str(name)
    if not isinstance(name, str) or path.resolve().parent != folder.resolve():
        raise ScanError(f"expected the name of a file in the folder, got {name!r}")
    return path


def _mesh_path(folder: Path, metadata: dict[str, Any]) -> Path:
    if "mesh" in metadata:
        return _inside(folder, metadata["mesh"])
    meshes = mesh_files(folder)
    if len(meshes) != 1:
        raise ScanError(f"expected one {MESH_KINDS} file beside it, found {len(meshes)}")
    return meshes[0]


def _joints_path(folder: Path, metadata: dict[str, Any]) -> Path | None:
    if metadata.get("joints") is not None:
        return _inside(folder, metadata["joints"])
    return folder / JOINTS_NAME if (folder / JOINTS_NAME).is_file() else None
