"""Measure joints that are detected around demo people against their true ones."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dataset.detectors import DetectorName

MAIN_PARTS = ("nose", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


@dataclass(frozen=True)
class Errors:
    """Distances of detected joints from true ones.

    Attributes:
        distance_cm: (P, 31) NaN where a joint is missing.
        filled: (P, 31) bool, put at its neighbours.
        swapped: (P, 31) bool, nearer to the true joint of the other side than to its own.
        reprojection_cm: (P, 31) as the detection itself reports it, NaN where filled or missing.
        seconds: per person.
    """

    distance_cm: NDArray[np.float64]
    filled: NDArray[np.bool_]
    swapped: NDArray[np.bool_]
    reprojection_cm: NDArray[np.float64]
    seconds: float


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = new_parser("bench-joints", __doc__ or "")
    parser.add_argument(
        "--scans", type=Path, help="scans with true joints (default: demo people are made)"
    )
    parser.add_argument("--count", type=int, default=20, help="people")
    parser.add_argument("--vertices", type=int, default=60_000, help="of each demo person")
    parser.add_argument(
        "--pose", choices=("mediapipe", "openpifpaf"), default="mediapipe", help="the detector"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    return run_command(build_parser(), _run, argv)


def joint_errors(scans: Path, pose: DetectorName, count: int) -> Errors:
    """Detect the joints of the first scans of a folder and compare them with their sidecars."""
    import numpy as np
    from tqdm import tqdm

    from dataset.detectors import make_detector
    from dataset.joint_detection import find_joints
    from dataset.joints import FILLED_CONFIDENCE, MIRRORED_JOINTS
    from dataset.scans import find_scans, load_scan
    from render.context import OffscreenContext
    from render.rasteriser import Rasteriser

    distances, filled, swapped, reported, seconds = [], [], [], [], []
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        with make_detector(pose) as detector:
            for scan in tqdm(find_scans(scans, joints="sidecar")[:count], unit="person"):
                person = load_scan(scan)
                if person.joints is None:
                    raise UserInputError(f"{scan.mesh_path}: expected joints beside it, found none")
                started = time.perf_counter()
                found = find_joints(person, rasteriser, detector)
                seconds.append(time.perf_counter() - started)
                here, true = found.joints, person.joints[:, :3]
                own = np.linalg.norm(here[:, :3] - true, axis=1) * person.unit_cm
                other = np.linalg.norm(here[:, :3] - true[list(MIRRORED_JOINTS)], axis=1)
                distances.append(np.where(here[:, 3] > 0.0, own, np.nan))
                filled.append(here[:, 3] == FILLED_CONFIDENCE)
                swapped.append(other * person.unit_cm < own)
                reported.append(found.error_cm)
    return Errors(
        distance_cm=np.array(distances),
        filled=np.array(filled),
        swapped=np.array(swapped),
        reprojection_cm=np.array(reported),
        seconds=float(np.median(seconds)),
    )


def summary(errors: Errors) -> dict[str, Any]:
    """Return medians per joint, and the largest of main, of other detected and of filled ones."""
    import numpy as np

    from dataset.joints import JOINT_NAMES

    joints: dict[str, dict[str, Any]] = {}
    for row, name in enumerate(JOINT_NAMES):
        distance = errors.distance_cm[:, row]
        known = distance[~np.isnan(distance)]
        reported = errors.reprojection_cm[~np.isnan(errors.reprojection_cm[:, row]), row]
        is_main = name.removeprefix("left_").removeprefix("right_") in MAIN_PARTS
        is_filled = bool(errors.filled[:, row].mean() > 0.5)
        joints[name] = {
            "kind": "filled" if is_filled else "main" if is_main else "other",
            "median_cm": round(float(np.median(known)), 2) if len(known) else None,
            "p90_cm": round(float(np.percentile(known, 90)), 2) if len(known) else None,
            "reprojection_cm": round(float(np.median(reported)), 2) if len(reported) else None,
            "missing": len(distance) - len(known),
        }
    return {
        "people": len(errors.distance_cm),
        "seconds_per_person": round(errors.seconds, 2),
        "swapped": int(errors.swapped.sum()),
        "largest_median_cm": {
            kind: max(
                (row["median_cm"] or 0.0 for row in joints.values() if row["kind"] == kind),
                default=None,
            )
            for kind in ("main", "other", "filled")
        },
        "joints": joints,
    }


def _run(arguments: argparse.Namespace) -> int:
    if arguments.count < 1:
        raise UserInputError(f"--count: expected at least 1 person, found {arguments.count}")
    with tempfile.TemporaryDirectory() as folder:
        scans = arguments.scans
        if scans is None:
            scans = Path(folder)
            _make_people(scans, arguments)
        figures = summary(joint_errors(scans, arguments.pose, arguments.count))
    _print(figures)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _make_people(folder: Path, arguments: argparse.Namespace) -> None:
    from tools.make_demo_scans import main as make_demo_scans

    wanted = {"out": folder, "count": arguments.count, "seed": arguments.seed}
    wanted["vertices"] = arguments.vertices
    status = make_demo_scans(
        [text for key, value in wanted.items() for text in (f"--{key}", str(value))]
    )
    if status != EXIT_OK:
        raise UserInputError("make-demo-scans: expected demo people, found its error above")


def _print(figures: dict[str, Any]) -> None:
    print(
        f"{figures['people']} people, {figures['seconds_per_person']} s each; joints nearer to the "
        f"other side's: {figures['swapped']}"
    )
    print(
        f"{'joint':18} {'kind':7} {'median cm':>9} {'90 % cm':>8} {'reprojection cm':>16} missing"
    )
    for name, row in figures["joints"].items():
        median, most, reported = (
            "-" if row[key] is None else f"{row[key]:.2f}"
            for key in ("median_cm", "p90_cm", "reprojection_cm")
        )
        print(f"{name:18} {row['kind']:7} {median:>9} {most:>8} {reported:>16} {row['missing']:7}")
    largest = figures["largest_median_cm"]
    print("largest median, cm: " + ", ".join(f"{kind} {value}" for kind, value in largest.items()))


if __name__ == "__main__":
    sys.exit(main())
