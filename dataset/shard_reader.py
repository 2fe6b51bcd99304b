"""Reads one shard, whole views or boxes of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import h5py
import hdf5plugin  # noqa: F401  registers the zstd filter with h5py
import numpy as np
from numpy.typing import NDArray

from dataset.shard_checks import GroupMember, checked_shape, json_object, text_of
from dataset.shard_codec import (
    BACKGROUND_PIXELS,
    IMAGE_FRONT,
    PICTURES,
    ShardError,
    decode_picture,
)
from dataset.views import View
from render.camera import Camera, Projection
from render.closing import Closing
from render.compositing import composite

Box = tuple[int, int, int, int]
"""Rows row0 to row1 - 1 and columns col0 to col1 - 1 of a picture."""

TURNS = ("yaw_deg", "pitch_deg", "roll_deg")


def enclosing_box(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around some.

    Raises:
        ValueError: there are none.
    """
    if not boxes:
        raise ValueError("boxes: expected one or more, got none")
    row0, row1, col0, col1 = zip(*boxes, strict=True)
    return min(row0), max(row1), min(col0), max(col1)


class ShardReader(Closing):
    """Reads the views of one shard; a context manager.

    Pickled by its path. The file is opened anew in every process, so that a reader may
    be handed to data-loader workers.
    """

    def __init__(self, path: Path) -> None:
        """Open a shard.

        Raises:
            ShardError: the file is missing, cut short, or no shard of this schema.
        """
        self._path = Path(path)
        self._file: h5py.File | None = None
        self._pid = -1
        self._shape = checked_shape(self._path, self._open())

    def _open(self) -> h5py.File:
        if self._file is not None and self._pid == os.getpid():
            return self._file
        try:
            self._file = h5py.File(self._path, "r")
        except OSError as error:
            reason = " ".join(str(error).split())  # HDF5 gives lines
            found = "no such file" if not self._path.exists() else f"it cannot be opened ({reason})"
            raise ShardError(f"{self._path}: expected a complete shard, but {found}") from error
        self._pid = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self._path, "shape": self._shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._path, self._file, self._pid = state["path"], None, -1
        self._shape = state["shape"]

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def _table(self, name: str, index: Any = ()) -> Any:
        try:
            return self._open()[name][index]
        except (KeyError, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ShardError(f"{self._path}: {name} cannot be read ({reason})") from error

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def scan_id(self) -> str:
        """The scan that was rendered."""
        return text_of(self._open().attrs["scan_id"])

    @property
    def subject(self) -> str:
        """The person on the scan."""
        return text_of(self._open().attrs["subject"])

    @property
    def config(self) -> dict[str, Any]:
        """What the shard was made with."""
        return json_object(text_of(self._open().attrs["config"]))

    @property
    def metadata(self) -> dict[str, Any]:
        """What the scan set says of the scan.

        Raises:
            ShardError: it is no JSON object.
        """
        try:
            return json_object(text_of(self._table("metadata")))
        except ShardError as error:
            raise ShardError(f"{self._path}: metadata: {error}") from error

    @property
    def sources(self) -> dict[str, str]:
        """Scan id -> digest of its files, as `dataset.source_files` makes it; may be empty."""
        text = self._open().attrs.get("sources")
        return {} if text is None else json_object(text_of(text))

    @property
    def view_count(self) -> int:
        """Number of views."""
        return self._shape.views

    @property
    def resolution(self) -> int:
        """Width and height of every view, pixels."""
        return self._shape.resolution

    @property
    def people(self) -> int:
        """Number of people in every view."""
        return self._shape.people

    @property
    def members(self) -> tuple[GroupMember, ...]:
        """The people of a group, in the order of the instance mask; empty for one person."""
        if self.people == 1:
            return ()
        names, subjects, places = (
            self._table(f"people/{name}") for name in ("scan_id", "subject", "group_from_scan")
        )
        return tuple(
            GroupMember(scan_id=text_of(name), subject=text_of(subject), group_from_scan=place)
            for name, subject, place in zip(names, subjects, places, strict=True)
        )

    @property
    def camera(self) -> Camera:
        """The camera of every view.

        Raises:
            ShardError: views have cameras of their own.
        """
        cameras = {self.view(number).camera for number in range(self.view_count)}
        if len(cameras) > 1:
            raise ShardError(
                f"{self._path}: expected one camera for all views, got {len(cameras)} "
                "(rendered with --fov)"
            )
        return cameras.pop()

    def view(self, number: int) -> View:
        """Return from where a view was seen."""
        self._checked(number)
        fov, distance = (self._table(f"camera/{n}", number) for n in ("fov_deg", "distance"))
        turns = {n: float(self._table(f"view/{n}", number)) for n in TURNS}
        projection = cast(Projection, text_of(self._open().attrs["projection"]))
        return View(
            camera=Camera(self.resolution, float(fov), projection),
            distance=float(distance),
            **turns,
        )

    @property
    def composite(self) -> str:
        """ "baked", or "on-read" where backgrounds are kept whole."""
        return self._shape.composite

    @property
    def unit_cm(self) -> float:
        """Length of one scan unit, centimetres; 1 for a group."""
        return float(self._open().attrs["unit_cm"])

    @property
    def normalised_from_scan(self) -> NDArray[np.float64]:
        """(4, 4) float64 matrix from the scan frame to the normalised frame, shrink included.

        Of a group: from the frame that `GroupMember.group_from_scan` leads to.
        """
        return self._table("camera/normalised_from_scan")

    @property
    def shrink(self) -> float:
        """Factor by which the scan was made smaller to clear the image border; 1 if not."""
        return float(self._table("camera/shrink"))

    def pose(self, view: int) -> NDArray[np.float64]:
        """Return the (4, 4) camera-from-normalised matrix of a view, all turns included."""
        return self._table("camera/pose", self._checked(view))

    def yaw_deg(self, view: int) -> float:
        """Return by how much the scan was turned about +y, degrees."""
        return float(self._table("view/yaw_deg", self._checked(view)))

    def seed(self, view: int) -> int:
        """Return the seed of everything random in a view."""
        return int(self._table("view/seed", self._checked(view)))

    def rig(self, view: int) -> dict[str, NDArray]:
        """Return the lights of a view, as the arrays `render.lights.rig_from_arrays` takes."""
        names = self._open()["view/rig"] if "view/rig" in self._open() else ()
        return {name: self._table(f"view/rig/{name}", self._checked(view)) for name in names}

    def background(self, view: int) -> tuple[str, NDArray[np.float32]]:
        """Return the name of a view's background and its part: left, top, width, height."""
        name = text_of(self._table("background/id", self._checked(view)))
        return name, self._table("background/crop", view)

    def _checked(self, view: int) -> int:
        if not 0 <= view < self.view_count:
            raise IndexError(f"view: expected 0..{self.view_count - 1}, got {view}")
        return view

    def read(self, name: str, view: int, box: Box | None = None) -> NDArray:
        """Read one array of one view, decoded.

        Args:
            name: a picture ("image/front", "depth/back", "mask", ...), "joints/2d" or
                "joints/3d". The composite is made here where it is not stored.
            view: 0..view_count - 1.
            box: rows and columns of a picture to read, inside it; None for all.

        Returns:
            Colours (R, R, 3) uint8 sRGB; "mask" and "coverage" (R, R) uint8; depth (R, R)
            float32 ray distance, 0 on the background; normals (R, R, 3) float32 unit vectors
            in the camera frame, 0 on the background; "joints/2d" (31, 3) float32 pixels +
            confidence; "joints/3d" (31, 4) float32 normalised frame before yaw + confidence;
            both with the number of people in front where there are several. "instance" (R, R)
            uint8, 0 on the background and k on the k-th person, of groups alone.

        Raises:
            ShardError: the shard does not hold the array, or its bytes are damaged.
        """
        self._checked(view)
        if name in ("joints/2d", "joints/3d"):
            return self._table(name, view)
        if name not in PICTURES:
            raise ValueError(f"name: expected one of {', '.join(PICTURES)}, got {name!r}")
        if name == IMAGE_FRONT and self.composite == "on-read":
            return composite(
                self.read("person/front", view, box),
                self.read("coverage", view, box),
                self.read(BACKGROUND_PIXELS, view, box),
            )
        code = self.read_code(name, view, box)
        return decode_picture(name, code, float(self._table("camera/distance", view)))

    def read_code(self, name: str, view: int, box: Box | None = None) -> NDArray:
        """Read one picture that the shard holds as it is stored (see `dataset.shard_codec`)."""
        resolution = self.resolution
        row0, row1, col0, col1 = box if box is not None else (0, resolution, 0, resolution)
        if not (0 <= row0 < row1 <= resolution and 0 <= col0 < col1 <= resolution):
            raise ValueError(f"box: expected a part of {resolution} x {resolution}, got {box}")
        place = (self._checked(view), slice(row0, row1), slice(col0, col1))
        code: NDArray = self._table(name, place)
        return code

    def read_boxes(self, name: str, view: int, boxes: Sequence[Box]) -> list[NDArray]:
        """Read parts of one picture of one view, each tile once however many parts touch it.

        What is read lies around all parts, so they should be close to each other: three times
        as fast as one by one for the crops of a person.

        Returns:
            What `read` gives for every box, views of one array.

        Raises:
            ShardError: the shard does not hold the array, or its bytes are damaged.
        """
        around = enclosing_box(boxes)
        pixels, top, left = self.read(name, view, around), around[0], around[2]
        return [
            pixels[row0 - top : row1 - top, col0 - left : col1 - left]
            for row0, row1, col0, col1 in boxes
        ]

    @property
    def has_mesh(self) -> bool:
        """Whether the scan's geometry is stored."""
        return "mesh" in self._open()

    def mesh(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Return (V, 3) float64 vertices in the scan frame and (F, 3) int32 faces.

        Raises:
            ShardError: the geometry was not stored, or is no geometry.
        """
        if not self.has_mesh:
            raise ShardError(
                f"{self._path}: expected the scan's mesh, which is not stored "
                "(render with --store-mesh all)"
            )
        vertices = self._table("mesh/vertices").astype(np.float64)
        faces = self._table("mesh/faces")
        if not np.isfinite(vertices).all() or not faces.size:
            raise ShardError(f"{self._path}: expected finite vertices and faces in its mesh")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ShardError(
                f"{self._path}: expected faces of {len(vertices)} vertices in its mesh, "
                f"got numbers from {faces.min()} to {faces.max()}"
            )
        return vertices, faces
