"""render-dataset: a folder of scans becomes a shard set."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    make_output_folder,
    new_parser,
    run_command,
    toolkit_version,
)
from tools.render_flags import add_camera_flags, add_picture_flags, add_scan_flags

if TYPE_CHECKING:
    from tqdm import tqdm

    from dataset.scans import Scan
    from dataset.synthesis import Synthesis, SynthesisReport
    from dataset.synthesis_config import SynthesisConfig

COMMAND = "render-dataset"

JOB_BYTES_AT_2048 = 1.6e9
"""Memory of one process at 2048 pixels, measured with a million vertices and an 8K texture."""

JOB_BYTES_AT_LEAST = 0.6e9


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = new_parser(
        COMMAND,
        "Render a folder of scans into a shard set for train-2k2k. Finished scans are kept: "
        "after an interruption the same line goes on where it stopped.",
    )
    add = parser.add_argument
    add("--scans", type=Path, required=True, metavar="DIR", help="folder of scans")
    add("--out", type=Path, default=Path("shards"), metavar="DIR", help="shard set to write")
    add_scan_flags(parser)
    add("--resolution", type=int, default=2048, metavar="PX", help="width and height, pixels")
    add_camera_flags(parser)
    add_picture_flags(parser)
    add(
        "--gpu",
        type=int,
        metavar="N",
        help="the N-th device that EGL lists, from 0 on (default: a graphics card if there is "
        "one); PYOPENGL_PLATFORM=osmesa renders without EGL",
    )
    add("--jobs", type=int, metavar="N", help="processes (default: the cores that memory allows)")
    add(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of a cluster render, all with the same folders under the same "
        "paths: dask://HOST:PORT of a Dask scheduler, or ray://HOST:PORT (docs/clusters.md)",
    )
    add("--limit", type=int, metavar="N", help="render the first N scans only")
    add("--only", nargs="+", metavar="ID", help="render these scans only")
    add(
        "--shard-range",
        type=_share,
        metavar="I/N",
        help="render the I-th of N parts of the scans, I from 1 on: for array jobs that share "
        "--out; the same line without it then completes the set",
    )
    add(
        "--store-mesh",
        choices=("eval", "all", "none"),
        default="eval",
        help="whose mesh goes into the shards, for scoring; eval: validation and test scans",
    )
    add("--overwrite", action="store_true", help="render finished scans again")
    add("--dry-run", action="store_true", help="print counts, bytes and hours; render nothing")
    return parser


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, got {text}")
    return int(number), int(count)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    from dataset.body_model import require_smplx
    from dataset.detectors import make_detector
    from dataset.existing_shards import existing_set
    from dataset.scans import find_scans
    from dataset.synthesis import Synthesis, own_share, scan_set_lists
    from dataset.workers import Crew

    if Crew(cluster=arguments.cluster).cluster is not None:
        # The workers stand in other folders.
        for name in ("scans", "backgrounds", "body_models"):
            path = getattr(arguments, name)
            setattr(arguments, name, None if path is None else path.absolute())
    config = _config(arguments)
    _choose_device(arguments.gpu)
    jobs = _checked_jobs(arguments.jobs, config.resolution, config.people_per_image)
    if arguments.body_models is not None:
        require_smplx()
    if arguments.joints == "detect":
        make_detector(arguments.pose).close()
    found = find_scans(
        arguments.scans,
        arguments.layout,
        manifest=arguments.manifest,
        joints=arguments.joints,
        body_models=arguments.body_models,
        detector=arguments.pose,
    )
    scans = _chosen(found, arguments.only, arguments.limit)
    run = Synthesis(
        scans=scans,
        config=config,
        out=arguments.out,
        lists=scan_set_lists(arguments.scans),
        jobs=jobs,
        cluster=arguments.cluster,
        overwrite=arguments.overwrite,
        share=arguments.shard_range,
        partial=any(
            choice is not None
            for choice in (arguments.only, arguments.limit, arguments.shard_range)
        ),
        tool_version=toolkit_version(),
    )
    existing_set(run.out, config, run.overwrite, run.partial)
    if arguments.dry_run:
        _print_estimate(run)
        return EXIT_OK
    make_output_folder(run.out)
    report = _synthesise_with_bar(run)
    if run.share is not None:
        print(f"{run.out}: index and split lists come from the same line without --shard-range")
        if not own_share(scans, run.share):
            return EXIT_OK
    return _summary(report, arguments.scans, arguments.out)


def _config(arguments: argparse.Namespace) -> SynthesisConfig:
    from dataset.synthesis_config import SynthesisConfig
    from dataset.views import CameraRanges, yaw_angles

    try:
        yaws = tuple(arguments.yaws or yaw_angles(*arguments.angles))
    except ValueError as error:
        raise UserInputError(f"--{error}") from error
    return SynthesisConfig(
        resolution=arguments.resolution,
        yaws_deg=yaws,
        cameras=CameraRanges(
            projection=arguments.camera,
            pitch_deg=tuple(arguments.pitch),
            roll_deg=tuple(arguments.roll),
            fov_deg=tuple(arguments.fov),
            distance=tuple(arguments.distance),
        ),
        people_per_image=arguments.people_per_image,
        rig=arguments.rig,
        composite=arguments.composite,
        store_mesh=arguments.store_mesh,
        backgrounds=arguments.backgrounds,
        background_jitter=arguments.background_jitter,
        seed=arguments.seed,
    )


def _choose_device(number: int | None) -> None:
    """Choose the EGL device of this process and of those that it starts."""
    if number is None:
        return
    if number < 0:
        raise UserInputError(f"--gpu: expected the number of a device from 0 on, got {number}")
    from render.context import DEVICE_VARIABLE

    os.environ[DEVICE_VARIABLE] = str(number)


def _chosen(scans: list[Scan], only: list[str] | None, limit: int | None) -> list[Scan]:
    if only is not None:
        unknown = sorted(set(only) - {scan.scan_id for scan in scans})
        if unknown:
            raise UserInputError(
                f"--only: expected ids of scans ({scans[0].scan_id}, ...), got {unknown[0]}"
            )
        scans = [scan for scan in scans if scan.scan_id in set(only)]
    if limit is not None:
        if limit < 1:
            raise UserInputError(f"--limit: expected at least 1 scan, got {limit}")
        scans = scans[:limit]
    return scans


def _checked_jobs(asked: int | None, resolution: int, people: int) -> int:
    if asked is not None:
        if asked < 1:
            raise UserInputError(f"--jobs: expected at least 1 process, got {asked}")
        return asked
    import joblib

    # The meshes and textures of a group are held at once.
    need = people * max(JOB_BYTES_AT_LEAST, JOB_BYTES_AT_2048 * (resolution / 2048) ** 2)
    return max(1, min(joblib.cpu_count(), int(_available_bytes() // need)))


def _available_bytes() -> float:
    """Return the memory that new processes can have: the system's, or the container's if less."""
    available = float("inf")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = float(line.split()[1]) * 1024.0
    available = min(available, _container_bytes(Path("/sys/fs/cgroup")))
    return available if available != float("inf") else JOB_BYTES_AT_2048


def _container_bytes(group: Path) -> float:
    """Return the memory that is left of a control group's limit, infinity where it has none.

    Files that were read count as used, but make room when memory is asked for.
    """
    limit, used, parts = (group / f"memory.{name}" for name in ("max", "current", "stat"))
    if not (limit.is_file() and used.is_file() and limit.read_text().strip().isdigit()):
        return float("inf")
    lines = parts.read_text().splitlines() if parts.is_file() else []
    cached = sum(float(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return float(limit.read_text()) - float(used.read_text()) + cached


def _print_estimate(run: Synthesis) -> None:
    from dataset.estimates import estimate
    from dataset.synthesis import own_share

    count = len(own_share(run.scans, run.share))
    guess = estimate(count, run.config, run.jobs)
    print(
        f"{count} scans x {len(run.config.yaws_deg)} views of {run.config.resolution} px "
        f"= {guess.views} views; about {guess.bytes / 1e9:.3g} GB and {guess.hours:.2g} hours "
        f"with {run.jobs} jobs; nothing was rendered"
    )


def _synthesise_with_bar(run: Synthesis) -> SynthesisReport:
    from tqdm import tqdm

    from dataset.synthesis import own_share, synthesise

    views = len(run.config.yaws_deg)
    total = len(own_share(run.scans, run.share)) * views
    with tqdm(total=total, unit="view", desc=COMMAND, smoothing=0.1) as bar:
        return synthesise(run, lambda scan_id: _advance(bar, views, scan_id))


def _advance(bar: tqdm, views: int, scan_id: str) -> None:
    bar.set_postfix_str(scan_id, refresh=False)
    bar.update(views)


def _summary(report: SynthesisReport, scans: Path, out: Path) -> int:
    if not report.done and not report.skipped:
        first = next(iter(report.failed.values()))
        raise UserInputError(
            f"{scans}: expected at least one scan that can be used, got {len(report.failed)} "
            f"that cannot; the first: {first}"
        )
    print(
        f"{out}: {len(report.done)} scans rendered, {len(report.skipped)} kept, "
        f"{len(report.failed)} failed"
    )
    if report.without_joints:
        print(
            f"{len(report.without_joints)} scans have no joints, which training "
            f"needs (docs/joints.md has the sources): {_some(report.without_joints)}"
        )
    if report.skipped_backgrounds:
        print(
            f"{len(report.skipped_backgrounds)} background pictures cannot be decoded and were "
            f"skipped: {_some(report.skipped_backgrounds)}"
        )
    for doubt, ids in report.doubts.items():
        print(f"{len(ids)} scans: {doubt}: {_some(ids)}")
    for scan_id, reason in report.failed.items():
        print(f"failed: {scan_id}: {reason}", file=sys.stderr)
    return EXIT_SOME_FAILED if report.failed else EXIT_OK


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (" ..." if len(ids) > 5 else "")


if __name__ == "__main__":
    sys.exit(main())
