"""Files that are replaced whole: written under a temporary name, flushed, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from render.errors import OutputError

PARTIAL_SUFFIX = ".partial"
"""What the name of a file ends in while it is being written."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_bytes_atomically` does."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write a file, its folders too; an interruption leaves what was there.

    Raises:
        OutputError: it cannot be written; the file that was there is as it was.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:  # a full disk names no file
        reason = error.strerror or error
        raise OutputError(f"{path}: expected to write it, got: {reason}") from error
