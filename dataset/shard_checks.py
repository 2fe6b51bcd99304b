"""What a shard has to hold before anything of it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dataset.joints import JOINT_COUNT
from dataset.shard_codec import (
    MOST_VIEWS,
    PICTURES,
    RESOLUTION_LIMITS,
    SCHEMA_VERSION,
    ShardError,
    stored_pictures,
)

ROWS: dict[str, tuple[tuple[int, ...], str]] = {
    "joints/2d": ((JOINT_COUNT, 3), "f"),
    "joints/3d": ((JOINT_COUNT, 4), "f"),
    "camera/pose": ((4, 4), "f"),
    "view/yaw_deg": ((), "f"),
    "view/seed": ((), "u"),
    "background/id": ((), "S"),
    "background/crop": ((4,), "f"),
}
"""Tables of one row per view: shape of a row and kind of its numbers, as in `dtype.kind`."""

SINGLES: dict[str, tuple[tuple[int, ...], str]] = {
    "camera/normalised_from_scan": ((4, 4), "f"),
    "camera/shrink": ((), "f"),
    "metadata": ((), "S"),
}
"""Tables that hold for all views."""

# What h5py raises for a group in place of a table, an attribute of another type, and the like.
_ODDITIES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class ShardShape:
    """What the arrays of a shard have in common.

    Attributes:
        views: number of views.
        resolution: width and height, pixels.
        composite: "baked" or "on-read".
    """

    views: int
    resolution: int
    composite: str


def checked_shape(path: Path, file: h5py.File) -> ShardShape:
    """Return what an open shard holds, once all of it is seen to be there and of its kind.

    Raises:
        ShardError: it is not.
    """
    try:
        return _shape(file)
    except ShardError as error:
        raise ShardError(f"{path}: {error}") from error
    except _ODDITIES as error:
        reason = " ".join(str(error).split())
        raise ShardError(
            f"{path}: expected a complete shard, got {type(error).__name__}: {reason}"
        ) from error


def text_of(attribute: bytes) -> str:
    """Return the text of an attribute or of a cell.

    Raises:
        ShardError: it is no bytes of UTF-8.
    """
    try:
        if isinstance(attribute, bytes):
            return attribute.decode("utf-8").strip()
    except UnicodeDecodeError:
        pass
    raise ShardError(f"expected text of UTF-8, got {attribute!r}")


def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ShardError: the text is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"expected a JSON object, got: {error}") from error
    if not isinstance(value, dict):
        raise ShardError(f"expected a JSON object, got {type(value).__name__}")
    return value


def _shape(file: h5py.File) -> ShardShape:
    version = file.attrs.get("schema_version")
    if not isinstance(version, np.integer) or version != SCHEMA_VERSION:
        found = "an HDF5 file without one" if version is None else repr(version)
        raise ShardError(f"expected a shard of schema version {SCHEMA_VERSION}, got {found}")
    shape = ShardShape(
        views=_integer(file, "views", 1, MOST_VIEWS),
        resolution=_integer(file, "resolution", *RESOLUTION_LIMITS),
        composite=text_of(file.attrs["composite"]),
    )
    for name in ("scan_id", "subject"):
        text_of(file.attrs[name])
    json_object(text_of(file.attrs["config"]))
    for name, least, most in (("fov_deg", 0.0, 180.0), ("unit_cm", 0.0, np.inf)):
        value = file.attrs[name]
        if not isinstance(value, np.floating) or not least < value < most:
            raise ShardError(f"expected {name} between {least:g} and {most:g}, got {value!r}")
    for name in stored_pictures(shape.composite):
        spec = PICTURES[name]
        stored = np.dtype(spec.dtype).kind
        _check_table(file, name, spec.shape(shape.views, shape.resolution), stored)
    for name, (row, kind) in ROWS.items():
        _check_table(file, name, (shape.views, *row), kind)
    for name, (expected, kind) in SINGLES.items():
        _check_table(file, name, expected, kind)
    for name in file["view/rig"] if "view/rig" in file else ():
        rig = file[f"view/rig/{name}"]
        _check_table(file, f"view/rig/{name}", (shape.views, *rig.shape[1:]), rig.dtype.kind)
    if "mesh" in file:
        for name, kind in (("mesh/vertices", "f"), ("mesh/faces", "i")):
            _check_table(file, name, (len(file[name]), 3), kind)
    return shape


def _integer(file: h5py.File, name: str, least: int, most: int) -> int:
    value = file.attrs[name]
    if not isinstance(value, np.integer) or not least <= value <= most:
        raise ShardError(f"expected {name} from {least} to {most}, got {value!r}")
    return int(value)


def _check_table(file: h5py.File, name: str, shape: tuple[int, ...], kind: str) -> None:
    table = file[name]
    if not isinstance(table, h5py.Dataset):
        raise ShardError(f"expected {name} of shape {shape}, got no table")
    if table.shape != shape or table.dtype.kind != kind:
        raise ShardError(
            f"expected {name} of shape {shape} and kind {kind!r}, "
            f"got {table.shape} and {table.dtype.kind!r}"
        )
