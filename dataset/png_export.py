"""Views of shards as folders of PNG files, for code that reads no HDF5.

::

    <out>/<scan-id>/<view, three digits>/image_front.png ...   all arrays of the view
    <out>/<scan-id>/<view, three digits>/view.json             camera, pose, joints, encodings

Colours, mask and coverage are 8-bit PNG. Depth is 16-bit: 0 background, else the ray distance is
D + (v - 32768) / (32 f), with D and f = 2196 as in view.json. Normals are 16-bit RGB: 0 background,
else each component is v / 32767.5 - 1.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_NAMES
from dataset.shard_codec import (
    DEPTH_OFFSET_STEPS,
    DEPTH_STEPS_PER_UNIT,
    IMAGE_FRONT,
    PICTURES,
    stored_pictures,
)
from dataset.shard_reader import ShardReader
from render.errors import OutputError
from render.files import PARTIAL_SUFFIX

NORMAL_SCALE = 32767.5


def export_view(reader: ShardReader, view: int, out: Path, *, overwrite: bool = False) -> bool:
    """Write one view; its folder appears when all of it is written.

    Args:
        reader: the shard.
        view: number of the view.
        out: folder that takes `<scan-id>/<view>/`.
        overwrite: replace a view that is there.

    Returns:
        Whether it was written; False where it was there.

    Raises:
        OutputError: it cannot be written.
    """
    folder = out / reader.scan_id / f"{view:03d}"
    if folder.exists() and not overwrite:
        return False
    partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        names = {*stored_pictures(reader.composite, reader.people), IMAGE_FRONT}
        for name in sorted(names):
            _write_png(partial / f"{name.replace('/', '_')}.png", _pixels(reader, name, view))
        facts = json.dumps(_facts(reader, view), indent=1) + "\n"
        (partial / "view.json").write_text(facts, encoding="utf-8")
        if folder.exists():  # made by this function, so nothing but its files is in it
            shutil.rmtree(folder)
        os.replace(partial, folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: expected to write a view there, got: {error.strerror or error}"
        ) from error
    return True


def _pixels(reader: ShardReader, name: str, view: int) -> NDArray[Any]:
    """Return what goes into the PNG of an array."""
    codec = PICTURES[name].codec
    if codec == "depth":
        return reader.read_code(name, view)
    values = reader.read(name, view)
    if codec == "raw":
        return values
    empty = ~values.any(axis=-1, keepdims=True)
    coded = np.rint((values + 1.0) * np.float32(NORMAL_SCALE)).astype(np.uint16)
    return np.where(empty, 0, coded).astype(np.uint16)


def _write_png(path: Path, pixels: NDArray[Any]) -> None:
    ordered = pixels[..., ::-1] if pixels.ndim == 3 else pixels  # OpenCV takes BGR
    if not cv2.imwrite(str(path), ordered):
        raise OutputError(f"{path}: expected to write a PNG there, got an error")


def _facts(reader: ShardReader, view: int) -> dict[str, Any]:
    seen = reader.view(view)
    return {
        "scan_id": reader.scan_id,
        "subject": reader.subject,
        "projection": seen.camera.projection,
        "intrinsics": seen.camera.intrinsics().tolist(),
        "camera_from_normalised": reader.pose(view).tolist(),
        "normalised_from_scan": reader.normalised_from_scan.tolist(),
        "unit_cm": reader.unit_cm,
        "yaw_deg": seen.yaw_deg,
        "joint_names": list(JOINT_NAMES),
        "joints_2d": reader.read("joints/2d", view).tolist(),
        "joints_3d": reader.read("joints/3d", view).tolist(),
        "depth": {
            "camera_distance": seen.distance,
            "offset": DEPTH_OFFSET_STEPS,
            "steps_per_unit": DEPTH_STEPS_PER_UNIT,
        },
    }
