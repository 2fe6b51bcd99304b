"""A shard set is opened, listed and checked; what is none is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataset.shard_index import (
    ShardEntry,
    ShardIndex,
    file_digest,
    read_splits,
    shard_path,
    write_index,
    write_splits,
)
from dataset.shard_writer import ShardWriter
from dataset.shards import ShardError, ShardSet, ViewRef
from render.errors import OutputError
from tests.dataset.records import make_header, make_record

RESOLUTION = 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    entries = []
    for scan_id in ("b", "a"):
        path = shard_path(tmp_path, scan_id)
        header = replace(make_header(RESOLUTION, 2), scan_id=scan_id, subject=scan_id.upper())
        with ShardWriter(path, header) as writer:
            writer.add_view(make_record(RESOLUTION, 0))
            writer.add_view(make_record(RESOLUTION, 1))
        size, digest = file_digest(path)
        entries.append(
            ShardEntry(scan_id=scan_id, subject=scan_id.upper(), views=2, bytes=size, sha256=digest)
        )
    config = {"resolution": RESOLUTION, "seed": 5}
    index = ShardIndex(config=config, seed=5, tool_version="1", shards=tuple(entries))
    write_index(tmp_path, index)
    write_splits(tmp_path, {"a": "train", "b": "test", "not rendered": "val"})
    return tmp_path


def test_a_set_lists_its_scans_splits_and_views(root: Path) -> None:
    shards = pickle.loads(pickle.dumps(ShardSet(root)))
    assert shards.scan_ids == ("a", "b")
    assert shards.splits == {"train": ("a",), "val": (), "test": ("b",)}
    assert shards.resolution == RESOLUTION and shards.config["seed"] == 5
    assert shards.views("test") == [ViewRef(scan_id="b", subject="B", view=v) for v in (0, 1)]
    assert [ref.scan_id for ref in shards.views(None)] == ["a", "a", "b", "b"]
    with shards.open("b") as reader:
        expected = make_record(RESOLUTION, 1).pictures["mask"]
        assert np.array_equal(reader.read("mask", 1), expected)
    shards.verify("a")
    with pytest.raises(ValueError, match="split: expected one of"):
        shards.views("valid")


def test_a_folder_that_is_no_shard_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="found no index.json"):
        ShardSet(tmp_path)
    with pytest.raises(ShardError, match="found none"):
        ShardSet(tmp_path / "missing")
    for text in ("{", "[]", '{"schema_version": 1}', '{"schema_version": 9}', "\x00"):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(ShardError, match="index.json: expected"):
            ShardSet(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("views", "2"), ("views", 0), ("views", 3601), ("views", True), ("views", 2.0),
        ("bytes", -1), ("bytes", None), ("subject", 7), ("sha256", []), ("extra", 1),
        ("scan_id", "b"),
    ],
)  # fmt: skip
def test_an_index_with_odd_entries_is_refused(root: Path, key: str, value: object) -> None:
    content = json.loads((root / "index.json").read_text())
    content["shards"][0][key] = value
    (root / "index.json").write_text(json.dumps(content))
    with pytest.raises(ShardError, match="index.json: expected the index of a shard set"):
        ShardSet(root)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "1e999"), ("seed", '"5"'), ("config", "[]"), ("config", "{}"), ("shards", "{}"),
        ("config", '{"resolution": "64"}'), ("config", '{"resolution": 8193}'),
        ("tool_version", "null"), ("shards", "[" * 100_000 + "]" * 100_000),
    ],
)  # fmt: skip
def test_an_odd_index_is_refused(root: Path, key: str, value: str) -> None:
    content = json.loads((root / "index.json").read_text())
    content[key] = "HERE"
    (root / "index.json").write_text(json.dumps(content).replace('"HERE"', value))
    with pytest.raises(ShardError, match="index.json: expected the index of a shard set"):
        ShardSet(root)


def test_a_shard_that_differs_from_its_line_of_the_index_is_refused(root: Path) -> None:
    content = json.loads((root / "index.json").read_text())
    content["shards"][0]["views"] = 3
    (root / "index.json").write_text(json.dumps(content))
    with pytest.raises(ShardError, match="a.h5: expected 3 views as in the index, got 2"):
        ShardSet(root).open("a")
    content["config"]["resolution"] = 128
    (root / "index.json").write_text(json.dumps(content))
    with pytest.raises(ShardError, match="b.h5: expected 128 pixels as in the index, got 64"):
        ShardSet(root).open("b")


def test_a_scan_id_cannot_leave_the_folder(root: Path) -> None:
    content = json.loads((root / "index.json").read_text())
    for scan_id in ("../../etc/passwd", "a/b", ".hidden", "", "a\nb"):
        content["shards"][0]["scan_id"] = scan_id
        (root / "index.json").write_text(json.dumps(content))
        with pytest.raises(ShardError, match="scan id: expected letters"):
            ShardSet(root)


def test_a_shard_cut_short_is_refused_when_opened(root: Path) -> None:
    path = shard_path(root, "a")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ShardError, match="a.h5: expected a complete shard of"):
        ShardSet(root).open("a")
    path.unlink()
    with pytest.raises(ShardError, match="no such file"):
        ShardSet(root).open("a")
    with pytest.raises(ShardError, match="expected a scan of the set, got 'zzz'"):
        ShardSet(root).open("zzz")


def test_changed_bytes_are_found_by_verify(root: Path) -> None:
    path = shard_path(root, "a")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ShardError, match="SHA-256"):
        ShardSet(root).verify("a")


def test_a_scan_in_two_lists_is_refused(root: Path) -> None:
    (root / "splits" / "val.txt").write_text("a\n")
    with pytest.raises(ShardError, match="every scan in one list, got a in train.txt too"):
        ShardSet(root)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_list_that_the_disk_has_no_room_for_is_one_sentence_and_stays(tmp_path: Path) -> None:
    write_splits(tmp_path, {"a": "train"})
    (tmp_path / "splits" / "train.txt.partial").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"train\.txt: expected to write it, got: No space left"):
        write_splits(tmp_path, {"b": "train"})
    assert read_splits(tmp_path) == {"a": "train"}
