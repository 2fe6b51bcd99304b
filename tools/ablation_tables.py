"""Tables 3 and 4 of the paper from the cells of an ablation: text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.metrics import MetricColumn, columns_of
from eval.tables import aligned_table, format_value, heading
from render.files import write_text_atomically
from tools.ablation_cells import GIB, Cell, Scores, StepMemory
from tools.cli import toolkit_version
from tools.step_cost import PAPER_MEMORY_SHARE

COMPUTED = "c"
"""Marks memory that was computed, not measured."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        cell: the network.
        scores: None where it has none.
        memory: None where it was not asked for, or failed.
        failure: what went wrong; "" if nothing did.
    """

    cell: Cell
    scores: Scores | None = None
    memory: StepMemory | None = None
    failure: str = ""


@dataclass(frozen=True)
class Column:
    """One column: its heading, its value of a row (None: none), and how that is written."""

    key: str
    heading: str
    value: Callable[[Row], str | float | None]
    text: Callable[[Row], str]


def memory_bytes(memory: StepMemory) -> int:
    """Return the measured memory of a step, else the computed one."""
    return memory.need.bytes if memory.peak_bytes is None else memory.peak_bytes


def shares_of_whole(rows: Sequence[Row]) -> dict[str, float]:
    """Return memory by parts over memory of the whole image, by the name of the cell of parts."""
    whole = {
        row.cell.config.model.resolution: row.memory
        for row in rows
        if row.cell.config.model.parts == "whole"
    }
    shares = {}
    for row in rows:
        other = whole.get(row.cell.config.model.resolution)
        if row.cell.config.model.parts == "parts" and row.memory is not None and other is not None:
            shares[row.cell.name] = memory_bytes(row.memory) / memory_bytes(other)
    return shares


def _number(key: str, title: str, value: Callable[[Row], float | None], form: str) -> Column:
    def text(row: Row) -> str:
        found = value(row)
        return "-" if found is None else f"{found:{form}}"

    return Column(key, title, value, text)


def _label(name: str) -> Column:
    return Column(
        name, name, lambda row: row.cell.labels[name], lambda row: str(row.cell.labels[name])
    )


def _score(column: MetricColumn) -> Column:
    def value(row: Row) -> float | None:
        return None if row.scores is None else row.scores.means.get(column.key)

    def text(row: Row) -> str:
        found = value(row)
        return "-" if found is None else format_value(column, found)

    return Column(column.key, heading(column), value, text)


def _memory_columns(rows: Sequence[Row]) -> list[Column]:
    shares = shares_of_whole(rows)

    def step_text(row: Row) -> str:
        if row.memory is None:
            return "-"
        mark = COMPUTED if row.memory.peak_bytes is None else " "
        return f"{memory_bytes(row.memory) / GIB:.2f}{mark}"

    def peak(row: Row) -> float | None:
        return None if row.memory is None else row.memory.peak_bytes

    def step(row: Row) -> float | None:
        return None if row.memory is None else row.memory.step_seconds

    return [
        Column("peak_bytes", "step (GiB)", peak, step_text),
        Column(
            "computed_bytes",
            "computed (GiB)",
            lambda row: None if row.memory is None else row.memory.need.bytes,
            lambda row: "-" if row.memory is None else f"{row.memory.need.bytes / GIB:.2f}",
        ),
        _number("share", "of whole", lambda row: shares.get(row.cell.name), ".0%"),
        _number("step_seconds", "step (s)", step, ".2f"),
    ]


def _of_scores(name: str) -> Callable[[Row], float | None]:
    return lambda row: None if row.scores is None else getattr(row.scores, name)


def table_columns(rows: Sequence[Row], metrics: Sequence[str], with_memory: bool) -> list[Column]:
    """Return the columns of a table.

    Args:
        rows: what was found.
        metrics: headline scores of these, and the time of the networks; none without any.
        with_memory: memory and time of a training step too.
    """
    columns = [_label(name) for name in rows[0].cell.labels]
    if metrics:
        columns += [_score(column) for column in columns_of(metrics) if column.headline]
        columns += [
            _number("views", "views", _of_scores("views"), "d"),
            _number("missing", "missing", _of_scores("missing"), "d"),
            _number("network_seconds", "networks (s)", _of_scores("network_seconds"), ".3f"),
        ]
    return columns + (_memory_columns(rows) if with_memory else [])


def memory_notes(rows: Sequence[Row]) -> list[str]:
    """Return how memory was found, how far computing is from measuring, and the paper's shares."""
    weighed = [(row, row.memory) for row in rows if row.memory is not None]
    if not weighed:
        return []
    batch = max(memory.batch for _, memory in weighed)
    notes = [
        f"step: memory of one phase-1 step, {batch} view{'s' * (batch > 1)} a batch, peak minus "
        f"start of a fresh process; {COMPUTED}: computed, since it would not fit. Computed are the "
        "tensors kept for the backward pass, gradients and the moments of Adam."
    ]
    checked = [
        f"{row.cell.name} {memory.need.bytes / memory.peak_bytes - 1:+.0%}"
        for row, memory in weighed
        if memory.peak_bytes is not None
    ]
    if checked:
        notes.append(f"Computed against measured: {', '.join(checked)}.")
    known = {row.cell.config.model.resolution for row, _ in weighed}
    paper = [
        f"{share:.0%} at {pixels}"
        for pixels, share in PAPER_MEMORY_SHARE.items()
        if pixels in known
    ]
    if shares_of_whole(rows) and paper:
        notes.append(f"Memory by parts over that of the whole image, paper: {', '.join(paper)}.")
    return notes


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the first one the headings, as a Markdown table."""
    head, *body = (f"| {' | '.join(cell.strip() for cell in line)} |" for line in lines)
    rule = f"| {' | '.join(['---'] * len(lines[0]))} |"
    return "\n".join([head, rule, *body])


def write_tables(
    out: Path, rows: Sequence[Row], columns: Sequence[Column], notes: Sequence[str], command: str
) -> str:
    """Write table.json, .csv and .md into a folder and return the table as text.

    Args:
        out: the folder.
        rows: what was found.
        columns: of the table.
        notes: sentences under it.
        command: that made it.
    """
    lines = [[column.heading for column in columns]]
    lines += [[column.text(row) for column in columns] for row in rows]
    failures = {row.cell.name: row.failure for row in rows if row.failure}
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow([*(column.key for column in columns), "failure"])
    for row in rows:
        values = [column.value(row) for column in columns]
        writer.writerow(["" if value is None else value for value in values] + [row.failure])
    content = {
        "tool_version": toolkit_version(),
        "command": command,
        "rows": [
            {"cell": row.cell.name, **{column.key: column.value(row) for column in columns}}
            | {"memory": None if row.memory is None else dataclasses.asdict(row.memory)}
            | {"failure": row.failure or None}
            for row in rows
        ],
        "notes": list(notes),
    }
    told = [*notes, *(f"{name}: {reason}" for name, reason in failures.items())]
    page = [f"`{command}`", markdown_table(lines), *told]
    write_text_atomically(out / "table.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text_atomically(out / "table.csv", sheet.getvalue())
    write_text_atomically(out / "table.md", "\n\n".join(page) + "\n")
    return aligned_table(lines)
