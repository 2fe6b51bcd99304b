"""Which layout a folder has, what a manifest changes, and where joints come from."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from dataset.joints import JOINT_INDEX
from dataset.scans import LAYOUT_NAMES, find_scans, load_scan
from dataset.scans.finding import TABLES
from dataset.scans.frames import facing_rotation, guessed_up, levelled, upright
from dataset.scans.manifest import read_manifest
from dataset.scans.scan import AXES
from dataset.splits import SPLITS
from render.errors import ScanError, UserInputError
from tests.dataset.scan_trees import ABOUT_Y, Z_UP, assert_stands, points, write_obj, write_ply
from tests.dataset.smplx_models import parameters, places, write_pickle


@pytest.mark.parametrize("up", AXES)
def test_every_up_axis_becomes_y_by_a_rotation(up: str) -> None:
    rotation = upright(up)
    np.testing.assert_allclose(rotation @ AXES[up], [0, 1, 0])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_z_up_files_face_minus_y_and_y_down_files_minus_z() -> None:
    np.testing.assert_allclose(upright("+z") @ [0, -1, 0], [0, 0, 1])
    np.testing.assert_allclose(upright("-y") @ [0, 0, -1], [0, 0, 1])


def test_facing_is_made_level_and_is_unknown_for_who_looks_up() -> None:
    up = np.array([0.0, 1.0, 0.0])
    rotation = facing_rotation(up, np.array([3.0, 2.0, 0.0]))
    assert rotation is not None
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation @ up, up)
    assert facing_rotation(up, np.array([0.01, -1.0, 0.0])) is None
    tilted = np.array([0.0, 0.6, 0.8])
    np.testing.assert_allclose(levelled(tilted) @ tilted, up, atol=1e-12)
    assert guessed_up(points(1.0, Z_UP)) == "+z" and guessed_up(points()) == "+y"


def test_a_folder_of_two_sets_is_refused_with_both_and_read_when_one_is_chosen(
    tmp_path: Path,
) -> None:
    write_ply(tmp_path / "train" / "00003" / "00003.ply", points())
    write_obj(tmp_path / "rp_a_posed_001_OBJ" / "rp_a_posed_001_100k.obj", points(100.0))
    expected = r"found those of renderpeople \(rp_NAME_.*\) and 2k2k \(train.*choose with --layout"
    with pytest.raises(ScanError, match=expected):
        find_scans(tmp_path)
    assert [scan.scan_id for scan in find_scans(tmp_path, "2k2k")] == ["00003"]
    assert len(find_scans(tmp_path, "generic")) == 2
    (tmp_path / "train" / "00003" / "metadata.json").write_text("{}")
    with pytest.raises(ScanError, match=r"and demo \(folders with a metadata\.json\); choose"):
        find_scans(tmp_path)
    assert [scan.scan_id for scan in find_scans(tmp_path, "demo")] == ["train__00003"]


def test_meshes_that_no_pattern_explains_are_not_dropped_in_silence(tmp_path: Path) -> None:
    write_ply(tmp_path / "00003" / "00003.ply", points())
    write_ply(tmp_path / "mine" / "another.ply", points())
    with pytest.raises(ScanError, match="1 other meshes such as mine/another.ply; choose --layout"):
        find_scans(tmp_path)
    assert [scan.scan_id for scan in find_scans(tmp_path, "2k2k")] == ["00003"]


def test_numbered_folders_alone_are_no_thuman2(tmp_path: Path) -> None:
    write_obj(tmp_path / "0001" / "0001.obj", points())
    (scan,) = find_scans(tmp_path)
    assert scan.metadata == {} and scan.stance.yaw_deg == 0.0
    assert find_scans(tmp_path, "thuman2")[0].stance.yaw_deg is None


def test_a_scan_of_any_folder_that_stands_on_its_z_axis_is_set_upright(tmp_path: Path) -> None:
    write_obj(tmp_path / "a.obj", points(100.0, Z_UP))
    write_obj(tmp_path / "b.obj", points(100.0))
    lying, standing = (load_scan(scan) for scan in find_scans(tmp_path))
    for scan in (lying, standing):
        assert_stands(scan)
    assert "up taken for +z, from the extent" in lying.notes
    assert standing.notes == ("one unit taken for 1 cm, from its height",)


def test_what_was_looked_for_is_said_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="found none; tried renderpeople: rp_NAME.*humman: "):
        find_scans(tmp_path)
    for layout in LAYOUT_NAMES:
        with pytest.raises(ScanError, match=rf"expected .*\(layout {layout}\), found none$"):
            find_scans(tmp_path, layout)


def test_two_meshes_or_two_fits_of_one_scan_are_that_scans_problem(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_obj(tmp_path / part / "0001" / "0001.obj", points(0.5))
    write_obj(tmp_path / "a" / "0002" / "0002.obj", points(0.5))
    for part in ("old", "new"):
        write_pickle(tmp_path / part / "0002" / "smplx_param.pkl", parameters(12))
    first, second = find_scans(tmp_path)
    with pytest.raises(ScanError, match="one mesh for the scan 0001, got a/0001/0001.obj and b/"):
        load_scan(first)
    with pytest.raises(ScanError, match="one file of body parameters for the scan 0002, got new/"):
        load_scan(second)


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_manifest_says_how_scans_stand_and_who_they_are(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_obj(tmp_path / f"{name}.obj", points(70.0, Z_UP @ ABOUT_Y[90]))
    csv = put(
        tmp_path / "m.csv",
        "\ufeffscan_id, subject,yaw_deg,scale,skip,unit,up,split,category:gender,note\n"
        '*,,-90,,,cm,+z,,unknown,\na,anna,,1.4286,,,,val,female,"hello, you"\nb,,,,yes,,,,,\n',
    )
    yaml = put(
        tmp_path / "m.yaml",
        "'*': {yaw_deg: -90, unit: cm, up: +z, categories: {gender: unknown}}\n"
        "a:\n  subject: anna\n  scale: 1.4286\n  split: val\n  categories: {gender: female}\n"
        "b: {skip: yes}\nc:\n",
    )
    for manifest in (csv, yaml):
        a, c = find_scans(tmp_path, manifest=manifest)
        assert (a.scan_id, a.subject, a.split) == ("a", "anna", "val")
        assert (c.scan_id, c.subject, c.split) == ("c", "c", None)
        assert a.metadata["categories"] == {"gender": "female"}
        assert c.metadata["categories"] == {"gender": "unknown"}
        assert_stands(load_scan(a))
        stands = load_scan(c)
        assert stands.mesh.vertices[:, 1].max() * stands.unit_cm == pytest.approx(173.0 * 0.7)


def test_ids_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    facts = read_manifest(put(tmp_path / "m.yml", "0010: {subject: 007}\n"))
    assert facts["0010"].subject == "007"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scan_id,yaw\na,3\n", "expected the columns scan_id, subject, .*category:NAME, got 'yaw'"),
        ("id,split\na,val\n", "expected a column scan_id"),
        ("", "expected a column scan_id"),
        ("scan_id,split,split\na,val,val\n", "expected every column once"),
        ("scan_id,split\na,val\na,test\n", "expected every scan once, got a twice"),
        ("scan_id,split\nzz,val\n", "expected ids of scans .a, b, \\.\\.\\.\\), got zz"),
        ("scan_id,split\na,holdout\n", "a: expected split to be train, val, test, got 'holdout'"),
        ("scan_id,yaw_deg\na,nan\n", "a: expected yaw_deg to be degrees, got 'nan'"),
        ("scan_id,scale\na,-1\n", "a: expected scale to be a factor above 0"),
        ("scan_id,skip\na,perhaps\n", "a: expected skip to be yes or no"),
        ("scan_id,unit\na,foot\n", "a: expected unit to be m, cm, mm, got 'foot'"),
        ("scan_id,up\na,y\n", "a: expected up to be"),
        ("scan_id,split\n,val\n", "line 2: expected a scan_id, got none"),
        ("scan_id,split\na,val,3\n", "line 2: expected 2 cells"),
        ('scan_id,note\na,"x"y"\n', "expected CSV, got"),
        ("scan_id,skip\n*,yes\n", "expected at least one scan not to be skipped"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_one_sentence(
    tmp_path: Path, text: str, expected: str
) -> None:
    for name in ("a", "b"):
        write_obj(tmp_path / f"{name}.obj", points())
    manifest = put(tmp_path / "m.csv", text)
    with pytest.raises(ScanError, match=f"m.csv: {expected}"):
        find_scans(tmp_path, manifest=manifest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "expected a mapping of scan ids to facts, got sequence"),
        ("a: {split: [val]}\n", "expected one value, got a sequence"),
        ("a: {split: val}\na: {split: val}\n", "got a twice"),
        ("a: {pose: sitting}\n", "got 'pose'"),
        ("a: [\n", "expected YAML, got"),
        ("a: !!python/object/apply:os.system [echo]\n", "expected a mapping"),
    ],
)
def test_the_same_holds_for_yaml(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ScanError, match=f"m.yaml: .*{expected}"):
        read_manifest(put(tmp_path / "m.yaml", text))


def test_manifests_of_other_kinds_or_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"m\.json: expected a CSV or YAML file"):
        read_manifest(tmp_path / "m.json")
    with pytest.raises(ScanError, match=r"m\.csv: expected a readable manifest"):
        read_manifest(tmp_path / "m.csv")


def test_the_manifests_of_the_documentation_can_be_read_and_all_layouts_are_in_it(
    tmp_path: Path,
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scan_sets.md").read_text()
    csv, yaml = (
        read_manifest(put(tmp_path / f"m.{kind}", text.split(f"```{kind}\n")[1].split("```")[0]))
        for kind in ("csv", "yaml")
    )
    assert csv == yaml and csv["0012"].yaw_deg == -90.0
    assert all(f"| `{name}` |" in text for name in LAYOUT_NAMES)


def test_packaged_lists_are_the_public_ones() -> None:
    folder = Path(str(files("dataset.scans"))) / "data"
    split = {name: facts.split for name, facts in read_manifest(folder / "thuman2.csv").items()}
    counts = {name: list(split.values()).count(name) for name in SPLITS}
    assert counts == {"train": 500, "val": 21, "test": 5}
    assert split["0499"] == "train" and split["0500"] == split["0504"] == "test"
    assert split["0505"] == split["0525"] == "val"
    turned = read_manifest(folder / "renderpeople.csv")
    assert [facts.yaw_deg for facts in turned.values()].count(-90.0) == 21
    assert len(turned) == 30 and {name for table in TABLES.values() for name in table.facts} == {
        path.name for path in folder.iterdir()
    }


def scan_of_a_body(root: Path, offset: object) -> Path:
    """Write a scan that is the model's body at rest, turned to +x, half a unit to the metre."""
    rest = np.repeat(places(), 3, axis=0) @ ABOUT_Y[90].T
    rest[1::3, 1] += 0.002
    rest[2::3, 2] += 0.002
    path = root / "0001" / "0001.obj"
    path.parent.mkdir(parents=True)
    lines = ["v %.6f %.6f %.6f" % tuple(row) for row in rest * 0.5]
    lines += [f"f {n + 1} {n + 2} {n + 3}" for n in range(0, len(rest), 3)]
    path.write_text("\n".join(lines) + "\n")
    about_y = np.array([[0.0, np.pi / 2, 0.0]])
    # The root turns about the pelvis, which is on the vertical axis here.
    placed = {"scale": np.array(0.5), "translation": np.asarray(offset, dtype=np.float64)}
    write_pickle(path.with_name("smplx_param.pkl"), parameters(12, global_orient=about_y, **placed))
    return root


