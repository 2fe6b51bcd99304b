"""render-dataset as a user types it: exit statuses, messages, what is left on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dataset.shards import ShardSet
from tests.scenes import write_person
from tools.render_dataset import _container_bytes, main

SMALL = ["--resolution", "64", "--angles", "0", "10", "10", "--jobs", "1"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for index in range(3):
        write_person(root / f"p{index}", f"p{index}", seed=index, steps=4)
    return root


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err.strip()
    assert text.startswith("render-dataset: ") and "\n" not in text and "Traceback" not in text
    return text


def test_scans_become_shards_in_the_current_folder_and_a_second_run_keeps_them(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", str(scans), *SMALL]) == 0
    output = capsys.readouterr()
    assert "shards: 3 scans rendered, 0 kept, 0 failed" in output.out and "6/6" in output.err
    shards = ShardSet(here / "shards")
    assert shards.scan_ids == ("p0", "p1", "p2") and len(shards.views()) == 6
    assert shards.resolution == 64
    assert main(["--scans", str(scans), *SMALL]) == 0
    assert "0 scans rendered, 3 kept" in capsys.readouterr().out


def test_a_dry_run_counts_and_writes_nothing(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", str(scans), *SMALL, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "3 scans x 2 views of 64 px = 6 views" in text and "GB" in text and "hours" in text
    assert list(here.iterdir()) == []


def test_only_and_limit_choose_scans(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", str(scans), *SMALL, "--only", "p2", "p1", "--limit", "1"]) == 0
    assert ShardSet(here / "shards").scan_ids == ("p1",)
    assert main(["--scans", str(scans), *SMALL]) == 0
    assert ShardSet(here / "shards").scan_ids == ("p0", "p1", "p2")
    capsys.readouterr()
    assert main(["--scans", str(scans), *SMALL, "--only", "p9"]) == 2
    assert "--only: expected ids of scans (p0, ...), got p9" in one_sentence(capsys)


def test_parts_of_an_array_job_and_the_line_without_them_make_the_set(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--scans", str(scans), *SMALL]
    assert main([*line, "--out", "whole"]) == 0
    for part, rendered in (("1/2", 2), ("2/2", 1), ("4/4", 0)):
        capsys.readouterr()
        assert main([*line, "--shard-range", part]) == 0
        said = capsys.readouterr().out
        assert "come from the same line without --shard-range" in said
        assert f"{rendered} scans rendered" in said or not rendered
    assert not (here / "shards" / "index.json").exists()
    assert main(line) == 0
    assert "0 scans rendered, 3 kept" in capsys.readouterr().out
    assert ShardSet(here / "shards").index == ShardSet(here / "whole").index
    for bad in ("0/2", "3/2", "1", "a/b", "1/0", "-1/2"):
        assert main([*line, "--shard-range", bad]) == 2
        assert "--shard-range: expected" in capsys.readouterr().err


def test_one_bad_scan_among_good_ones_is_listed_and_the_rest_is_done(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = here / "mixed"
    shutil.copytree(scans, mixed)
    (mixed / "empty.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
    assert main(["--scans", str(mixed), *SMALL]) == 1
    output = capsys.readouterr()
    assert "3 scans rendered, 0 kept, 1 failed" in output.out
    last = output.err.strip().splitlines()[-1]
    assert last.startswith("failed: empty: ") and "empty.ply" in last
    assert ShardSet(here / "shards").scan_ids == ("p0", "p1", "p2")


def test_pictures_of_a_folder_become_backgrounds(here: Path, scans: Path) -> None:
    (here / "pictures").mkdir()
    cv2.imwrite(str(here / "pictures" / "red.png"), np.full((90, 120, 3), (0, 0, 255), np.uint8))
    line = ["--scans", str(scans), *SMALL, "--limit", "1", "--backgrounds", "pictures"]
    assert main(line) == 0
    reader = ShardSet(here / "shards").open("p0")
    outside = reader.read("coverage", 0) == 0
    assert (reader.read("image/front", 0)[outside] == [255, 0, 0]).all()
    assert "red" in reader.background(0)[0]


def test_pictures_that_cannot_be_decoded_are_counted_at_the_end(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for category in ("kitchen", "bar"):
        (here / "pictures" / category).mkdir(parents=True)
        (here / "pictures" / category / "a.jpg").write_bytes(b"no picture")
    assert main(["--scans", str(scans), *SMALL, "--backgrounds", "pictures"]) == 2
    assert "pictures: expected images that can be decoded, got 2 that cannot" in (
        capsys.readouterr().err
    )
    cv2.imwrite(str(here / "pictures" / "bar" / "b.png"), np.full((20, 30, 3), 90, np.uint8))
    line = ["--scans", str(scans), *SMALL, "--backgrounds", "pictures", "--seed", "3"]
    assert main([*line, "--background-jitter", "1"]) == 0
    said = capsys.readouterr().out
    assert "2 background pictures cannot be decoded and were skipped: bar/a.jpg, kitchen/" in said
    reader = ShardSet(here / "shards").open("p0")
    empty = reader.read("coverage", 0) == 0
    jittered = reader.read("image/front", 0)[empty]
    assert (jittered == jittered[0]).all() and jittered[0].tolist() != [90, 90, 90]


def test_cameras_and_turns_are_chosen_by_flags(here: Path, scans: Path) -> None:
    some = ["--scans", str(scans), "--resolution", "64", "--jobs", "1", "--limit", "1"]
    turns = ["--yaws", "-30", "180", "180", "--pitch", "-10", "20", "--camera", "orthographic"]
    assert main([*some, *turns, "--fov", "40", "40", "--roll", "5", "5"]) == 0
    reader = ShardSet(here / "shards").open("p0")
    views = [reader.view(number) for number in range(3)]
    assert [view.yaw_deg for view in views] == [-30.0, 180.0, 180.0]
    assert len({view.pitch_deg for view in views}) == 3
    assert all(-10 <= view.pitch_deg <= 20 and view.roll_deg == 5.0 for view in views)
    assert {view.camera.projection for view in views} == {"orthographic"}
    assert {view.camera.fov_deg for view in views} == {40.0}
    assert main([*some, "--out", "none", "--yaws", "0", "nan"]) == 2
    assert main([*some, "--out", "full", "--angles", "0", "360", "120"]) == 0
    assert ShardSet(here / "full").config["yaws_deg"] == [0.0, 120.0, 240.0]


def test_people_per_image_makes_groups(here: Path, scans: Path) -> None:
    (here / "scans").mkdir()
    for path in scans.rglob("*.*"):
        (here / "scans" / path.name).write_bytes(path.read_bytes())
    (here / "scans" / "splits").mkdir()
    (here / "scans" / "splits" / "train.txt").write_text("p0\np1\np2\n")
    assert main(["--scans", "scans", *SMALL, "--people-per-image", "3"]) == 0
    with ShardSet(here / "shards").open("p1") as reader:
        assert reader.people == 3 and {m.scan_id for m in reader.members} == {"p0", "p1", "p2"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--scans", "missing"], "missing: expected a folder of scans, found nothing"),
        (["--scans", "empty"], "empty: expected OBJ, PLY, GLB or glTF files"),
        (["--scans", "bad"], "bad: expected at least one scan that can be used, got 2"),
        (["--resolution", "0"], "resolution: expected 16 to 8192 pixels, got 0"),
        (["--angles", "0", "10", "0"], "--angles: expected START <= END and a STEP above 0"),
        (
            ["--angles", "0", "361", "1e-3"],
            "--angles: expected 360 views a scan at most, got 361001",
        ),
        (["--pitch", "0", "100"], "pitch: expected LOW <= HIGH within -90 and 90, got 0 100"),
        (["--people-per-image", "0"], "people-per-image: expected 1 to 16, got 0"),
        (["--background-jitter", "2"], "background-jitter: expected 0 to 1, got 2"),
        (["--gpu", "-1"], "--gpu: expected the number of a device from 0 on, got -1"),
        (["--jobs", "0"], "--jobs: expected at least 1 process, got 0"),
        (["--limit", "0"], "--limit: expected at least 1 scan, got 0"),
        (["--backgrounds", "missing"], "missing: expected a folder of background pictures"),
        (["--out", "bad/a.obj/s"], "s: expected a folder that can be written to, got: Not a dir"),
        (["--out", "bad"], "bad: expected an empty folder or a shard set"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    here: Path,
    scans: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    expected: str,
) -> None:
    (here / "empty").mkdir()
    (here / "bad").mkdir()
    (here / "bad" / "a.obj").write_text("v 0 0 0\n")
    (here / "bad" / "b.obj").write_text("hello\n")
    assert main(["--scans", str(scans), *SMALL, *change]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("render-dataset: ") and expected in error
    assert sorted(path.name for path in (here / "bad").iterdir()) == ["a.obj", "b.obj"]


def test_a_set_that_cannot_be_written_stops_the_run_and_no_scan_is_blamed(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "shards").mkdir()
    (here / "shards" / "scans").write_text("in the way")
    assert main(["--scans", str(scans), *SMALL]) == 2
    error = capsys.readouterr().err
    assert "p0.h5: expected to write a shard there, got: " in error and "p1" not in error
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5000))
    assert main(["--scans", str(scans), *SMALL, "--out", "full"]) == 2
    error = capsys.readouterr().err
    assert "full: expected room for another shard" in error and "p1" not in error


def test_memory_of_a_container_counts_cached_files_as_free(tmp_path: Path) -> None:
    assert _container_bytes(tmp_path) == float("inf")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert _container_bytes(tmp_path) == float("inf")
    (tmp_path / "memory.max").write_text("1000\n")
    assert _container_bytes(tmp_path) == 100.0
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 600\nactive_file 200\n")
    assert _container_bytes(tmp_path) == 700.0


def test_unknown_choices_are_refused_by_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", ".", "--rig", "disco"]) == 2
    assert "disco" in capsys.readouterr().err
    assert main([]) == 2
    assert "--scans" in capsys.readouterr().err


def test_another_resolution_does_not_go_into_the_same_set(
    here: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", str(scans), *SMALL, "--limit", "1"]) == 0
    capsys.readouterr()
    assert main(["--scans", str(scans), *SMALL, "--resolution", "32"]) == 2
    assert "made with resolution = 32, found one made with 64" in one_sentence(capsys)
    few = ["--resolution", "32", "--limit", "1", "--overwrite"]
    assert main(["--scans", str(scans), *SMALL, *few]) == 2
    assert "--overwrite without --only and --limit" in one_sentence(capsys)
