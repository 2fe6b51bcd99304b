"""Views are read from a shard set at the working resolution, no more of them than is asked for.

Files are opened when something is first read from them, in each process anew.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.augment import Geometry, Painted, Person, Window
from dataset.shards import Box, ShardError, ShardReader, ShardSet, ViewRef
from render.compositing import fill_smoothly
from render.picture_box import bounds

T = TypeVar("T")

RELIABLE_PERSON = 1
"""Mask value of a person pixel whose surfaces are both reliable."""

MOST_OPEN_FILES = 32
MARGIN_PX = 2
"""Free pixels around the person in its window: what looks at neighbours finds background."""

FILL_REDUCTION = 4
"""Nobody knows what is behind the person of a baked picture; it is guessed this much coarser."""


def reduction_factor(shard_resolution: int, resolution: int) -> int:
    """Return by how much shards are reduced on read.

    Raises:
        ShardError: the shards are smaller, or not a whole multiple.
    """
    factor, rest = divmod(shard_resolution, resolution)
    if rest or factor < 1:
        raise ShardError(
            f"--resolution: expected a whole fraction of the shards' {shard_resolution} pixels, "
            f"got {resolution}"
        )
    return factor


def reduce_image(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) averaged over blocks of factor x factor pixels."""
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image.reshape(height, factor, width, factor, -1)
    total = blocks.sum(axis=(1, 3), dtype=np.uint32)
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def picked_pixels(factor: int) -> slice:
    """Return which rows and columns stand for blocks of factor x factor pixels."""
    return slice(max(factor // 2 - 1, 0), None, factor)


def _size_of(value: object) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return sum(_size_of(part) for part in vars(value).values()) if hasattr(value, "__dict__") else 0


class ViewFiles:
    """Reads the views of a split, each by its number.

    Depth, mask and normals are never averaged: one pixel of each block is taken.

    Args:
        shards: the shard set.
        views: of it.
        resolution: working resolution R.
        with_normals: read the rendered normals too.
        cache_bytes: decoded arrays kept in memory, at most this much.

    Raises:
        ShardError: the shards cannot be reduced to that resolution.
    """

    def __init__(
        self,
        shards: ShardSet,
        views: list[ViewRef],
        resolution: int,
        *,
        with_normals: bool = False,
        cache_bytes: int = 4 << 30,
    ) -> None:
        self._shards, self._views, self._resolution = shards, views, resolution
        self._factor = reduction_factor(shards.resolution, resolution)
        self._with_normals = with_normals
        self._cache: dict[tuple[str, int], Any] = {}
        self._cached_bytes, self._cache_bytes = 0, cache_bytes
        self._readers: dict[str, ShardReader] = {}
        self._windows: dict[int, Window] = {}

    def __len__(self) -> int:
        return len(self._views)

    def with_memory(self, share: int) -> ViewFiles:
        """Return the same views for one of so many processes that share the memory of one."""
        other = copy.copy(self)
        other._cache, other._readers, other._cached_bytes = {}, {}, 0
        other._cache_bytes = self._cache_bytes // share
        return other

    def _kept(self, kind: str, index: int, read: Callable[[int], T]) -> T:
        key = kind, index
        if key in self._cache:
            kept: T = self._cache[key]
            return kept
        value = read(index)
        size = _size_of(value)
        if self._cached_bytes + size <= self._cache_bytes:
            self._cache[key] = value
            self._cached_bytes += size
        return value

    def _reader(self, index: int) -> ShardReader:
        scan_id = self._views[index].scan_id
        if scan_id not in self._readers:
            while len(self._readers) >= MOST_OPEN_FILES:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[scan_id] = self._shards.open(scan_id)
        return self._readers[scan_id]

    def _read(self, name: str, index: int, window: Window | None = None) -> NDArray:
        """Return a picture of a view in the shard's own pixels, or the part of a window."""
        box: Box | None = None
        if window is not None:
            (top, bottom), (left, right) = (
                (self._factor * part.start, self._factor * part.stop) for part in window
            )
            box = top, bottom, left, right
        return self._reader(index).read(name, self._views[index].view, box)

    def _picked(self, name: str, index: int, window: Window) -> NDArray:
        pick = picked_pixels(self._factor)
        return np.ascontiguousarray(self._read(name, index, window)[pick, pick])

    def window(self, index: int) -> Window:
        """Return the part of the frame that has the person of a view, and a margin."""
        if index not in self._windows:
            self._windows[index] = self._find_window(index)
        return self._windows[index]

    def _find_window(self, index: int) -> Window:
        found = bounds(self._read("coverage", index))
        edges = [
            (part.start // self._factor - MARGIN_PX, -(-part.stop // self._factor) + MARGIN_PX)
            for part in found
        ]
        rows, columns = (slice(max(a, 0), min(b, self._resolution)) for a, b in edges)
        return rows, columns

    def geometry(self, index: int) -> Geometry:
        """Return where the person of a view is."""
        return self._kept("geometry", index, self._read_geometry)

    def _read_geometry(self, index: int) -> Geometry:
        window = self.window(index)
        sides = ("front", "back")
        joints = np.array(self._read("joints/2d", index), dtype=np.float32)
        joints[:, :2] /= self._factor
        normals = None
        if self._with_normals:
            normals = np.stack([self._picked(f"normal/{side}", index, window) for side in sides])
        return Geometry(
            resolution=self._resolution,
            window=window,
            ray_distance=np.stack([self._picked(f"depth/{side}", index, window) for side in sides]),
            reliable=self._picked("mask", index, window) == RELIABLE_PERSON,
            joints=joints,
            normals=normals,
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return the (R, R, 3) uint8 picture of a view."""
        return self._kept(
            "image", index, lambda view: reduce_image(self._read("image/front", view), self._factor)
        )

    def person(self, index: int) -> Person:
        """Return the person of a view, as it was lit."""
        return self._kept("person", index, self._read_person)

    def _read_person(self, index: int) -> Person:
        window = self.window(index)
        coverage = self._read("coverage", index, window)
        return Person(
            window=window,
            pixels=reduce_image(self._read("person/front", index, window), self._factor),
            coverage=reduce_image(coverage[..., None], self._factor)[..., 0],
        )

    def painted(self, index: int) -> Painted:
        """Return the person of a view, unlit."""
        person = self.person(index)
        albedo = self._read("albedo/front", index, person.window)
        if self._factor > 1:
            # Colours count by how much they cover: those of the rim are not mixed with black.
            covered = self._read("coverage", index, person.window)[..., None].astype(np.float32)
            size = person.coverage.shape[1], person.coverage.shape[0]
            total = cv2.resize(albedo * covered, size, interpolation=cv2.INTER_AREA)
            weight = cv2.resize(covered, size, interpolation=cv2.INTER_AREA)[..., None]
            albedo = np.rint(total / np.maximum(weight, 1e-3)).astype(np.uint8)
        return Painted(
            person=person,
            albedo=albedo,
            normals=self._picked("normal/front", index, person.window),
            ray_distance=self._picked("depth/front", index, person.window),
        )

    def background(self, index: int) -> NDArray[np.uint8]:
        """Return the (R, R, 3) uint8 background of a view: what is in front of it is taken out.

        Known with `--composite on-read`, else filled smoothly.
        """
        return self._kept("background", index, self._read_background)

    def _read_background(self, index: int) -> NDArray[np.uint8]:
        if self._reader(index).composite == "on-read":
            return reduce_image(self._read("background/pixels", index), self._factor)
        person = self.person(index)
        covered = np.zeros((self._resolution, self._resolution), dtype=np.uint8)
        covered[person.window] = person.coverage > 0
        return _without_person(self.image(index), covered)


def _without_person(image: NDArray[np.uint8], covered: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with its covered pixels filled from around them."""
    size = image.shape[0]
    small = max(1, size // FILL_REDUCTION), max(1, size // FILL_REDUCTION)
    hidden = cv2.resize(covered.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    filled = fill_smoothly(np.asarray(coarse, dtype=np.uint8), np.asarray(hidden))
    grown = cv2.resize(filled, (size, size), interpolation=cv2.INTER_LINEAR)
    result = image.copy()
    cv2.copyTo(grown, covered, result)
    return result