def test_smplx_gives_joints_in_the_scan_frame_once_the_body_fits(
    tmp_path: Path, models: Path
) -> None:
    root = scan_of_a_body(tmp_path / "scans", np.zeros(3))
    (scan,) = find_scans(root, joints="smplx", body_models=models)
    person = load_scan(scan)
    assert person.joints is not None and person.unit_cm == pytest.approx(200.0)
    assert (person.joints[:, 3] == 1.0).all()
    for name, place in {
        "left_wrist": (0.69, 0.1, 0.0),
        "right_knee": (-0.1, -0.85, 0.0),
        "left_middle": (0.81, 0.1, 0.02),
    }.items():
        joint = person.joints[JOINT_INDEX[name], :3]
        np.testing.assert_allclose(joint * 2.0, place, atol=1e-4, err_msg=name)
    assert any("cm from the scan on average" in note for note in person.notes)
    (scan,) = find_scans(root, joints="sidecar", body_models=models)
    assert load_scan(scan).joints is None


def test_a_body_a_hand_away_is_not_trusted(tmp_path: Path, models: Path) -> None:
    root = scan_of_a_body(tmp_path / "scans", np.array([0.0, 0.0, 0.1]))
    (scan,) = find_scans(root)
    assert load_scan(scan).joints is None
    (scan,) = find_scans(root, body_models=models)
    with pytest.raises(ScanError, match="expected a body at most 5 cm from its scan, got 1"):
        load_scan(scan)


