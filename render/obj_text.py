"""Parsing the text of OBJ files with NumPy, line kinds at a time instead of line by line."""

from __future__ import annotations

import codecs
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = (b"v", b"vt", b"vn", b"f", b"usemtl", b"mtllib")
_NEWLINE, _SPACE, _SLASH = ord("\n"), ord(" "), ord("/")


@dataclass(frozen=True)
class ObjArrays:
    """What an OBJ file says; indices are from 0 and not yet checked against the counts.

    Attributes:
        vertices: (V, 3) float64.
        colours: (V, 3) float64 as in the file, or None.
        uvs: (T, 2) float64; T may be 0.
        normals: (N, 3) float64; N may be 0.
        faces: (F, 3, 3) int64, per corner the index of vertex, uv and normal; -1 for no uv or
            normal. Polygons are fans of triangles.
        face_materials: (F,) int64 index of material_names, -1 before the first usemtl.
        material_names: in the order of first use.
        libraries: file names of the mtllib lines.
    """

    vertices: NDArray[np.float64]
    colours: NDArray[np.float64] | None
    uvs: NDArray[np.float64]
    normals: NDArray[np.float64]
    faces: NDArray[np.int64]
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


def parse_obj(data: bytes) -> ObjArrays:
    """Parse the content of an OBJ file.

    Reads v (with optional colours), vt, vn, f (any polygon, negative indices too), usemtl
    and mtllib; all else is passed over.

    Raises:
        ValueError: a line that should hold numbers does not; the message says of which kind.
    """
    lines = _split(_plain(data))
    vertex_rows = _number_rows(lines, b"v", 3)
    colours = vertex_rows[:, 3:6] if vertex_rows.shape[1] >= 6 else None
    uvs = _number_rows(lines, b"vt", 2)[:, :2]
    normals = _number_rows(lines, b"vn", 3)[:, :3]
    corners, face_lines = _faces(lines)
    names, choice = _used_materials(lines, face_lines)
    libraries = [_argument(lines, line) for line in lines.kinds[b"mtllib"]]
    return ObjArrays(
        vertices=np.ascontiguousarray(vertex_rows[:, :3]),
        colours=colours,
        uvs=np.ascontiguousarray(uvs),
        normals=np.ascontiguousarray(normals),
        faces=corners,
        face_materials=choice,
        material_names=names,
        libraries=tuple(dict.fromkeys(libraries)),
    )


def _plain(data: bytes) -> bytes:
    """Return the text with only newlines and blanks as white space, and no comments."""
    data = data.removeprefix(codecs.BOM_UTF8)
    data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\t", b" ")
    if b"#" in data:
        data = re.sub(rb"#[^\n]*", b"", data)
    if b"\n " in data or data.startswith(b" "):
        data = re.sub(rb"(?m)^ +", b"", data)
    return data + b"\n"


