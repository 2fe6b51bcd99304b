"""Shard sets: a folder with an index, split lists and one HDF5 file per scan.

::

    shards/index.json                     schema, config, seed, tool version, digests
    shards/splits/{train,val,test}.txt    scan ids
    shards/scans/<scan-id>.h5             all views of one scan, or of the group it leads

A shard holds N views of R x R pixels:

=============================== ====================== ==========================================
dataset                         shape                  meaning
=============================== ====================== ==========================================
image/front, image/back         N,R,R,3 uint8          lit; the front over its background
person/front                    N,R,R,3 uint8          lit front, premultiplied by coverage
albedo/front, albedo/back       N,R,R,3 uint8          unlit
depth/front, depth/back         N,R,R uint16           ray distance, see `shard_codec`
normal/front, normal/back       N,R,R,3 int16          unit normals, see `shard_codec`
mask, coverage                  N,R,R uint8            1 person, 2 unreliable; alpha
instance                        N,R,R uint8            groups: 0 background, k the k-th person
joints/2d, joints/3d            N,31,3 and N,31,4      groups: N,P,31,3 and N,P,31,4
camera/intrinsics, camera/pose  N,3,3 and N,4,4        see `render.camera`
camera/fov_deg, camera/distance N                      of the camera of every view
view/yaw_deg, pitch_deg, ...    N                      turns, seed, lights (`view/rig/`)
background/id, background/crop  N and N,4              which picture, which part; pixels on-read
people/scan_id, subject         P                      groups: who is the k-th person
people/group_from_scan          P,4,4                  groups: where everybody stands
mesh/vertices, mesh/faces       V,3 and F,3            of scans that are scored; not of groups
=============================== ====================== ==========================================

With several people in an image the depth, normal and albedo of both sides are those of the
person seen in front, so that the back side is the farthest surface of that person.

Reading never writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.shard_codec import (
    DEPTH_MAX,
    DEPTH_MIN,
    DEPTH_OFFSET_STEPS,
    DEPTH_STEPS_PER_UNIT,
    PICTURES,
    SCHEMA_VERSION,
    ShardError,
)
from dataset.shard_index import ShardIndex, file_digest, read_index, read_splits, shard_path
from dataset.shard_reader import Box, ShardReader
from dataset.splits import SPLITS
from render.camera import CAMERA_DISTANCE, FOV_DEG

__all__ = [
    "DEPTH_MAX",
    "DEPTH_MIN",
    "DEPTH_OFFSET_STEPS",
    "DEPTH_STEPS_PER_UNIT",
    "PICTURES",
    "SCHEMA_VERSION",
    "SPLITS",
    "Box",
    "ShardError",
    "ShardReader",
    "ShardSet",
    "ViewRef",
    "require_standard_views",
]


@dataclass(frozen=True, kw_only=True)
class ViewRef:
    """One view of a shard set.

    Attributes:
        scan_id: the scan.
        subject: the person on it.
        view: number of the view in the scan's shard.
    """

    scan_id: str
    subject: str
    view: int


class ShardSet:
    """A shard set on disk; holds its index and no open file, so it can be pickled."""

    def __init__(self, root: Path) -> None:
        """Read the index and the split lists.

        Args:
            root: the folder.

        Raises:
            ShardError: the folder is no shard set.
        """
        self._root = Path(root)
        self._index = read_index(self._root)
        self._entries = {entry.scan_id: entry for entry in self._index.shards}
        split_of_scan = read_splits(self._root)
        self._splits = {
            split: tuple(name for name in self._entries if split_of_scan.get(name) == split)
            for split in SPLITS
        }

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    @property
    def index(self) -> ShardIndex:
        """What index.json says."""
        return self._index

    @property
    def config(self) -> dict[str, Any]:
        """What the set was made with."""
        return dict(self._index.config)

    @property
    def resolution(self) -> int:
        """Width and height of every view, pixels."""
        resolution: int = self._index.config["resolution"]
        return resolution

    @property
    def scan_ids(self) -> tuple[str, ...]:
        """All scans that have a shard, sorted."""
        return tuple(self._entries)

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """Scan ids of "train", "val" and "test", sorted; only scans that have a shard."""
        return dict(self._splits)

    def views(self, split: str | None = None) -> list[ViewRef]:
        """Return the views of a split (of all scans for None), in order of scan and view.

        Raises:
            ValueError: there is no such split.
        """
        if split is not None and split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        names = self.scan_ids if split is None else self._splits[split]
        return [
            ViewRef(scan_id=name, subject=self._entries[name].subject, view=view)
            for name in names
            for view in range(self._entries[name].views)
        ]

    def open(self, scan_id: str) -> ShardReader:
        """Open the shard of a scan.

        Raises:
            ShardError: the set has no such scan, or its file is missing, cut short or another's.
        """
        if scan_id not in self._entries:
            raise ShardError(f"{self._root}: expected a scan of the set, got {scan_id!r}")
        path, expected = shard_path(self._root, scan_id), self._entries[scan_id].bytes
        if path.is_file() and path.stat().st_size != expected:
            raise ShardError(
                f"{path}: expected a complete shard of {expected} bytes, "
                f"got {path.stat().st_size} (delete it and run render-dataset again)"
            )
        reader = ShardReader(path)
        if reader.view_count != self._entries[scan_id].views:
            found = reader.view_count
            reader.close()
            raise ShardError(
                f"{path}: expected {self._entries[scan_id].views} views as in the index, "
                f"got {found}"
            )
        if reader.resolution != self.resolution:
            found = reader.resolution
            reader.close()
            raise ShardError(
                f"{path}: expected {self.resolution} pixels as in the index, got {found}"
            )
        return reader

    def verify(self, scan_id: str) -> None:
        """Compare a shard with its line of the index.

        Raises:
            ShardError: scan, subject, size or SHA-256 differ.
        """
        path = shard_path(self._root, scan_id)
        with self.open(scan_id) as reader:
            entry = self._entries[scan_id]
            for name in ("scan_id", "subject"):
                expected, found = getattr(entry, name), getattr(reader, name)
                if found != expected:
                    raise ShardError(
                        f"{path}: expected {name} {expected} as in the index, got {found}"
                    )
        if file_digest(path) != (entry.bytes, entry.sha256):
            raise ShardError(f"{path}: expected the SHA-256 of the index, got another")


def require_standard_views(shards: ShardSet) -> None:
    """See that a set shows one person an image by the camera that the networks know.

    Depth in network units, and normals from it, hold for the perspective camera with a field
    of view of 50 degrees at distance 1; where it stands around the person is free.

    Raises:
        ShardError: it does not.
    """
    standard = {
        "camera": ("--camera", "perspective"),
        "fov_deg": ("--fov", [FOV_DEG, FOV_DEG]),
        "distance": ("--distance", [CAMERA_DISTANCE, CAMERA_DISTANCE]),
        "people_per_image": ("--people-per-image", 1),
    }
    for name, (flag, expected) in standard.items():
        found = shards.config.get(name, expected)
        if found != expected:
            raise ShardError(
                f"{shards.root}: expected shards with {name} = {expected}, the only ones that "
                f"the networks take, got {found} (render without {flag})"
            )
