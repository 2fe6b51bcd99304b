"""inspect-shards: checks, statistics, a page of contact sheets, and PNG folders of a shard set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import OutputError, UserInputError
from render.files import write_text_atomically
from tools.cli import EXIT_OK, EXIT_SOME_FAILED, make_output_folder, new_parser, run_command

if TYPE_CHECKING:
    from dataset.shard_inspection import ShardFacts
    from dataset.shards import ShardSet

COMMAND = "inspect-shards"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = new_parser(
        COMMAND,
        "Say what a shard set holds; with --verify, see that its arrays are whole and agree. "
        "Nothing in the set is changed.",
    )
    add = parser.add_argument
    add("shards", type=Path, metavar="DIR", help="shard set")
    add("--verify", action="store_true", help="compare checksums and check all arrays")
    add("--html", type=Path, metavar="FILE", help="write a page with contact sheets and plots")
    add("--sheets", type=int, default=24, metavar="N", help="most scans on contact sheets")
    add("--export-png", type=Path, metavar="DIR", help="write every view as PNG and JSON files")
    add("--jobs", type=int, default=1, metavar="N", help="processes that read shards")
    add("--overwrite", action="store_true", help="replace the page and exported views")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    from dataset.set_statistics import set_statistics
    from dataset.shard_inspection import set_problems
    from dataset.shards import ShardSet

    for flag in ("jobs", "sheets"):
        if getattr(arguments, flag) < 1:
            raise UserInputError(f"--{flag}: expected 1 or more, got {getattr(arguments, flag)}")
    shards = ShardSet(arguments.shards)
    if not shards.scan_ids:
        raise UserInputError(f"{arguments.shards}: expected a shard set with shards, got none")
    page: Path | None = arguments.html
    if page is not None:
        _check_page(page, arguments.overwrite)
    problems = [(str(shards.root), problem) for problem in set_problems(shards)]
    facts = []
    for scan_id, found, wrong in _inspected(shards, arguments.verify, arguments.jobs):
        problems += [(scan_id, problem) for problem in wrong]
        if found is not None:
            facts.append(found)
    if arguments.export_png is not None:
        problems += _export(shards, facts, arguments.export_png, arguments.overwrite)
    if facts:
        statistics = set_statistics(facts)
        print(statistics.text())
        if page is not None:
            from tools.inspection_page import contact_sheets, render_page

            pictures, failed = contact_sheets(shards, facts, arguments.sheets)
            problems += failed
            text = render_page(str(shards.root), statistics, facts, problems, pictures)
            write_text_atomically(page, text)
            print(f"page: {page}")
    if arguments.verify and not problems:
        print(f"{len(facts)} shards verified: nothing wrong")
    for name, problem in problems:
        print(f"failed: {name}: {problem}", file=sys.stderr)
    return EXIT_SOME_FAILED if problems else EXIT_OK


def _check_page(page: Path, overwrite: bool) -> None:
    """Raise OutputError before the work where the page cannot be written."""
    if page.is_dir():
        raise OutputError(f"{page}: expected a file for the page, got a folder")
    if page.exists() and not overwrite:
        raise OutputError(f"{page}: expected no such file, got one (--overwrite replaces it)")
    make_output_folder(page.parent)


def _inspected(
    shards: ShardSet, verify: bool, jobs: int
) -> Iterator[tuple[str, ShardFacts | None, list[str]]]:
    """Yield every scan with what its shard holds and what is wrong with it, in order."""
    import joblib
    from tqdm import tqdm

    from dataset.shard_inspection import inspect_shard

    split_of = {name: split for split, names in shards.splits.items() for name in names}
    tasks = (
        joblib.delayed(inspect_shard)(shards, name, split_of.get(name, ""), verify)
        for name in shards.scan_ids
    )
    results = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(results, total=len(shards.scan_ids), unit="shard", desc=COMMAND)
    for name, (facts, wrong) in zip(shards.scan_ids, bar, strict=True):
        yield name, facts, wrong


def _export(
    shards: ShardSet, facts: list[ShardFacts], out: Path, overwrite: bool
) -> list[tuple[str, str]]:
    """Write the views of shards as PNG files; returns the scans that failed, and why."""
    from tqdm import tqdm

    from dataset.png_export import export_view
    from dataset.shards import ShardError

    make_output_folder(out)
    written = kept = 0
    failed = []
    with tqdm(total=sum(each.views for each in facts), unit="view", desc="PNG") as bar:
        for each in facts:
            try:
                with shards.open(each.scan_id) as reader:
                    for view in range(each.views):
                        done = export_view(reader, view, out, overwrite=overwrite)
                        written, kept = written + done, kept + (not done)
                        bar.update(1)
            except ShardError as error:
                failed.append((each.scan_id, str(error)))
    print(f"{out}: {written} views written as PNG, {kept} kept")
    return failed


if __name__ == "__main__":
    sys.exit(main())
