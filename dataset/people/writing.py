"""Demo people on disk: one folder each, written under a temporary name and renamed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.joints import write_joints
from dataset.people.person import Person, PersonPlan
from dataset.people.subdivision import FineMesh
from render.number_lines import decimal_lines, number_lines

LAYOUT, LAYOUT_VERSION = "demo", 1


def person_id(number: int) -> str:
    """Return the folder and file name of person `number`."""
    return f"person_{number:04d}"


def is_complete(folder: Path) -> bool:
    """Whether a person's folder exists; folders appear only when they are complete."""
    return (folder / "metadata.json").is_file()


def write_person(person: Person, plan: PersonPlan, folder: Path, split: str | None = None) -> None:
    """Write a person's folder: OBJ, MTL, PNG, joints.json, metadata.json.

    Args:
        person, plan: who.
        folder: `.../person_0000`; replaced if it is there.
        split: 'train', 'val', 'test', or None to leave the split to others.
    """
    name = folder.name
    temporary = folder.with_name(f".{name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        (temporary / f"{name}.obj").write_bytes(obj_bytes(person.mesh, name))
        (temporary / f"{name}.mtl").write_text(_MTL.format(name=name), encoding="ascii")
        (temporary / f"{name}.png").write_bytes(_png_bytes(person.texture))
        write_joints(temporary / "joints.json", person.joints)
        metadata = _metadata(person, plan, name, split)
        text = json.dumps(metadata, indent=1) + "\n"
        (temporary / "metadata.json").write_text(text, encoding="utf-8")
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


_MTL = "newmtl person\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nNs 1\nillum 1\nmap_Kd {name}.png\n"


def _move_into_place(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    # Only files that a person consists of are replaced; anything else there is kept.
    (folder / "metadata.json").unlink(missing_ok=True)
    for path in sorted(temporary.iterdir(), key=lambda p: p.name == "metadata.json"):
        path.replace(folder / path.name)


def _metadata(person: Person, plan: PersonPlan, name: str, split: str | None) -> dict[str, object]:
    palette, outfit = plan.palette, plan.outfit
    metadata: dict[str, object] = {
        "layout": LAYOUT,
        "layout_version": LAYOUT_VERSION,
        "subject": name,
        "unit": "m",
        "up": "+y",
        "facing": "+z",
        "seed": plan.seed,
        "phenotype": plan.phenotype,
        "age_group": "child" if plan.phenotype["age"] < 0.6 else "adult",
        "height_m": round(person.height_m, 4),
        "pose": plan.pose.name,
        "categories": {
            "shirt": palette.shirt_pattern,
            "sleeves": "short" if outfit.sleeve < 0.6 else "long",
            "trousers": palette.trouser_pattern,
            "hair": "long" if outfit.hair_back_deg < -40 else "short",
        },
        "vertices": len(person.mesh.vertices),
        "faces": len(person.mesh.faces),
        "texture": int(person.texture.shape[0]),
        "licence": "CC0-1.0",
    }
    if split is not None:
        metadata["split"] = split
    return metadata


def obj_bytes(mesh: FineMesh, name: str) -> bytes:
    """Return the mesh as OBJ text: micrometres, uvs to 1e-6, one material."""
    head = f"mtllib {name}.mtl\no {name}\n".encode("ascii")
    order = _by_position(mesh.faces)
    corners = np.stack([mesh.faces, mesh.uv_faces], axis=2)[order] + 1
    return b"".join(
        [
            head,
            decimal_lines("v", mesh.vertices),
            decimal_lines("vt", mesh.uvs),
            b"usemtl person\n",
            number_lines("f %d/%d %d/%d %d/%d\n", corners.reshape(-1, 6)),
        ]
    )


def _by_position(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.lexsort((faces[:, 2], faces[:, 1], faces[:, 0]))


def _png_bytes(texture: NDArray[np.uint8]) -> bytes:
    import cv2

    flags = [cv2.IMWRITE_PNG_COMPRESSION, 4]
    done, data = cv2.imencode(".png", np.ascontiguousarray(texture[..., ::-1]), flags)
    if not done:
        raise RuntimeError("the texture could not be encoded as PNG")
    return bytes(data)
