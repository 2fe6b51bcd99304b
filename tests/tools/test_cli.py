"""What all command lines share: help, versions, exit statuses, one sentence for an error."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

import pytest

from render.errors import UserInputError
from tools.cli import (
    EXIT_BAD_INPUT,
    EXIT_OK,
    make_output_folder,
    new_parser,
    run_command,
    toolkit_version,
)


def parser() -> argparse.ArgumentParser:
    result = new_parser("count-sheep", "Count sheep.")
    result.add_argument("--field", metavar="DIR", help="where they are")
    result.add_argument("--limit", type=int, default=0, help="count no further")
    result.add_argument("--asleep", action="store_true", help="count those too")
    result.add_argument("--breed", choices=("merino", "any"), default="any", help="which ones")
    return result


def refuse(arguments: argparse.Namespace) -> int:
    raise UserInputError(f"--field: expected a folder of sheep, found {arguments.field}")


def interrupt(arguments: argparse.Namespace) -> int:
    raise KeyboardInterrupt


def never(arguments: argparse.Namespace) -> int:
    raise AssertionError("the command ran")


def test_help_names_the_defaults_that_say_something(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_command(parser(), never, ["--help"]) == EXIT_OK
    lines = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert "--field DIR where they are" in lines
    assert "--asleep count those too" in lines
    assert "-v, --verbose say more while working" in lines
    assert "--limit LIMIT count no further (default: 0)" in lines
    assert "--breed {merino,any} which ones (default: any)" in lines


def test_version_names_the_command_and_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(parser(), never, ["--version"]) == EXIT_OK
    assert capsys.readouterr().out == f"count-sheep {toolkit_version()}\n"


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--wolves"], "--wolves"),
        (["--limit", "many"], "--limit"),
        (["--breed", "goat"], "--breed"),
    ],
)
def test_a_wrong_flag_or_value_is_named_and_ends_with_status_2(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(parser(), never, argv) == EXIT_BAD_INPUT == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: count-sheep")
    assert named in output.err.splitlines()[-1]


def test_bad_input_is_one_sentence_on_standard_error_and_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(parser(), refuse, ["--field", "moon"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "count-sheep: --field: expected a folder of sheep, found moon\n"


def test_a_file_that_cannot_be_used_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(arguments: argparse.Namespace) -> int:
        return len((tmp_path / "sheep.txt").read_text())

    assert run_command(parser(), read, []) == 2
    expected = f"count-sheep: {tmp_path / 'sheep.txt'}: No such file or directory\n"
    assert capsys.readouterr().err == expected


def test_a_full_disk_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def write(arguments: argparse.Namespace) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert run_command(parser(), write, []) == 2
    expected = "count-sheep: No space left on device; finished work is kept\n"
    assert capsys.readouterr().err == expected


def test_an_output_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    for _ in range(2):
        make_output_folder(tmp_path / "a" / "b")
        assert not any((tmp_path / "a" / "b").iterdir())


def test_errors_of_the_program_are_not_taken_for_bad_input() -> None:
    with pytest.raises(AssertionError, match="the command ran"):
        run_command(parser(), never, [])


def test_an_interruption_ends_with_status_130_and_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(parser(), interrupt, []) == 130
    assert capsys.readouterr().err == "count-sheep: interrupted; finished work is kept\n"


def test_the_status_of_the_command_is_handed_on_with_what_was_parsed() -> None:
    def run(arguments: argparse.Namespace) -> int:
        return int(arguments.limit + 10 * arguments.seed + arguments.asleep)

    assert run_command(parser(), run, ["--limit", "4", "--seed", "2", "--asleep"]) == 25
