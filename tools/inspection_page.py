"""The page of inspect-shards: one HTML file with its plots, pictures and style inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from tools.cli import toolkit_version

if TYPE_CHECKING:
    from dataset.set_statistics import SetStatistics
    from dataset.shard_inspection import ShardFacts
    from dataset.shards import ShardSet

CELL = 96
MOST_COLUMNS = 7
_TEMPLATES = {"inspection.html": "tools", "report.css": "eval"}


def contact_sheets(
    shards: ShardSet, facts: Sequence[ShardFacts], most: int
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Draw the views of scans, evenly chosen where there are more than `most`.

    Returns:
        Scan id -> data URI of its picture; scans that cannot be read, and why.
    """
    from tqdm import tqdm

    from dataset.shards import ShardError

    step = max(1.0, len(facts) / most)
    chosen = [facts[int(number * step)] for number in range(min(most, len(facts)))]
    pictures, failed = {}, []
    for each in tqdm(chosen, unit="sheet", desc="page"):
        try:
            pictures[each.scan_id] = _sheet(shards, each.scan_id)
        except ShardError as error:
            failed.append((each.scan_id, str(error)))
    return pictures, failed


def render_page(
    title: str,
    statistics: SetStatistics,
    facts: Sequence[ShardFacts],
    problems: Sequence[tuple[str, str]],
    pictures: Mapping[str, str],
) -> str:
    """Return the page.

    Args:
        title: its heading.
        statistics: of all shards that can be read.
        facts: of these shards.
        problems: scans or folders, and what is wrong with them.
        pictures: scan id -> data URI of its contact sheet.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_template_text),
    )
    return environment.get_template("inspection.html").render(
        title=title,
        statistics=statistics,
        facts=facts,
        shown=[each for each in facts if each.scan_id in pictures],
        problems=problems,
        pictures=pictures,
        plots=[_bars(histogram) for histogram in statistics.histograms],
        tool_version=toolkit_version(),
    )


def _bars(histogram: Any) -> dict[str, Any]:
    """Return a histogram as bars 0..1 wide and tall."""
    count, tallest = len(histogram.counts), max(histogram.counts)
    return {
        "title": histogram.title,
        "median": f"{histogram.median:.4g}",
        "low": f"{histogram.edges[0]:.4g}",
        "high": f"{histogram.edges[-1]:.4g}",
        "bars": [
            {
                "left": number / count,
                "width": 1.0 / count,
                "height": value / tallest,
                "text": f"{histogram.edges[number]:.4g} to {histogram.edges[number + 1]:.4g}: "
                f"{value}",
            }
            for number, value in enumerate(histogram.counts)
        ],
    }


def _sheet(shards: ShardSet, scan_id: str) -> str:
    from eval.pictures import jpeg_bytes
    from tools.contact_sheet import person_sheet

    with shards.open(scan_id) as reader:
        step = -(-reader.view_count // MOST_COLUMNS)
        sheet = person_sheet(reader, CELL, range(0, reader.view_count, step))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(sheet)).decode("ascii")


def _template_text(name: str) -> str:
    folder = resources.files(_TEMPLATES[name]) / "templates"
    return (folder / name).read_text(encoding="utf-8")
