"""eval-2k2k --pred --gt on small meshes whose scores are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.eval.test_outputs import turned
from tests.scenes import body
from tools.eval_2k2k import main

FAST = ["--samples", "400", "--voxels", "24", "--normal-resolution", "64", "--pictures", "1"]
VERTICES, FACES = body(10)[0] * np.array([1.0, 1.15, 1.0]), body(10)[2]


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray = FACES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two people in metres."""
    for number, name in enumerate(("ann", "bob")):
        write_obj(tmp_path / "gt" / f"{name}.obj", VERTICES * (1.0 + 0.05 * number))
    return tmp_path / "gt"


def run(tmp_path: Path, scans: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "results"
    status = main(["--gt", str(scans), "--out", str(out), "--overwrite", *FAST, *flags])
    file = out / "results.json"
    return status, json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def means(read: dict[str, Any], column: str) -> dict[str, float]:
    return {
        method["method"]: method["columns"][column]["mean"]
        for method in read["methods"]
        if method["columns"]
    }


def pifu_output(vertices: np.ndarray, yaw_deg: float) -> np.ndarray:
    centre = np.median(vertices, axis=0)
    centre[1] = (vertices[:, 1].min() + vertices[:, 1].max()) / 2
    return turned(vertices - centre, yaw_deg) / (102.4 / 180.0 * np.ptp(vertices[:, 1]))


def test_several_methods_are_scored_in_one_table(tmp_path: Path, scans: Path) -> None:
    for number, name in enumerate(("ann", "bob")):
        vertices = VERTICES * (1.0 + 0.05 * number)
        output = pifu_output(vertices, 20.0)
        write_obj(tmp_path / "pifu" / name / f"result_{name}_020.obj", output)
        write_obj(tmp_path / "mine" / f"{name}_20.obj", vertices + [0.0, 0.0, 0.03])
    folders = ["--pred", str(tmp_path / "pifu"), str(tmp_path / "mine")]
    status, read = run(tmp_path, scans, *folders, "--method", "pifu", "ours")
    assert status == 0
    assert means(read, "p2s_pred_to_scan_cm")["pifu"] == pytest.approx(0.0, abs=1e-3)
    assert means(read, "volumetric_iou")["pifu"] == pytest.approx(1.0)
    assert means(read, "normal_error_rad")["pifu"] == pytest.approx(0.0, abs=1e-2)
    assert 0.5 < means(read, "p2s_pred_to_scan_cm")["ours"] < 3.0
    assert {sample["yaw_deg"] for sample in read["samples"]} == {20.0}
    page = (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert "error 270°" in page and "figure side" in page


def test_folders_with_equal_names_have_frames_of_their_own(tmp_path: Path, scans: Path) -> None:
    frames = {}
    for folder, shift in (("first", 0.1), ("second", -0.2)):
        for number, name in enumerate(("ann", "bob")):
            moved = VERTICES * (1.0 + 0.05 * number) + [shift, 0.0, 0.0]
            write_obj(tmp_path / folder / f"{name}.obj", moved)
            back = np.eye(4)
            back[0, 3] = -shift
            frames[f"{folder}/{name}" if folder == "second" else name] = {"matrix": back.tolist()}
    (tmp_path / "frames.json").write_text(json.dumps(frames))
    folders = ["--pred", str(tmp_path / "first"), str(tmp_path / "second"), "--method"]
    flags = [*folders, "ours", "ours", "--frames", str(tmp_path / "frames.json")]
    status, read = run(tmp_path, scans, *flags)
    assert status == 0
    assert list(means(read, "p2s_pred_to_scan_cm").values()) == pytest.approx([0, 0], abs=1e-3)


def test_the_normalised_scale_makes_the_scan_180_cm_tall(tmp_path: Path, scans: Path) -> None:
    for name, factor in (("ann", 1.0), ("bob", 1.05)):
        write_obj(tmp_path / "p" / f"{name}.obj", VERTICES * factor + [0.0, 0.0, 0.5])
    flags = ["--pred", str(tmp_path / "p"), "--metrics", "p2s"]
    values = []
    for scale in ("original", "normalised"):
        _, read = run(tmp_path, scans, *flags, "--scale", scale)
        values.append([s["values"]["p2s_pred_to_scan_cm"] for s in read["samples"]])
    height_cm = np.ptp(VERTICES[:, 1]) * 100
    expected = np.array(values[0]) * 180 / (height_cm * np.array([1.0, 1.05]))
    np.testing.assert_allclose(values[1], expected)


def test_an_alignment_is_told_with_what_it_fitted(tmp_path: Path, scans: Path) -> None:
    for name, factor in (("ann", 1.0), ("bob", 1.05)):
        write_obj(tmp_path / "p" / f"{name}.obj", VERTICES * factor * 0.004 + [9.0, 0.0, 0.0])
    flags = ["--pred", str(tmp_path / "p"), "--metrics", "chamfer", "--align", "icp"]
    status, read = run(tmp_path, scans, *flags)
    assert status == 0
    assert means(read, "chamfer_cm")["ours"] < 0.3
    assert read["settings"]["alignment"] == "icp"
    for sample in read["samples"]:
        assert sample["alignment"]["scale"] == pytest.approx(250.0, rel=0.01)


def test_what_is_missing_or_broken_is_counted_and_listed(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_obj(scans / "eve.obj", VERTICES)
    write_obj(scans / "joe.obj", VERTICES)
    write_obj(tmp_path / "p" / "ann.obj", VERTICES)
    broken = VERTICES.copy()
    broken[3] = np.nan
    write_obj(tmp_path / "p" / "bob.obj", broken)
    (tmp_path / "p" / "eve.obj").write_text("")
    write_obj(tmp_path / "p" / "who.obj", VERTICES)
    status, read = run(tmp_path, scans, "--pred", str(tmp_path / "p"), "--metrics", "p2s")
    assert status == 1
    reasons = {failure["scan_id"]: failure["reason"] for failure in read["failures"]}
    assert "NaN" in reasons["bob"] or "finite" in reasons["bob"]
    assert "empty file" in reasons["eve"]
    assert "expected a prediction, found none" in reasons["joe"]
    assert "found no such scan" in reasons["who"]
    method = read["methods"][0]
    assert (method["missing"], method["complete"]) == (3, False)
    assert "Not scored: 4" in capsys.readouterr().out


def test_a_scan_that_encloses_nothing_costs_no_scores(tmp_path: Path, scans: Path) -> None:
    sheet = np.array([[0.0, 0, 0], [0.6, 0, 0], [0.6, 1.7, 0], [0, 1.7, 0]])
    for folder in (scans, tmp_path / "p"):
        write_obj(folder / "eve.obj", sheet, np.array([[0, 1, 2], [0, 2, 3]]))
        write_obj(folder / "ann.obj", VERTICES)
        write_obj(folder / "bob.obj", VERTICES)
    status, read = run(tmp_path, scans, "--pred", str(tmp_path / "p"), "--metrics", "p2s")
    assert status == 0
    shares = {sample["scan_id"]: sample["occluded_share"] for sample in read["samples"]}
    assert set(shares) == {"ann", "bob", "eve"} and shares["eve"] is None
    assert shares["ann"] is not None


def test_another_unit_is_told_with_its_ratio(tmp_path: Path, scans: Path) -> None:
    for name, factor in (("ann", 1.0), ("bob", 1.05)):
        write_obj(tmp_path / "p" / f"{name}.obj", VERTICES * factor * 0.001)
    _, read = run(tmp_path, scans, "--pred", str(tmp_path / "p"), "--metrics", "p2s")
    assert any("is 0.001 times as tall as its scan (2 like it)" in n for n in read["notes"])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--method", "pifu", "icon"], "--method: expected one for each of the 1 folders"),
        (["--method", "smplify"], "--method: expected names out of ours, pifu, "),
        (["--unit", "inch"], "--unit: expected m, cm or mm, got 'inch'"),
        (["--metrics", "maps"], "--metrics: expected metrics of meshes"),
        (["--align", "yes"], "--align: expected none or translation or icp"),
        (["--scale", "big"], "--scale: expected original or normalised"),
        (["--method", "icon"], "expected meshes of icon named after scans"),
        (["--frames", "none.json"], "--frames: expected a file"),
        (["--against", "none.json"], "--against: expected a results.json"),
        (["--shards", "shards"], "--shards: expected without --pred"),
        (["--limit", "0"], "--limit: expected at least 1 view, got 0"),
        (["--timing-runs", "-1"], "--timing-runs: expected 0 or more"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    flags: list[str],
    expected: str,
    tmp_path: Path,
    scans: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_obj(tmp_path / "p" / "ann.obj", VERTICES)
    status, read = run(tmp_path, scans, "--pred", str(tmp_path / "p"), *flags)
    message = capsys.readouterr().err.strip()
    assert (status, read) == (2, {})
    assert expected in message and message.count("\n") == 0


def test_predictions_without_scans_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--pred", str(tmp_path)]) == 2
    assert "--gt: expected a folder" in capsys.readouterr().err
