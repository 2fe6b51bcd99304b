"""What all command lines share: common flags, logging, exit statuses.

Exit status: 0 all done; 1 some items failed (listed at the end); 2 bad input or usage,
one clear sentence on standard error.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from render.errors import OutputError, UserInputError

DISTRIBUTION = "2k2k-toolkit"
EXIT_OK, EXIT_SOME_FAILED, EXIT_BAD_INPUT = 0, 1, 2


def toolkit_version() -> str:
    """Return the installed version of the toolkit ("unknown" when run without installing)."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Names the defaults of flags, but not that a flag which was not given is not given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def new_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the flags that every command has."""
    parser = argparse.ArgumentParser(
        prog=command,
        description=description,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{command} {toolkit_version()}")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more while working")
    return parser


def make_output_folder(folder: Path) -> None:
    """Make a folder unless it exists, and see that a file can be written there.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        raise OutputError(
            f"{folder}: expected a folder that can be written to, got: {error.strerror or error}"
        ) from error


def run_command(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    argv: list[str] | None,
) -> int:
    """Parse, run, and turn the user's errors into one sentence and status 2."""
    # Read when torch is loaded, which no command does before. By default threads spin for long
    # while they wait for each other, which makes training many times slower when anything
    # else runs beside it; a short spin costs nothing on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Read when hdf5plugin is loaded. Several threads write the blocks of a tile in the order in
    # which they finish, and the same scan would not give the same bytes.
    os.environ["BLOSC_NTHREADS"] = "1"
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exit_request:
        return int(exit_request.code or 0)
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(levelname)s: %(message)s",
    )
    try:
        return run(arguments)
    except UserInputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            # A write to a full disk names no file.
            print(f"{parser.prog}: {error.strerror}; finished work is kept", file=sys.stderr)
            return EXIT_BAD_INPUT
        if error.filename is None:
            raise
        print(f"{parser.prog}: {error.filename}: {error.strerror or error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; finished work is kept", file=sys.stderr)
        return 130
