"""Mesh the true depth maps of demo people by both methods and measure what comes back.

Distances are means over points drawn from a surface to the other surface, in centimetres:
from the mesh to the scan, and from the scan to the mesh, apart for what the view's rays hit
first or last and for what is hidden between.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.meshing import DepthMaps
    from render.camera import Camera
    from render.mesh import Mesh

LARGEST_CM = 0.15
"""What both directions should stay below on the surface that is hit."""

LARGEST_S = {"stitch": 3.0, "poisson": 20.0}
"""What meshing 2048 pixels should take at most."""

_TOLERANCE = 5e-4
"""How far behind the hit surface a point still counts as hit, normalised units (1 mm)."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-meshing", __doc__ or "")
    add = parser.add_argument
    add("--resolution", type=int, default=2048, help="pixels a side")
    add("--seeds", type=int, nargs="+", default=list(range(10)), help="which demo people")
    add("--vertices", type=int, default=200_000, help="vertices of a demo person")
    add("--methods", nargs="+", default=list(LARGEST_S), choices=list(LARGEST_S), help="which")
    add("--samples", type=int, default=100_000, help="points drawn from each surface")
    add("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dataset.people.person import make_person, open_studio, plan_person
    from render.mesh import Mesh

    load = os.getloadavg()[0]
    studio, model = open_studio(64)
    rows = []
    for seed in tqdm(arguments.seeds, unit="person"):
        plan = plan_person(seed, model, studio.landmarks)
        person = make_person(studio, plan, arguments.vertices)
        scan = Mesh.from_arrays(person.mesh.vertices, person.mesh.faces)
        rows += [{"seed": seed, "pose": plan.pose.name, **row} for row in _measure(scan, arguments)]
    _print_table(rows)
    if arguments.json:
        figures = {"resolution": arguments.resolution, "load": round(load, 2), "people": rows}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _measure(scan: Mesh, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures of one person, metres, by each method."""
    import numpy as np

    from eval.distances import mean_distance_cm
    from eval.surfaces import Surface
    from model.meshing import DepthMaps, mesh_in_scan_frame
    from model.surfaces import SurfaceConfig, reconstruct_surface
    from render.camera import Camera, camera_from_normalised, normalised_from_scan, transform_points
    from render.mesh import transformed
    from render.rasteriser import render_gbuffer
    from tools.bench._clock import Clock

    camera, pose = Camera(arguments.resolution), camera_from_normalised()
    frame = normalised_from_scan(scan.vertices, scan.faces)
    view = render_gbuffer(transformed(scan, frame), camera, pose)
    maps = DepthMaps(view.front.ray_distance, view.back.ray_distance, view.mask > 0)
    truth = Surface(scan.vertices * 100.0, scan.faces.astype(np.int64))
    points = truth.sample(arguments.samples, np.random.default_rng(arguments.seed))
    is_hit = _is_hit(transform_points(pose @ frame, points / 100.0), maps, camera)
    rows = []
    for method in arguments.methods:
        clock = Clock()
        surface = reconstruct_surface(maps, camera, SurfaceConfig(method=method))
        seconds = clock.lap()
        placed = mesh_in_scan_frame(surface, pose, frame)
        mesh = Surface(np.asarray(placed.vertices) * 100.0, np.asarray(placed.faces))
        drawn = mesh.sample(arguments.samples, np.random.default_rng(arguments.seed))
        back = mesh.distances(points)
        means = {
            "mesh_to_scan_cm": mean_distance_cm(truth.distances(drawn)).value,
            "hit_to_mesh_cm": mean_distance_cm(back[is_hit]).value,
            "hidden_to_mesh_cm": mean_distance_cm(back[~is_hit]).value,
        }
        rows.append(
            {
                "method": method,
                **{name: round(value, 4) for name, value in means.items()},
                "hidden_share": round(float(1.0 - is_hit.mean()), 4),
                "watertight": bool(surface.is_watertight and surface.is_winding_consistent),
                "components": int(surface.body_count),
                "faces": len(surface.faces),
                "seconds": seconds.rounded(),
            }
        )
    return rows


def _is_hit(points: NDArray[np.floating], maps: DepthMaps, camera: Camera) -> NDArray[np.bool_]:
    """Return for (N, 3) points, camera frame, whether the rays beside them hit them.

    The depths of the nine pixels around decide, since a surface may be steep.
    """
    import cv2
    import numpy as np

    from render.camera import project

    square = np.ones((3, 3), dtype=np.uint8)
    deepest = cv2.dilate(np.where(maps.mask, maps.front, -np.inf).astype(np.float32), square)
    nearest = cv2.erode(np.where(maps.mask, maps.back, np.inf).astype(np.float32), square)
    places = np.floor(project(points, camera)).astype(int).clip(0, camera.resolution - 1)
    columns, rows = places.T
    distances = np.linalg.norm(points, axis=1)
    return np.asarray(
        (distances < deepest[rows, columns] + _TOLERANCE)
        | (distances > nearest[rows, columns] - _TOLERANCE)
    )


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'seed pose':<20} {'method':<8} {'mesh to scan':>12} {'hit to mesh':>12} "
        f"{'hidden':>8} {'share':>6} {'closed':>6} {'parts':>5} {'faces':>9} {'s':>6}"
    )
    for row in rows:
        print(
            f"{row['seed']:<4} {row['pose']:<15} {row['method']:<8} "
            f"{row['mesh_to_scan_cm']:>9.3f} cm {row['hit_to_mesh_cm']:>9.3f} cm "
            f"{row['hidden_to_mesh_cm']:>5.2f} cm {row['hidden_share']:>6.1%} "
            f"{'yes' if row['watertight'] else 'NO':>6} {row['components']:>5} "
            f"{row['faces']:>9,} {row['seconds']['wall']:>6.1f}"
        )
    print(f"aims: {LARGEST_CM} cm in the first two; seconds {LARGEST_S}")


if __name__ == "__main__":
    raise SystemExit(main())
