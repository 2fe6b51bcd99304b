"""Time the rasteriser, the lights and the backgrounds on a textured body of a given size."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from render.mesh import Mesh


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-render", __doc__ or "")
    parser.add_argument("--resolution", type=int, default=2048, help="pixels a side")
    parser.add_argument("--vertices", type=int, default=870_000, help="vertices of the body")
    parser.add_argument("--texture", type=int, default=4096, help="texture size, pixels")
    parser.add_argument("--repeats", type=int, default=5, help="runs; the fastest counts")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def bumpy_body(vertices: int, texture: int, seed: int) -> Mesh:
    """Return a closed, textured body about as tall and broad as a person, with folds."""
    import numpy as np

    from render.mesh import Material, Mesh

    rows = max(8, int(np.sqrt(vertices / 2)))
    columns = 2 * rows
    v, u = np.mgrid[0 : rows + 1, 0 : columns + 1]
    v, u = v / rows, u / columns
    polar, turn = np.pi * (1.0 - v), 2.0 * np.pi * u
    folds = 1.0 + 0.06 * np.sin(23 * polar) * np.sin(polar) + 0.04 * np.cos(9 * turn + 5 * polar)
    ring = np.sin(polar) * folds
    points = np.stack(
        [0.13 * ring * np.sin(turn), 0.34 * np.cos(polar), 0.09 * ring * np.cos(turn)], axis=-1
    )
    # The seam and the poles are closed: equal positions, different texture coordinates.
    index = np.arange((rows + 1) * columns).reshape(rows + 1, columns)
    index = np.concatenate([index, index[:, :1]], axis=1)
    uv_index = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)

    def faces(corners: np.ndarray) -> np.ndarray:
        a, b = corners[:-1, :-1].ravel(), corners[:-1, 1:].ravel()
        c, d = corners[1:, 1:].ravel(), corners[1:, :-1].ravel()
        return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])

    pixels = np.random.default_rng(seed).integers(0, 255, (texture, texture, 3)).astype(np.uint8)
    return Mesh.from_arrays(
        points[:, :-1].reshape(-1, 3),
        faces(index),
        uvs=np.stack([u, v], axis=-1).reshape(-1, 2),
        uv_faces=faces(uv_index),
        materials=(Material("body", np.ones(3), pixels),),
    )


def _fastest(repeats: int, work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some runs, after one that warms up."""
    work()
    seconds = []
    for _ in range(max(1, repeats)):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _run(arguments: argparse.Namespace) -> int:
    import numpy as np

    from render.backgrounds import BackgroundSource
    from render.camera import Camera, camera_from_normalised
    from render.compositing import composite, premultiply
    from render.context import OffscreenContext
    from render.lights import draw_rig, shade
    from render.rasteriser import Rasteriser

    mesh = bumpy_body(arguments.vertices, arguments.texture, arguments.seed)
    camera, pose = Camera(arguments.resolution), camera_from_normalised(10.0)
    repeats, seconds = arguments.repeats, {}
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        start = time.perf_counter()
        handle = rasteriser.upload(mesh)
        seconds["upload mesh and texture"] = time.perf_counter() - start
        view = rasteriser.render(handle, camera, pose)
        seconds["rasterise both sides"] = _fastest(
            repeats, lambda: rasteriser.render(handle, camera, pose)
        )
        seconds["rasterise front only"] = _fastest(
            repeats, lambda: rasteriser.render(handle, camera, pose, "front")
        )
        rig = draw_rig("paper", np.random.default_rng(arguments.seed))
        lit = shade(view.front, rig, camera, view.mask)
        seconds["light one side, 90 lights"] = _fastest(
            repeats, lambda: shade(view.front, rig, camera, view.mask)
        )
        seconds["premultiply and composite"] = _fastest(
            repeats, lambda: composite(premultiply(lit, view.coverage), view.coverage, lit)
        )
        with BackgroundSource(None, context) as rooms:
            rng = np.random.default_rng(arguments.seed)
            seconds["draw a room"] = _fastest(repeats, lambda: rooms.draw(rng, camera.resolution))
        renderer = context.renderer
        rasteriser.release(handle)
    figures = {
        "device": renderer,
        "resolution": camera.resolution,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "person_share": round(float((view.mask > 0).mean()), 4),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }
    _print_table(figures, seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _print_table(figures: dict[str, object], seconds: dict[str, float]) -> None:
    print(
        f"{figures['vertices']:,} vertices, {figures['faces']:,} faces, "
        f"{figures['resolution']} px, {figures['device']}"
    )
    for name, value in seconds.items():
        print(f"  {name:28s} {value:8.3f} s")


if __name__ == "__main__":
    sys.exit(main())
