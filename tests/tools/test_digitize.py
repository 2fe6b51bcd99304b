"""digitize writes all it promises, keeps what is there, and refuses bad input in one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from dataset.framing import silhouette_of_joints
from tests.model.digitized import (
    HEIGHT,
    WIDTH,
    joints_at,
    photograph_of,
    write_checkpoint,
    write_keypoints,
)
from tools.digitize import main
from tools.digitize_names import is_done


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.ckpt")


def write_photograph(
    folder: Path, name: str, *people: NDArray[np.float64], width: int = WIDTH
) -> Path:
    """Write a photograph with OpenPose keypoints beside it."""
    Image.fromarray(photograph_of(*people, width=width)).save(folder / name)
    write_keypoints(folder / f"{Path(name).stem}_keypoints.json", *people)
    return folder / name


def digitize(checkpoint: Path, out: Path, *options: str | Path) -> int:
    fixed = ["--checkpoint", str(checkpoint), "--out", str(out), "--device", "cpu"]
    given = any(str(option).endswith(("--keypoints", ".mp4")) for option in options)
    pose = [] if given else ["--pose", "openpose"]
    return main([*(str(option) for option in options), *fixed, *pose])


@pytest.fixture(scope="module")
def ann(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The results of one photograph, of somebody 170 cm tall, and what was printed."""
    folder = tmp_path_factory.mktemp("ann")
    photograph = write_photograph(folder, "ann.png", joints_at())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert digitize(checkpoint, folder / "out", photograph, "--height-cm", "170") == 0
    return folder / "out", printed.getvalue()


def test_a_photograph_becomes_a_mesh_maps_pictures_and_facts(ann: tuple[Path, str]) -> None:
    (out, printed), joints = ann, joints_at()
    for word in ("detection", "prediction (networks alone)", "meshing", "writing", "in all"):
        assert word in printed
    kinds = [f"_{kind}_{side}.png" for kind in ("depth", "normal") for side in ("front", "back")]
    pictures = ["_overlay.png", "_preview.png", "_turntable.png"]
    expected = [".glb", ".json", "_maps.npz", *kinds, *pictures]
    assert sorted(path.name for path in out.iterdir()) == sorted(f"ann{end}" for end in expected)

    mesh = trimesh.load_mesh(out / "ann.glb")
    assert mesh.extents[1] == pytest.approx(1.70, abs=1e-4), "the unit of GLB is the metre"
    maps = np.load(out / "ann_maps.npz")
    assert maps["cm_per_unit"] == pytest.approx(170.0 / 0.7, rel=0.3)
    depth = np.asarray(cv2.imread(str(out / "ann_depth_front.png"), cv2.IMREAD_UNCHANGED))
    assert depth.dtype == np.uint16
    assert np.abs(depth / 32768.0 - maps["depth_front"]).max() < 2e-5
    picture = cv2.imread(str(out / "ann_normal_back.png"), cv2.IMREAD_UNCHANGED)
    normal = np.asarray(picture)[..., ::-1]
    covered = maps["normal_back"].any(axis=2)
    assert not normal[~covered].any()
    unpacked = normal[covered] / 32767.0 - 1.0
    assert np.abs(unpacked - maps["normal_back"][covered]).max() < 1e-3

    facts = json.loads((out / "ann.json").read_text())
    assert facts["convention"] == "paper" and facts["size"] == [WIDTH, HEIGHT]
    assert facts["joints"]["nose"] == pytest.approx([*joints[0, :2], 1.0], abs=0.01)
    left, top, side = (facts["framing"][key] for key in ("left", "top", "side"))
    assert (joints[0, :2] - (left, top)) * 128 / side == pytest.approx(maps["joints"][0, :2])
    assert set(facts["seconds"]) == {"detection", "prediction", "preparation", "meshing"}


