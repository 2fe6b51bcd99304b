"""Lists the scans of a folder, whatever its layout, and reads one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.joints import read_joints
from dataset.scans import demo, generic
from dataset.scans.scan import CM_PER_UNIT, Scan
from render.errors import ScanError
from render.mesh import Mesh
from render.readers import read_mesh

LAYOUTS: dict[str, Callable[[Path], list[Scan]]] = {"demo": demo.find, "generic": generic.find}

SHORTEST_M, TALLEST_M = 0.5, 3.0
"""What a scan may measure from its lowest to its highest point.

A standing person is 1 to 2.2 m tall; a seated one is lower and raised arms are higher. The
three units are factors of 10 and 100 apart, so the wider range stays unambiguous.
"""


def find_scans(root: Path, layout: str = "auto") -> list[Scan]:
    """Return the scans of a folder, sorted by id.

    Args:
        root: the folder.
        layout: "auto" (demo where a metadata.json is found, else generic), or a layout.

    Raises:
        ScanError: there is no such folder, or no scan in it.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise ValueError(f"layout: expected auto, {', '.join(LAYOUTS)}, got {layout!r}")
    root = Path(root)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise ScanError(f"{root}: expected a folder of scans, found {found}")
    if layout == "auto":
        layout = "demo" if demo.has_layout(root) else "generic"
    scans = sorted(LAYOUTS[layout](root), key=lambda scan: scan.scan_id)
    if not scans:
        wanted = "folders with a metadata.json" if layout == "demo" else "OBJ or PLY files"
        raise ScanError(f"{root}: expected {wanted} (layout {layout}), found none")
    return scans


def load_scan(scan: Scan) -> tuple[Mesh, NDArray[np.float64] | None]:
    """Read one scan.

    Returns:
        The mesh in the scan frame and unit; (31, 4) float64 joints in the same + confidence,
        or None where the scan has none.

    Raises:
        ScanError: the scan cannot be used.
    """
    if scan.problem is not None:
        raise ScanError(scan.problem)
    mesh = read_mesh(scan.mesh_path)
    joints = None if scan.joints_path is None else read_joints(scan.joints_path)
    return mesh, joints


def scan_unit_cm(scan: Scan, mesh: Mesh) -> float:
    """Return the length of one unit of a scan in centimetres, guessed where it is not stated.

    The guess is the unit (m, cm or mm) in which the scan is as tall as a person.

    Raises:
        ScanError: it is so in none.
    """
    if scan.unit_cm is not None:
        return scan.unit_cm
    height = float(np.ptp(used_vertices(mesh)[:, 1]))
    for centimetres in CM_PER_UNIT.values():
        if SHORTEST_M <= height * centimetres / 100.0 <= TALLEST_M:
            return centimetres
    raise ScanError(
        f"{scan.mesh_path}: expected a person 1 to 2.2 m tall in m, cm or mm with y up, "
        f"got a height of {height:.4g} units"
    )


def used_vertices(mesh: Mesh) -> NDArray[np.float64]:
    """Return the (U, 3) vertices that a face uses; scans may hold stray ones far away."""
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[mesh.faces.ravel()] = True
    return mesh.vertices[used]
