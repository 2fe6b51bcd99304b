from __future__ import annotations

import random

import numpy as np
import pytest

from render import obj_text
from render.obj_text import parse_obj

Corner = tuple[int, int, int]


def _line_by_line(text: str) -> tuple[dict[str, list[list[float]]], list[list[Corner]]]:
    """Read an OBJ in the plainest way: values by keyword, and triangles with indices from 0."""
    rows: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
    triangles = []
    for line in text.replace("\\\n", " ").splitlines():
        keyword, *words = line.partition("#")[0].split() or [""]
        if keyword in rows:
            rows[keyword].append([float(word) for word in words])
        elif keyword == "f":
            corners = []
            for word in words:
                indices = [int(part or 0) for part in (word + "//").split("/")[:3]]
                counts = (len(rows["v"]), len(rows["vt"]), len(rows["vn"]))
                pairs = zip(indices, counts)
                corners.append(tuple(i - 1 if i >= 0 else count + i for i, count in pairs))
            triangles += [
                [corners[0], corners[step], corners[step + 1]]
                for step in range(1, len(corners) - 1)
            ]
    return rows, triangles


def _random_obj(seed: int) -> str:
    """Interleaved lines of all kinds, of any polygons and corner forms."""
    rng = random.Random(seed)
    counts = {"v": 0, "vt": 0, "vn": 0}
    lines = ["mtllib a.mtl"]

    def index(keyword: str) -> str:
        chosen = rng.randint(1, counts[keyword])
        return str(chosen if rng.random() < 0.8 else chosen - counts[keyword] - 1)

    def number() -> str:
        value = rng.gauss(0.0, 1.0) * 10.0 ** rng.randint(-6, 6)
        return rng.choice([f"{value:.6f}", repr(value), f"{value:g}", f"{value:.5e}", "7"])

    for _ in range(rng.randint(20, 200)):
        keyword = rng.choice(["v", "vt", "vn", "f", "f", "other"])
        if keyword == "f" and min(counts.values()) > 0:
            form = rng.choice(["{v}", "{v}/{vt}", "{v}//{vn}", "{v}/{vt}/{vn}"])
            words = [
                form.format(**{key: index(key) for key in counts})
                for _ in range(rng.choice([3, 3, 4, 7]))
            ]
        elif keyword in counts:
            counts[keyword] += 1
            words = [number() for _ in range(2 if keyword == "vt" else 3)]
        else:
            keyword, words = rng.choice(["g", "s", "# f", "", "usemtl", "l"]), ["1", "2"]
        blank = rng.choice([" ", "  ", "\t", " \\\n"])
        lines.append(
            rng.choice(["", " \t"]) + blank.join([keyword, *words]) + rng.choice(["", " # 1"])
        )
    return "\n".join(lines)


@pytest.mark.parametrize("block_bits", [5, 18])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_file_reads_as_it_does_line_by_line(
    monkeypatch: pytest.MonkeyPatch, block_bits: int, line_end: str
) -> None:
    monkeypatch.setattr(obj_text, "_BLOCK_BITS", block_bits)
    for seed in range(12):
        text = _random_obj(seed)
        arrays = parse_obj(text.replace("\n", line_end).encode())
        rows, triangles = _line_by_line(text)
        for keyword, found in (("v", arrays.vertices), ("vt", arrays.uvs), ("vn", arrays.normals)):
            np.testing.assert_array_equal(found, np.reshape(rows[keyword], (-1, found.shape[1])))
        corners = np.stack([arrays.faces, arrays.uv_faces, arrays.normal_faces], axis=2)
        np.testing.assert_array_equal(corners, np.reshape(triangles, (-1, 3, 3)))


def test_corner_forms_may_change_within_a_face_and_slashes_may_trail() -> None:
    head = "v 0 0 0\n" * 4 + "vt 0 0\n" * 4 + "vn 0 0 1\n" * 4
    arrays = parse_obj(f"{head}f 1 2/3 3//4 4/1/2\nf 1/1/ 2// 3/\n".encode())
    np.testing.assert_array_equal(arrays.faces, [[0, 1, 2], [0, 2, 3], [0, 1, 2]])
    np.testing.assert_array_equal(arrays.uv_faces, [[-1, 2, -1], [-1, -1, 0], [0, -1, -1]])
    np.testing.assert_array_equal(arrays.normal_faces, [[-1, -1, 3], [-1, 3, 1], [-1, -1, -1]])


@pytest.mark.parametrize(
    "face",
    ["1 2 3-4", "1 2 /3", "1 2 3.0", "1 2 3/4/5/6", "1 2 3//4/5", "1 2 3///4", "1 2 - 3",
     "1 2 --3", "1 2 x", "1 2 1234567890"],
)  # fmt: skip
def test_faces_of_another_form_are_refused(face: str) -> None:
    with pytest.raises(ValueError, match="'f' lines: expected"):
        parse_obj(f"v 0 0 0\nf {face}\n".encode())


def test_every_corner_of_a_seam_has_its_own_texture_coordinates() -> None:
    """A cube unfolded into a cross: 8 vertices, 14 texture coordinates."""
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    # Side by side: which vertices (from 1 on) and which cells of the cross they are laid on.
    faces = {
        (1, 3, 7, 5): (1, 1), (2, 6, 8, 4): (3, 1), (1, 2, 4, 3): (0, 1),
        (5, 7, 8, 6): (2, 1), (1, 5, 6, 2): (1, 0), (3, 4, 8, 7): (1, 2),
    }  # fmt: skip
    places: dict[tuple[int, int], int] = {}
    expected, lines = [], ["v %d %d %d" % corner for corner in corners]
    for vertices, (column, row) in faces.items():
        cell = [(column, row), (column, row + 1), (column + 1, row + 1), (column + 1, row)]
        numbers = [places.setdefault(place, len(places) + 1) for place in cell]
        pairs = zip(vertices, numbers)
        lines.append("f " + " ".join(f"{vertex}/{uv}" for vertex, uv in pairs))
        quad = [(vertex - 1, place) for vertex, place in zip(vertices, cell)]
        expected += [[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]
    lines += [f"vt {u / 4} {v / 4}" for u, v in places]
    arrays = parse_obj("\n".join(lines).encode())
    assert len(arrays.vertices) == 8 and len(arrays.uvs) == 14
    for face, uv_face, wanted in zip(arrays.faces, arrays.uv_faces, expected):
        assert face.tolist() == [vertex for vertex, _ in wanted]
        np.testing.assert_array_equal(arrays.uvs[uv_face] * 4, [place for _, place in wanted])
