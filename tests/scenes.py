"""Small people made of ellipsoids, for tests that need a scan but no body model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX, write_joints

# Centre (x, y, z) and radii of each part, metres; x to the person's left, facing +z.
BODY_PARTS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "torso": ((0.0, 1.15, 0.0), (0.2, 0.36, 0.13)),
    "head": ((0.0, 1.6, 0.02), (0.09, 0.13, 0.11)),
    "left_leg": ((0.1, 0.45, 0.0), (0.09, 0.46, 0.1)),
    "right_leg": ((-0.1, 0.45, 0.0), (0.09, 0.46, 0.1)),
    "left_foot": ((0.1, 0.04, 0.06), (0.05, 0.04, 0.13)),
    "right_foot": ((-0.1, 0.04, 0.06), (0.05, 0.04, 0.13)),
    "left_arm": ((0.34, 1.2, 0.0), (0.2, 0.06, 0.06)),
    "right_arm": ((-0.34, 1.2, 0.0), (0.2, 0.06, 0.06)),
}

JOINTS: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 1.6, 0.13),
    "left_shoulder": (0.18, 1.22, 0.0),
    "right_shoulder": (-0.18, 1.22, 0.0),
    "left_hip": (0.1, 0.88, 0.0),
    "right_hip": (-0.1, 0.88, 0.0),
    "left_knee": (0.1, 0.48, 0.0),
    "right_knee": (-0.1, 0.48, 0.0),
    "left_ankle": (0.1, 0.08, 0.0),
    "right_ankle": (-0.1, 0.08, 0.0),
    "left_wrist": (0.5, 1.2, 0.0),
    "right_wrist": (-0.5, 1.2, 0.0),
}


def ellipsoid(
    centre: tuple[float, float, float], radii: tuple[float, float, float], steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices, uvs and faces of a closed latitude-longitude grid, facing outwards."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, steps + 1)
    longitude = np.linspace(0, 2 * np.pi, 2 * steps + 1)
    lat, lon = (grid.ravel() for grid in np.meshgrid(latitude, longitude, indexing="ij"))
    unit = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], axis=1)
    uvs = np.stack([lon / (2 * np.pi), lat / np.pi + 0.5], axis=1)
    row, column = (grid.ravel() for grid in np.mgrid[0:steps, 0 : 2 * steps])
    first = row * (2 * steps + 1) + column
    above = first + 2 * steps + 1
    lower = np.stack([first, first + 1, above + 1], axis=1)[row > 0]
    upper = np.stack([first, above + 1, above], axis=1)[row < steps - 1]
    return unit * np.array(radii) + np.array(centre), uvs, np.concatenate([lower, upper])


def body(steps: int = 8) -> tuple[NDArray, NDArray, NDArray]:
    """Return vertices (metres), uvs and faces of the whole person."""
    vertices, uvs, faces, count = [], [], [], 0
    for centre, radii in BODY_PARTS.values():
        part_vertices, part_uvs, part_faces = ellipsoid(centre, radii, steps)
        vertices.append(part_vertices)
        uvs.append(part_uvs)
        faces.append(part_faces + count)
        count += len(part_vertices)
    return np.concatenate(vertices), np.concatenate(uvs), np.concatenate(faces)


def checks(seed: int = 0, size: int = 64) -> NDArray[np.uint8]:
    """Return an (S, S, 3) uint8 picture of 8 x 8 squares in two colours."""
    pair = np.random.default_rng(seed).integers(40, 230, (2, 3), dtype=np.uint8)
    rows, columns = np.mgrid[0:size, 0:size] // (size // 8)
    return pair[(rows + columns) % 2]


def write_wall(folder: Path) -> Path:
    """Write one picture to stand in front of, which is cheaper than a room; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "wall.png"), checks(3, 48))
    return folder


def write_person(
    folder: Path,
    name: str = "person",
    *,
    seed: int = 0,
    steps: int = 8,
    unit: float = 1.0,
    joints: bool = True,
) -> Path:
    """Write `name`.obj with MTL, PNG and joints; returns the OBJ's path.

    Args:
        folder: made if missing.
        name: stem of all files.
        seed: of colours and size.
        steps: how fine the ellipsoids are.
        unit: 1 for metres, 100 for centimetres, 1000 for millimetres.
        joints: whether a sidecar is written; it names 11 of the 31 joints.
    """
    folder.mkdir(parents=True, exist_ok=True)
    factor = unit * (1.0 + 0.02 * (seed % 5))
    vertices, uvs, faces = body(steps)
    lines = [f"mtllib {name}.mtl", "usemtl skin"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices * factor]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in uvs]
    lines += ["f " + " ".join(f"{corner}/{corner}" for corner in face) for face in faces + 1]
    path = folder / f"{name}.obj"
    path.write_text("\n".join(lines) + "\n")
    (folder / f"{name}.mtl").write_text(f"newmtl skin\nKd 1 1 1\nmap_Kd {name}.png\n")
    cv2.imwrite(str(folder / f"{name}.png"), checks(seed))
    if joints:
        rows = np.zeros((31, 4))
        for joint, position in JOINTS.items():
            rows[JOINT_INDEX[joint]] = (*np.array(position) * factor, 1.0)
        write_joints(folder / f"{name}.joints.json", rows)
    return path
