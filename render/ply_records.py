"""The header and the records of PLY files: ASCII, little and big endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.number_text import text_numbers

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_TEXT = "="
_ORDERS = {"ascii": _TEXT, "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Property:
    """A property line.

    Attributes:
        name: as in the file.
        kind: NumPy type without byte order, such as "f4".
        count_kind: that of the number of values, for a list; None for one value.
    """

    name: str
    kind: str
    count_kind: str | None


@dataclass(frozen=True)
class Element:
    """An element line with its properties."""

    name: str
    count: int
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class Header:
    """What is before the records.

    Attributes:
        order: byte order of the records, or "=" for text.
        elements: in the order of the file.
        comments: without the keyword.
        size: bytes up to the first record.
    """

    order: str
    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Column:
    """The values of one property.

    Attributes:
        values: (N,), those of lists one behind the other.
        counts: (rows,) int64, the number of values of each row.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64]


Records = dict[str, dict[str, Column]]
"""Columns by the names of element and property."""


def read_header(data: bytes) -> Header:
    """Read the header of a PLY file.

    Raises:
        ValueError: it is not one.
    """
    head = data[:_LONGEST_HEADER]
    if not head.startswith(b"ply"):
        raise ValueError("expected a PLY file, got one that does not begin with 'ply'")
    end = head.find(b"end_header")
    if end < 0:
        raise ValueError("expected a PLY header, got none that ends with 'end_header'")
    size = head.find(b"\n", end) + 1 or len(data)
    order = ""
    comments: list[str] = []
    elements: list[tuple[str, int, list[Property]]] = []
    for line in head[:end].decode("utf-8", errors="replace").splitlines()[1:]:
        words = line.split()
        try:
            match words:
                case ["format", name, _]:
                    order = _ORDERS[name]
                case ["comment" | "obj_info", *_]:
                    comments.append(line.strip().partition(" ")[2].strip())
                case ["element", name, count]:
                    elements.append((name, int(count), []))
                case ["property", "list", count_kind, kind, name]:
                    elements[-1][2].append(Property(name, _TYPES[kind], _TYPES[count_kind]))
                case ["property", kind, name]:
                    elements[-1][2].append(Property(name, _TYPES[kind], None))
                case [_, *_]:
                    raise ValueError
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"expected a PLY header, got the line {line.strip()!r}") from error
    if not order:
        raise ValueError("expected a PLY header, got one without a format")
    made = tuple(Element(name, count, tuple(rows)) for name, count, rows in elements)
    return Header(order, made, tuple(comments), size)


def read_records(data: bytes, header: Header) -> Records:
    """Read all records.

    Raises:
        ValueError: there are fewer than the header says, or a value is not what it says.
    """
    body, position = data[header.size :], 0
    if header.order == _TEXT:
        # Text is read as records in which every value is a float64.
        body = text_numbers(body).tobytes()
    records: Records = {}
    for element in header.elements:
        fields = [_field(row, header.order) for row in element.properties]
        read = _even_columns(body, position, fields, element)
        if read is None:
            read = _uneven_columns(body, position, fields, element)
        columns, position = read
        if header.order == _TEXT:
            columns = [_typed(*pair) for pair in zip(columns, element.properties, strict=True)]
        names = [row.name for row in element.properties]
        records[element.name] = dict(zip(names, columns, strict=True))
    return records


@dataclass(frozen=True)
class _Field:
    """Types with byte order; `count` is None for one value."""

    value: np.dtype[Any]
    count: np.dtype[Any] | None


def _field(row: Property, order: str) -> _Field:
    kind, count_kind = row.kind, row.count_kind
    if order == _TEXT:
        kind, count_kind = "f8", None if count_kind is None else "f8"
    return _Field(
        np.dtype(order + kind), None if count_kind is None else np.dtype(order + count_kind)
    )


def _even_columns(
    body: bytes, position: int, fields: list[_Field], element: Element
) -> tuple[list[Column], int] | None:
    """Return columns and their end if the lists of all rows are as long as those of the first."""
    rows, places, offset = element.count, [], 0
    for field in fields:
        count_at, count = offset, 1
        if field.count is not None:
            offset += field.count.itemsize
            if position + offset > len(body):
                return None
            count = int(np.frombuffer(body, field.count, 1, position + count_at)[0])
            if count < 0:
                return None
        places.append((count_at, offset, count))
        offset += count * field.value.itemsize
    stride = offset
    if stride and all(field.count is None for field in fields):
        if position + stride * rows > len(body):
            raise _too_short(element, (len(body) - position) // stride)
    if position + stride * rows > len(body):
        return None
    columns = []
    for field, (count_at, value_at, count) in zip(fields, places, strict=True):
        if field.count is not None:
            found = np.ndarray((rows,), field.count, body, position + count_at, (stride,))
            if (found != count).any():
                return None
        steps = (stride, field.value.itemsize)
        values = np.ndarray((rows, count), field.value, body, position + value_at, steps)
        columns.append(Column(values.ravel(), np.full(rows, count)))
    return columns, position + stride * rows


def _uneven_columns(
    body: bytes, position: int, fields: list[_Field], element: Element
) -> tuple[list[Column], int]:
    readers = [
        (field.value.itemsize, None if field.count is None else _reader(field.count))
        for field in fields
    ]
    offsets: list[list[int]] = [[] for _ in fields]
    counts: list[list[int]] = [[] for _ in fields]
    try:
        for _ in range(element.count if fields else 0):
            for index, (size, reader) in enumerate(readers):
                count = 1
                if reader is not None:
                    count = int(reader.unpack_from(body, position)[0])
                    position += reader.size
                place, position = position, position + count * size
                if count < 0 or position > len(body):
                    raise ValueError
                offsets[index].append(place)
                counts[index].append(count)
    except (struct.error, ValueError, OverflowError) as error:
        raise _too_short(element, len(offsets[-1])) from error
    pieces = zip(fields, offsets, counts, strict=True)
    columns = [
        _gathered(body, field.value, np.array(places, np.int64), np.array(lengths, np.int64))
        for field, places, lengths in pieces
    ]
    return columns, position


def _too_short(element: Element, found: int) -> ValueError:
    return ValueError(
        f"expected {element.count} rows of '{element.name}', got the end of the file after {found}"
    )


def _reader(kind: np.dtype[Any]) -> struct.Struct:
    return struct.Struct((kind.byteorder if kind.byteorder != "|" else "=") + kind.char)


def _gathered(
    body: bytes, kind: np.dtype[Any], offsets: NDArray[np.int64], counts: NDArray[np.int64]
) -> Column:
    raw = np.frombuffer(body, dtype=np.uint8)
    values = np.empty(int(counts.sum()), dtype=kind)
    firsts = np.cumsum(counts) - counts
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        taken = raw[offsets[rows, None] + np.arange(count * kind.itemsize)]
        values[firsts[rows, None] + np.arange(count)] = taken.view(kind)
    return Column(values, counts)


def _typed(column: Column, row: Property) -> Column:
    kind = np.dtype(row.kind)
    if kind.kind == "f":
        return Column(column.values.astype(kind), column.counts)
    limits = np.iinfo(kind)
    values = column.values
    if not ((values == np.rint(values)) & (values >= limits.min) & (values <= limits.max)).all():
        raise ValueError(
            f"expected whole numbers of {limits.min} to {limits.max} as '{row.name}', got others"
        )
    return Column(values.astype(kind), column.counts)
