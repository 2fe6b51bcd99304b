"""Time rendering beside casting every pixel's ray for all its hits with trimesh and Embree.

Three ratios on one demo person: the G-buffer of both sides, read back; a whole view (G-buffer,
90 lights, antialiasing, compositing, joints, shard write); and a whole render-dataset process
of seven views, start-up and loading included, divided by its views.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from dataset.synthesis_config import SynthesisConfig
    from tools.bench._casting import Casting
    from tools.bench._clock import Seconds
    from tools.bench._view_steps import ReadyScan

TARGETS = {"G-buffer": 20.0, "whole view": 6.0, "view of a process": 3.0}
"""How many times as fast as the ray casting each should be."""

SHEET_S = 7.4
"""The ray casting in the baseline sheet: 877,000 vertices at 2048 pixels, 2 other cores."""

SHEET_VERTICES, SHEET_RESOLUTION = 800_000, 2048
SLOWER = 4.0 / 3.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run of the bench measures.

    Attributes:
        casting: the ray casting, with the median of its times.
        compared: seconds of what is compared with it, by name as in `TARGETS`.
        steps: seconds of the steps of a view.
        facts: what it was measured on, and how far both results agree.
    """

    casting: Casting
    compared: dict[str, Seconds]
    steps: dict[str, Seconds]
    facts: dict[str, Any]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-render", __doc__ or "")
    add = parser.add_argument
    add("--resolution", type=int, default=2048, help="pixels a side")
    add("--vertices", type=int, default=900_000, help="vertices of the demo person")
    add("--texture", type=int, default=4096, help="side of the texture, pixels")
    add("--repeats", type=int, default=5, help="runs after one to warm up; the median counts")
    add("--casts", type=int, default=3, help="runs of the ray casting; the median counts")
    add("--processes", type=int, default=3, help="runs of render-dataset; the median counts")
    add("--scans", type=Path, metavar="DIR", help="take its first scan; no person is made")
    add("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scans = arguments.scans or _make_person(folder / "scans", arguments)
        measured = _measure(scans, folder, arguments)
    figures = _figures(measured, load)
    _print_report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _make_person(folder: Path, arguments: argparse.Namespace) -> Path:
    from dataset.people.person import make_person, open_studio, plan_person
    from dataset.people.writing import person_id, write_person

    studio, model = open_studio(arguments.texture)
    plan = plan_person(arguments.seed, model, studio.landmarks)
    folder.mkdir(parents=True)
    write_person(make_person(studio, plan, arguments.vertices), plan, folder / person_id(0))
    return folder


def _measure(scans: Path, folder: Path, arguments: argparse.Namespace) -> Measured:
    from dataset.synthesis_config import SynthesisConfig
    from tools.bench._casting import agreement
    from tools.bench._view_steps import draw_gbuffer, ready_scan, time_steps, time_whole_view

    config = SynthesisConfig(resolution=arguments.resolution, seed=arguments.seed)
    with ready_scan(scans, config) as scan:
        casting = _cast(scan, arguments.casts)
        view = draw_gbuffer(scan, antialiased=False)
        steps = time_steps(scan, arguments.repeats)
        compared = {
            "G-buffer": next(iter(steps.values())),
            "whole view": time_whole_view(scan, arguments.repeats),
        }
        facts: dict[str, Any] = {
            "device": scan.renderer,
            "threads": os.environ.get("LP_NUM_THREADS", os.cpu_count()),
            "resolution": arguments.resolution,
            "vertices": len(scan.scene.people[0].mesh.vertices),
            "faces": len(scan.scene.people[0].mesh.faces),
            "person_share": round(float((view.mask > 0).mean()), 4),
            "hits": casting.hits,
            **agreement(view, casting),
        }
        steps["(loading and upload of the scan, once)"] = scan.loading
    process, views = _time_process(scans, folder / "shards", config, arguments.processes)
    compared["view of a process"] = process
    facts["views_of_a_process"] = views
    return Measured(casting=casting, compared=compared, steps=steps, facts=facts)


def _cast(scan: ReadyScan, runs: int) -> Casting:
    """Return the result of the ray casting with the median of its times."""
    from dataclasses import replace

    from render.camera import transform_points
    from tools.bench._casting import cast_all_hits
    from tools.bench._clock import median
    from tools.bench._view_steps import VIEW

    view, mesh = scan.scene.views[VIEW], scan.scene.people[0].mesh
    vertices = transform_points(view.pose @ scan.scene.normalised_from_scans[0], mesh.vertices)
    castings = [cast_all_hits(vertices, mesh.faces, view.camera) for _ in range(runs)]
    return replace(
        castings[0],
        structure=median([casting.structure for casting in castings]),
        rays=median([casting.rays for casting in castings]),
    )


def _time_process(
    scans: Path, out: Path, config: SynthesisConfig, runs: int
) -> tuple[Seconds, int]:
    """Return the time of a render-dataset process for one scan over its views, and those."""
    from tools.bench._clock import Clock, Seconds, median

    command = [sys.executable, "-m", "tools.render_dataset", "--scans", str(scans)]
    command += ["--out", str(out), "--resolution", str(config.resolution)]
    command += ["--seed", str(config.seed), "--jobs", "1", "--limit", "1", "--overwrite"]
    clock, laps = Clock(), []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"render-dataset: exit status {done.returncode}: {done.stderr}")
        laps.append(clock.lap())
    views = len(config.views("any"))
    whole = median(laps)
    return Seconds(whole.wall / views, whole.processor / views), views


