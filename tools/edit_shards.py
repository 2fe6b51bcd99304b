"""edit-shards: an index made anew, sets merged, splits dealt again; nothing is rendered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, EXIT_SOME_FAILED, new_parser, run_command, toolkit_version

if TYPE_CHECKING:
    from dataset.shard_editing import EditReport

COMMAND = "edit-shards"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = new_parser(
        COMMAND, "Change a shard set as a whole. Shards themselves are not changed."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    rebuild = actions.add_parser(
        "rebuild", help="make index.json from the shards, and lists for those that are in none"
    )
    rebuild.add_argument("shards", type=Path, metavar="DIR", help="shard set")
    merge = actions.add_parser(
        "merge", help="make one set of several that were rendered alike; files are linked"
    )
    merge.add_argument("shards", type=Path, nargs="+", metavar="DIR", help="shard sets")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR", help="new shard set")
    again = actions.add_parser("resplit", help="deal the subjects to train, val and test again")
    again.add_argument("shards", type=Path, metavar="DIR", help="shard set")
    again.add_argument(
        "--lists",
        type=Path,
        metavar="DIR",
        help="folder of train.txt, val.txt and test.txt with scan ids (default: by hash, 90/5/5)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "rebuild": _rebuild,
        "merge": _merge,
        "resplit": _resplit,
    }
    return actions[arguments.action](arguments)


def _rebuild(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dataset.shard_editing import rebuild_index, shard_files

    root: Path = arguments.shards
    with tqdm(total=len(shard_files(root)), unit="shard", desc=COMMAND) as bar:
        report = rebuild_index(root, toolkit_version(), lambda name: bar.update(1))
    return _summary(root, report)


def _merge(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dataset.shard_editing import merge_sets
    from dataset.shards import ShardSet

    if len(arguments.shards) < 2:
        raise UserInputError(f"merge: expected two shard sets or more, got {arguments.shards[0]}")
    total = sum(len(ShardSet(root).scan_ids) for root in arguments.shards)
    with tqdm(total=total, unit="shard", desc=COMMAND) as bar:
        report = merge_sets(
            arguments.shards, arguments.out, toolkit_version(), lambda name: bar.update(1)
        )
    return _summary(arguments.out, report)


def _resplit(arguments: argparse.Namespace) -> int:
    from dataset.shard_editing import resplit
    from dataset.shards import ShardError, ShardSet

    splits = resplit(arguments.shards, arguments.lists, toolkit_version())
    sizes = ", ".join(f"{split} {len(names)}" for split, names in splits.items())
    print(f"{arguments.shards}: {sizes} scans")
    shards, bare, status = ShardSet(arguments.shards), 0, EXIT_OK
    for name in (*splits["val"], *splits["test"]):
        try:
            with shards.open(name) as reader:
                bare += not reader.has_mesh
        except ShardError as error:
            print(f"failed: {error}", file=sys.stderr)
            status = EXIT_SOME_FAILED
    if bare:
        print(
            f"{bare} scans of val and test hold no mesh, which scoring needs; the render-dataset "
            "line of the set adds them"
        )
    return status


def _summary(root: Path, report: EditReport) -> int:
    print(f"{root}: {len(report.kept)} shards listed, {len(report.failed)} left out")
    for reason in report.failed.values():
        print(f"failed: {reason}", file=sys.stderr)
    return EXIT_SOME_FAILED if report.failed else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
