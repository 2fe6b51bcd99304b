"""Writes one shard: an HDF5 file under a temporary name, flushed, then renamed.

The bytes depend on what is written and on nothing else: no time stamps, no
variable-length strings (whose heap HDF5 pads as it likes), a fixed order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dataset.shard_checks import GroupMember, ShardShape
from dataset.shard_codec import (
    PICTURES,
    SCHEMA_VERSION,
    TILE,
    ShardError,
    encode_picture,
    stored_pictures,
)
from dataset.shard_storage import create_picture, packed_rows
from dataset.views import View
from render.camera import Projection
from render.files import PARTIAL_SUFFIX


@dataclass(frozen=True, kw_only=True)
class ShardHeader:
    """What holds for all views of a shard.

    Attributes:
        scan_id: safe file name of the scan.
        subject: the person; all scans of one subject are in one split.
        views: number of views.
        resolution: width and height of every view, pixels.
        projection: of the camera of every view.
        composite: "baked" or "on-read".
        unit_cm: length of one scan unit, centimetres; of a group, 1.
        normalised_from_scan: (4, 4) float64, shrink included; of a group, from its frame.
        shrink: factor by which the scan was made smaller to clear the border, 1 if not.
        config: what the shard set was made with (JSON values).
        metadata: what the scan set says of the scan (JSON values).
        members: the people of a group, in the order of the instance mask; empty for one person.
        sources: digests of the files of everybody in it, by scan id; empty where not known.
    """

    scan_id: str
    subject: str
    views: int
    resolution: int
    projection: Projection
    composite: str
    unit_cm: float
    normalised_from_scan: NDArray[np.floating]
    shrink: float = 1.0
    config: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    members: tuple[GroupMember, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> ShardShape:
        """What the arrays have in common."""
        return ShardShape(
            views=self.views,
            resolution=self.resolution,
            composite=self.composite,
            people=max(len(self.members), 1),
        )


@dataclass(frozen=True, kw_only=True)
class ViewRecord:
    """One rendered view, in physical values.

    Attributes:
        pictures: every array that `stored_pictures` names, (R, R) or (R, R, C): colours,
            mask, coverage uint8; depth float ray distance, 0 background; normals unit vectors.
        joints_2d: (31, 3) pixels + confidence; (P, 31, 3) of a group.
        joints_3d: (31, 4) normalised frame before yaw + confidence; (P, 31, 4) of a group.
        view: from where it was seen.
        seed: seed of everything random in the view, 0..2^64-1.
        rig: the lights, as arrays whose shapes are the same in every view.
        background_id: which background was drawn.
        background_crop: (4,) the part of it that was used: left, top, width, height, pixels.
    """

    pictures: Mapping[str, NDArray]
    joints_2d: NDArray[np.floating]
    joints_3d: NDArray[np.floating]
    view: View
    seed: int
    rig: Mapping[str, NDArray]
    background_id: str
    background_crop: NDArray[np.floating]


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class ShardWriter:
    """Writes the views of one scan, in order; a context manager.

    The file takes its name only when the block ends without an error and all views are
    there; otherwise the temporary file is removed and what stood at `path` is untouched.
    """

    def __init__(self, path: Path, header: ShardHeader) -> None:
        """Start a shard.

        Args:
            path: final name of the file.
            header: what holds for all views.

        Raises:
            OSError: the file cannot be made.
        """
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL_SUFFIX)
        self._header = header
        self._records: list[ViewRecord] = []
        self._names = stored_pictures(header.composite, header.shape.people)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self._partial, "w", track_order=False)
        self._start()

    def _start(self) -> None:
        header, resolution = self._header, self._header.resolution
        attributes = {
            "scan_id": header.scan_id,
            "subject": header.subject,
            "composite": header.composite,
            "projection": header.projection,
            "config": canonical_json(header.config),
            "sources": canonical_json(header.sources),
        }
        for name, text in attributes.items():
            self._file.attrs[name] = np.bytes_(text.encode("utf-8") or b" ")
        self._file.attrs["schema_version"] = np.int64(SCHEMA_VERSION)
        self._file.attrs["resolution"] = np.int64(resolution)
        self._file.attrs["views"] = np.int64(header.views)
        self._file.attrs["people"] = np.int64(header.shape.people)
        self._file.attrs["unit_cm"] = np.float64(header.unit_cm)
        for name in self._names:
            create_picture(self._file, name, PICTURES[name], header.views, resolution)

    def add_view(self, record: ViewRecord) -> None:
        """Write the next view.

        Raises:
            ShardError: an array is missing, or its values, shape or dtype do not fit.
        """
        view, resolution = len(self._records), self._header.resolution
        if view >= self._header.views:
            raise ValueError(f"views: expected {self._header.views}, got one more")
        for name in self._names:
            if name not in record.pictures:
                raise ShardError(f"{name}: expected in every view, missing in view {view}")
            values = record.pictures[name]
            if values.shape != PICTURES[name].shape(1, resolution)[1:]:
                raise ShardError(
                    f"{name}: expected {resolution} x {resolution} pixels, got {values.shape}"
                )
            self._write_tiles(name, view, values, record.view.distance)
        self._records.append(replace(record, pictures={}))  # the pictures are on disk now

    def _write_tiles(self, name: str, view: int, values: NDArray, distance: float) -> None:
        dataset = self._file[name]
        for row, column in np.argwhere(tiles_with_content(values)) * TILE:
            rows, columns = slice(row, row + TILE), slice(column, column + TILE)
            tile = encode_picture(name, values[rows, columns], distance)
            if tile.any():
                dataset[view, rows, columns] = tile

    def add_mesh(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
        """Keep the scan's geometry, so that scoring needs no scan folder.

        Args:
            vertices: (V, 3) scan frame and unit; held as float32.
            faces: (F, 3).
        """
        self._table("mesh/vertices", np.asarray(vertices, dtype=np.float32), packed=True)
        self._table("mesh/faces", np.asarray(faces, dtype=np.int32), packed=True)

    def _table(self, name: str, values: NDArray, packed: bool = False) -> None:
        options: dict[str, Any] = {}
        if packed and values.size:
            options = packed_rows(len(values), values.shape[1], values.itemsize)
        self._file.create_dataset(name, data=values, track_times=False, **options)

    def _finish(self) -> None:
        records, header = self._records, self._header
        if len(records) != header.views:
            raise ValueError(f"views: expected {header.views}, got {len(records)}")
        shape, views = header.shape, [record.view for record in records]
        tables: dict[str, NDArray] = {
            "joints/2d": np.stack([_joints(r.joints_2d, shape.joints(3)) for r in records]),
            "joints/3d": np.stack([_joints(r.joints_3d, shape.joints(4)) for r in records]),
            "camera/intrinsics": np.stack([view.camera.intrinsics() for view in views]),
            "camera/pose": np.stack([view.pose for view in views]),
            "camera/fov_deg": np.array([view.camera.fov_deg for view in views]),
            "camera/distance": np.array([view.distance for view in views]),
            "camera/normalised_from_scan": np.asarray(
                header.normalised_from_scan, dtype=np.float64
            ),
            # An attribute may not exceed 64 KiB.
            "metadata": np.array(canonical_json(header.metadata).encode("ascii")),
            "camera/shrink": np.array(header.shrink, dtype=np.float64),
            "view/yaw_deg": np.array([view.yaw_deg for view in views], dtype=np.float64),
            "view/pitch_deg": np.array([view.pitch_deg for view in views], dtype=np.float64),
            "view/roll_deg": np.array([view.roll_deg for view in views], dtype=np.float64),
            "view/seed": np.array([r.seed for r in records], dtype=np.uint64),
            "background/id": np.array(
                [r.background_id.encode("utf-8", "backslashreplace") or b" " for r in records]
            ),
            "background/crop": np.stack(
                [np.asarray(r.background_crop, dtype=np.float32) for r in records]
            ),
        }
        for name in sorted(records[0].rig):
            tables[f"view/rig/{name}"] = np.stack([np.asarray(r.rig[name]) for r in records])
        if header.members:
            tables["people/scan_id"] = np.array([m.scan_id.encode() for m in header.members])
            tables["people/subject"] = np.array([m.subject.encode() for m in header.members])
            tables["people/group_from_scan"] = np.stack(
                [np.asarray(m.group_from_scan, dtype=np.float64) for m in header.members]
            )
        for name, values in tables.items():
            self._table(name, values)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
            try:
                self._file.close()
            except RuntimeError as failed:  # what h5py makes of a disk that is full
                raise OSError(f"the file cannot be written ({failed})") from failed
            if kind is None:
                with self._partial.open("rb") as written:
                    os.fsync(written.fileno())
                os.replace(self._partial, self._path)
        finally:
            if self._file:
                self._file.close()
            self._partial.unlink(missing_ok=True)


def tiles_with_content(values: NDArray, tile: int = TILE) -> NDArray[np.bool_]:
    """Return which tiles of an (R, R) or (R, R, C) picture hold anything but zero bytes."""
    count = -(-values.shape[0] // tile)
    bytes_per_tile_row = tile * values.itemsize * int(np.prod(values.shape[2:]))
    if values.shape[0] % tile == 0 and bytes_per_tile_row % 8 == 0:
        # Eight bytes at a time: ten times as fast as any() on a mostly empty picture.
        words = np.ascontiguousarray(values).reshape(count, tile, -1).view(np.uint64)
        columns = np.bitwise_or.reduce(words, axis=1)
        return columns.reshape(count, count, -1).any(axis=-1)
    starts = range(0, values.shape[0], tile)
    rows = [[values[i : i + tile, j : j + tile].any() for j in starts] for i in starts]
    return np.array(rows, dtype=bool)


def _joints(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    joints = np.asarray(values, dtype=np.float32)
    if joints.shape != shape or not np.isfinite(joints).all():
        raise ShardError(f"joints: expected finite {shape}, got {joints.shape}")
    return joints