def test_joints_of_smplx_need_its_models_and_parameters(tmp_path: Path, models: Path) -> None:
    write_obj(tmp_path / "a.obj", points())
    with pytest.raises(UserInputError, match="--joints smplx: expected --body-models"):
        find_scans(tmp_path, joints="smplx")
    (scan,) = find_scans(tmp_path, joints="smplx", body_models=models)
    with pytest.raises(ScanError, match=r"a\.obj: expected SMPL-X parameters of it, found none"):
        load_scan(scan)


def test_joints_of_the_authors_are_mapped_by_hand_point_and_turned_with_the_scan(
    tmp_path: Path,
) -> None:
    write_obj(tmp_path / "rp_wendy_posed_002_100k.obj", points(100.0, ABOUT_Y[90]))
    rows = np.zeros((133, 3))
    rows[:, 1] = np.arange(133)
    rows[:, 0] = 10.0
    visible = np.ones(133)
    visible[5] = 0
    path = tmp_path / "Joint3D" / "RP" / "rp_wendy_posed_002.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"joint3d": rows.tolist(), "visible": visible.tolist()}))
    (scan,) = find_scans(tmp_path)
    joints = load_scan(scan).joints
    assert joints is not None
    np.testing.assert_allclose(joints[JOINT_INDEX["nose"]], [0.0, 0.0, 10.0, 1.0], atol=1e-9)
    assert joints[JOINT_INDEX["left_heel"], 1] == 19.0
    assert joints[JOINT_INDEX["left_index"], 1] == 91.0 + 6.0
    assert joints[JOINT_INDEX["right_pinky"], 1] == 112.0 + 18.0
    assert not joints[JOINT_INDEX["left_shoulder"]].any()
    for change, expected in (
        ({"joint3d": rows[:100].tolist()}, r"130 rows or more of 3, got \(100, 3\)"),
        ({"joint3d": (rows + 500.0).tolist()}, "expected joints at the scan, got 31 far"),
        ({"joint3d": rows.tolist(), "visible": [1]}, "expected 133 flags in visible, got 1"),
    ):
        path.write_text(json.dumps(change))
        with pytest.raises(ScanError, match=expected):
            load_scan(scan)


def test_kp3ds_of_2k2k_are_read_if_they_fit_and_else_refused_with_their_shape(
    tmp_path: Path,
) -> None:
    write_ply(tmp_path / "train" / "00003" / "00003.ply", points(100.0))
    rows = np.zeros((118, 4))
    rows[:, 1], rows[:, 3] = np.arange(118), 0.5
    path = tmp_path / "train" / "00003" / "kp3ds.json"
    path.write_text(json.dumps(rows.tolist()))
    (scan,) = find_scans(tmp_path)
    joints = load_scan(scan).joints
    assert joints is not None and (joints[:, 3] == 0.5).all()
    named = {name: joints[JOINT_INDEX[name], 1] for name in ("left_wrist", "right_ankle")}
    assert named == {"left_wrist": 7.0, "right_ankle": 11.0}
    assert joints[JOINT_INDEX["left_index"], 1] == 25.0 + 6.0
    assert joints[JOINT_INDEX["right_pinky"], 1] == 46.0 + 18.0
    path.write_text(json.dumps(rows[:70].tolist()))
    with pytest.raises(ScanError, match=r"kp3ds\.json: expected \(118, 4\) joints, got \(70, 4\)"):
        load_scan(scan)
