"""make-demo-scans as a user runs it: files, determinism, resume, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dataset.joints import read_joints
from dataset.people.subdivision import FineMesh
from dataset.people.writing import obj_bytes
from tools.make_demo_scans import main

SMALL = ["--vertices", "14000", "--texture", "128"]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "scans"
    splits = ["--splits", "1", "0", "1"]
    assert main(["--out", str(out), "--count", "2", "--jobs", "1", *splits, *SMALL]) == 0
    return out


def test_each_person_has_its_five_files_and_nothing_else_is_left(scans: Path) -> None:
    assert sorted(p.name for p in scans.iterdir()) == ["person_0000", "person_0001"]
    assert set(_bytes(scans / "person_0001")) == {
        "person_0001.obj",
        "person_0001.mtl",
        "person_0001.png",
        "joints.json",
        "metadata.json",
    }


def test_metadata_names_unit_axes_seed_split_and_licence(scans: Path) -> None:
    metadata = [
        json.loads((scans / f"person_{k:04d}" / "metadata.json").read_text()) for k in range(2)
    ]
    assert [m["split"] for m in metadata] == ["train", "test"]
    assert [m["seed"] for m in metadata] == [0, 1]
    first = metadata[0]
    assert (first["unit"], first["up"], first["facing"]) == ("m", "+y", "+z")
    assert first["licence"] == "CC0-1.0" and first["subject"] == "person_0000"
    assert first["vertices"] == 14_000 and first["layout"] == "demo"


def test_the_obj_loads_with_its_texture_and_joints_in_the_same_frame(scans: Path) -> None:
    folder = scans / "person_0000"
    mesh = trimesh.load(folder / "person_0000.obj", process=False)
    assert len(mesh.faces) == 2 * 14_000 - 4
    assert mesh.visual.material.image.size == (128, 128)
    joints = read_joints(folder / "joints.json")
    low, high = mesh.bounds
    assert ((joints[:, :3] > low) & (joints[:, :3] < high)).all()
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight


def test_another_process_with_other_jobs_and_threads_writes_the_same_bytes(
    scans: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tools.make_demo_scans", "--out", str(tmp_path / "again")]
    command += ["--count", "3", "--jobs", "2", *SMALL]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    root = Path(__file__).resolve().parents[2]
    subprocess.run(command, check=True, cwd=root, env={**os.environ, **threads}, timeout=300)
    for name in ("person_0000", "person_0001"):
        first, second = _bytes(scans / name), _bytes(tmp_path / "again" / name)
        for file in ("joints.json", f"{name}.obj", f"{name}.mtl", f"{name}.png"):
            assert first[file] == second[file], file
        # The split was asked for in one of the two runs only.
        apart = json.loads(first["metadata.json"])
        del apart["split"]
        assert apart == json.loads(second["metadata.json"])


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--seed", "5"], "expected a person with seed 5, found one with 0"),
        (["--vertices", "15000"], "expected a person with vertices 15000, found one with 14000"),
        (["--splits", "0", "1", "1"], "expected a person with split val, found one with train"),
    ],
)
def test_people_of_other_flags_are_not_kept_as_if_they_were_asked_for(
    extra: list[str], says: str, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(scans), "--count", "2", *SMALL, *extra]) == 2
    assert says in capsys.readouterr().err


def test_existing_people_are_kept_unless_overwrite_is_given(scans: Path) -> None:
    folder = scans / "person_0001"
    before = (folder / "person_0001.obj").read_bytes()
    (folder / "person_0001.obj").write_bytes(b"mine")
    (folder / "notes.txt").write_text("kept")
    arguments = ["--out", str(scans), "--count", "2", "--jobs", "1", *SMALL]
    assert main(arguments) == 0
    assert (folder / "person_0001.obj").read_bytes() == b"mine"
    assert main([*arguments, "--overwrite", "--splits", "1", "0", "1"]) == 0
    assert (folder / "person_0001.obj").read_bytes() == before
    assert (folder / "notes.txt").read_text() == "kept"
    (folder / "notes.txt").unlink()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--count", "0"], "--count: expected 1 or more, got 0"),
        (["--vertices", "1000"], "--vertices: expected 14000 to 1000000, got 1000"),
        (["--vertices", "1000001"], "--vertices: expected 14000 to 1000000"),
        (["--jobs", "0"], "--jobs: expected 1 or more"),
        (["--seed", "-1"], "--seed: expected 0 or more"),
        (["--texture", "8"], "--texture: expected 64 to 8192"),
        (["--splits", "1", "1", "1"], "add up to --count 17, got 3"),
        (["--scan-layout", "2k2k"], "invalid choice"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_two(
    extra: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "x"), *extra]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_an_out_that_is_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert "expected a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_without_the_body_model_one_sentence_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anny", None)
    assert main(["--out", str(tmp_path / "x"), *SMALL]) == 2
    assert 'pip install "2k2k-toolkit[people]"' in capsys.readouterr().err


def test_obj_text_of_a_triangle_is_as_written_by_hand() -> None:
    mesh = FineMesh(
        vertices=np.array([[0.0, -1e-9, 0], [1.25, 0, 0], [0, 0.1234567, 0]]),
        faces=np.array([[0, 1, 2]]),
        uvs=np.array([[0.0, 0], [1, 0], [0, 0.5]]),
        uv_faces=np.array([[0, 1, 2]]),
        fields=np.zeros((3, 1)),
    )
    assert obj_bytes(mesh, "a").decode() == (
        "mtllib a.mtl\no a\n"
        "v 0.000000 0.000000 0.000000\nv 1.250000 0.000000 0.000000\nv 0.000000 0.123457 0.000000\n"
        "vt 0.000000 0.000000\nvt 1.000000 0.000000\nvt 0.000000 0.500000\n"
        "usemtl person\nf 1/1 2/2 3/3\n"
    )
