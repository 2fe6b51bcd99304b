"""Time distances and winding numbers on two bodies of a given size, beside trimesh."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval.surfaces import Surface
    from tools.bench._clock import Seconds

NOISE_CM = 0.1
HOLES = 60
HOLE_SHARE = 0.07


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-eval", __doc__ or "")
    parser.add_argument("--vertices", type=int, default=877_000, help="vertices of each body")
    parser.add_argument("--samples", type=int, default=100_000, help="points each way")
    parser.add_argument(
        "--trimesh-samples",
        type=int,
        default=10_000,
        help="points each way for trimesh, whose time is scaled up to --samples",
    )
    parser.add_argument("--voxels", type=int, default=256, help="voxels along the longest side")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours; the median counts")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def bumpy_body(vertices: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a closed body with folds, 180 cm tall, as (V, 3) cm and (F, 3) faces."""
    import numpy as np

    rows = max(8, int(np.sqrt(vertices / 2)))
    columns = 2 * rows
    polar, turn = np.meshgrid(
        np.pi * (np.arange(rows) + 0.5) / rows, 2 * np.pi * np.arange(columns) / columns
    )
    polar, turn = polar.T, turn.T
    folds = 1.0 + 0.06 * np.sin(23 * polar) * np.sin(polar) + 0.04 * np.cos(9 * turn + 5 * polar)
    ring = np.sin(polar) * folds
    grid = np.stack([32 * ring * np.cos(turn), -90 * np.cos(polar), -20 * ring * np.sin(turn)], -1)
    points = np.concatenate([grid.reshape(-1, 3), [[0.0, -90.0, 0.0], [0.0, 90.0, 0.0]]])
    index = np.arange(rows * columns).reshape(rows, columns)
    after = np.roll(index, -1, axis=1)
    a, b, c, d = (part.ravel() for part in (index[:-1], after[:-1], after[1:], index[1:]))
    bottom, top = np.full(columns, rows * columns), np.full(columns, rows * columns + 1)
    quads = [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
    caps = [np.stack([bottom, after[0], index[0]], 1), np.stack([top, index[-1], after[-1]], 1)]
    return points, np.concatenate(quads + caps)


def with_holes(body: Surface, rng: np.random.Generator) -> Surface:
    """Return a body without the faces nearest to some places on it."""
    import numpy as np
    from scipy.spatial import cKDTree

    from eval.surfaces import Surface

    middles = body.vertices[body.faces].mean(axis=1)
    places = middles[rng.integers(len(middles), size=HOLES)]
    distance = cKDTree(places).query(middles)[0]
    return Surface(body.vertices, body.faces[distance > np.quantile(distance, HOLE_SHARE)])


def _ours(
    bodies: Sequence[Surface], points: Sequence[NDArray[np.float64]], repeats: int
) -> tuple[Seconds, Seconds]:
    """Return the time both ways with the trees included, and with the trees built."""
    from eval.surfaces import Surface
    from tools.bench._clock import Clock, median

    cold: list[Seconds] = []
    warm: list[Seconds] = []
    for _ in range(max(1, repeats)):
        fresh = [Surface(body.vertices, body.faces) for body in bodies]
        clock = Clock()
        for laps in (cold, warm):
            fresh[1].distances(points[0])
            fresh[0].distances(points[1])
            laps.append(clock.lap())
    return median(cold), median(warm)


def _trimesh(
    bodies: Sequence[Surface], points: Sequence[NDArray[np.float64]], count: int
) -> tuple[Seconds, Seconds]:
    """Return the time of both trees, and of `count` points both ways."""
    import trimesh

    from tools.bench._clock import Clock

    meshes = [trimesh.Trimesh(body.vertices, body.faces, process=False) for body in bodies]
    clock = Clock()
    for mesh in meshes:
        assert mesh.triangles_tree is not None
    trees = clock.lap()
    for mesh, cloud in zip(meshes, reversed(points)):
        trimesh.proximity.closest_point(mesh, cloud[:100])
    clock.lap()
    for mesh, cloud in zip(meshes, reversed(points)):
        trimesh.proximity.closest_point(mesh, cloud[:count])
    return trees, clock.lap()


def _iou(prediction: Surface, scan: Surface, voxels: int, repeats: int) -> tuple[Seconds, float]:
    """Return the time of an IoU with nothing kept of either surface, and the IoU."""
    from eval.surfaces import Surface
    from eval.volumes import volumetric_iou
    from tools.bench._clock import Clock, median

    clock, runs = Clock(), []
    for _ in range(max(1, repeats)):
        first, second = (Surface(body.vertices, body.faces) for body in (prediction, scan))
        measured = volumetric_iou(first, second, voxels)
        runs.append(clock.lap())
    return median(runs), measured.value


def _evaluation(scan: Surface, prediction: Surface) -> tuple[Seconds, dict[str, float]]:
    """Return the time of the default evaluation of one reconstruction, and its scores."""
    import numpy as np

    from eval.protocol import SampleKey, ScoreConfig
    from eval.scorer import Attempt, SurfaceScorer
    from eval.surfaces import Surface
    from tools.bench._clock import Clock

    clock = Clock()
    # New surfaces: nothing is kept of the trees that were built before.
    fresh = [Surface(body.vertices, body.faces) for body in (scan, prediction)]
    with SurfaceScorer(ScoreConfig()) as scorer, scorer.loaded(fresh[0]) as loaded:
        truth = scorer.truth(loaded, SampleKey("body", "body", 0, 0.0), np.eye(3))
        attempt = Attempt(method="noisy copy", surface=fresh[1])
        score, _, _ = scorer.score(attempt, loaded, truth, np.eye(3))
    return clock.lap(), {name: measured.value for name, measured in score.values.items()}


def _run(arguments: argparse.Namespace) -> int:
    import numpy as np

    from eval.surfaces import Surface
    from tools.bench._clock import Seconds

    rng = np.random.default_rng(arguments.seed)
    vertices, faces = bumpy_body(arguments.vertices)
    noisy = vertices + rng.normal(0, NOISE_CM, vertices.shape)
    bodies = [Surface(vertices, faces), Surface(noisy, faces)]
    points = [body.sample(arguments.samples, rng) for body in bodies]
    cold, warm = _ours(bodies, points, arguments.repeats)
    trees, part = _trimesh(bodies, points, arguments.trimesh_samples)
    scale = arguments.samples / arguments.trimesh_samples
    theirs = Seconds(part.wall * scale, part.processor * scale)
    holed = with_holes(bodies[0], rng)
    shared, whole = _iou(bodies[1], bodies[0], arguments.voxels, arguments.repeats)
    _, iou = _iou(holed, bodies[0], arguments.voxels, 1)
    evaluation, scores = _evaluation(bodies[0], bodies[1])
    seconds = {
        "distances, trees built": warm,
        "distances, trees included": cold,
        "trimesh distances, trees built": theirs,
        "trimesh distances, trees included": theirs + trees,
        "volumetric IoU of both": shared,
        "default evaluation of one reconstruction": evaluation,
    }
    figures: dict[str, Any] = {
        "cores": os.cpu_count(),
        "vertices": len(vertices),
        "faces": len(faces),
        "samples_each_way": arguments.samples,
        "trimesh_samples_each_way": arguments.trimesh_samples,
        "voxels": arguments.voxels,
        "seconds": {name: value.rounded() for name, value in seconds.items()},
        "times_as_fast_as_trimesh": {
            "trees built": _ratios(theirs, warm),
            "trees included": _ratios(theirs + trees, cold),
        },
        "iou": whole,
        "iou_without_7_percent_of_the_faces": iou,
        "scores": scores,
    }
    _print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _ratios(slow: Seconds, fast: Seconds) -> dict[str, float]:
    return {
        "wall": round(slow.wall / fast.wall, 2),
        "processor": round(slow.processor / fast.processor, 2),
    }


def _print_table(figures: dict[str, Any]) -> None:
    print(
        f"{figures['vertices']:,} vertices, {figures['samples_each_way']:,} points each way, "
        f"{figures['voxels']} voxels, {figures['cores']} cores"
    )
    print(f"  {'':42s}     wall  processor")
    for name, value in figures["seconds"].items():
        print(f"  {name:42s} {value['wall']:8.3f}   {value['processor']:8.3f} s")
    for name, value in figures["times_as_fast_as_trimesh"].items():
        title = f"times as fast as trimesh, {name}"
        print(f"  {title:42s} {value['wall']:8.1f}   {value['processor']:8.1f}")
    print(f"  {'IoU of both':42s} {figures['iou']:8.5f}")
    print(
        f"  {'IoU with 7 % of the faces removed':42s} "
        f"{figures['iou_without_7_percent_of_the_faces']:8.5f}"
    )


if __name__ == "__main__":
    sys.exit(main())
