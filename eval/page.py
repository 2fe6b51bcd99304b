"""The page of a report: one HTML file with its pictures, its style and its script inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
import numpy as np

from eval.heat import HEAT_END_CM, HEAT_TICKS_CM, heat_bar
from eval.metrics import MetricColumn
from eval.pictures import (
    FIGURE_TITLES,
    HEAT_TITLES,
    MAP_TITLES,
    TURN_TITLES,
    SamplePictures,
    SidePictures,
    depth_bar,
    jpeg_bytes,
)
from eval.protocol import SampleScore
from eval.results import (
    Comparison,
    Results,
    best_methods,
    grouped_scores,
    paired_comparisons,
    worst_first,
)
from eval.statistics import FEWEST_TESTED
from eval.tables import format_value, heading, headline_columns, scored_views

CELL = 256
FIGURE_SUBJECTS = 6
SIGNIFICANT = 0.05
SampleId = tuple[str, int]


@dataclass(frozen=True)
class PackedPictures:
    """The pictures of one sample as data URIs, small enough to keep for all samples.

    Attributes:
        image: the input; None where there is none.
        rows: name of the method (or scan) and its pictures by caption.
        depth_range_cm: ends of the depth colours; None without depth.
    """

    image: str | None
    rows: tuple[tuple[str, dict[str, str]], ...]
    depth_range_cm: tuple[float, float] | None


def pack_pictures(pictures: SamplePictures, cell: int = CELL) -> PackedPictures:
    """Encode the pictures of one sample for the page."""

    def row(side: SidePictures) -> tuple[str, dict[str, str]]:
        return side.name, {
            caption: _data_uri(jpeg_bytes(picture, cell)) for caption, picture in side.cells.items()
        }

    image = None if pictures.image is None else _data_uri(jpeg_bytes(pictures.image, cell))
    return PackedPictures(
        image=image,
        rows=tuple(row(side) for side in (pictures.scan, *pictures.methods)),
        depth_range_cm=pictures.depth_range_cm,
    )


def render_html(
    results: Results,
    pictures: dict[SampleId, PackedPictures],
    tool_version: str = "unknown",
    title: str = "2K2K evaluation",
    against: Sequence[Comparison] = (),
) -> str:
    """Return the page, with every picture inside it.

    Args:
        results: what was measured.
        pictures: by (scan id, view); samples without an entry have their scores alone.
        tool_version: named in the footer.
        title: of the page.
        against: comparisons with another report.
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
    samples = _samples_for_page(results, pictures)
    return environment.get_template("report.html").render(
        title=title,
        results=results,
        config=results.config,
        headlines=headline_columns(results),
        others=[column for column in results.columns if not column.headline],
        columns=results.columns,
        best=best_methods(results),
        counts={method.method: scored_views(results, method.method) for method in results.methods},
        groups=grouped_scores(results),
        tests=_by_pair(paired_comparisons(results)),
        against=_by_pair(against),
        fewest_tested=FEWEST_TESTED,
        significant=SIGNIFICANT,
        distributions=[_distribution(results, column) for column in headline_columns(results)],
        samples=samples,
        figure=_figure(samples),
        map_titles=MAP_TITLES,
        turn_titles=TURN_TITLES,
        figure_titles=FIGURE_TITLES,
        heat_titles=HEAT_TITLES,
        views=len({(s.key.scan_id, s.key.view) for s in results.scores}),
        subjects=len({s.key.subject for s in results.scores}),
        aligned=results.config.align != "none",
        depth_bar=_data_uri(jpeg_bytes(depth_bar())),
        heat_bar=_data_uri(jpeg_bytes(heat_bar())),
        heat_ticks=HEAT_TICKS_CM,
        heat_end=HEAT_END_CM,
        tool_version=tool_version,
    )


def _samples_for_page(
    results: Results, pictures: dict[SampleId, PackedPictures]
) -> list[dict[str, Any]]:
    """Return what the page says of each sample, the worst first."""
    grouped: dict[SampleId, list[SampleScore]] = {}
    for score in results.scores:
        grouped.setdefault((score.key.scan_id, score.key.view), []).append(score)
    page = []
    for number, identity in enumerate(worst_first(results), 1):
        scores = grouped[identity]
        missing = [
            failure for failure in results.failures if (failure.scan_id, failure.view) == identity
        ]
        page.append(
            {
                "number": number,
                "key": scores[0].key,
                "scores": scores,
                "missing": missing,
                "pictures": pictures.get(identity),
            }
        )
    return page


def _by_pair(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the comparisons as rows: (first, second) -> column -> test."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in comparisons:
        rows.setdefault((entry.first, entry.second), {})[entry.column] = entry.test
    return rows


def _figure(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the most frontal pictured sample of each of the first subjects, by name."""
    chosen: dict[str, dict[str, Any]] = {}
    for sample in samples:
        key = sample["key"]
        if sample["pictures"] is None:
            continue
        known = chosen.get(key.subject)
        if known is None or abs(key.yaw_deg) < abs(known["key"].yaw_deg):
            chosen[key.subject] = sample
    return [chosen[subject] for subject in sorted(chosen)][:FIGURE_SUBJECTS]


def _distribution(results: Results, column: MetricColumn) -> dict[str, Any]:
    """Return a column's values as places 0..1 on an axis, a row of dots a method."""
    values = {
        method.method: np.array(
            [s.values[column.key].value for s in results.scores if s.method == method.method]
        )
        for method in results.methods
    }
    everything = np.concatenate(list(values.values())) if values else np.zeros(0)
    low, high = (everything.min(), everything.max()) if len(everything) else (0.0, 1.0)
    span = float(high - low) or 1.0
    rows = []
    for name, own in values.items():
        if len(own) == 0:
            continue
        places = (own - low) / span
        rows.append(
            {
                "method": name,
                "dots": [round(float(place), 4) for place in places],
                "quartiles": [round(float(v), 4) for v in np.percentile(places, [25, 50, 75])],
                "median": format_value(column, float(np.median(own))),
            }
        )
    return {
        "column": column,
        "rows": rows,
        "low": format_value(column, float(low)),
        "high": format_value(column, float(high)),
    }


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _template_text(name: str) -> str:
    return (resources.files("eval") / "templates" / name).read_text(encoding="utf-8")
