"""The index and the split lists of a shard set.

`index.json` holds the schema version, the config, the seed, the tool version and, per
shard, scan id, subject, view count, size and SHA-256. `splits/{train,val,test}.txt` hold
scan ids, one a line. Both are replaced whole, so that an interrupted run leaves them usable.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dataset.set_lock import LOCK_NAME
from dataset.shard_codec import MOST_VIEWS, RESOLUTION_LIMITS, SCHEMA_VERSION, ShardError
from dataset.splits import SPLITS
from render.files import PARTIAL_SUFFIX, write_text_atomically

T = TypeVar("T")

INDEX_NAME = "index.json"
SCANS_FOLDER = "scans"
SPLITS_FOLDER = "splits"
SHARD_SUFFIX = ".h5"

SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
"""What a scan id has to be, because it becomes a file name."""


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One line of the index.

    Attributes:
        scan_id: the scan.
        subject: the person.
        views: number of views.
        bytes: size of the file.
        sha256: hexadecimal digest of the file.
    """

    scan_id: str
    subject: str
    views: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """What `index.json` says.

    Attributes:
        config: what the shards were made with (JSON values), the seed included.
        seed: seed of everything random.
        tool_version: version of the toolkit that wrote the index.
        shards: entries in the order of their scan ids.
    """

    config: Mapping[str, Any]
    seed: int
    tool_version: str
    shards: tuple[ShardEntry, ...] = field(default=())


def checked_scan_id(scan_id: str) -> str:
    """Return a scan id that is safe as a file name.

    Raises:
        ShardError: it is not, for instance because it would leave the folder.
    """
    if not isinstance(scan_id, str) or not SAFE_ID.fullmatch(scan_id):
        raise ShardError(
            "scan id: expected letters, digits, '.', '_' and '-' (200 at most, not beginning "
            f"with '.' or '-'), got {scan_id!r}"
        )
    return scan_id


def shard_path(root: Path, scan_id: str) -> Path:
    """Return where a scan's shard stands in a shard set."""
    return root / SCANS_FOLDER / (checked_scan_id(scan_id) + SHARD_SUFFIX)


def foreign_files(root: Path) -> list[str]:
    """Return names of what a folder holds that no run or merge which was cut short leaves there."""
    ours = {SCANS_FOLDER, SPLITS_FOLDER, INDEX_NAME, INDEX_NAME + PARTIAL_SUFFIX, LOCK_NAME}
    return sorted(path.name for path in root.iterdir() if path.name not in ours)


def file_digest(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def write_index(root: Path, index: ShardIndex) -> None:
    """Write `index.json`."""
    shards = sorted((vars(entry) for entry in index.shards), key=lambda entry: entry["scan_id"])
    content = {
        "schema_version": SCHEMA_VERSION,
        "tool_version": index.tool_version,
        "seed": index.seed,
        "config": dict(index.config),
        "shards": shards,
    }
    write_text_atomically(root / INDEX_NAME, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_index(root: Path) -> ShardIndex:
    """Read `index.json`.

    Raises:
        ShardError: the folder is no shard set, or of another schema version.
    """
    path = root / INDEX_NAME
    if not root.is_dir():
        raise ShardError(f"{root}: expected a folder made by render-dataset, found none")
    if not path.is_file():
        raise ShardError(f"{root}: expected a folder made by render-dataset, found no {INDEX_NAME}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        if version != SCHEMA_VERSION:
            raise ShardError(
                f"expected schema version {SCHEMA_VERSION}, got {version} (render the scans "
                "again into another folder)"
            )
        config = _checked(content["config"], dict, "config")
        _checked_integer(config["resolution"], "resolution", *RESOLUTION_LIMITS)
        entries: dict[str, ShardEntry] = {}
        for row in _checked(content["shards"], list, "shards"):
            entry = _checked_entry(row)
            if entries.setdefault(entry.scan_id, entry) is not entry:
                raise ValueError(f"two shards of {entry.scan_id}")
        return ShardIndex(
            config=config,
            seed=_checked(content["seed"], int, "seed"),
            tool_version=_checked(content["tool_version"], str, "tool_version"),
            shards=tuple(entries[scan_id] for scan_id in sorted(entries)),
        )
    except ShardError as error:
        raise ShardError(f"{path}: {error}") from error
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise ShardError(
            f"{path}: expected the index of a shard set, got {type(error).__name__}: {error}"
        ) from error


def _checked_entry(row: Any) -> ShardEntry:
    entry = ShardEntry(**_checked(row, dict, "shard"))
    checked_scan_id(entry.scan_id)
    _checked(entry.subject, str, "subject")
    _checked(entry.sha256, str, "sha256")
    _checked_integer(entry.views, "views", 1, MOST_VIEWS)
    _checked_integer(entry.bytes, "bytes", 0, 2**63 - 1)
    return entry


def _checked(value: object, kind: type[T], name: str) -> T:
    # True is an int to Python, and none of these is a flag.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} = {value!r}, which is no {kind.__name__}")
    return value


def _checked_integer(value: object, name: str, least: int, most: int) -> None:
    if not least <= _checked(value, int, name) <= most:
        raise ValueError(f"{name} = {value!r}, which is not in {least}..{most}")


def write_splits(root: Path, split_of_scan: Mapping[str, str]) -> None:
    """Write `splits/{train,val,test}.txt` from scan id -> split."""
    for split in SPLITS:
        names = sorted(name for name, where in split_of_scan.items() if where == split)
        text = "".join(f"{name}\n" for name in names)
        write_text_atomically(root / SPLITS_FOLDER / f"{split}.txt", text)


def read_splits(root: Path) -> dict[str, str]:
    """Return scan id -> split of a shard set; empty where there are no lists."""
    return read_split_lists(root / SPLITS_FOLDER)


def read_split_lists(folder: Path) -> dict[str, str]:
    """Return scan id -> split from the lists train.txt, val.txt, test.txt of a folder.

    Empty lines and lines that begin with # are passed over; missing lists are empty.

    Raises:
        ShardError: a scan is in two lists, or a list is no text.
    """
    split_of_scan: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        for name in _list_lines(path):
            if split_of_scan.setdefault(name, split) != split:
                raise ShardError(
                    f"{path}: expected every scan in one list, got {name} in "
                    f"{split_of_scan[name]}.txt too"
                )
    return split_of_scan


def _list_lines(path: Path) -> Iterable[str]:
    if not path.is_file():
        return ()
    try:
        lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ShardError(f"{path}: expected a list of scan ids, got {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
