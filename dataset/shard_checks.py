"""What a shard has to hold before anything of it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_COUNT
from dataset.shard_codec import (
    MOST_PEOPLE,
    MOST_VIEWS,
    PICTURES,
    RESOLUTION_LIMITS,
    SCHEMA_VERSION,
    ShardError,
    stored_pictures,
)
from render.camera import PROJECTIONS

JOINTS: dict[str, int] = {"joints/2d": 3, "joints/3d": 4}
"""Tables of joints and the numbers of each: (N, 31, .), or (N, P, 31, .) for P > 1 people."""

ROWS: dict[str, tuple[tuple[int, ...], str]] = {
    "camera/intrinsics": ((3, 3), "f"),
    "camera/pose": ((4, 4), "f"),
    "camera/fov_deg": ((), "f"),
    "camera/distance": ((), "f"),
    "view/yaw_deg": ((), "f"),
    "view/pitch_deg": ((), "f"),
    "view/roll_deg": ((), "f"),
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

MEMBERS: dict[str, tuple[tuple[int, ...], str]] = {
    "people/scan_id": ((), "S"),
    "people/subject": ((), "S"),
    "people/group_from_scan": ((4, 4), "f"),
}
"""Tables of one row per person, where there are several."""

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
class GroupMember:
    """One person of a group.

    Attributes:
        scan_id: the scan.
        subject: the person on it.
        group_from_scan: (4, 4) from the scan's frame to the group's, which has its origin on
            the floor, y up, and centimetres.
    """

    scan_id: str
    subject: str
    group_from_scan: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ShardShape:
    """What the arrays of a shard have in common.

    Attributes:
        views: number of views.
        resolution: width and height, pixels.
        composite: "baked" or "on-read".
        people: number of people in every view.
    """

    views: int
    resolution: int
    composite: str
    people: int

    def joints(self, columns: int) -> tuple[int, ...]:
        """Return the shape of the joints of one view: (31, C), or (P, 31, C) of a group."""
        group = (self.people,) if self.people > 1 else ()
        return (*group, JOINT_COUNT, columns)


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
        people=_integer(file, "people", 1, MOST_PEOPLE),
    )
    for name in ("scan_id", "subject"):
        text_of(file.attrs[name])
    json_object(text_of(file.attrs["config"]))
    if text_of(file.attrs["projection"]) not in PROJECTIONS:
        raise ShardError(
            f"expected projection {' or '.join(PROJECTIONS)}, got {file.attrs['projection']!r}"
        )
    unit = file.attrs["unit_cm"]
    if not isinstance(unit, np.floating) or not 0.0 < unit < np.inf:
        raise ShardError(f"expected unit_cm above 0, got {unit!r}")
    for name in stored_pictures(shape.composite, shape.people):
        spec = PICTURES[name]
        stored = np.dtype(spec.dtype).kind
        _check_table(file, name, spec.shape(shape.views, shape.resolution), stored)
    for name, columns in JOINTS.items():
        _check_table(file, name, (shape.views, *shape.joints(columns)), "f")
    for name, (row, kind) in ROWS.items():
        _check_table(file, name, (shape.views, *row), kind)
    for name, most in (("camera/fov_deg", 180.0), ("camera/distance", np.inf)):
        values = file[name][()]
        if not ((values > 0.0) & (values < most)).all():
            raise ShardError(f"expected {name} between 0 and {most:g}, got {values}")
    if shape.people > 1:
        for name, (row, kind) in MEMBERS.items():
            _check_table(file, name, (shape.people, *row), kind)
    for name, (expected, kind) in SINGLES.items():
        _check_table(file, name, expected, kind)
    _check_cameras(file)
    for name in file["view/rig"] if "view/rig" in file else ():
        rig = file[f"view/rig/{name}"]
        _check_table(file, f"view/rig/{name}", (shape.views, *rig.shape[1:]), rig.dtype.kind)
    if "mesh" in file:
        for name, kind in (("mesh/vertices", "f"), ("mesh/faces", "i")):
            _check_table(file, name, (len(file[name]), 3), kind)
    return shape


def _check_cameras(file: h5py.File) -> None:
    """See that turns are finite, and that frames lead back."""
    for name in ("view/yaw_deg", "view/pitch_deg", "view/roll_deg", "camera/shrink"):
        if not np.isfinite(file[name][()]).all():
            raise ShardError(f"expected finite numbers in {name}, got others")
    for name in ("camera/pose", "camera/normalised_from_scan"):
        matrix = file[name][()]
        if not (np.isfinite(matrix).all() and (np.linalg.det(matrix[..., :3, :3]) > 0.0).all()):
            raise ShardError(
                f"expected a finite frame that is neither flat nor mirrored in {name}, got another"
            )


def _integer(file: h5py.File, name: str, least: int, most: int) -> int:
    value = file.attrs[name]
    if not isinstance(value, np.integer) or not least <= value <= most:
        raise ShardError(f"expected {name} from {least} to {most}, got {value!r}")
    return int(value)


def _check_table(file: h5py.File, name: str, shape: tuple[int, ...], kind: str) -> None:
    table = file[name]
    if not isinstance(table, h5py.Dataset):
        raise ShardError(f"expected {name} of shape {shape}, got no table")
    found = (*table.shape, *table.dtype.shape)  # a normal may be one element of three numbers
    if found != shape or table.dtype.base.kind != kind:
        raise ShardError(
            f"expected {name} of shape {shape} and kind {kind!r}, "
            f"got {found} and {table.dtype.base.kind!r}"
        )
