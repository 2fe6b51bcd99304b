"""What an output folder holds already, and what of it can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.joints import JOINT_COUNT
from dataset.scans import Scan
from dataset.shard_codec import ShardError
from dataset.shard_index import (
    INDEX_NAME,
    SCANS_FOLDER,
    SHARD_SUFFIX,
    ShardEntry,
    ShardIndex,
    file_digest,
    foreign_files,
    read_index,
    shard_path,
)
from dataset.shard_reader import ShardReader
from dataset.source_files import source_digest
from dataset.synthesis_config import SynthesisConfig


def existing_set(
    out: Path, config: SynthesisConfig, overwrite: bool, partial: bool = False
) -> ShardIndex:
    """Return the index of what stands in the output folder; an empty one for a new folder.

    Args:
        out: the folder.
        config: what is to be rendered.
        overwrite: whether a set of another config may be replaced.
        partial: whether only a few scans of the set will be rendered.

    Raises:
        ShardError: the folder is not ours to write in, or the set was made otherwise.
    """
    identity = config.identity()
    empty = ShardIndex(config=identity, seed=config.seed, tool_version="")
    if not out.exists():
        return empty
    if not out.is_dir():
        raise ShardError(f"{out}: expected a folder for the shard set, found a file")
    replaced = overwrite and not partial
    if (out / INDEX_NAME).is_file():
        try:
            index = read_index(out)
        except ShardError as error:
            if replaced:
                return empty
            raise ShardError(
                f"{error} (edit-shards rebuild makes it anew from the shards, --overwrite "
                "renders them all again)"
            ) from error
        found: Mapping[str, Any] | None = index.config
    else:
        strange = foreign_files(out)
        if strange:
            raise ShardError(
                f"{out}: expected an empty folder or a shard set, found {strange[0]} "
                f"and no {INDEX_NAME}"
            )
        index, found = empty, _config_of_some_shard(out)
    if found is None or found == identity:
        return index
    if replaced:
        return empty
    name = next(
        key for key in sorted(identity | dict(found)) if identity.get(key) != found.get(key)
    )
    advice = "--overwrite without --only and --limit" if overwrite else "--overwrite"
    raise ShardError(
        f"{out}: expected a shard set made with {name} = {identity.get(name)}, found one made "
        f"with {found.get(name)} (give another --out, or {advice} to render it again)"
    )


def _config_of_some_shard(out: Path) -> dict[str, Any] | None:
    for path in sorted((out / SCANS_FOLDER).glob(f"*{SHARD_SUFFIX}")):
        try:
            with ShardReader(path) as reader:
                return reader.config
        except ShardError:
            continue
    return None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the shard of a scan has to be to be kept.

    Attributes:
        scan: the scan that it is named after.
        identity: what it was made with.
        needs_mesh: whether it has to hold the scan's geometry.
        companions: scans that may be beside it by their ids; None for any.
        same_files: whether the files of everybody in it have to be those it was made from.
    """

    scan: Scan
    identity: Mapping[str, Any]
    needs_mesh: bool = False
    companions: Mapping[str, Scan] | None = None
    same_files: bool = False


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A shard that stays as it is.

    Attributes:
        entry: its line of the index.
        has_joints: whether everybody in it has joints.
    """

    entry: ShardEntry
    has_joints: bool


def kept_shard(root: Path, wanted: Wanted, known: ShardEntry | None) -> Kept | None:
    """Return what is kept of a scan's shard, or None where it is to be rendered.

    Args:
        root: the shard set.
        wanted: what it has to be.
        known: its line of the index, if there is one.
    """
    scan = wanted.scan
    path = shard_path(root, scan.scan_id)
    try:
        with ShardReader(path) as reader:
            if reader.config != wanted.identity or reader.subject != scan.subject:
                return None
            if _stated(reader.metadata) != _stated(scan.metadata):
                return None
            if wanted.needs_mesh and not reader.has_mesh:
                return None
            beside = {member.scan_id for member in reader.members}
            if wanted.companions is not None and not beside <= wanted.companions.keys():
                return None
            if wanted.same_files and _files_changed(reader.sources, wanted):
                return None
            joints = reader.read("joints/3d", 0).reshape(-1, JOINT_COUNT, 4)
            views = reader.view_count
    except ShardError:
        return None
    if known is None or known.bytes != path.stat().st_size:
        size, digest = file_digest(path)
        known = ShardEntry(
            scan_id=scan.scan_id, subject=scan.subject, views=views, bytes=size, sha256=digest
        )
    return Kept(entry=known, has_joints=bool(joints[..., 3].any(axis=1).all()))


def _files_changed(sources: Mapping[str, str], wanted: Wanted) -> bool:
    scans = {**(wanted.companions or {}), wanted.scan.scan_id: wanted.scan}
    return any(
        name in scans and source_digest(scans[name]) != digest for name, digest in sources.items()
    )


def _stated(metadata: Mapping[str, Any]) -> object:
    """Return what a manifest or the command line said of the scan that a shard is named after."""
    people = metadata.get("people")
    if isinstance(people, list) and people and isinstance(people[0], dict):
        return people[0].get("stated")
    return metadata.get("stated")