def _split(data: bytes) -> _Lines:
    text = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(text == _NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    kinds = {}
    for word in _KINDS:
        matches = ends - starts > len(word)
        for offset, letter in enumerate(word + b" "):
            places = np.minimum(starts + offset, len(text) - 1)
            matches &= text[places] == letter
        kinds[word] = np.flatnonzero(matches)
    return _Lines(text, starts, ends, kinds)


def _text_of(lines: _Lines, chosen: NDArray[np.int64], word: bytes) -> NDArray[np.uint8]:
    """Return the bytes of the chosen lines with their newlines, the keyword blanked out."""
    starts, lengths = lines.starts[chosen], lines.ends[chosen] + 1 - lines.starts[chosen]
    if len(chosen) and chosen[-1] - chosen[0] == len(chosen) - 1:
        text = lines.text[starts[0] : lines.ends[chosen[-1]] + 1].copy()
    else:
        selected = np.zeros(len(lines.starts), dtype=bool)
        selected[chosen] = True
        text = lines.text[: lines.ends[-1] + 1][np.repeat(selected, lines.ends + 1 - lines.starts)]
    firsts = np.cumsum(lengths) - lengths
    for offset in range(len(word)):
        text[firsts + offset] = _SPACE
    return text


def _counts(
    text: NDArray[np.uint8], line_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of words and of slashes in each line."""
    is_blank = (text == _SPACE) | (text == _NEWLINE)
    word_starts = ~is_blank
    word_starts[1:] &= is_blank[:-1]
    firsts = np.concatenate([[0], np.flatnonzero(text == _NEWLINE)[:-1] + 1])[:line_count]
    words = np.add.reduceat(word_starts, firsts, dtype=np.int64)
    slashes = np.add.reduceat(text == _SLASH, firsts, dtype=np.int64)
    return words, slashes


def _numbers(text: bytes, expected: int, word: bytes, dtype: type) -> NDArray[Any]:
    kind = word.decode()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            numbers: NDArray[Any] = np.fromstring(text, dtype=dtype, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise ValueError(f"'{kind}' lines: expected numbers, got other text") from error
    if len(numbers) != expected:
        raise ValueError(f"'{kind}' lines: expected {expected} numbers, got {len(numbers)}")
    return numbers


def _number_rows(lines: _Lines, word: bytes, least: int) -> NDArray[np.float64]:
    """Return (N, W) float64 with W the smallest number of values in such a line."""
    chosen = lines.kinds[word]
    if not len(chosen):
        return np.zeros((0, least))
    text = _text_of(lines, chosen, word)
    words, _ = _counts(text, len(chosen))
    width = int(words.min())
    if width < least:
        raise ValueError(f"'{word.decode()}' lines: expected {least} values or more, got {width}")
    numbers = _numbers(text.tobytes(), int(words.sum()), word, np.float64)
    if width == words.max():
        return numbers.reshape(len(chosen), width)
    firsts = np.cumsum(words) - words
    return numbers[firsts[:, None] + np.arange(width)]


def _faces(lines: _Lines) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (F, 3, 3) corners and (F,) the line each triangle came from, in file order."""
    chosen = lines.kinds[b"f"]
    if not len(chosen):
        return np.zeros((0, 3, 3), np.int64), np.zeros(0, np.int64)
    words, slashes = _counts(_text_of(lines, chosen, b"f"), len(chosen))
    if (words == words[0]).all() and (slashes == slashes[0]).all():
        # By far the most common; sorting to find that out takes longer than all the rest.
        shapes, group = np.array([[words[0], slashes[0]]]), np.zeros(len(chosen), np.int64)
    else:
        pairs = np.stack([words, slashes], axis=1)
        shapes, group = np.unique(pairs, axis=0, return_inverse=True)
        group = group.ravel()
    all_corners, all_lines = [], []
    for index, (word_count, slash_count) in enumerate(shapes):
        if word_count < 3 or slash_count % word_count or slash_count // word_count > 2:
            raise ValueError(
                "'f' lines: expected three corners or more, all of one form, "
                f"got {word_count} corners with {slash_count} slashes"
            )
        members = chosen[group == index]
        corners = _corners(lines, members, int(word_count), int(slash_count // word_count))
        fans = [corners[:, [0, step, step + 1]] for step in range(1, int(word_count) - 1)]
        all_corners.append(np.concatenate(fans))
        all_lines.append(np.tile(members, len(fans)))
    face_lines = np.concatenate(all_lines)
    if len(shapes) == 1 and shapes[0, 0] == 3:
        return all_corners[0], face_lines
    order = np.argsort(face_lines, kind="stable")
    return np.concatenate(all_corners)[order], face_lines[order]


def _corners(
    lines: _Lines, members: NDArray[np.int64], corner_count: int, slashes: int
) -> NDArray[np.int64]:
    """Return (L, C, 3) indices from 0 of lines that all have one form."""
    text = _text_of(lines, members, b"f").tobytes()
    if slashes:
        text = text.replace(b"//", b"/0/").replace(b"/", b" ")
    width = 1 + slashes
    expected = len(members) * corner_count * width
    rows = _numbers(text, expected, b"f", np.int64).reshape(len(members), corner_count, width)
    corners = np.zeros((len(members), corner_count, 3), dtype=np.int64)
    corners[..., :width] = rows
    if (corners[..., 0] == 0).any():
        raise ValueError("'f' lines: expected indices from 1 on, got 0")
    for column, word in enumerate((b"v", b"vt", b"vn")):
        values = corners[..., column]
        is_relative = values < 0
        # An index of 0 (none given) becomes -1; a relative one that reaches before the
        # first line must not look like that, and stays out of range.
        absolute = values - 1
        if is_relative.any():
            seen = np.searchsorted(lines.kinds[word], members)[:, None]
            absolute = np.where(
                is_relative, np.where(seen + values < 0, -2, seen + values), absolute
            )
        corners[..., column] = absolute
    return corners


def _used_materials(
    lines: _Lines, face_lines: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    switches = lines.kinds[b"usemtl"]
    spoken = [_argument(lines, line) for line in switches]
    names = tuple(dict.fromkeys(spoken))
    index = {name: place for place, name in enumerate(names)}
    choices = np.array([-1, *(index[name] for name in spoken)], dtype=np.int64)
    return names, choices[np.searchsorted(switches, face_lines)]


def _argument(lines: _Lines, line: int) -> str:
    text = lines.text[lines.starts[line] : lines.ends[line]].tobytes()
    return text.decode("utf-8", errors="replace").partition(" ")[2].strip()
