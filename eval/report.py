"""Results become files: one HTML page that needs nothing else, JSON, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.metrics import Measured, MetricColumn
from eval.page import PackedPictures, SampleId, render_html
from eval.protocol import SampleKey, SampleScore, ScoreConfig
from eval.results import (
    Comparison,
    Results,
    Summary,
    best_methods,
    compare,
    grouped_scores,
    paired_comparisons,
)
from eval.tables import latex_table
from render.errors import UserInputError
from render.files import write_text_atomically

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class ReportFiles:
    """Where a report was written."""

    html: Path
    json: Path
    csv: Path
    latex: Path


@dataclass(frozen=True)
class EarlierReport:
    """The scores of another report, read back for a comparison.

    Attributes:
        path: its results.json.
        methods: in its order.
        scores: of all its methods.
        settings: how it measured.
    """

    path: Path
    methods: tuple[str, ...]
    scores: tuple[SampleScore, ...]
    settings: dict[str, Any]


def results_to_dict(
    results: Results, tool_version: str = "unknown", against: Sequence[Comparison] = ()
) -> dict[str, Any]:
    """Return the results as JSON values; see the field names for units."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": tool_version,
        "source": dict(results.source),
        "settings": _settings(results.config),
        "columns": [_column_dict(column) for column in results.columns],
        "best": best_methods(results),
        "methods": [
            {
                "method": method.method,
                "complete": method.complete,
                "missing": method.missing,
                "columns": {key: _summary_dict(s) for key, s in method.columns.items()},
                "cost": asdict(results.costs[method.method])
                if method.method in results.costs
                else None,
            }
            for method in results.methods
        ],
        "groups": {
            kind: [asdict(group) for group in groups]
            for kind, groups in grouped_scores(results).items()
        },
        "paired_tests": [_comparison_dict(test) for test in paired_comparisons(results)],
        "against": [_comparison_dict(test) for test in against],
        "samples": [_score_dict(score) for score in results.scores],
        "failures": [asdict(failure) for failure in results.failures],
        "notes": list(results.notes),
    }


def _settings(config: ScoreConfig) -> dict[str, Any]:
    return {
        "metrics": list(config.metrics),
        "scale": config.scale,
        "alignment": config.align,
        "seed": config.seed,
        "samples": config.samples,
        "voxels": config.voxels,
        "normal_resolution": config.normal_resolution,
    }


def _column_dict(column: MetricColumn) -> dict[str, Any]:
    names = ("key", "label", "unit", "better", "definition", "headline")
    return {name: getattr(column, name) for name in names}


def _summary_dict(summary: Summary) -> dict[str, Any]:
    return {
        "mean": summary.mean,
        "subject_mean": summary.subject_mean,
        "interval_95": list(summary.interval) if summary.interval else None,
        "views": summary.views,
        "subjects": summary.subjects,
    }


def _comparison_dict(comparison: Comparison) -> dict[str, Any]:
    test = comparison.test
    return {
        "first": comparison.first,
        "second": comparison.second,
        "column": comparison.column,
        "difference": test.difference,
        "interval_95": list(test.interval) if test.interval else None,
        "p_value": test.p_value,
        "subjects": test.subjects,
    }


def _score_dict(score: SampleScore) -> dict[str, Any]:
    key, alignment = score.key, score.alignment
    return {
        "method": score.method,
        "scan_id": key.scan_id,
        "subject": key.subject,
        "view": key.view,
        "yaw_deg": key.yaw_deg,
        "pose_class": key.pose_class,
        "occluded_share": key.occluded_share,
        "values": {name: measured.value for name, measured in score.values.items()},
        "counts": {name: measured.samples for name, measured in score.values.items()},
        "drawing_interval_95": {
            name: list(measured.interval)
            for name, measured in score.values.items()
            if measured.interval is not None
        },
        "normal_error_rad_per_turn": list(score.normal_per_view_rad),
        "alignment": {
            "scale": alignment.scale,
            "rotation_deg": alignment.rotation_deg,
            "translation_cm": list(alignment.translation_cm),
        },
        "seconds": None if score.seconds is None else round(score.seconds, 4),
    }


