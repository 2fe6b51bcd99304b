"""inspect-shards as a user types it: statistics, damage found, the page in a browser, PNG files."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from dataset.shard_index import file_digest
from dataset.shard_inspection import pose_angles
from dataset.shards import ShardSet
from tests.tools.people_shards import write_people
from tools.inspect_shards import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SPLITS = {"train": ["ann", "bob"], "val": ["cid"], "test": ["dee"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "set"
    write_people(root, SPLITS, resolution=48, yaws_deg=(0.0, 30.0), steps=6)
    return root


@pytest.fixture
def shards(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def change(root: Path, scan_id: str, name: str, value: object, place: object = ...) -> None:
    """Change an array of a shard, and the index with it, as a faulty renderer would."""
    path = root / "scans" / f"{scan_id}.h5"
    with h5py.File(path, "r+") as file:
        file[name][place] = value
    index = json.loads((root / "index.json").read_text())
    entry = next(each for each in index["shards"] if each["scan_id"] == scan_id)
    entry["bytes"], entry["sha256"] = file_digest(path)
    (root / "index.json").write_text(json.dumps(index))


def test_a_good_set_is_verified_and_counted(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert main([str(made), "--verify"]) == 0
    said = capsys.readouterr().out
    row = said.splitlines()[1].split()
    vertices = len(ShardSet(made).open("ann").mesh()[0])
    assert row == ["4", "8", f"{vertices:,}", "yes", "yes", "no", "no", "no"]
    assert "train: 2 subjects, 4 views" in said and "4 shards verified: nothing wrong" in said
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_every_kind_of_wrong_array_is_named(
    shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ShardSet(shards).open("ann") as reader:
        row, column = np.median(np.argwhere(reader.read("mask", 0) == 1), axis=0).astype(int)
        far = reader.read_code("depth/back", 0)[row, column]
    change(shards, "ann", "depth/front", far + 200, (0, row, column))
    change(shards, "bob", "normal/back", [10, 10, 10], (1, row, column))
    change(shards, "cid", "mask", 0, 0)
    (shards / "scans" / "dee.h5").write_bytes(b"x" * 100)
    (shards / "splits" / "val.txt").write_text("")
    assert main([str(shards), "--verify"]) == 1
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    text = "\n".join(failed)
    assert "ann: view 0: depth: expected front no farther than back, found 1 pixels" in text
    assert "bob: view 1: normal/back: expected unit vectors on the mask, found 1 pixels" in text
    assert "cid: view 0: mask: expected somebody, found nobody" in text
    assert "cid: view 0: depth/front: expected exactly on the mask, found" in text
    assert "dee.h5: expected a complete shard of" in text
    assert "cid: expected in a split list, found in none" in text


def test_bytes_that_differ_from_the_index_are_found_only_by_verifying(
    shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(shards / "scans" / "bob.h5", "r+") as file:
        file["view/seed"][0] = 77
    assert main([str(shards)]) == 0
    capsys.readouterr()
    assert main([str(shards), "--verify"]) == 1
    assert "bob.h5: expected the SHA-256 of the index, got another" in capsys.readouterr().err


def test_an_index_that_lies_about_a_subject_is_found_by_verifying(
    shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = json.loads((shards / "index.json").read_text())
    index["shards"][0]["subject"] = "other"
    (shards / "index.json").write_text(json.dumps(index))
    assert main([str(shards), "--verify"]) == 1
    assert "ann.h5: expected subject other as in the index, got ann" in capsys.readouterr().err


def test_a_shard_whose_pictures_are_damaged_costs_the_others_neither_page_nor_files(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shards / "scans" / "ann.h5"
    with h5py.File(path) as file:
        place = file["image/front"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(bytes(40))
    page, out = tmp_path / "pages" / "page.html", tmp_path / "png"
    assert main([str(shards), "--html", str(page), "--export-png", str(out)]) == 1
    assert capsys.readouterr().err.count("failed: ann: ") == 2
    text = page.read_text()
    assert text.count("data:image/jpeg") == 3 and "image/front cannot be read" in text
    assert sorted(each.name for each in out.iterdir() if list(each.glob("*/view.json"))) == [
        "bob",
        "cid",
        "dee",
    ]


@pytest.mark.parametrize("name", ["joints/3d", "joints/2d", "view/yaw_deg", "camera/pose"])
def test_numbers_that_are_none_are_named(
    shards: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change(shards, "ann", name, np.nan, (0, ..., 0) if "/pose" in name or "joints" in name else 0)
    assert main([str(shards), "--verify"]) == 1
    (failed,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("failed: ")]
    assert failed.startswith("failed: ann: ") and f"{name}" in failed and "finite" in failed


def test_more_processes_say_the_same(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for jobs in ("1", "2"):
        assert main([str(made), "--verify", "--jobs", jobs]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_what_is_no_shard_set_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "expected a folder made by render-dataset, found no index.json" in (
        capsys.readouterr().err
    )


def test_pose_angles_are_those_of_a_drawn_figure() -> None:
    from dataset.joints import JOINT_INDEX

    joints = np.zeros((31, 4))
    places = {
        "left_shoulder": (0, 0, 0),
        "left_elbow": (1, 0, 0),  # level: raised by 90
        "left_wrist": (1, 1, 0),  # bent by 90
        "right_hip": (0, -1, 0),
        "right_knee": (0, -2, 0),
        "right_ankle": (0, -3, 1),  # bent by 45
    }
    for name, place in places.items():
        joints[JOINT_INDEX[name]] = (*place, 1.0)
    assert pose_angles(joints) == pytest.approx(
        {"arm raised": 90.0, "elbow bent": 90.0, "knee bent": 45.0}
    )


def test_exported_png_files_decode_to_what_the_shard_holds(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "png"
    assert main([str(shards), "--export-png", str(out)]) == 0
    folder = out / "ann" / "001"
    facts = json.loads((folder / "view.json").read_text())
    with ShardSet(shards).open("ann") as reader:
        depth = cv2.imread(str(folder / "depth_back.png"), cv2.IMREAD_UNCHANGED)
        code = facts["depth"]
        decoded = (depth - code["offset"]) / code["steps_per_unit"] + code["camera_distance"]
        wanted = reader.read("depth/back", 1)
        assert np.abs(np.where(depth > 0, decoded, 0.0) - wanted).max() < 1e-6
        normal = cv2.imread(str(folder / "normal_front.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
        vectors = np.where(normal.any(axis=-1, keepdims=True), normal / 32767.5 - 1.0, 0.0)
        assert np.abs(vectors - reader.read("normal/front", 1)).max() < 3e-5
        colours = cv2.imread(str(folder / "image_front.png"))[..., ::-1]
        assert np.array_equal(colours, reader.read("image/front", 1))
        assert np.array_equal(facts["camera_from_normalised"], reader.pose(1))
    (folder / "mask.png").unlink()
    assert main([str(shards), "--export-png", str(out)]) == 0
    assert not (folder / "mask.png").exists()  # what is there is kept
    assert main([str(shards), "--export-png", str(out), "--overwrite"]) == 0
    assert (folder / "mask.png").exists()


PROBE = """<script>
addEventListener("load", () => {
  const shown = document.createElement("pre");
  shown.id = "findings";
  shown.textContent = JSON.stringify({
    images: [...document.images].map((image) => image.naturalWidth),
    bars: document.querySelectorAll(".plot rect").length,
    wide: document.documentElement.scrollWidth > window.innerWidth,
    cells: [...document.querySelectorAll("#row td")].map((cell) => cell.textContent),
    requests: performance.getEntriesByType("resource").filter(
      (entry) => !entry.name.startsWith("data:")).length,
  });
  document.body.append(shown);
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, found none on the path")
def test_the_page_shows_sheets_and_plots_in_a_browser(shards: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main([str(shards), "--html", str(page), "--sheets", "3"]) == 0
    assert main([str(shards), "--html", str(page)]) == 2  # what is there is kept
    page.write_text(page.read_text().replace("</head>", PROBE + "</head>", 1))
    shot = tmp_path / "shot.png"
    command = [
        *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--window-size=1200,1600", f"--screenshot={shot}", page.as_uri()),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    match = re.search(r'<pre id="findings">(.*?)</pre>', shown.stdout, re.DOTALL)
    assert match is not None, shown.stderr[-2000:]
    found = json.loads(html.unescape(match[1]))
    assert found["images"] == [96 * 2] * 3 and found["bars"] > 0
    assert not found["wide"] and found["requests"] == 0
    assert found["cells"][:2] == ["4", "8"]
    picture = cv2.imread(str(shot))
    assert picture is not None and len(np.unique(picture.reshape(-1, 3), axis=0)) > 500
