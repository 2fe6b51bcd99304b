"""Files are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from render.errors import OutputError
from render.files import PARTIAL_SUFFIX, write_text_atomically


def test_text_is_written_with_its_folders_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("Zoë\n", "two\nlines\n"):
        write_text_atomically(path, text)
        assert path.read_bytes() == text.encode("utf-8")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")
    (tmp_path / ("a.txt" + PARTIAL_SUFFIX)).mkdir()  # in the way, also for root
    with pytest.raises(OutputError, match=r"a\.txt: expected to write it, got: Is a directory"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"
