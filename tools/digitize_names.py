"""What the results of digitize are called, known before anything heavy is loaded."""

from __future__ import annotations

from glob import escape
from pathlib import Path


def facts_file(folder: Path, name: str) -> Path:
    """Return the file that is written last: where it is, a person is complete."""
    return folder / f"{name}.json"


def person_name(name: str, number: int) -> str:
    """Return the name of one person's results, of several in a photograph, counted from 1."""
    # Not NAME_1: cameras call photographs so.
    return f"{name}_person{number}"


def is_done(folder: Path, name: str, *, everyone: bool) -> bool:
    """Whether a photograph or video has results: of anybody of it, if everyone is wanted."""
    if everyone and any(folder.glob(f"{escape(name)}_person[0-9].json")):
        return True
    return facts_file(folder, name).exists()