def results_to_csv(results: Results) -> str:
    """Return one line per method and sample; values in full precision, missing ones empty."""
    keys = [column.key for column in results.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["method", "scan_id", "subject", "view", "yaw_deg", "pose_class", "occluded_share"]
    writer.writerow([*head, *keys, "seconds", "missing"])
    for score in results.scores:
        key = score.key
        share = "" if key.occluded_share is None else f"{key.occluded_share:.4f}"
        seconds = "" if score.seconds is None else f"{score.seconds:.4f}"
        writer.writerow(
            [score.method, key.scan_id, key.subject, key.view, key.yaw_deg, key.pose_class, share]
            + [repr(score.values[name].value) for name in keys]
            + [seconds, ""]
        )
    for failure in results.failures:
        empty = [""] * (len(head) - 4 + len(keys) + 1)
        writer.writerow([failure.method, failure.scan_id, "", failure.view, *empty, failure.reason])
    return text.getvalue()


def read_report(path: Path, flag: str = "--against") -> EarlierReport:
    """Read the results.json of another report.

    Args:
        path: the file, or the folder that holds it.
        flag: named in errors.

    Raises:
        UserInputError: it is no such file.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        scores = tuple(_read_score(entry) for entry in read["samples"])
        methods = tuple(str(entry["method"]) for entry in read["methods"])
        settings = dict(read["settings"])
        schema = read["schema_version"]
    except OSError as error:
        raise UserInputError(
            f"{flag}: expected a results.json of eval-2k2k, got {file} ({error.strerror or error})"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserInputError(
            f"{flag}: expected a results.json of eval-2k2k, got {file}, which is none "
            f"({type(error).__name__}: {error})"
        ) from error
    if schema != SCHEMA_VERSION:
        raise UserInputError(
            f"{flag}: {file}: expected schema version {SCHEMA_VERSION}, got {schema} "
            "(metrics are defined otherwise there; evaluate again)"
        )
    return EarlierReport(file, methods, scores, settings)


def check_comparable(config: ScoreConfig, earlier: EarlierReport, flag: str = "--against") -> None:
    """Raise UserInputError when two reports measure in different ways."""
    for name, value in _settings(config).items():
        if name in ("metrics", "seed"):
            continue
        if earlier.settings.get(name) != value:
            raise UserInputError(
                f"{flag}: {earlier.path}: expected {name.replace('_', ' ')} {value}, as here, got "
                f"{earlier.settings.get(name)}"
            )


def _read_score(entry: dict[str, Any]) -> SampleScore:
    key = SampleKey(
        scan_id=str(entry["scan_id"]),
        subject=str(entry["subject"]),
        view=int(entry["view"]),
        yaw_deg=float(entry["yaw_deg"]),
    )
    values = {
        str(name): Measured(float(value), int(entry["counts"][name]))
        for name, value in entry["values"].items()
    }
    wild = [name for name, measured in values.items() if not math.isfinite(measured.value)]
    if wild:
        raise ValueError(f"{wild[0]}: expected a finite number")
    return SampleScore(str(entry["method"]), key, values)


def compare_with(results: Results, earlier: EarlierReport) -> tuple[Comparison, ...]:
    """Compare each method with its namesake in another report, on the samples of both.

    Where no name is in both, the first methods are compared with each other. The other report's
    names are marked "(other)".
    """
    own = [method.method for method in results.methods]
    pairs = [(name, name) for name in own if name in earlier.methods]
    if not pairs and own and earlier.methods:
        pairs = [(own[0], earlier.methods[0])]
    found = []
    for first, second in pairs:
        for column in results.columns:
            compared = compare(
                results.scores, first, earlier.scores, second, column.key, results.config.seed
            )
            if compared is not None:
                label = f"{second} (other)"
                found.append(Comparison(first, label, column.key, compared.test))
    return tuple(found)


def write_report(
    folder: Path,
    results: Results,
    pictures: dict[SampleId, PackedPictures],
    tool_version: str = "unknown",
    against: Sequence[Comparison] = (),
) -> ReportFiles:
    """Write results.json, .csv, .tex and report.html, each under a temporary name first.

    Raises:
        ValueError: a score is NaN or infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = results_to_dict(results, tool_version, against)
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    files = ReportFiles(
        html=folder / "report.html",
        json=folder / "results.json",
        csv=folder / "results.csv",
        latex=folder / "results.tex",
    )
    write_text_atomically(files.json, text + "\n")
    write_text_atomically(files.csv, results_to_csv(results))
    write_text_atomically(files.latex, latex_table(results))
    write_text_atomically(files.html, render_html(results, pictures, tool_version, against=against))
    return files
