"""Time the reading of an OBJ with texture seams beside trimesh, and count wrong corners."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Corners = Callable[[], tuple[Any, Any]]
"""Gives (F, 3, 3) positions and (F, 3, 2) texture coordinates of what a reader read."""

CHART_QUADS = 16
"""Quads on a side of a chart: about every eighth vertex lies on a seam."""

BASELINE_S = {"trimesh.load": 5.4, "trimesh.load, process=False": 3.4}
"""Seconds in the baseline sheet, for 877,000 vertices on 2 cores of a faster machine."""


@dataclass(frozen=True)
class SeamedMesh:
    """A surface cut into charts.

    Attributes:
        vertices: (V, 3) float64, to six decimals.
        faces: (F, 3) int64.
        uvs: (T, 2) float64, to six decimals; those of each chart are its own.
        uv_faces: (F, 3) int64, indices of uvs.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float64]
    uv_faces: NDArray[np.int64]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-load", __doc__ or "")
    parser.add_argument("--vertices", type=int, default=877_000, help="vertices, about")
    parser.add_argument(
        "--repeats", type=int, default=5, help="runs after one to warm up; the median counts"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def seamed_mesh(vertices: int) -> SeamedMesh:
    """Return a wavy square of about so many vertices, two charts a side or more."""
    import numpy as np

    charts = max(2, round(vertices**0.5 / CHART_QUADS))
    quads = charts * CHART_QUADS
    row, column = np.mgrid[0 : quads + 1, 0 : quads + 1] / quads
    height = 0.05 * np.sin(40.0 * row) * np.cos(60.0 * column)
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    quad = np.stack(np.divmod(np.arange(quads**2), quads), axis=1)
    chart, inner = np.divmod(quad, CHART_QUADS)
    width = charts * (CHART_QUADS + 1)
    uv_chart, uv_inner = np.divmod(np.mgrid[0:width, 0:width], CHART_QUADS + 1)
    # Charts keep a margin, as packers leave one: the two sides of a seam differ everywhere.
    v, u = (uv_chart + 0.05 + 0.9 * uv_inner / CHART_QUADS) / charts

    def triangles(cells: NDArray[np.int64], row_length: int) -> NDArray[np.int64]:
        rows, columns = (cells[:, None] + corners).transpose(2, 0, 1)
        return (rows * row_length + columns)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)

    return SeamedMesh(
        vertices=np.stack([column, row, height], axis=-1).reshape(-1, 3).round(6),
        faces=triangles(quad, quads + 1),
        uvs=np.stack([u, v], axis=-1).reshape(-1, 2).round(6),
        uv_faces=triangles(chart * (CHART_QUADS + 1) + inner, width),
    )


def write_obj(mesh: SeamedMesh, path: Path) -> None:
    """Write v, vt and f v/vt lines."""
    import numpy as np

    corners = np.stack([mesh.faces, mesh.uv_faces], axis=2).reshape(-1, 6) + 1
    with path.open("wb") as file:
        for line, rows in (
            ("v %.6f %.6f %.6f\n", mesh.vertices),
            ("vt %.6f %.6f\n", mesh.uvs),
            ("f %d/%d %d/%d %d/%d\n", corners),
        ):
            for part in np.array_split(rows, max(1, len(rows) // 65536)):
                file.write(((line * len(part)) % tuple(part.ravel().tolist())).encode("ascii"))


def wrong_corners(
    mesh: SeamedMesh, positions: NDArray[np.floating], uvs: NDArray[np.floating]
) -> int:
    """Return how many corners a reader gave another position or texture coordinate.

    Args:
        mesh: the truth.
        positions: (F, 3, 3), of the corners of each face, in the order of the file.
        uvs: (F, 3, 2), the same.
    """
    import numpy as np

    if positions.shape != (len(mesh.faces), 3, 3):
        return int(mesh.faces.size)
    is_right = np.isclose(positions, mesh.vertices[mesh.faces], rtol=0.0, atol=1e-7).all(axis=2)
    is_right &= np.isclose(uvs, mesh.uvs[mesh.uv_faces], rtol=0.0, atol=1e-7).all(axis=2)
    return int(np.count_nonzero(~is_right))


def _read_by_toolkit(path: Path) -> Corners:
    from render.readers import read_mesh

    mesh = read_mesh(path)
    assert mesh.uvs is not None and mesh.uv_faces is not None
    uvs, uv_faces = mesh.uvs, mesh.uv_faces
    return lambda: (mesh.vertices[mesh.faces], uvs[uv_faces])


def _read_by_trimesh(path: Path, **options: Any) -> Corners:
    import trimesh

    mesh: Any = trimesh.load(path, **options)
    return lambda: (mesh.vertices[mesh.faces], mesh.visual.uv[mesh.faces])


READERS: dict[str, Callable[[Path], Corners]] = {
    "this toolkit": _read_by_toolkit,
    "trimesh.load": _read_by_trimesh,
    "trimesh.load, process=False": partial(_read_by_trimesh, process=False),
    "the same, maintain_order=True": partial(_read_by_trimesh, process=False, maintain_order=True),
}


def _run(arguments: argparse.Namespace) -> int:
    mesh = seamed_mesh(arguments.vertices)
    figures: dict[str, Any] = {
        "vertices": len(mesh.vertices),
        "texture coordinates": len(mesh.uvs),
        "faces": len(mesh.faces),
        "readers": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seamed.obj"
        write_obj(mesh, path)
        figures["file_mb"] = round(path.stat().st_size / 1e6, 1)
        for name, read in READERS.items():
            corners = read(path)
            figures["readers"][name] = {
                "seconds": round(_median_seconds(arguments.repeats, path, read), 3),
                "wrong_corners": round(wrong_corners(mesh, *corners()) / mesh.faces.size, 4),
                "baseline_sheet_seconds": BASELINE_S.get(name),
            }
    _print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _median_seconds(repeats: int, path: Path, read: Callable[[Path], Corners]) -> float:
    seconds = []
    for _ in range(max(1, repeats)):
        start = time.perf_counter()
        read(path)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _print_table(figures: dict[str, Any]) -> None:
    print(
        f"OBJ of {figures['vertices']:,} vertices, {figures['texture coordinates']:,} texture "
        f"coordinates, {figures['faces']:,} faces, {figures['file_mb']} MB"
    )
    print(f"  {'':30s} {'time':>10s} {'wrong corners':>13s} {'baseline sheet':>15s}")
    for name, row in figures["readers"].items():
        sheet = row["baseline_sheet_seconds"]
        line = f"  {name:30s} {row['seconds']:8.2f} s {row['wrong_corners']:13.1%}"
        print(line if sheet is None else f"{line} {sheet:13.1f} s")
    print("  baseline sheet: 877,000 vertices, 2 cores of a faster machine")


if __name__ == "__main__":
    sys.exit(main())
