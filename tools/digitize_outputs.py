"""The files of a digitised person: names, units, order of writing."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_NAMES
from eval.pictures import Picture
from model.digitizer import Reconstruction
from model.mesh_files import write_mesh
from render.camera import Camera
from render.errors import ContextError
from render.files import write_bytes_atomically, write_text_atomically
from tools.digitize_names import facts_file
from tools.digitize_pictures import (
    TURN_SIZE,
    TURNS_DEG,
    MeshPictures,
    overlay_picture,
    preview_picture,
    turntable,
)

LOGGER = logging.getLogger(__name__)

DEPTH_STEPS = 32768.0
"""16-bit depth pictures hold round(ray distance * 32768), 0 = background."""

NORMAL_STEPS = 32767.0
"""16-bit normal pictures hold round((n + 1) * 32767) in red, green and blue, 0 = background."""

CM_TO_M = 0.01


def write_reconstruction(
    folder: Path, name: str, made: Reconstruction, suffix: str, facts: dict[str, Any]
) -> list[Path]:
    """Write all files of a digitised person, the facts last.

    Args:
        folder: that exists.
        name: of the person, with which all file names begin.
        made: the person.
        suffix: of the mesh: "glb", "obj" or "ply".
        facts: what else the JSON file says.

    Returns:
        The mesh first, then the other files.
    """
    mesh = folder / f"{name}.{suffix}"
    write_mesh(mesh, made.mesh, None if made.cm_per_unit is None else CM_TO_M)
    written = [mesh, *_write_maps(folder, name, made)]
    pictures: dict[str, Picture] = {"overlay": overlay_picture(made)}
    try:
        with MeshPictures() as drawn:
            views = drawn.views(made.mesh, TURNS_DEG, TURN_SIZE)
            pictures["preview"] = preview_picture(made, views)
            pictures["turntable"] = turntable(views)
    except ContextError as error:
        LOGGER.warning("no preview and no turntable: %s", error)
    for kind, picture in pictures.items():
        written.append(folder / f"{name}_{kind}.png")
        write_bytes_atomically(written[-1], png_bytes(picture))
    written.append(facts_file(folder, name))
    write_text_atomically(written[-1], json.dumps(_facts(made) | facts, indent=1) + "\n")
    return written


def png_bytes(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Return a PNG file of a (H, W) or (H, W, 3) RGB picture."""
    ordered = picture if picture.ndim == 2 else picture[..., ::-1]
    return bytes(cv2.imencode(".png", ordered)[1])


def depth_png(distance: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return a (R, R) ray-distance map as `DEPTH_STEPS` says; distances are below 2 units."""
    steps = np.round(distance * DEPTH_STEPS)
    return np.clip(steps, 0, np.iinfo(np.uint16).max).astype(np.uint16)


def normal_png(normal: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return a (R, R, 3) map of unit normals as `NORMAL_STEPS` says."""
    known = normal.any(axis=2, keepdims=True)
    return (np.round((normal + 1.0) * NORMAL_STEPS) * known).astype(np.uint16)


def _write_maps(folder: Path, name: str, made: Reconstruction) -> list[Path]:
    maps, prediction = made.prediction.maps, made.prediction
    pictures = {
        "depth_front": depth_png(maps.front),
        "depth_back": depth_png(maps.back),
        "normal_front": normal_png(prediction.normal_front),
        "normal_back": normal_png(prediction.normal_back),
    }
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays,
        depth_front=maps.front,
        depth_back=maps.back,
        normal_front=prediction.normal_front.astype(np.float16),
        normal_back=prediction.normal_back.astype(np.float16),
        mask=maps.mask,
        joints=made.joints,
        intrinsics=Camera(maps.resolution).intrinsics(),
        framing=np.array([made.framing.left, made.framing.top, made.framing.side]),
        point_scale=maps.point_scale,
        cm_per_unit=np.nan if made.cm_per_unit is None else made.cm_per_unit,
    )
    files = {folder / f"{name}_maps.npz": arrays.getvalue()}
    files |= {folder / f"{name}_{kind}.png": png_bytes(shown) for kind, shown in pictures.items()}
    for path, content in files.items():
        write_bytes_atomically(path, content)
    return list(files)


def joints_by_name(made: Reconstruction) -> dict[str, list[float]]:
    """Return the joints that are not missing: x and y in pixels of the photograph, confidence."""
    scale = made.framing.side / made.framing.resolution
    corner = np.array([made.framing.left, made.framing.top])
    return {
        joint: [*(round(float(v), 2) for v in row[:2] * scale + corner), round(float(row[2]), 3)]
        for joint, row in zip(JOINT_NAMES, made.joints, strict=True)
        if row[2] > 0
    }


def _facts(made: Reconstruction) -> dict[str, Any]:
    return {
        "framing": asdict(made.framing),
        "joints": joints_by_name(made),
        "parts_left_out": list(made.prediction.left_out),
        "outline": made.outline is not None,
        "mesh": {
            "vertices": len(made.mesh.vertices),
            "faces": len(made.mesh.faces),
            "unit": "normalised" if made.cm_per_unit is None else "cm (GLB: m)",
            "cm_per_normalised_unit": made.cm_per_unit,
        },
        "maps": {
            "depth_png": f"ray distance in normalised units * {DEPTH_STEPS:g}, 0 = background",
            "normal_png": f"(n + 1) * {NORMAL_STEPS:g}, camera frame, 0 = background",
        },
    }
