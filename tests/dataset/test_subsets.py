"""Subsets of a shard set are nested, by subject, and shard sets themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dataset.shard_index import ShardEntry, ShardIndex, write_index, write_splits
from dataset.shards import ShardError, ShardSet
from dataset.subsets import nested_scans, write_subset
from tests.tools.people_shards import write_people


def set_of(root: Path, scans: dict[str, str]) -> ShardSet:
    """Write an index of training scans with the given subjects, and no shards."""
    entries = tuple(
        ShardEntry(scan_id=scan, subject=subject, views=2, bytes=0, sha256="0" * 64)
        for scan, subject in scans.items()
    )
    write_index(
        root, ShardIndex(config={"resolution": 64}, seed=0, tool_version="test", shards=entries)
    )
    write_splits(root, dict.fromkeys(scans, "train"))
    return ShardSet(root)


def test_the_order_is_by_digest_of_subject_and_keeps_scans_of_one_together(tmp_path: Path) -> None:
    scans = {f"scan{number:02d}": f"person{number % 5}" for number in range(15)}
    order = nested_scans(set_of(tmp_path / "set", scans), "train", seed=3)
    people = [scans[scan] for scan in order]
    ranks = [hashlib.sha256(f"3/{person}".encode()).hexdigest() for person in people]
    assert ranks == sorted(ranks) and sorted(order) == sorted(scans)
    assert order[:3] == sorted(order[:3]) and len(set(people[:3])) == 1
    orders = {tuple(nested_scans(ShardSet(tmp_path / "set"), "train", seed)) for seed in range(9)}
    assert len(orders) > 1


def test_a_scan_more_leaves_the_order_of_the_others(tmp_path: Path) -> None:
    scans = {f"scan{number}": f"person{number}" for number in range(8)}
    before = nested_scans(set_of(tmp_path / "set", scans), "train", seed=0)
    after = nested_scans(set_of(tmp_path / "more", scans | {"new": "new"}), "train", seed=0)
    assert [scan for scan in after if scan != "new"] == before


def test_a_subset_reads_as_the_set_does_and_copies_no_shard(tmp_path: Path) -> None:
    people = {"train": ["ann", "ben", "cy"], "val": ["dee"], "test": ["eve", "fay"]}
    whole = write_people(tmp_path / "set", people)
    chosen = {"train": ["cy"], "val": ["dee"], "test": ["fay"]}
    for _ in range(2):  # once more changes nothing
        subset = write_subset(whole, tmp_path / "subset", chosen)
    assert subset.splits == {"train": ("cy",), "val": ("dee",), "test": ("fay",)}
    assert subset.config == whole.config and subset.scan_ids == ("cy", "dee", "fay")
    assert (tmp_path / "subset" / "scans").is_symlink()
    with subset.open("cy") as linked, whole.open("cy") as own:
        assert np.array_equal(linked.read("depth/front", 1), own.read("depth/front", 1))
    with pytest.raises(ShardError, match="expected a scan of the set, got 'ann'"):
        subset.open("ann")


def test_a_subset_of_strangers_or_in_another_set_is_refused(tmp_path: Path) -> None:
    whole = write_people(tmp_path / "set", {"train": ["ann"]})
    with pytest.raises(ShardError, match="expected a shard of bob, found none"):
        write_subset(whole, tmp_path / "subset", {"train": ["bob"]})
    with pytest.raises(ShardError, match="scans: expected a link to .*found something else"):
        write_subset(whole, tmp_path / "set", {"train": ["ann"]})
    assert ShardSet(tmp_path / "set").splits["train"] == ("ann",)
