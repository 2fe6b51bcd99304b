"""Folders of the user's files: all of them at any depth, but for junk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_JUNK_FOLDERS = {"__MACOSX"}


def is_junk(path: Path) -> bool:
    """Whether a file or folder is hidden, or left behind by macOS."""
    return path.name.startswith(".") or path.name in _JUNK_FOLDERS


def folder_tree(root: Path) -> Iterator[Path]:
    """Yield a folder and all below it, sorted, without junk; links are followed once."""
    seen: set[Path] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        yield folder
        inner = (path for path in folder.iterdir() if path.is_dir() and not is_junk(path))
        waiting.extend(sorted(inner, reverse=True))
