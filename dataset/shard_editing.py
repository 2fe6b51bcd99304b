"""Changes to whole shard sets that render nothing: index made anew, sets merged, splits dealt."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset.set_lock import SetLock
from dataset.shard_codec import ShardError
from dataset.shard_index import (
    INDEX_NAME,
    SCANS_FOLDER,
    SHARD_SUFFIX,
    ShardEntry,
    ShardIndex,
    checked_scan_id,
    file_digest,
    foreign_files,
    read_index,
    read_split_lists,
    read_splits,
    shard_path,
    write_index,
    write_splits,
)
from dataset.shard_reader import ShardReader
from dataset.shard_writer import canonical_json
from dataset.shards import ShardSet
from dataset.splits import SplitRequest, assign_splits
from render.errors import OutputError
from render.files import PARTIAL_SUFFIX

OnShard = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class EditReport:
    """What became of the shards.

    Attributes:
        kept: ids of the shards that the set holds now.
        failed: file -> why it is left out.
    """

    kept: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def shard_files(root: Path) -> list[Path]:
    """Return the files of the shards that a folder holds, listed or not, sorted.

    Raises:
        ShardError: it holds none.
    """
    files = sorted((root / SCANS_FOLDER).glob(f"*{SHARD_SUFFIX}"))
    if not files:
        raise ShardError(f"{root}: expected shards, {SCANS_FOLDER}/*{SHARD_SUFFIX}, found none")
    return files


def rebuild_index(root: Path, tool_version: str, on_shard: OnShard) -> EditReport:
    """Write index.json from the shards, and give a split to those that have none.

    Shards that cannot be read, or were made otherwise than most, are left out and named.

    Raises:
        ShardError: there is no shard that can be read, or another process writes the set.
    """
    found: dict[Path, tuple[ShardEntry, dict[str, object]]] = {}
    failed: dict[str, str] = {}
    files = shard_files(root)
    with SetLock(root):
        for path in files:
            try:
                found[path] = _entry(path)
            except ShardError as error:
                failed[str(path)] = str(error)
            on_shard(path.name)
        if not found:
            raise ShardError(f"{root}: expected a shard that can be read, found none")
        usual = _most_frequent_config(found)
        entries = []
        for path, (entry, config) in found.items():
            try:
                require_same_config(str(path), config, str(usual), found[usual][1])
                entries.append(entry)
            except ShardError as error:
                failed[str(path)] = str(error)
        _write_set(root, found[usual][1], tool_version, entries, read_splits(root))
    return EditReport(kept=tuple(entry.scan_id for entry in entries), failed=failed)


def _most_frequent_config(found: Mapping[Path, tuple[ShardEntry, dict[str, object]]]) -> Path:
    """Return the first of the shards that were made as most were."""
    texts = {path: canonical_json(config) for path, (_, config) in found.items()}
    (most, _), *_ = Counter(texts.values()).most_common(1)
    return next(path for path, text in texts.items() if text == most)


def merge_sets(
    roots: Sequence[Path], out: Path, tool_version: str, on_shard: OnShard
) -> EditReport:
    """Make one set of several that were made alike; files are linked, or copied where they cannot.

    Every scan keeps its split. A merge that was cut short can be started again.

    Raises:
        ShardError: sets were made differently, share a scan, or have a subject in two splits; or
            the folder holds something else.
    """
    sets = [ShardSet(root) for root in roots]
    entries: dict[str, tuple[ShardSet, ShardEntry]] = {}
    split_of: dict[str, str] = {}
    for shards in sets:
        first = sets[0]
        require_same_config(str(shards.root), shards.config, str(first.root), first.config)
        for entry in shards.index.shards:
            if entry.scan_id in entries:
                raise ShardError(
                    f"{shards.root}: expected other scans than "
                    f"{entries[entry.scan_id][0].root}, found {entry.scan_id} in both"
                )
            entries[entry.scan_id] = (shards, entry)
        listed = read_splits(shards.root)
        split_of |= {name: listed[name] for name in shards.scan_ids if name in listed}
    _require_one_split([entry for _, entry in entries.values()], split_of)
    _require_free(out, entries)
    kept: list[ShardEntry] = []
    failed: dict[str, str] = {}
    with SetLock(out):
        _require_free(out, entries)  # another merge may have ended since
        for scan_id, (shards, entry) in entries.items():
            source = shard_path(shards.root, scan_id)
            try:
                shards.open(scan_id).close()
                _link_or_copy(source, shard_path(out, scan_id))
                kept.append(entry)
            except ShardError as error:
                failed[str(source)] = str(error)
            on_shard(scan_id)
        _write_set(out, sets[0].config, tool_version, kept, split_of)
    return EditReport(kept=tuple(entry.scan_id for entry in kept), failed=failed)


def resplit(root: Path, lists: Path | None, tool_version: str) -> dict[str, tuple[str, ...]]:
    """Deal the subjects of a set anew, by list files or by the hash of their names.

    Args:
        root: the set; its shards are not touched.
        lists: folder of train.txt, val.txt and test.txt with scan ids; who is in none of them is
            dealt by hash. None: all are.
        tool_version: written to the index.

    Returns:
        Split -> scan ids.

    Raises:
        ShardError: lists name scans that are not there, or the images show several people, who
            stand beside others of their split.
    """
    read_index(root)  # before anything is written
    with SetLock(root):
        # Lists that contradict each other, as a run that is cut short may leave them, are mended.
        index = read_index(root)
        if index.config.get("people_per_image", 1) != 1:
            raise ShardError(
                f"{root}: expected one person an image, found groups of one split (render again "
                "with other lists)"
            )
        listed = {} if lists is None else read_split_lists(lists)
        if lists is not None and not listed:
            raise ShardError(f"{lists}: expected train.txt, val.txt or test.txt, found no scan ids")
        unknown = sorted(set(listed) - {entry.scan_id for entry in index.shards})
        if unknown:
            raise ShardError(f"{lists}: expected scans of {root}, found {unknown[0]}")
        _write_set(root, index.config, tool_version, index.shards, {}, listed)
    return ShardSet(root).splits


def require_same_config(
    where: str, config: Mapping[str, object], other: str, expected: Mapping[str, object]
) -> None:
    """See that two sets or shards were made alike.

    Raises:
        ShardError: they were not; the sentence names the first difference.
    """
    for name in sorted({**config, **expected}):
        if config.get(name) != expected.get(name):
            raise ShardError(
                f"{where}: expected {name} = {expected.get(name)} as in {other}, "
                f"found {config.get(name)}"
            )


def _entry(path: Path) -> tuple[ShardEntry, dict[str, object]]:
    with ShardReader(path) as reader:
        scan_id, subject, views, config = (
            checked_scan_id(reader.scan_id),
            reader.subject,
            reader.view_count,
            reader.config,
        )
    if scan_id != path.name.removesuffix(SHARD_SUFFIX):
        raise ShardError(f"{path}: expected the shard of that scan, got one of {scan_id}")
    size, digest = file_digest(path)
    return (
        ShardEntry(scan_id=scan_id, subject=subject, views=views, bytes=size, sha256=digest),
        config,
    )


def _write_set(
    root: Path,
    config: Mapping[str, object],
    tool_version: str,
    entries: Sequence[ShardEntry],
    split_of: Mapping[str, str],
    lists: Mapping[str, str] | None = None,
) -> None:
    """Write lists and index; scans without a split get that of their subject, or one by hash."""
    requests = [SplitRequest(scan_id=each.scan_id, subject=each.subject) for each in entries]
    subject_of = {each.scan_id: each.subject for each in entries}
    assigned = {subject_of[name]: split for name, split in split_of.items() if name in subject_of}
    split_of_subject = assign_splits(requests, lists, assigned)
    write_splits(root, {name: split_of_subject[who] for name, who in subject_of.items()})
    seed = config.get("seed", 0)
    index = ShardIndex(
        config=config,
        seed=seed if isinstance(seed, int) else 0,
        tool_version=tool_version,
        shards=tuple(entries),
    )
    write_index(root, index)


def _require_one_split(entries: Sequence[ShardEntry], split_of: Mapping[str, str]) -> None:
    found: dict[str, str] = {}
    for entry in entries:
        split = split_of.get(entry.scan_id)
        if split is not None and found.setdefault(entry.subject, split) != split:
            raise ShardError(
                f"{entry.scan_id}: expected subject {entry.subject} in one split, found it in "
                f"{found[entry.subject]} and {split} (move its lines in the lists of one set)"
            )


def _require_free(out: Path, scan_ids: Collection[str]) -> None:
    """See that a folder is new, or holds what a merge of these scans left that was cut short."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ShardError(f"{out}: expected a folder for the shard set, found a file")
    strange = foreign_files(out)
    strange += [INDEX_NAME] * (out / INDEX_NAME).exists()
    strange += sorted(
        f"{SCANS_FOLDER}/{path.name}"
        for path in (out / SCANS_FOLDER).glob(f"*{SHARD_SUFFIX}")
        if path.name.removesuffix(SHARD_SUFFIX) not in scan_ids
    )
    if strange:
        raise ShardError(f"{out}: expected a new or empty folder, found {strange[0]}")


def _link_or_copy(source: Path, target: Path) -> None:
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            # Shards are replaced, never changed: two sets may share one.
            os.link(source.resolve(), partial)
        except OSError:
            shutil.copyfile(source, partial)
        os.replace(partial, target)
        partial.unlink(missing_ok=True)  # a name of the same file is not renamed to another
    except OSError as error:
        raise OutputError(
            f"{target}: expected to write a shard there, got: {error.strerror or error}"
        ) from error
