"""Parsing the text of OBJ files with NumPy, blocks of lines at a time instead of line by line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.number_text import PADDING, decimal_numbers, words
from render.obj_faces import absolute, fans, read_corners

_KINDS = (b"v", b"vt", b"vn", b"f", b"usemtl", b"mtllib")
_INDEXED = (b"v", b"vt", b"vn")
_NEWLINE, _SPACE, _HASH = ord("\n"), ord(" "), ord("#")
_BLOCK_BITS = 18
"""Blocks of 256 KiB of text: what is made of one stays in the cache of a core."""


@dataclass(frozen=True)
class ObjArrays:
    """What an OBJ file says; indices are from 0 and not yet checked against the counts.

    Attributes:
        vertices: (V, 3) float64.
        colours: (V, 3) float64 as in the file, or None.
        uvs: (T, 2) float64; T may be 0.
        normals: (N, 3) float64; N may be 0.
        faces: (F, 3) int32, indices of vertices. Polygons are fans of triangles.
        uv_faces: (F, 3) int32, indices of uvs, -1 where a corner has none.
        normal_faces: (F, 3) int32, indices of normals, -1 where a corner has none.
        face_materials: (F,) int64 index of material_names, -1 before the first usemtl.
        material_names: in the order of first use.
        libraries: file names of the mtllib lines.
    """

    vertices: NDArray[np.float64]
    colours: NDArray[np.float64] | None
    uvs: NDArray[np.float64]
    normals: NDArray[np.float64]
    faces: NDArray[np.int32]
    uv_faces: NDArray[np.int32]
    normal_faces: NDArray[np.int32]
    face_materials: NDArray[np.int64]
    material_names: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class _Lines:
    """The text as bytes, with where its lines start and end, and what kind each is."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: dict[bytes, NDArray[np.int64]]


