"""Splits are by subject, stable, and never empty from three subjects on."""

from __future__ import annotations

import hashlib

import pytest

from dataset.splits import SplitRequest, assign_splits, hashed_split, subject_hash
from render.errors import ScanError


def requests(*subjects: str) -> list[SplitRequest]:
    return [SplitRequest(scan_id=f"{s}_{i}", subject=s) for s in subjects for i in range(2)]


def names(count: int) -> list[str]:
    return [f"subject{index:04d}" for index in range(count)]


def test_the_hash_is_the_first_eight_bytes_of_sha256() -> None:
    expected = int(hashlib.sha256(b"anna").hexdigest()[:16], 16) / 2**64
    assert subject_hash("anna") == expected
    assert hashed_split("anna") == (
        "train" if expected < 0.9 else "val" if expected < 0.95 else "test"
    )


def test_shares_are_90_5_5() -> None:
    splits = list(assign_splits(requests(*names(4000))).values())
    assert abs(splits.count("train") / 4000 - 0.9) < 0.02
    assert abs(splits.count("val") / 4000 - 0.05) < 0.015
    assert abs(splits.count("test") / 4000 - 0.05) < 0.015


@pytest.mark.parametrize("count", [3, 4, 6, 17, 40])
def test_no_split_is_empty_from_three_subjects_on(count: int) -> None:
    assert set(assign_splits(requests(*names(count))).values()) == {"train", "val", "test"}


def test_the_lowest_hashes_are_promoted() -> None:
    subjects = [name for name in names(100) if hashed_split(name) == "train"][:5]
    splits = assign_splits(requests(*subjects))
    ordered = sorted(subjects, key=subject_hash)
    assert [splits[name] for name in ordered] == ["test", "val", "train", "train", "train"]


def test_two_subjects_are_not_promoted() -> None:
    subjects = [name for name in names(100) if hashed_split(name) == "train"][:2]
    assert set(assign_splits(requests(*subjects)).values()) == {"train"}


def test_the_order_of_scans_changes_nothing() -> None:
    forward = requests(*names(9))
    assert assign_splits(forward) == assign_splits(forward[::-1])


def test_a_split_whose_subjects_were_lost_is_filled_from_those_assigned_before() -> None:
    subjects = [name for name in names(200) if hashed_split(name) == "train"][:5]
    before = assign_splits(requests(*subjects))
    lost = {name for name, split in before.items() if split == "test"}
    kept = [name for name in subjects if name not in lost]
    after = assign_splits(requests(*kept), assigned=before, lost=lost)
    assert set(after) == set(kept) and set(after.values()) == {"train", "val", "test"}
    moved = [name for name in kept if after[name] != before[name]]
    trained = [name for name in kept if before[name] == "train"]
    assert moved == [min(trained, key=subject_hash)]
    by_hand = dict.fromkeys((request.scan_id for request in requests(*kept)), "train")
    stated = assign_splits(requests(*kept), by_hand, before, lost)
    assert set(stated.values()) == {"train"}


@pytest.mark.parametrize("first", [1, 2, 3, 8])
def test_what_is_assigned_stays_when_scans_are_added(first: int) -> None:
    early = assign_splits(requests(*names(first)))
    late = assign_splits(requests(*names(30)), assigned=early)
    assert {name: late[name] for name in early} == early
    assert len(late) == 30 and set(late.values()) == {"train", "val", "test"}


def test_lists_win_over_the_sets_own_split_and_both_over_the_rest() -> None:
    asked = [
        SplitRequest(scan_id="a", subject="a", own_split="val"),
        SplitRequest(scan_id="b", subject="b", own_split="val"),
        SplitRequest(scan_id="c", subject="c"),
    ]
    splits = assign_splits(asked, lists={"a": "test"}, assigned={"b": "train", "c": "train"})
    assert splits == {"a": "test", "b": "val", "c": "train"}


def test_all_scans_of_a_listed_subject_follow_it() -> None:
    asked = requests("anna")
    assert assign_splits(asked, lists={"anna_1": "test"}) == {"anna": "test"}
    with pytest.raises(ScanError, match="one split for subject anna"):
        assign_splits(asked, lists={"anna_0": "test", "anna_1": "train"})


def test_unknown_split_names_are_refused() -> None:
    with pytest.raises(ScanError, match="got 'valid'"):
        assign_splits([SplitRequest(scan_id="a", subject="a", own_split="valid")])
