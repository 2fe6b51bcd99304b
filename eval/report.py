"""Results become files: one HTML page that needs nothing else, JSON, CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from eval.metrics import MetricColumn
from eval.pictures import SamplePictures, SidePictures, depth_bar, jpeg_bytes
from eval.protocol import SCALE, Results, SampleScore, Summary, best_methods

SCHEMA_VERSION = 1
TURN_NAMES = ("mesh 0°", "mesh 90°", "mesh 180°", "mesh 270°")
CELL = 256
SampleId = tuple[str, int]


@dataclass(frozen=True)
class ReportFiles:
    """Where a report was written."""

    html: Path
    json: Path
    csv: Path


@dataclass(frozen=True)
class PackedPictures:
    """The pictures of one sample as data URIs, small enough to keep for all samples.

    Attributes:
        image: the input.
        rows: name of the method (or scan) and its (caption, data URI) cells.
        depth_range_cm: ends of the depth colours.
    """

    image: str
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    depth_range_cm: tuple[float, float]


def pack_pictures(pictures: SamplePictures, cell: int = CELL) -> PackedPictures:
    """Encode the pictures of one sample for the page."""

    def row(side: SidePictures) -> tuple[str, tuple[tuple[str, str], ...]]:
        named = [
            ("normals, front", side.normal_front),
            ("normals, back", side.normal_back),
            ("depth, front", side.depth_front),
            ("depth, back", side.depth_back),
            *zip(TURN_NAMES, side.turns, strict=True),
        ]
        return side.name, tuple(
            (caption, _data_uri(jpeg_bytes(picture, cell))) for caption, picture in named
        )

    return PackedPictures(
        image=_data_uri(jpeg_bytes(pictures.image, cell)),
        rows=tuple(row(side) for side in (pictures.scan, *pictures.methods)),
        depth_range_cm=pictures.depth_range_cm,
    )


def results_to_dict(results: Results, tool_version: str = "unknown") -> dict[str, Any]:
    """Return the results as JSON values; see the field names for units."""
    config = results.config
    return {
        "schema_version": SCHEMA_VERSION,
        "tool_version": tool_version,
        "source": dict(results.source),
        "settings": {
            "metrics": list(config.metrics),
            "scale": SCALE,
            "alignment": "none",
            "seed": config.seed,
            "samples": config.samples,
            "voxels": config.voxels,
            "normal_resolution": config.normal_resolution,
        },
        "columns": [
            {
                "key": column.key,
                "label": column.label,
                "unit": column.unit,
                "better": column.better,
                "definition": column.definition,
            }
            for column in results.columns
        ],
        "best": best_methods(results),
        "methods": [
            {
                "method": method.method,
                "complete": method.complete,
                "columns": {key: _summary_dict(s) for key, s in method.columns.items()},
            }
            for method in results.methods
        ],
        "samples": [_score_dict(score) for score in results.scores],
        "failures": [
            {"method": f.method, "scan_id": f.scan_id, "view": f.view, "reason": f.reason}
            for f in results.failures
        ],
    }


def _summary_dict(summary: Summary) -> dict[str, Any]:
    return {
        "mean": summary.mean,
        "subject_mean": summary.subject_mean,
        "interval_95": list(summary.interval) if summary.interval else None,
        "views": summary.views,
        "subjects": summary.subjects,
    }


def _score_dict(score: SampleScore) -> dict[str, Any]:
    return {
        "method": score.method,
        "scan_id": score.key.scan_id,
        "subject": score.key.subject,
        "view": score.key.view,
        "yaw_deg": score.key.yaw_deg,
        "values": {name: measured.value for name, measured in score.values.items()},
        "counts": {name: measured.samples for name, measured in score.values.items()},
        "normal_error_rad_per_turn": list(score.normal_per_view_rad),
        "seconds": round(score.seconds, 4),
    }


def results_to_csv(results: Results) -> str:
    """Return one line per method and sample; values in full precision."""
    keys = [column.key for column in results.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "scan_id", "subject", "view", "yaw_deg", *keys, "seconds"])
    for score in results.scores:
        key = score.key
        writer.writerow(
            [score.method, key.scan_id, key.subject, key.view, key.yaw_deg]
            + [repr(score.values[name].value) for name in keys]
            + [f"{score.seconds:.4f}"]
        )
    return text.getvalue()


def format_value(column: MetricColumn, value: float) -> str:
    """Return a score as it is shown: centimetres with 2 digits, the rest with 3."""
    return f"{value:.2f}" if column.unit == "cm" else f"{value:.3f}"


def heading(column: MetricColumn) -> str:
    """Return the column's heading: name, unit, and an arrow towards better."""
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.label}{unit} {'↓' if column.better == 'lower' else '↑'}"


def results_table(results: Results) -> str:
    """Return the methods-by-metrics table as text; the best of each column has a star."""
    best = best_methods(results)
    rows = [["method", *(heading(column) for column in results.columns), "views"]]
    for method in results.methods:
        cells = [method.method]
        for column in results.columns:
            summary = method.columns.get(column.key)
            star = "*" if best.get(column.key) == method.method else " "
            cells.append(f"{format_value(column, summary.mean)}{star}" if summary else "- ")
        views = max((summary.views for summary in method.columns.values()), default=0)
        rows.append([*cells, str(views)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def render_html(
    results: Results,
    pictures: dict[SampleId, PackedPictures],
    tool_version: str = "unknown",
    title: str = "2K2K evaluation",
) -> str:
    """Return the page, with every picture inside it.

    Args:
        results: what was measured.
        pictures: by (scan id, view); samples without an entry have their scores alone.
        tool_version: named in the footer.
        title: of the page.
    """
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_template_text),
    )
    environment.filters["heading"] = heading
    environment.globals["format_value"] = format_value
    order = {column.key: column for column in results.columns}
    return environment.get_template("report.html").render(
        title=title,
        results=results,
        columns=list(order.values()),
        best=best_methods(results),
        samples=_samples_for_page(results, pictures),
        views=len({(s.key.scan_id, s.key.view) for s in results.scores}),
        subjects=len({s.key.subject for s in results.scores}),
        depth_bar=_data_uri(jpeg_bytes(depth_bar())),
        scale=SCALE,
        tool_version=tool_version,
    )


def _samples_for_page(
    results: Results, pictures: dict[SampleId, PackedPictures]
) -> list[dict[str, Any]]:
    grouped: dict[SampleId, list[SampleScore]] = {}
    for score in results.scores:
        grouped.setdefault((score.key.scan_id, score.key.view), []).append(score)
    page = []
    for identity, scores in grouped.items():
        packed = pictures.get(identity)
        by_method = {score.method: score for score in scores}
        page.append(
            {
                "key": scores[0].key,
                "scores": scores,
                "by_method": by_method,
                "pictures": packed,
            }
        )
    return page


def write_report(
    folder: Path,
    results: Results,
    pictures: dict[SampleId, PackedPictures],
    tool_version: str = "unknown",
) -> ReportFiles:
    """Write results.json, results.csv and report.html, each under a temporary name first.

    Raises:
        ValueError: a score is NaN or infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = ReportFiles(folder / "report.html", folder / "results.json", folder / "results.csv")
    values = results_to_dict(results, tool_version)
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    _write(files.json, text + "\n")
    _write(files.csv, results_to_csv(results))
    _write(files.html, render_html(results, pictures, tool_version))
    return files


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _template_text(name: str) -> str:
    return (resources.files("eval") / "templates" / name).read_text(encoding="utf-8")
