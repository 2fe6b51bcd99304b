"""edit-shards as a user types it: rebuilt, merged and dealt again without rendering."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from dataset.shards import ShardError, ShardSet
from tests.tools.people_shards import write_people
from tools.edit_shards import main

SPLITS = {"train": ["ann", "bob"], "val": ["cid"], "test": ["dee"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "set"
    write_people(root, SPLITS, resolution=32, yaws_deg=(0.0,), steps=4)
    return root


@pytest.fixture
def shards(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def other_set(root: Path, splits: dict[str, list[str]], resolution: int = 32) -> Path:
    write_people(root, splits, resolution=resolution, yaws_deg=(0.0,), steps=4)
    return root


def test_a_lost_index_is_rebuilt_and_new_files_get_a_split(shards: Path, tmp_path: Path) -> None:
    before = ShardSet(shards)
    (shards / "index.json").unlink()
    more = other_set(tmp_path / "more", {"train": ["eve"]})
    shutil.copy(more / "scans" / "eve.h5", shards / "scans")
    assert main(["rebuild", str(shards)]) == 0
    after = ShardSet(shards)
    assert after.scan_ids == ("ann", "bob", "cid", "dee", "eve")
    assert set(after.index.shards) > set(before.index.shards)
    for split, names in SPLITS.items():
        assert set(names) <= set(after.splits[split])
    assert sum(map(len, after.splits.values())) == 5


def test_damaged_files_are_named_and_left_out_of_a_rebuilt_index(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = shards / "scans" / "bob.h5"
    cut.write_bytes(cut.read_bytes()[:-500])
    shutil.copy(shards / "scans" / "ann.h5", shards / "scans" / "fay.h5")
    finer = other_set(tmp_path / "finer", {"train": ["gus"]}, resolution=64)
    shutil.copy(finer / "scans" / "gus.h5", shards / "scans")
    assert main(["rebuild", str(shards)]) == 1
    said = capsys.readouterr()
    assert "3 shards listed, 3 left out" in said.out
    assert "bob.h5: expected a complete shard" in said.err
    assert "fay.h5: expected the shard of that scan, got one of ann" in said.err
    assert ShardSet(shards).scan_ids == ("ann", "cid", "dee")


def test_two_sets_become_one_with_the_splits_of_both(shards: Path, tmp_path: Path) -> None:
    other = other_set(tmp_path / "other", {"train": ["eve"], "test": ["fay"]})
    line = ["merge", str(shards), str(other), "--out", str(tmp_path / "both")]
    (tmp_path / "both" / "scans").mkdir(parents=True)  # as an interrupted merge leaves it
    (tmp_path / "both" / "scans" / "ann.h5.partial").write_bytes(b"half")
    assert main(line) == 0
    both = ShardSet(tmp_path / "both")
    assert both.splits == {
        "train": ("ann", "bob", "eve"),
        "val": ("cid",),
        "test": ("dee", "fay"),
    }
    for name in both.scan_ids:
        both.verify(name)
    linked = tmp_path / "both" / "scans" / "ann.h5"
    assert linked.stat().st_ino == (shards / "scans" / "ann.h5").stat().st_ino
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == [
        "index.json",
        "scans",
        "splits",
    ]


@pytest.mark.parametrize(
    ("splits", "resolution", "expected"),
    [
        ({"train": ["eve"]}, 64, "expected resolution = 32 as in .*set, found 64"),
        ({"train": ["bob"]}, 32, "expected other scans than .*set, found bob in both"),
    ],
)
def test_sets_that_do_not_go_together_are_refused_in_one_sentence(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    splits: dict[str, list[str]],
    resolution: int,
    expected: str,
) -> None:
    other = other_set(tmp_path / "other", splits, resolution)
    assert main(["merge", str(shards), str(other), "--out", str(tmp_path / "both")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("edit-shards: ")
    assert re.search(expected, error)
    assert not (tmp_path / "both").exists()


def test_a_subject_in_two_splits_is_refused(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = other_set(tmp_path / "other", {"test": ["eve"]})
    index = json.loads((other / "index.json").read_text())
    index["shards"][0]["subject"] = "ann"
    (other / "index.json").write_text(json.dumps(index))
    assert main(["merge", str(shards), str(other), "--out", str(tmp_path / "both")]) == 2
    assert "eve: expected subject ann in one split, found it in train and test" in (
        capsys.readouterr().err
    )


def test_subjects_are_dealt_again_by_lists_without_touching_shards(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (shards / "scans").iterdir()}
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "test.txt").write_text("ann\n")
    (lists / "val.txt").write_text("bob\n")
    (lists / "train.txt").write_text("cid\ndee\n")
    assert main(["resplit", str(shards), "--lists", str(lists)]) == 0
    found = ShardSet(shards).splits
    assert found == {"train": ("cid", "dee"), "val": ("bob",), "test": ("ann",)}
    assert {path: path.stat().st_mtime_ns for path in (shards / "scans").iterdir()} == before
    (lists / "val.txt").write_text("nobody\n")
    assert main(["resplit", str(shards), "--lists", str(lists)]) == 2
    assert "expected scans of" in capsys.readouterr().err
    assert main(["resplit", str(shards)]) == 0
    assert all(ShardSet(shards).splits.values())


def test_a_folder_without_shards_is_no_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rebuild", str(tmp_path)]) == 2
    assert "expected shards, scans/*.h5, found none" in capsys.readouterr().err
    assert main(["resplit", str(tmp_path / "typo")]) == 2
    assert not (tmp_path / "typo").exists()


def test_one_shard_of_another_config_does_not_decide_what_a_set_is_rebuilt_of(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finer = other_set(tmp_path / "finer", {"train": ["a_first_one"]}, resolution=64)
    shutil.copy(finer / "scans" / "a_first_one.h5", shards / "scans")
    assert main(["rebuild", str(shards)]) == 1
    assert ShardSet(shards).scan_ids == ("ann", "bob", "cid", "dee")
    assert "a_first_one.h5: expected resolution = 32 as in" in capsys.readouterr().err


def test_lists_that_contradict_each_other_can_be_dealt_again(shards: Path) -> None:
    with (shards / "splits" / "val.txt").open("a") as file:  # as a kill between two lists leaves it
        file.write("ann\n")
    with pytest.raises(ShardError, match="expected every scan in one list"):
        ShardSet(shards)
    assert main(["resplit", str(shards)]) == 0
    assert sum(map(len, ShardSet(shards).splits.values())) == 4


def test_a_merge_goes_on_where_it_was_cut_short_but_into_no_other_shards(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = other_set(tmp_path / "other", {"train": ["eve"]}), tmp_path / "both"
    line = ["merge", str(shards), str(other), "--out", str(out)]
    (out / "scans").mkdir(parents=True)
    os.link(shards / "scans" / "ann.h5", out / "scans" / "ann.h5")
    (out / "index.json.partial").write_text("{")
    shutil.copy(shards / "scans" / "ann.h5", out / "scans" / "mine.h5")
    assert main(line) == 2
    assert "expected a new or empty folder, found scans/mine.h5" in capsys.readouterr().err
    assert not (out / "index.json").exists()
    (out / "scans" / "mine.h5").unlink()
    assert main(line) == 0
    assert ShardSet(out).scan_ids == ("ann", "bob", "cid", "dee", "eve")
    assert len(list((out / "scans").iterdir())) == 5


def test_groups_are_not_dealt_again(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = json.loads((shards / "index.json").read_text())
    index["config"]["people_per_image"] = 2
    (shards / "index.json").write_text(json.dumps(index))
    before = (shards / "splits" / "train.txt").read_bytes()
    assert main(["resplit", str(shards)]) == 2
    assert "expected one person an image, found groups of one split" in capsys.readouterr().err
    assert (shards / "splits" / "train.txt").read_bytes() == before