def test_pictures_show_joints_parts_and_the_turning_mesh(ann: tuple[Path, str]) -> None:
    (out, _), joints = ann, joints_at()
    overlay = np.asarray(Image.open(out / "ann_overlay.png"))
    frame = json.loads((out / "ann.json").read_text())["framing"]
    scale = 1024 / frame["side"]
    for row, colour in ((9, (255, 122, 24)), (10, (30, 160, 255)), (0, (250, 220, 40))):
        x, y = ((joints[row, :2] - (frame["left"], frame["top"])) * scale).astype(int)
        assert overlay[y, x].tolist() == list(colour), "a joint is drawn where it is"
    strip = np.asarray(Image.open(out / "ann_turntable.png")).astype(int)
    cells = np.split(strip, 8, axis=1)
    assert all(np.ptp(cell) > 100 for cell in cells)
    assert np.abs(cells[0] - cells[2]).mean() > 1, "it turns"


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(
    ann: tuple[Path, str],
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    photograph = write_photograph(tmp_path, "ann.png", joints_at())
    assert digitize(checkpoint, tmp_path / "new", photograph, "--dry-run") == 0
    assert "to do" in capsys.readouterr().out and not (tmp_path / "new").exists()
    # Beside the photograph: nothing may take its place.
    for file in ann[0].iterdir():
        shutil.copy(file, tmp_path)
    mask = silhouette_of_joints(joints_at(), (HEIGHT, WIDTH))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    mesh, original = tmp_path / "ann.obj", photograph.read_bytes()
    mesh.write_bytes(b"mine")
    options = (photograph, "--format", "obj", "--view", "--mask", tmp_path / "mask.png")
    assert digitize(checkpoint, tmp_path, *options) == 0
    assert mesh.read_bytes() == b"mine" and "kept" in capsys.readouterr().out
    assert digitize(checkpoint, tmp_path, *options, "--overwrite") == 0
    assert mesh.read_bytes() != b"mine" and photograph.read_bytes() == original
    assert "<title>ann</title>" in (tmp_path / "ann.html").read_text()
    assert json.loads((tmp_path / "ann.json").read_text())["outline"] is True


def test_everyone_is_digitised_where_that_is_wanted(checkpoint: Path, tmp_path: Path) -> None:
    people = joints_at(200), joints_at(20, 110, 170)
    photograph = write_photograph(tmp_path, "two.png", *people, width=460)
    assert digitize(checkpoint, tmp_path / "out", photograph, "--all", "--max-faces", "500") == 0
    facts = [json.loads((tmp_path / "out" / f"two_person{n}.json").read_text()) for n in (1, 2)]
    assert [fact["joints"]["nose"][0] for fact in facts] == pytest.approx([320, 105], abs=1)
    assert all(fact["mesh"]["faces"] <= 500 for fact in facts)


def test_a_folder_goes_on_after_what_fails_and_lists_it(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photograph(tmp_path, "ann.png", joints_at())
    write_photograph(tmp_path, "bob.png", joints_at())
    (tmp_path / "ann.png").write_text("no picture")
    (tmp_path / "sub").mkdir()
    assert digitize(checkpoint, tmp_path / "out", tmp_path) == 1
    assert (tmp_path / "out" / "bob.json").is_file()
    printed = capsys.readouterr().out
    assert "1 failed:" in printed and "ann.png: expected a JPEG" in printed
    assert digitize(checkpoint, tmp_path / "out", tmp_path) == 1, "what is kept is of the batch"
    assert digitize(checkpoint, tmp_path, tmp_path) == 2
    assert "--out: expected another folder" in capsys.readouterr().err


def test_results_of_one_photograph_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    for name in ("a_1", "b[1]_person2", "c"):
        (tmp_path / f"{name}.json").touch()
    assert not is_done(tmp_path, "a", everyone=True)
    assert is_done(tmp_path, "b[1]", everyone=True)
    assert not is_done(tmp_path, "b[1]", everyone=False)
    assert is_done(tmp_path, "c", everyone=False)


BAD: dict[str, tuple[str, str]] = {
    "text": ("text.jpg", "expected a JPEG"),
    "dot": ("dot.png", "expected a photograph of 32 pixels or more each way, found 1 x 1"),
    "nobody": ("nobody.png", "expected keypoints of at least one person, found none"),
    "cut": ("cut.png", "found one who is cut off at the bottom"),
    "tangled": ("tangled.png", "found two who overlap"),
    "other": ("other.png", "they are of another picture"),
    "point": ("point.png", "found all at one point"),
    "missing": ("missing.png", "found no such file"),
    "film": ("film.mp4", "expected a video with frames"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what cannot be digitised."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.jpg").write_text("no picture")
    write_photograph(folder, "dot.png", joints_at())
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    write_photograph(folder, "nobody.png")
    write_photograph(folder, "cut.png", joints_at(top=180))
    write_photograph(folder, "tangled.png", joints_at(), joints_at(15))
    write_photograph(folder, "other.png", joints_at(5000))
    write_photograph(folder, "point.png")
    write_keypoints(folder / "point_keypoints.json", np.full((31, 3), 0.9) + (100.0, 100.0, 0.0))
    (folder / "film.mp4").write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_status_2(
    name: str, bad: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, said = BAD[name]
    pose: list[str | Path] = ["--keypoints", bad / "cut_keypoints.json"] if name == "text" else []
    assert digitize(checkpoint, tmp_path / "out", bad / file, *pose) == 2
    output = capsys.readouterr()
    (line,) = [line for line in output.err.splitlines() if line.startswith("digitize: ")]
    assert said in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "PHOTO: expected a photograph"),
        (["a.png", "b.png", "--mask", "m.png"], "--mask: expected one photograph.*got 2 files"),
        (["a.png", "--max-faces", "3"], "--max-faces: expected 100 or more, got 3"),
        (["a.png", "--height-cm", "-1"], "--height-cm: expected 0 to 1000 cm, got -1"),
        (["a.png", "--every", "0"], "--every: expected 1 or more"),
        (["a.mp4", "--pose", "openpose"], "--pose: expected mediapipe or openpifpaf for a video"),
        (["a.png", "sub/a.png"], "expected files of different names"),
    ],
)
def test_flags_that_cannot_be_are_refused(
    options: list[str],
    said: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "a.mp4", "sub/a.png"):
        (tmp_path / name).write_bytes(b"")
    assert digitize(checkpoint, tmp_path / "out", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line)


def test_without_a_checkpoint_a_sentence_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photograph = write_photograph(tmp_path, "ann.png", joints_at())
    assert main([str(photograph)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--checkpoint: expected a trained model" in line and "import-checkpoint" in line


def test_the_latest_run_is_taken_where_no_checkpoint_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "runs" / "latest" / "model.ckpt")
    assert main([str(write_photograph(tmp_path, "ann.png")), "--pose", "openpose"]) == 2
    assert "runs/latest/model.ckpt" in capsys.readouterr().out
