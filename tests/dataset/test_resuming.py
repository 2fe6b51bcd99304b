"""A run meets what an earlier one left: it goes on, keeps, renders again or refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.joints import JOINT_INDEX
from dataset.scans import find_scans
from dataset.set_lock import SetLock
from dataset.shard_index import shard_path
from dataset.shards import ShardError, ShardSet
from dataset.synthesis import Synthesis, synthesise
from dataset.synthesis_config import SynthesisConfig
from tests.dataset.small_sets import CONFIG, content, render, render_all
from tests.scenes import write_person


def test_an_interrupted_run_is_resumed_to_the_same_bytes(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    shutil.copytree(baked, out)
    (out / "index.json").unlink()
    (out / "scans" / "p1__person.h5").rename(out / "scans" / "p1__person.h5.partial")
    cut = out / "scans" / "p2__person.h5"
    cut.write_bytes(cut.read_bytes()[:-1000])
    kept = (out / "scans" / "p0__person.h5").stat().st_mtime_ns
    report = render(scans, out)
    assert report.skipped == ("p0__person",) and report.done == ("p1__person", "p2__person")
    assert (out / "scans" / "p0__person.h5").stat().st_mtime_ns == kept
    assert content(out) == content(baked)
    again = render(scans, out)
    assert len(again.skipped) == 3 and not again.done
    assert content(out) == content(baked)


def test_a_stop_in_the_middle_leaves_a_set_that_can_be_read(scans: Path, tmp_path: Path) -> None:
    def stop(scan_id: str) -> None:
        if scan_id == "p1__person":
            raise KeyboardInterrupt

    run = Synthesis(scans=find_scans(scans, joints="sidecar"), config=CONFIG, out=tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        synthesise(run, stop)
    assert ShardSet(tmp_path / "s").scan_ids == ("p0__person", "p1__person")


def test_a_scan_that_was_rendered_without_joints_is_rendered_again_when_it_gets_them(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out, mine = tmp_path / "s", tmp_path / "scans"
    shutil.copytree(baked, out)
    shutil.copytree(scans, mine)
    assert render(mine, out).without_joints == ("p2__person",), "kept scans are named again"
    write_person(mine / "p2", seed=2, unit=1000.0)
    report = render(mine, out)
    assert report.done == ("p2__person",) and not report.without_joints
    with ShardSet(out).open("p2__person") as reader:
        assert reader.read("joints/3d", 0)[JOINT_INDEX["nose"], 3] == 1.0
    assert not render(mine, out).done


def test_added_scans_leave_the_others_as_they_are(scans: Path, baked: Path, tmp_path: Path) -> None:
    more, out = tmp_path / "more", tmp_path / "s"
    shutil.copytree(scans, more)
    shutil.copytree(baked, out)
    before = ShardSet(out)
    write_person(more / "a_new_one", seed=9)
    report = render(more, out)
    assert report.done == ("a_new_one__person",) and len(report.skipped) == 3
    after = ShardSet(out)
    for split in ("train", "val", "test"):
        assert set(before.splits[split]) <= set(after.splits[split])
    assert set(after.index.shards) > set(before.index.shards)


def test_another_config_is_refused_unless_overwritten(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    shutil.copytree(baked, out)
    other = SynthesisConfig(**{**vars(CONFIG), "rig": "none"})
    with pytest.raises(ShardError, match="made with rig = none, found one made with paper"):
        render(scans, out, other)
    (out / "index.json").unlink()
    with pytest.raises(ShardError, match="made with rig = none, found one made with paper"):
        render(scans, out, other)
    assert len(render(scans, out, other, overwrite=True).done) == 3
    reader = ShardSet(out).open("p0__person")
    whole = reader.read("coverage", 0) == 255
    assert np.array_equal(
        reader.read("person/front", 0)[whole], reader.read("albedo/front", 0)[whole]
    )


def test_a_scan_whose_mesh_or_texture_was_changed_is_rendered_again(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out, mine = tmp_path / "s", tmp_path / "scans"
    shutil.copytree(baked, out)
    shutil.copytree(scans, mine)
    os.utime(mine / "p0" / "person.obj")  # touched, but the same
    assert not render(mine, out).done
    texture = mine / "p1" / "person.png"
    pixels = cv2.imread(str(texture))
    assert pixels is not None
    cv2.imwrite(str(texture), 255 - pixels)
    with (mine / "p2" / "person.obj").open("a") as file:
        file.write("# edited\n")
    assert render(mine, out).done == ("p1__person", "p2__person")
    assert not render(mine, out).done


def test_a_set_with_a_damaged_index_is_rendered_again_or_refused_with_advice(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    shutil.copytree(baked, out)
    (out / "index.json").write_text("{")
    with pytest.raises(ShardError, match=r"index\.json: expected the index .*edit-shards rebuild"):
        render(scans, out)
    assert len(render(scans, out, overwrite=True).done) == 3
    assert content(out) == content(baked)


def test_a_set_that_another_process_writes_is_refused(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    shutil.copytree(baked, out)
    script = (
        "import sys\nfrom pathlib import Path\nfrom dataset.set_lock import SetLock\n"
        "with SetLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    input()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(ShardError, match="expected a shard set that no other process writes"):
        render(scans, out)
    with pytest.raises(ShardError, match="no other process"):
        render(scans, out, share=(1, 2))
    other.kill()  # as a driver dies: the system gives its lock back
    other.communicate()
    assert len(render(scans, out).skipped) == 3
    assert content(out) == content(baked)


def test_shares_of_an_array_job_and_a_last_run_make_the_same_set(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    with SetLock(out, shared=True):  # another share is at work
        assert render(scans, out, share=(1, 2)).done == ("p0__person", "p2__person")
        assert render(scans, out, share=(2, 2)).done == ("p1__person",)
        assert not (out / "index.json").exists() and not (out / "splits").exists()
        with pytest.raises(ShardError, match="no other process"):
            render(scans, out)
    assert len(render(scans, out).skipped) == 3
    assert content(out) == content(baked)


def test_a_shard_that_cannot_be_rendered_again_stays_in_index_and_lists(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    out, damaged = tmp_path / "s", tmp_path / "scans"
    shutil.copytree(baked, out)
    shutil.copytree(scans, damaged)
    (damaged / "p1" / "person.obj").write_text("v 0 0 0\n")
    report = render(damaged, out, overwrite=True)
    assert report.done == ("p0__person", "p2__person") and set(report.failed) == {"p1__person"}
    assert content(out) == content(baked)
    ShardSet(out).verify("p1__person")
    # A shard of another config is no part of the set.
    other = SynthesisConfig(**{**vars(CONFIG), "rig": "none"})
    render(damaged, out, other, overwrite=True)
    assert ShardSet(out).scan_ids == ("p0__person", "p2__person")


def test_a_few_scans_are_not_overwritten_with_another_config(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    other = SynthesisConfig(**{**vars(CONFIG), "rig": "none"})
    out = tmp_path / "s"
    shutil.copytree(baked, out)
    with pytest.raises(ShardError, match="or --overwrite without --only and --limit to render"):
        render(scans, out, other, overwrite=True, partial=True)
    assert content(out) == content(baked)


def test_no_split_stays_empty_when_a_resumed_run_meets_the_bad_scan(
    scans: Path, tmp_path: Path
) -> None:
    more, out = tmp_path / "scans", tmp_path / "s"
    shutil.copytree(scans, more)
    write_person(more / "p3", seed=9)
    splits = ShardSet(render_all(more, tmp_path / "whole")).splits
    bad = splits["test"][0]
    (more / bad.split("__")[0] / "person.obj").write_text("v 0 0 0\n")
    # As an interruption leaves it: all scans dealt, the bad one not rendered yet.
    shutil.copytree(tmp_path / "whole", out)
    shard_path(out, bad).unlink()
    index = json.loads((out / "index.json").read_text())
    index["shards"] = [entry for entry in index["shards"] if entry["scan_id"] != bad]
    (out / "index.json").write_text(json.dumps(index))
    report = render(more, out)
    assert set(report.failed) == {bad}
    shards = ShardSet(out)
    assert sorted(map(len, shards.splits.values())) == [1, 1, 1]
    assert all(shards.open(name).has_mesh for name in shards.splits["test"])


def test_a_folder_with_other_things_is_not_written_into(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ShardError, match="found holiday.jpg and no index.json"):
        render(scans, tmp_path)
    with pytest.raises(ShardError, match="found a file"):
        render(scans, tmp_path / "holiday.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