def _figures(measured: Measured, load: float) -> dict[str, Any]:
    casting = measured.casting
    baseline = casting.structure + casting.rays
    return {
        **measured.facts,
        "load_before": round(load, 2),
        "ray_casting": baseline.rounded(),
        "of_it_structure": casting.structure.rounded(),
        "of_it_rays": casting.rays.rounded(),
        "compared": {
            name: {
                **seconds.rounded(),
                "times_as_fast": round(baseline.wall / seconds.wall, 2),
                "times_as_fast_by_processor": round(baseline.processor / seconds.processor, 2),
                "times_as_fast_as_the_rays_alone": round(casting.rays.wall / seconds.wall, 2),
                "target": TARGETS[name],
            }
            for name, seconds in measured.compared.items()
        },
        "steps": {name: seconds.rounded() for name, seconds in measured.steps.items()},
    }


def _print_report(figures: dict[str, Any]) -> None:
    print(
        f"{figures['vertices']:,} vertices, {figures['faces']:,} faces, person "
        f"{figures['person_share']:.1%} of {figures['resolution']} px; {figures['device']}, "
        f"{figures['threads']} threads; load before the run {figures['load_before']}"
    )
    print(
        f"agreement with ray casting: mask IoU {figures['mask_iou']:.5f}, "
        f"{figures['share_within_1e-4']:.4%} of smooth pixels within 1e-4"
    )
    heads = f"{'wall s':>9s}{'cpu s':>9s}{'ratio':>8s}{'target':>8s}{'cpu ratio':>11s}"
    print(f"\n{'':44s}{heads}{'rays only':>11s}")
    for label, key in (
        ("ray casting, all hits", "ray_casting"),
        ("  of it the search structure", "of_it_structure"),
        ("  of it the rays", "of_it_rays"),
    ):
        print(_row(label, figures[key]))
    for name, entry in figures["compared"].items():
        ratios = f"{entry['times_as_fast']:8.1f}{entry['target']:8.0f}"
        ratios += f"{entry['times_as_fast_by_processor']:11.1f}"
        print(_row(name, entry) + f"{ratios}{entry['times_as_fast_as_the_rays_alone']:11.1f}")
    print("\nwhere the time of a view goes")
    for name, entry in figures["steps"].items():
        print(_row(name, entry))
    print(
        f"\nthe baseline sheet has {SHEET_S} s for the ray casting, on 2 cores of another machine"
    )
    wall = figures["ray_casting"]["wall"]
    comparable = figures["vertices"] >= SHEET_VERTICES
    if comparable and figures["resolution"] == SHEET_RESOLUTION and wall > SHEET_S * SLOWER:
        print(
            f"warning: it took {wall:.1f} s here, more than a third longer: the machine is slower "
            "or busy, and ratios from it say less"
        )


def _row(name: str, seconds: dict[str, float]) -> str:
    return f"{name:44s}{seconds['wall']:9.3f}{seconds['processor']:9.3f}"


if __name__ == "__main__":
    sys.exit(main())
