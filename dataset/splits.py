"""Which subjects train, validate and test: by subject, never by view or scan.

Order of precedence: list files, the scan set's own split, what was assigned before, a
stable hash of the subject (90 / 5 / 5). From three subjects on no split is empty: among the
subjects that were assigned by hash just now, those of the lowest hash are promoted. What is
assigned stays assigned when scans are added; only a split whose subjects turned out to have
no scan that can be used takes one that another split can spare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from render.errors import ScanError

SPLITS: tuple[str, str, str] = ("train", "val", "test")
TRAIN_SHARE, VAL_SHARE = 0.90, 0.05
PROMOTION_FROM_SUBJECTS = 3


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """A scan that needs a split.

    Attributes:
        scan_id: the scan.
        subject: its person.
        own_split: what the scan set itself says, or None.
    """

    scan_id: str
    subject: str
    own_split: str | None = None


def subject_hash(subject: str) -> float:
    """Return a number in 0..1 that depends on the subject's name alone."""
    digest = hashlib.sha256(subject.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def hashed_split(subject: str) -> str:
    """Return the split that the hash gives a subject: train below 0.9, val below 0.95, test."""
    position = subject_hash(subject)
    if position < TRAIN_SHARE:
        return "train"
    return "val" if position < TRAIN_SHARE + VAL_SHARE else "test"


def assign_splits(
    requests: Iterable[SplitRequest],
    lists: Mapping[str, str] | None = None,
    assigned: Mapping[str, str] | None = None,
    lost: Set[str] = frozenset(),
) -> dict[str, str]:
    """Return subject -> split.

    Args:
        requests: the scans.
        lists: scan id -> split of the user's list files.
        assigned: subject -> split of an earlier run; its subjects keep their split unless
            the lists or the set say otherwise, and stay in the result.
        lost: those of `assigned` that have no scan after all; they are left out, and a split
            that is empty for want of them may be filled from all subjects that were hashed.

    Raises:
        ScanError: a split has an unknown name, or one subject is asked into two splits.
    """
    lists = lists or {}
    earlier = dict(assigned or {})
    result = {subject: split for subject, split in earlier.items() if subject not in lost}
    requests = sorted(requests, key=lambda request: request.scan_id)
    listed = _stated(requests, lambda request: lists.get(request.scan_id), "the split lists")
    own = _stated(requests, lambda request: request.own_split, "the scan set")
    fresh, hashed = [], []
    for subject in sorted({request.subject for request in requests}):
        if subject in listed or subject in own:
            result[subject] = listed.get(subject) or own[subject]
            continue
        hashed.append(subject)
        if subject not in result:
            result[subject] = hashed_split(subject)
            fresh.append(subject)
    bereft = {earlier[subject] for subject in lost & earlier.keys()}
    return _promoted(result, {split: hashed if split in bereft else fresh for split in SPLITS})


def _stated(
    requests: Iterable[SplitRequest],
    split_of: Callable[[SplitRequest], str | None],
    source: str,
) -> dict[str, str]:
    stated: dict[str, str] = {}
    for request in requests:
        split = split_of(request)
        if split is None:
            continue
        if split not in SPLITS:
            raise ScanError(
                f"{request.scan_id}: expected split {', '.join(SPLITS)} in {source}, got {split!r}"
            )
        if stated.setdefault(request.subject, split) != split:
            raise ScanError(
                f"{request.scan_id}: expected one split for subject {request.subject} in "
                f"{source}, got {stated[request.subject]} and {split}"
            )
    return stated


def _promoted(result: dict[str, str], movable: Mapping[str, list[str]]) -> dict[str, str]:
    """Fill empty splits from the subjects that each may take from splits that can spare one."""
    if len(result) < PROMOTION_FROM_SUBJECTS:
        return result
    result = dict(result)
    for split in ("test", "val", "train"):
        if split in result.values():
            continue
        for subject in sorted(movable[split], key=subject_hash):
            if list(result.values()).count(result[subject]) > 1:
                result[subject] = split
                break
    return result
