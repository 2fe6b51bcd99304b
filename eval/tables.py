"""Scores as text: how values are written, the terminal's table, LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from eval.metrics import MetricColumn
from eval.results import Results, best_methods

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "²": "$^2$", "°": r"$^\circ$",
}  # fmt: skip


def format_value(column: MetricColumn, value: float) -> str:
    """Return a score as it is shown: lengths and degrees with 2 digits, the rest with 3."""
    return f"{value:.2f}" if column.unit in ("cm", "cm²", "°") else f"{value:.3f}"


def heading(column: MetricColumn) -> str:
    """Return the column's heading: name, unit, and an arrow towards better."""
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.label}{unit} {'↓' if column.better == 'lower' else '↑'}"


def headline_columns(results: Results) -> tuple[MetricColumn, ...]:
    """Return the columns of the first table."""
    return tuple(column for column in results.columns if column.headline)


def scored_views(results: Results, method: str) -> int:
    """Return how many views of a method were scored."""
    return sum(score.method == method for score in results.scores)


def results_table(results: Results) -> str:
    """Return the methods-by-metrics table as text; the best of each column has a star."""
    best = best_methods(results)
    columns = headline_columns(results)
    rows = [["method", *(heading(column) for column in columns), "views", "missing"]]
    for method in results.methods:
        cells = [method.method]
        for column in columns:
            summary = method.columns.get(column.key)
            star = "*" if best.get(column.key) == method.method else " "
            cells.append(f"{format_value(column, summary.mean)}{star}" if summary else "- ")
        rows.append([*cells, str(scored_views(results, method.method)), str(method.missing)])
    return aligned_table(rows)


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the first one the headings, in columns of even width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def latex_table(results: Results) -> str:
    """Return the table of means as LaTeX (booktabs), best values bold, missing views told."""
    best = best_methods(results)
    columns = headline_columns(results)
    arrows = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}
    heads = []
    for column in columns:
        unit = f" ({latex_text(column.unit)})" if column.unit else ""
        heads.append(f"{latex_text(column.label)}{unit} {arrows[column.better]}")
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{l" + "r" * len(columns) + "}",
        r"\toprule",
        " & ".join(["Method", *heads]) + r" \\",
        r"\midrule",
    ]
    for method in results.methods:
        name = latex_text(method.method)
        if method.missing:
            name += f" ({method.missing} missing)"
        cells = [name]
        for column in columns:
            summary = method.columns.get(column.key)
            text = "--" if summary is None else format_value(column, summary.mean)
            bold = best.get(column.key) == method.method
            cells.append(rf"\textbf{{{text}}}" if bold else text)
        lines.append(" & ".join(cells) + r" \\")
    config = results.config
    note = f"% {config.scale} scale, alignment {config.align}, {config.samples} points, "
    lines += [r"\bottomrule", r"\end{tabular}", f"{note}seed {config.seed}"]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)
