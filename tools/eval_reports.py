"""What both ways of eval-2k2k share: where results go, the report, what is said at the end."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, EXIT_SOME_FAILED, toolkit_version

if TYPE_CHECKING:
    from eval.page import PackedPictures, SampleId
    from eval.pictures import SamplePictures
    from eval.protocol import ScoreConfig
    from eval.report import EarlierReport
    from eval.results import Comparison, Results

RESULT_FILES = (
    "results.json",
    "results.csv",
    "results.tex",
    "report.html",
    "results_overview.png",
)


def check_results_folder(folder: Path, overwrite: bool) -> None:
    """Raise UserInputError when earlier results would be replaced without being asked to."""
    if folder.exists() and not folder.is_dir():
        raise UserInputError(f"--out: expected a folder, got the file {folder}")
    found = [name for name in RESULT_FILES if (folder / name).exists()]
    if found and not overwrite:
        raise UserInputError(
            f"{folder}: expected no earlier results, found {found[0]} "
            "(give --overwrite to replace them or --out for another folder)"
        )


def score_config(arguments: argparse.Namespace) -> ScoreConfig:
    """Return what is measured.

    Raises:
        UserInputError: an unknown metric, or a size out of range.
    """
    from eval.protocol import ScoreConfig

    return ScoreConfig(
        metrics=tuple(dict.fromkeys(arguments.metrics)),
        samples=arguments.samples,
        voxels=arguments.voxels,
        normal_resolution=arguments.normal_resolution,
        seed=arguments.seed,
        scale=arguments.scale,
        align=arguments.align,
    )


def check_measurement(arguments: argparse.Namespace) -> EarlierReport | None:
    """Return the report to compare with, if any.

    Raises:
        UserInputError: what is to be measured, or compared with, is not usable.
    """
    from eval.report import check_comparable, read_report

    config = score_config(arguments)
    if arguments.timing_runs < 0:
        raise UserInputError(f"--timing-runs: expected 0 or more, got {arguments.timing_runs}")
    if arguments.against is None:
        return None
    earlier = read_report(arguments.against)
    check_comparable(config, earlier)
    return earlier


def versions() -> str:
    """Return the versions of what the numbers depend on, in one line."""
    names = ("numpy", "scipy", "libigl", "torch")
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def publish(
    out: Path,
    results: Results,
    packed: Mapping[SampleId, PackedPictures],
    overview: list[tuple[str, SamplePictures]],
    earlier: EarlierReport | None,
) -> int:
    """Write the report into a folder, print the table and what failed; return the status.

    Args:
        out: the folder.
        results: what was measured.
        packed: pictures of the report.
        overview: label and pictures of the samples of the overview picture; may be empty.
        earlier: another report, to compare with.
    """
    from eval.report import compare_with, write_report
    from eval.tables import headline_columns, results_table

    compared: tuple[Comparison, ...] = ()
    if earlier is not None:
        compared = compare_with(results, earlier)
    files = write_report(out, results, dict(packed), toolkit_version(), compared)
    picture = _write_overview(out, overview, results.methods[0].method)
    print(results_table(results))
    print("Mean over views; * marks the best of the methods that scored every view.")
    for note in results.notes:
        print(note)
    if earlier is not None:
        shown = {column.key for column in headline_columns(results)}
        _print_comparisons([entry for entry in compared if entry.column in shown], earlier.path)
    if picture is not None:
        print(f"Overview: {picture}")
    print(f"Report: {files.html}")
    if not results.failures:
        return EXIT_OK
    print(f"Not scored: {len(results.failures)}")
    for failure in results.failures:
        print(f"  {failure.scan_id} view {failure.view} ({failure.method}): {failure.reason}")
    return EXIT_SOME_FAILED


def _print_comparisons(compared: Sequence[Comparison], against: Path) -> None:
    if not compared:
        print(f"Against {against}: no view is in both")
    for entry in compared:
        test = entry.test
        chance = "too few for a p value" if test.p_value is None else f"p = {test.p_value:.3g}"
        print(
            f"{entry.first} minus {entry.second}, {entry.column}: {test.difference:+.4f} "
            f"({chance}, {test.subjects} subjects)"
        )


def _write_overview(
    out: Path, overview: list[tuple[str, SamplePictures]], method: str
) -> Path | None:
    import cv2

    from eval.pictures import overview_picture

    if not overview:
        return None
    path = out / "results_overview.png"
    partial = out / "results_overview.partial.png"
    cv2.imwrite(str(partial), overview_picture(overview, method)[..., ::-1])
    partial.replace(path)
    return path
