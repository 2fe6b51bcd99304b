"""What glTF 2.0 files keep in binary: chunks, resources, and the arrays called accessors."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from render.errors import ScanError
from render.materials import inside

Json = dict[str, Any]

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = b"glTF", 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Document:
    """A glTF file and the bytes that it refers to.

    Args:
        path: the file; resources beside it have to lie in its folder, at any depth.
        data: its content, as GLB or as JSON.

    Attributes:
        path: as given.
        json: the scene description.

    Raises:
        ValueError: it is neither, or of another version than 2.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self._binary: bytes | None = None
        text = data
        if data.startswith(_MAGIC):
            chunks = _chunks(data)
            text, self._binary = chunks.get(_JSON_CHUNK, b""), chunks.get(_BINARY_CHUNK)
        self.json: Json = json.loads(text)
        version = str(self.json["asset"]["version"])
        if version.partition(".")[0] != "2":
            raise ValueError(f"version {version} instead of 2.0")
        self._buffers: dict[int, bytes] = {}

    def array(self, index: int) -> NDArray[np.generic]:
        """Return an accessor: (N, width) of its type; normalised integers become float32.

        Raises:
            ValueError, KeyError, IndexError, TypeError: it does not fit its buffer.
        """
        accessor = self.json["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ValueError("a sparse accessor, which is not read")
        kind = np.dtype(_COMPONENTS[accessor["componentType"]])
        width, count = _WIDTHS[accessor["type"]], int(accessor["count"])
        view = self.json["bufferViews"][accessor["bufferView"]]
        stride = int(view.get("byteStride", width * kind.itemsize))
        if count < 0 or stride < 0:
            raise ValueError("a negative count or stride")
        values: NDArray[Any] = np.ndarray(
            (count, width), kind, self.view(accessor["bufferView"]),
            int(accessor.get("byteOffset", 0)), (stride, kind.itemsize),
        )  # fmt: skip
        if accessor.get("normalized") and kind.kind in "iu":
            return np.maximum(values / np.float32(np.iinfo(kind).max), -1.0).astype(np.float32)
        return values.copy()

    def view(self, index: int) -> bytes:
        """Return the bytes of a buffer view.

        Raises:
            ValueError, KeyError, IndexError, TypeError: it lies outside its buffer.
        """
        view = self.json["bufferViews"][index]
        number = int(view["buffer"])
        if number not in self._buffers:
            buffer = self.json["buffers"][number]
            data = self.resource(buffer["uri"]) if "uri" in buffer else self._binary
            if data is None:
                raise ValueError("a buffer without bytes")
            self._buffers[number] = data
        data = self._buffers[number]
        start, size = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if start < 0 or size < 0 or start + size > len(data):
            raise ValueError("a buffer that ends too early")
        return data[start : start + size]

    def resource(self, uri: str) -> bytes:
        """Return the bytes behind a data URI or the name of a file beside this one.

        Raises:
            ScanError: there is no such file, or it lies outside the folder.
        """
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        path = inside(self.path.parent, self.path.parent, unquote(uri), self.path)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ScanError(
                f"{self.path}: expected the file {path}, got: {error.strerror}"
            ) from error


def _chunks(data: bytes) -> dict[int, bytes]:
    """Return the first chunk of each type of a GLB file."""
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ValueError(f"version {version} instead of 2")
    if length > len(data):
        raise ValueError(f"{len(data)} of {length} bytes")
    chunks: dict[int, bytes] = {}
    position = 12
    while position + 8 <= length:
        size, kind = struct.unpack_from("<II", data, position)
        chunks.setdefault(kind, data[position + 8 : position + 8 + size])
        position += 8 + size
    return chunks
