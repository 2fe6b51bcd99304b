"""Layout "generic": any folder tree with OBJ, PLY, GLB or glTF files, one scan each.

The unit (metres, centimetres or millimetres) is guessed from the height; y is up, or z where a
scan is clearly longer along z, and the person faces +z (of a z-up file -y). Joints are read from
`<stem>.joints.json` beside the mesh, or from `joints.json` where the folder holds one mesh only.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from dataset.scans.scan import Scan, Stance, mesh_files, safe_ids
from render.folders import folder_tree

GLTF_SUFFIXES = (".glb", ".gltf")
"""Files whose format says that y is up."""

JOINTS_SUFFIX = ".joints.json"
JOINTS_NAME = "joints.json"


def find(root: Path) -> list[Scan]:
    """Return one scan per mesh file at any depth."""
    meshes: list[tuple[Path, Path | None]] = []
    for folder in folder_tree(root):
        here = mesh_files(folder)
        meshes.extend((mesh, _joints_path(mesh, alone=len(here) == 1)) for mesh in here)
    names = {mesh: _name(mesh.relative_to(root)) for mesh, _ in meshes}
    taken = Counter(names.values())
    # A mesh in both formats, or a/a.obj beside a.obj: the full path tells them apart.
    names = {
        mesh: mesh.relative_to(root).as_posix() if taken[name] > 1 else name
        for mesh, name in names.items()
    }
    ids = safe_ids(names.values())
    return [
        Scan(
            scan_id=ids[names[mesh]],
            subject=ids[names[mesh]],
            mesh_path=mesh,
            stance=Stance(up="+y" if mesh.suffix.lower() in GLTF_SUFFIXES else None),
            joints_path=joints,
        )
        for mesh, joints in meshes
    ]


def _name(relative: Path) -> str:
    """Return a/b for a/b.obj and for a/b/b.obj, the usual folder per scan."""
    parts = relative.with_suffix("").parts
    if len(parts) > 1 and parts[-1] == parts[-2]:
        parts = parts[:-1]
    return "/".join(parts)


def _joints_path(mesh: Path, alone: bool) -> Path | None:
    named = mesh.with_name(mesh.stem + JOINTS_SUFFIX)
    if named.is_file():
        return named
    shared = mesh.with_name(JOINTS_NAME)
    return shared if alone and shared.is_file() else None
