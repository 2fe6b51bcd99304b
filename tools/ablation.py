"""ablation-2k2k: tables 3 and 4 of the paper, each network trained and scored with one command.

Cells that are trained, scored or weighed already are kept, so that the same command goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    HelpFormatter,
    make_output_folder,
    new_parser,
    run_command,
    toolkit_version,
)
from tools.eval_2k2k import add_measurement_flags
from tools.train_2k2k import ACCELERATORS, check_numbers
from tools.train_config import add_axis_flags, add_config_flags, resolve_config

if TYPE_CHECKING:
    from dataset.shards import ShardSet
    from tools.ablation_cells import Cell
    from tools.ablation_tables import Row

COMMAND = "ablation-2k2k"
RESOLUTIONS = (512, 1024, 2048)
SIZES = (250, 500, 1000, 2000)
TEST_SCANS = 50
METRICS = ("p2s", "chamfer", "normal")
CHECKPOINT_BYTES = 5 * 4
"""Of each weight in a run folder: the finished, the best and the last, the last with moments."""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line: one sub-command a table."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=HelpFormatter
    )
    version = f"{COMMAND} {toolkit_version()}"
    parser.add_argument("--version", action="version", version=version)
    tables = parser.add_subparsers(metavar="TABLE", required=True)
    for name, summary, add_flags, make_cells in (
        ("parts", "normals by part against whole images (table 3)", _add_parts_flags, parts_cells),
        ("scans", "numbers of training scans (table 4)", _add_scans_flags, scans_cells),
    ):
        own = new_parser(f"{COMMAND} {name}", f"Compare {summary}.")
        add_flags(own)
        _add_common_flags(own, Path("ablation") / name)
        own.set_defaults(table=name, make_cells=make_cells)
        tables.add_parser(
            name,
            help=summary,
            description=own.description,
            parents=[own],
            add_help=False,
            formatter_class=HelpFormatter,
        )
    return parser


def _add_parts_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resolutions",
        type=int,
        nargs="+",
        default=list(RESOLUTIONS),
        metavar="R",
        help="working resolutions, pixels",
    )
    parser.add_argument(
        "--schemes",
        nargs="+",
        choices=("whole", "parts"),
        default=["whole", "parts"],
        help="normals by one network over the whole frame, or by body part",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        choices=("memory", "scores"),
        default=["memory", "scores"],
        help="memory of a training step, scores of trained networks, or both",
    )
    parser.add_argument(
        "--train-scans", type=int, metavar="N", help="scans to train on (default: all)"
    )


def _add_scans_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help="numbers of training scans; each subset holds the smaller ones",
    )
    add_axis_flags(parser)
    parser.set_defaults(columns=["scores"])


def _add_common_flags(parser: argparse.ArgumentParser, out: Path) -> None:
    parser.add_argument("shards", type=Path, help="folder that render-dataset wrote")
    parser.add_argument(
        "--test-scans",
        type=int,
        default=TEST_SCANS,
        metavar="N",
        help="scans of the test split to score on, the same for all; all where there are fewer",
    )
    parser.add_argument("--out", type=Path, default=out, help="folder of runs and tables")
    parser.add_argument(
        "--accelerator", choices=ACCELERATORS, default="auto", help="what to compute on"
    )
    parser.add_argument("--devices", type=int, default=1, help="devices that share a training")
    parser.add_argument("--workers", type=int, default=0, help="processes that read samples")
    parser.add_argument(
        "--overwrite", action="store_true", help="score and weigh again; what is trained is kept"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what it would take, and write nothing"
    )
    add_config_flags(parser)
    add_measurement_flags(parser)
    parser.set_defaults(metrics=list(METRICS))


def _subset(arguments: argparse.Namespace, shards: ShardSet, folder: Path, size: int) -> ShardSet:
    """Return the set with so many training scans, the test scans of all, and all for validation.

    Raises:
        UserInputError: there are not so many.
    """
    from dataset.subsets import nested_scans, write_subset

    order = nested_scans(shards, "train", arguments.seed)
    if not 1 <= size <= len(order):
        flag = "--sizes" if arguments.table == "scans" else "--train-scans"
        raise UserInputError(
            f"{flag}: expected 1 to {len(order)} training scans, as in {shards.root}, found {size}"
        )
    test = nested_scans(shards, "test", arguments.seed)[: arguments.test_scans]
    splits = {"train": order[:size], "val": shards.splits["val"], "test": test}
    return write_subset(shards, folder / f"train-{size}", splits)


def parts_cells(arguments: argparse.Namespace, shards: ShardSet, folder: Path) -> list[Cell]:
    """Return a cell for each resolution and scheme; subsets of the shard set go into the folder."""
    from tools.ablation_cells import Cell

    size = len(shards.splits["train"]) if arguments.train_scans is None else arguments.train_scans
    subset = _subset(arguments, shards, folder, size)
    cells = []
    for resolution in sorted(set(arguments.resolutions)):
        for scheme in dict.fromkeys(arguments.schemes):
            own = argparse.Namespace(
                **vars(arguments) | {"resolution": resolution, "parts": scheme}
            )
            cells.append(
                Cell(
                    name=f"{scheme}-{resolution}",
                    labels={"pixels": resolution, "normals": scheme},
                    config=resolve_config(own, shards.resolution),
                    shards=subset,
                )
            )
    return cells


def scans_cells(arguments: argparse.Namespace, shards: ShardSet, folder: Path) -> list[Cell]:
    """Return a cell for each number of training scans; their subsets go into the folder."""
    from tools.ablation_cells import Cell

    config = resolve_config(arguments, shards.resolution)
    return [
        Cell(
            name=f"scans-{size}",
            labels={"training scans": size},
            config=config,
            shards=_subset(arguments, shards, folder, size),
        )
        for size in sorted(set(arguments.sizes))
    ]


def _check(arguments: argparse.Namespace, shards: ShardSet) -> None:
    """Raise UserInputError for what no cell could be done with."""
    from dataset.shards import require_standard_views
    from model.view_files import reduction_factor
    from tools.eval_2k2k import choose_views
    from tools.eval_reports import score_config

    require_standard_views(shards)
    score_config(arguments)
    if arguments.test_scans < 1:
        raise UserInputError(f"--test-scans: expected 1 or more, found {arguments.test_scans}")
    choose_views(shards, "test", arguments.views, arguments.limit)
    if "scores" in arguments.columns:
        for resolution in getattr(arguments, "resolutions", ()):
            reduction_factor(shards.resolution, resolution)


def _run(arguments: argparse.Namespace) -> int:
    from dataset.shards import ShardSet

    check_numbers(arguments)
    shards = ShardSet(arguments.shards)
    _check(arguments, shards)
    make_cells: Callable[[argparse.Namespace, ShardSet, Path], list[Cell]] = arguments.make_cells
    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            return _dry_run(make_cells(arguments, shards, Path(folder)), arguments)
    make_output_folder(arguments.out)
    cells = make_cells(arguments, shards, arguments.out / "shards")
    rows: list[Row] = []
    table, notes = "", [""]
    for number, cell in enumerate(cells, 1):
        print(f"\n[{number}/{len(cells)}] {_described(cell)}", flush=True)
        rows.append(_row(cell, arguments))
        table, notes = _write(rows, arguments)
    print("", table, *notes, f"Tables: {arguments.out / 'table.md'}", sep="\n")
    failed = [row for row in rows if row.failure]
    if not failed:
        return EXIT_OK
    print(f"Not complete: {len(failed)}")
    for row in failed:
        print(f"  {row.cell.name}: {row.failure}")
    return EXIT_SOME_FAILED


def _described(cell: Cell) -> str:
    splits = cell.shards.splits
    return (
        f"{cell.name}: {len(splits['train'])} scans to train on, {len(splits['test'])} to score, "
        f"{cell.config.model.resolution} pixels, width {cell.config.model.part_width}"
    )


def _row(cell: Cell, arguments: argparse.Namespace) -> Row:
    """Do what a cell still lacks; what goes wrong is told in the row."""
    from tools.ablation_cells import check_fits, is_trained, score_cell, train_cell, weigh_cell
    from tools.ablation_tables import Row

    out, failure = arguments.out, ""
    memory = scores = None
    try:
        if "memory" in arguments.columns:
            memory = weigh_cell(cell, out, arguments)
        if "scores" in arguments.columns:
            if memory is not None and not is_trained(cell, out):
                check_fits(cell, memory)
            train_cell(cell, out, arguments)
            scores = score_cell(cell, out, arguments)
            failure = f"{scores.missing} views without scores" if scores.missing else ""
    except Exception as error:  # one cell must not cost the others theirs
        failure = str(error) if isinstance(error, UserInputError) else repr(error)
        print(f"{COMMAND}: {failure}", file=sys.stderr)
    return Row(cell=cell, scores=scores, memory=memory, failure=failure)


def _write(rows: Sequence[Row], arguments: argparse.Namespace) -> tuple[str, list[str]]:
    from tools.ablation_tables import memory_notes, table_columns, write_tables

    metrics = arguments.metrics if "scores" in arguments.columns else ()
    columns = table_columns(rows, metrics, "memory" in arguments.columns)
    notes = memory_notes(rows)
    if metrics:
        views = max((row.scores.views for row in rows if row.scores is not None), default=0)
        notes.insert(0, f"Scores: means over {views} views of the same test scans.")
    command = shlex.join([COMMAND, *arguments.command_line])
    return write_tables(arguments.out, rows, columns, notes, command), notes


def _dry_run(cells: Sequence[Cell], arguments: argparse.Namespace) -> int:
    """Say what every cell would take, and what all together."""
    import torch

    from model.networks import DigitisationNetwork, count_parameters
    from tools.ablation_cells import GIB, Forecast, foresee_cell

    hours, size, failures = 0.0, 0, 0
    for cell in cells:
        print(_described(cell), flush=True)
        with torch.device("meta"):
            size += CHECKPOINT_BYTES * count_parameters(DigitisationNetwork(cell.config.model))
        try:
            forecast = foresee_cell(cell, arguments.out, arguments)
        except UserInputError as error:
            forecast = Forecast(failure=str(error))
        if forecast.memory is not None:
            print(f"  a step takes at least {forecast.memory.need.bytes / GIB:.2f} GiB")
        if forecast.failure:
            failures += 1
            print(f"  {forecast.failure}")
        elif "scores" in arguments.columns:
            own = sum(each.seconds for each in forecast.plans) / 3600 / arguments.devices
            steps = " and ".join(str(each.steps) for each in forecast.plans) or "no more"
            print(f"  {steps} steps, about {own:.2f} hours of training")
            hours += own
    if "scores" in arguments.columns:
        print(
            f"{len(cells)} networks: about {hours:.1f} hours of training, scoring beside it, and "
            f"{size / 1e9:.1f} GB of checkpoints in {arguments.out}"
        )
    return EXIT_SOME_FAILED if failures else EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    command_line = sys.argv[1:] if argv is None else argv

    def run(arguments: argparse.Namespace) -> int:
        arguments.command_line = command_line
        return _run(arguments)

    return run_command(parser, run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