@dataclass(frozen=True)
class _Block:
    """Lines of one kind that lie close together.

    Attributes:
        text: (N,) uint8, `PADDING` blanks and the lines; the keywords, and lines of other
            kinds between them, are blank.
        starts: (L,) int64, where the lines start in it.
        lines: (L,) int64, which lines of the file they are.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lines: NDArray[np.int64]


def parse_obj(data: bytes) -> ObjArrays:
    """Parse the content of an OBJ file.

    Reads v (with optional colours), vt, vn, f (any polygon, negative indices too), usemtl
    and mtllib; all else is passed over.

    Raises:
        ValueError: a line that should hold numbers does not; the message says of which kind.
    """
    lines = _split(_plain(data))
    vertex_rows = _number_rows(lines, b"v", least=3, most=6)
    (faces, uv_faces, normal_faces), polygons = _faces(lines)
    names, choices = _used_materials(lines)
    libraries = [_argument(lines, line) for line in lines.kinds[b"mtllib"]]
    return ObjArrays(
        vertices=vertex_rows[:, :3],
        colours=vertex_rows[:, 3:] if vertex_rows.shape[1] == 6 else None,
        uvs=_number_rows(lines, b"vt", least=2, most=2),
        normals=_number_rows(lines, b"vn", least=3, most=3),
        faces=faces,
        uv_faces=uv_faces,
        normal_faces=normal_faces,
        face_materials=choices if polygons is None else choices[polygons],
        material_names=names,
        libraries=tuple(dict.fromkeys(libraries)),
    )


def _plain(data: bytes) -> bytes:
    """Return the text with newlines and blanks as its only white space."""
    # Looking for one byte is many times faster than looking for two, and all are rare.
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\\" in data:
        for line_end in (b"\r\n", b"\n", b"\r"):
            data = data.replace(b"\\" + line_end, b" ")
    if b"\r" in data:
        data = data.replace(b"\r\n", b" \n").replace(b"\r", b"\n")
    return data.replace(b"\t", b" ") if b"\t" in data else data


def _split(data: bytes) -> _Lines:
    # The blanks at the end are room for looking at the first bytes of the last line.
    text = np.frombuffer(data + (b"\n" + b" " * 8), dtype=np.uint8)
    size = 1 << _BLOCK_BITS
    pieces = range(0, len(text), size)
    ends = [np.flatnonzero(text[piece : piece + size] == _NEWLINE) + piece for piece in pieces]
    all_ends = np.concatenate(ends)
    starts = np.concatenate([[0], all_ends[:-1] + 1])
    indented = np.flatnonzero(text[starts] == _SPACE)
    while len(indented):
        starts[indented] += 1
        indented = indented[text[starts[indented]] == _SPACE]
    return _Lines(text, starts, all_ends, _kinds(text, starts))


def _kinds(text: NDArray[np.uint8], starts: NDArray[np.int64]) -> dict[bytes, NDArray[np.int64]]:
    """Return which lines begin with a keyword and a blank."""
    fours: NDArray[np.uint32] = np.ndarray((len(text) - 3,), "<u4", text, 0, (1,))
    found: dict[bytes, list[NDArray[np.int64]]] = {word: [] for word in _KINDS}
    size = 1 << (_BLOCK_BITS - 2)
    for piece in range(0, len(starts), size):
        heads = fours[starts[piece : piece + size]]
        for word in _KINDS:
            key = word + b" "
            mask = np.uint32(2 ** (8 * min(len(key), 4)) - 1)
            matches = np.flatnonzero(heads & mask == int.from_bytes(key[:4], "little")) + piece
            if len(key) > 4:
                tails = fours[starts[matches] + len(key) - 4]
                matches = matches[tails == int.from_bytes(key[-4:], "little")]
            found[word].append(matches)
    return {word: np.concatenate(matches) for word, matches in found.items()}


def _blocks(lines: _Lines, word: bytes) -> Iterator[_Block]:
    """Yield the lines of a kind in order, those of one piece of the file at a time."""
    chosen = lines.kinds[word]
    pieces = lines.starts[chosen] >> _BLOCK_BITS
    for part in np.split(chosen, np.flatnonzero(np.diff(pieces)) + 1) if len(chosen) else []:
        span = slice(part[0], part[-1] + 1)
        begin, end = lines.starts[part[0]], lines.ends[part[-1]] + 1
        text = np.full(PADDING + end - begin, _SPACE, dtype=np.uint8)
        text[PADDING:] = lines.text[begin:end]
        if span.stop - span.start > len(part):
            is_other = np.ones(span.stop - span.start, dtype=bool)
            is_other[part - span.start] = False
            lengths = np.diff(lines.ends[span] + 1, prepend=begin)
            text[PADDING:][np.repeat(is_other, lengths)] = _SPACE
        if (text == _HASH).any():
            plain = re.sub(rb"#[^\n]*", lambda match: b" " * len(match[0]), text.tobytes())
            text = np.frombuffer(bytearray(plain), dtype=np.uint8)
        starts = lines.starts[part] - begin + PADDING
        for offset in range(len(word)):
            text[starts + offset] = _SPACE
        yield _Block(text, starts, part)


def _number_rows(lines: _Lines, word: bytes, least: int, most: int) -> NDArray[np.float64]:
    """Return (N, W) float64 with W the smallest number of values in such a line, or `most`."""
    parts = [np.zeros((0, most))]
    for block in _blocks(lines, word):
        starts, ends = words(block.text)
        firsts = np.searchsorted(starts, block.starts)
        width = min(most, int(np.diff(firsts, append=len(starts)).min()))
        if width < least:
            raise ValueError(
                f"'{word.decode()}' lines: expected {least} values or more, got {width}"
            )
        picked = (firsts[:, None] + np.arange(width)).ravel()
        try:
            numbers = decimal_numbers(block.text, starts[picked], ends[picked])
        except ValueError as error:
            raise ValueError(f"'{word.decode()}' lines: {error}") from error
        parts.append(numbers.reshape(-1, width))
    width = min(part.shape[1] for part in parts)
    return np.concatenate([part[:, :width] for part in parts])


def _faces(lines: _Lines) -> tuple[NDArray[np.int32], NDArray[np.int64] | None]:
    """Return (3, F, 3) indices of vertices, uvs and normals, and the line of each triangle.

    The latter is (F,) places among the lines of faces, or None where all are triangles.
    """
    parts, all_counts = [np.zeros((3, 0), np.int32)], [np.zeros(0, np.int64)]
    for block in _blocks(lines, b"f"):
        try:
            indices, counts = read_corners(block.text, block.starts)
            if not indices[0].all():
                raise ValueError("expected indices from 1 on, got 0")
        except ValueError as error:
            raise ValueError(f"'f' lines: {error}") from error
        if (indices < 0).any():
            corner_lines = np.repeat(block.lines, counts)
            for row, word in zip(indices, _INDEXED, strict=True):
                row[:] = absolute(row, np.searchsorted(lines.kinds[word], corner_lines))
        else:
            indices -= 1
        parts.append(indices)
        all_counts.append(counts)
    corners, counts = np.concatenate(parts, axis=1), np.concatenate(all_counts)
    if (counts == 3).all():
        return corners.reshape(3, -1, 3), None
    triangles, polygons = fans(counts)
    return corners[:, triangles], polygons


def _used_materials(lines: _Lines) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names, and for every line of a face the index of its name or -1."""
    switches, face_lines = lines.kinds[b"usemtl"], lines.kinds[b"f"]
    spoken = [_argument(lines, line) for line in switches]
    names = tuple(dict.fromkeys(spoken))
    index = {name: place for place, name in enumerate(names)}
    choices = np.array([-1, *(index[name] for name in spoken)], dtype=np.int64)
    edges = np.searchsorted(face_lines, switches)
    return names, np.repeat(choices, np.diff(edges, prepend=0, append=len(face_lines)))


def _argument(lines: _Lines, line: int) -> str:
    text = lines.text[lines.starts[line] : lines.ends[line]].tobytes()
    return text.decode("utf-8", errors="replace").partition(" ")[2].strip()
