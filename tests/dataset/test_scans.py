"""What is a scan in a folder, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dataset.joints import write_joints
from dataset.scans import Scan, find_scans, load_scan, scan_unit_cm
from dataset.scans.scan import safe_ids
from dataset.shard_index import SAFE_ID
from render.errors import ScanError
from render.mesh import Mesh

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 {height} 0\nf 1 2 3\n"


def put(path: Path, text: str = TRIANGLE.format(height=1.7)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_generic_finds_meshes_at_any_depth_and_case_and_skips_junk(tmp_path: Path) -> None:
    for name in ("b.obj", "a/A.OBJ", "c/c.Ply", "x/y/z.ply", "d.glb"):
        put(tmp_path / name)
    for name in ("._b.obj", ".hidden/d.obj", "__MACOSX/e.obj", "notes.txt", "b.mtl"):
        put(tmp_path / name)
    (tmp_path / "folder.obj").mkdir()
    scans = find_scans(tmp_path)
    assert [scan.scan_id for scan in scans] == ["a__A", "b", "c", "d", "x__y__z"]
    assert [scan.subject for scan in scans] == [scan.scan_id for scan in scans]


def test_ids_are_safe_unique_and_independent_of_other_folders(tmp_path: Path) -> None:
    for name in ("José é.obj", "a.obj", "a.ply", "A.obj", "-x.obj", "n" * 150 + ".obj"):
        put(tmp_path / name)
    ids = [scan.scan_id for scan in find_scans(tmp_path)]
    assert len({name.lower() for name in ids}) == 6
    assert all(SAFE_ID.fullmatch(name) for name in ids)
    assert "Jos_" in "".join(ids)


def test_safe_ids_leave_good_names_alone() -> None:
    assert safe_ids(["0001", "a-b.c_d"]) == {"0001": "0001", "a-b.c_d": "a-b.c_d"}
    assert safe_ids(["../x"]) == {"../x": "__x"}
    assert len(set(safe_ids(["a/b", "a__b"]).values())) == 2


def test_generic_joints_stand_beside_their_mesh(tmp_path: Path) -> None:
    joints = np.arange(124.0).reshape(31, 4) / 1000.0
    put(tmp_path / "one" / "one.obj")
    write_joints(tmp_path / "one" / "joints.json", joints)
    put(tmp_path / "two" / "a.obj")
    put(tmp_path / "two" / "b.obj")
    write_joints(tmp_path / "two" / "joints.json", joints)
    write_joints(tmp_path / "two" / "b.joints.json", joints)
    found = {scan.scan_id: scan.joints_path for scan in find_scans(tmp_path)}
    assert found["one"] is not None and found["two__a"] is None
    assert found["two__b"] == tmp_path / "two" / "b.joints.json"
    read = load_scan(find_scans(tmp_path / "one")[0]).joints
    assert read is not None and np.array_equal(read, joints)


def test_demo_folders_say_subject_unit_and_split(tmp_path: Path) -> None:
    put(tmp_path / "p1" / "mesh.obj")
    metadata = {"subject": "anna", "unit": "cm", "split": "val", "pose": "standing"}
    put(tmp_path / "p1" / "metadata.json", json.dumps(metadata))
    put(tmp_path / "p2" / "mesh.obj")
    put(tmp_path / "p2" / "metadata.json", "{}")
    put(tmp_path / "extra.obj")
    first, second = find_scans(tmp_path)
    assert (first.scan_id, first.subject, first.unit_cm, first.split) == ("p1", "anna", 1.0, "val")
    assert first.metadata["pose"] == "standing"
    assert (second.scan_id, second.subject, second.unit_cm, second.split) == (
        "p2",
        "p2",
        None,
        None,
    )
    assert len(find_scans(tmp_path, "generic")) == 3


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "[" * 100_000, '{"unit": "foot"}', '{"unit": ["m"]}', '{"unit": {}}',
        '{"mesh": "../../secret.obj"}', '{"mesh": 3}', '{"mesh": "a\\u0000b"}', '{"joints": [1]}',
        '{"up": "+z"}', '{"subject": 7}', '{"subject": null}', '{"subject": " "}',
        '{"subject": "\\ud800"}', '{"split": "holdout"}', '{"split": 1}', '{"split": ["val"]}',
    ],
)  # fmt: skip
def test_a_bad_demo_folder_is_listed_with_its_problem(tmp_path: Path, text: str) -> None:
    put(tmp_path / "bad" / "mesh.obj")
    put(tmp_path / "bad" / "metadata.json", text)
    (scan,) = find_scans(tmp_path)
    assert isinstance(scan.subject, str) and scan.split is None
    with pytest.raises(ScanError, match="metadata.json: "):
        load_scan(scan)


def test_folders_without_scans_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="missing: expected a folder of scans, found nothing"):
        find_scans(tmp_path / "missing")
    with pytest.raises(
        ScanError, match="expected OBJ, PLY, GLB or glTF files .layout generic., found none"
    ):
        find_scans(tmp_path)
    with pytest.raises(ScanError, match="expected folders with a metadata.json"):
        find_scans(tmp_path, "demo")
    with pytest.raises(ScanError, match="found a file"):
        find_scans(put(tmp_path / "a.obj"))


@pytest.mark.parametrize(
    ("height", "unit_cm"), [(1.0, 100.0), (2.2, 100.0), (170.0, 1.0), (1000.0, 0.1), (2200, 0.1)]
)
def test_the_unit_is_guessed_from_the_height(height: float, unit_cm: float) -> None:
    vertices = np.array([[0, 5, 0], [1, 5, 0], [0, 5 + height, 0], [0, 1e9, 0]])
    mesh = Mesh.from_arrays(vertices, np.array([[0, 1, 2]]))
    scan = Scan(scan_id="a", subject="a", mesh_path=Path("a.obj"))
    assert scan_unit_cm(scan, mesh) == unit_cm
    stated = Scan(scan_id="a", subject="a", mesh_path=Path("a.obj"), unit_cm=2.54)
    assert scan_unit_cm(stated, mesh) == 2.54


@pytest.mark.parametrize("height", [0.1, 17.0, 30000.0])
def test_a_height_that_fits_no_unit_is_refused(height: float) -> None:
    mesh = Mesh.from_arrays(np.array([[0, 0, 0], [1, 0, 0], [0, height, 0]]), np.array([[0, 1, 2]]))
    scan = Scan(scan_id="a", subject="a", mesh_path=Path("a.obj"))
    with pytest.raises(ScanError, match="a.obj: expected a person 1 to 2.2 m tall"):
        scan_unit_cm(scan, mesh)
