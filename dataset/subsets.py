"""Shard sets that are part of another one, and lists of scans in which each holds the last.

A subset is a shard set of its own, with its index and its splits; the shards themselves stay
where they are, behind a link.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from dataset.shard_index import SCANS_FOLDER, write_index, write_splits
from dataset.shards import ShardError, ShardSet


def nested_scans(shards: ShardSet, split: str, seed: int) -> list[str]:
    """Return the scans of a split in an order of which every beginning is a fair sample.

    Subjects come in the order of a digest of seed and name, each with all its scans: a scan
    that is added or removed leaves the order of the others as it is.
    """

    def rank(scan_id: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}/{subjects[scan_id]}".encode()).digest(), scan_id

    subjects = {ref.scan_id: ref.subject for ref in shards.views(split)}
    return sorted(subjects, key=rank)


def write_subset(shards: ShardSet, root: Path, splits: Mapping[str, Iterable[str]]) -> ShardSet:
    """Make a shard set of some scans of another; the same call again changes nothing.

    Args:
        shards: whose files are linked to.
        root: folder of the subset.
        splits: scan ids by split, each in one split.

    Raises:
        ShardError: the folder holds something else, or a scan is not in the set.
        OutputError: it cannot be written.
    """
    split_of_scan = {name: split for split, names in splits.items() for name in names}
    entries = tuple(entry for entry in shards.index.shards if entry.scan_id in split_of_scan)
    missing = split_of_scan.keys() - {entry.scan_id for entry in entries}
    if missing:
        raise ShardError(f"{shards.root}: expected a shard of {min(missing)}, found none")
    link, target = root / SCANS_FOLDER, (shards.root / SCANS_FOLDER).resolve()
    root.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() and not link.exists():
        link.symlink_to(target, target_is_directory=True)
    if not link.is_symlink() or Path(os.readlink(link)) != target:
        raise ShardError(f"{link}: expected a link to {target}, found something else")
    write_splits(root, split_of_scan)
    write_index(root, replace(shards.index, shards=entries))
    return ShardSet(root)
