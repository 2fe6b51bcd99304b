from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dataset.detectors import DetectorError
from dataset.detectors.mediapipe_setup import CACHE_VARIABLE
from dataset.joint_detection import YAWS_DEG, JointFinder
from dataset.joints import FILLED_CONFIDENCE, JOINT_INDEX, JOINT_NAMES, MIRRORED_JOINTS
from dataset.people.writing import write_person as write_demo_person
from dataset.scans import LoadedScan, find_scans, load_scan
from dataset.scans.scan import JointSource
from dataset.shards import ShardSet
from render.context import OffscreenContext
from render.errors import ScanError
from render.rasteriser import Rasteriser
from tests.dataset.people_fixtures import person
from tests.dataset.small_sets import content
from tests.pose_setup import NEEDS_DETECTOR
from tests.scenes import write_person
from tools.bench.joints import joint_errors, summary
from tools.make_demo_scans import main as make_demo_scans
from tools.render_dataset import main as render_dataset

SMALL = ["--resolution", "64", "--angles", "0", "10", "10", "--jobs", "1"]

pytestmark = NEEDS_DETECTOR


@pytest.fixture(scope="module")
def finder() -> Iterator[JointFinder]:
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        with JointFinder(rasteriser) as shared:
            yield shared


@pytest.fixture(scope="module")
def demo_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo person, without its joints; these are beside the folder."""
    root = tmp_path_factory.mktemp("people")
    plan, made = person(2)
    write_demo_person(made, plan, root / "scans" / "person_0002")
    (root / "scans" / "person_0002" / "joints.json").rename(root / "true.json")
    return root / "scans"


def loaded(folder: Path, joints: JointSource) -> LoadedScan:
    return load_scan(find_scans(folder, joints=joints)[0])


def test_a_scan_without_joints_gets_them_where_they_are(
    finder: JointFinder, demo_people: Path
) -> None:
    found = finder.with_joints(loaded(demo_people, "auto"))
    assert found.joints is not None and found.joints.shape == (31, 4)
    named = json.loads((demo_people.parent / "true.json").read_text())["joints"]
    true = np.array([named[name][:3] for name in JOINT_NAMES])
    distance = np.linalg.norm(found.joints[:, :3] - true, axis=1) * 100.0
    assert np.median(distance) < 3.0 and distance.max() < 9.0
    other = np.linalg.norm(found.joints[:, :3] - true[list(MIRRORED_JOINTS)], axis=1) * 100.0
    assert (distance <= other).all()
    filled = {name for name in JOINT_NAMES if name.endswith(("small_toe", "middle", "ring"))}
    for name, row in JOINT_INDEX.items():
        assert (found.joints[row, 3] == FILLED_CONFIDENCE) == (name in filled), name
    told = found.scan.metadata["joint_detection"]
    assert isinstance(told, dict) and told["detector"] == "mediapipe"
    assert set(told["error_cm"]) == set(JOINT_NAMES) - filled
    assert all(0.0 < error < 8.0 for error in told["error_cm"].values())
    assert all(3 <= views <= len(YAWS_DEG) for views in told["views"].values())
    assert "joints detected from 12 sides; reprojection error in cm: nose " in found.notes[-1]


def test_joints_do_not_depend_on_unit_and_place_of_the_scan(
    finder: JointFinder, demo_people: Path
) -> None:
    here = loaded(demo_people, "detect")
    moved = dataclasses.replace(
        here,
        mesh=dataclasses.replace(
            here.mesh, vertices=here.mesh.vertices * 100.0 + (50.0, -20.0, 9.0)
        ),
        unit_cm=1.0,
    )
    near, far = (finder.with_joints(scan).joints for scan in (here, moved))
    assert near is not None and far is not None
    np.testing.assert_allclose(far[:, :3] - (50.0, -20.0, 9.0), near[:, :3] * 100.0, atol=0.05)


def test_joints_that_are_there_or_are_not_to_be_detected_are_left_alone(
    finder: JointFinder, demo_people: Path, tmp_path: Path
) -> None:
    write_person(tmp_path, steps=4)
    for scan in (loaded(tmp_path, "auto"), loaded(demo_people, "sidecar")):
        assert finder.with_joints(scan) is scan


def test_where_nobody_is_found_only_who_asked_for_joints_is_refused(
    finder: JointFinder, tmp_path: Path
) -> None:
    write_person(tmp_path, steps=4, joints=False)
    found = finder.with_joints(loaded(tmp_path, "auto"))
    assert found.joints is None and "joints are not detected" in found.notes[-1]
    with pytest.raises(ScanError, match=r"person\.obj: expected a person .* found [0-9]+ joints"):
        finder.with_joints(loaded(tmp_path, "detect"))


def test_without_a_set_up_only_who_asked_for_joints_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_person(tmp_path, steps=4, joints=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        with JointFinder(rasteriser) as finder:
            assert "digitize --setup-pose" in finder.with_joints(loaded(tmp_path, "auto")).notes[-1]
            with pytest.raises(DetectorError, match="digitize --setup-pose"):
                finder.with_joints(loaded(tmp_path, "detect"))


def test_detected_joints_and_their_errors_are_in_the_shard(
    demo_people: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    arguments = ["--scans", str(demo_people), "--out", str(out), *SMALL]
    assert render_dataset([*arguments, "--joints", "detect"]) == 0
    with ShardSet(out).open("person_0002") as shard:
        assert (shard.read("joints/3d", 0)[:, 3] > 0.0).all()
        told = shard.metadata["joint_detection"]
    assert isinstance(told, dict) and "left_knee" in told["error_cm"]


def test_a_command_that_asks_for_joints_without_a_set_up_ends_with_one_sentence(
    demo_people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    out = tmp_path / "shards"
    arguments = ["--scans", str(demo_people), "--out", str(out), "--joints", "detect", *SMALL]
    assert render_dataset(arguments) == 2
    assert capsys.readouterr().err.startswith("render-dataset: --pose mediapipe: expected ")
    assert not out.exists()


@pytest.mark.slow
def test_shards_with_detected_joints_do_not_depend_on_the_number_of_processes(
    tmp_path: Path,
) -> None:
    scans = tmp_path / "scans"
    assert make_demo_scans(["--out", str(scans), "--count", "3", "--vertices", "20000"]) == 0
    for path in scans.glob("*/joints.json"):
        path.unlink()
    for jobs in ("1", "2"):
        line = ["--scans", str(scans), "--out", str(tmp_path / jobs), "--joints", "detect"]
        assert render_dataset([*line, *SMALL[:-1], jobs]) == 0
    made = content(tmp_path / "1")
    assert len(list(tmp_path.glob("1/scans/*.h5"))) == 3 and content(tmp_path / "2") == made


@pytest.mark.slow
def test_joints_of_twenty_demo_people_are_near_the_true_ones(tmp_path: Path) -> None:
    assert make_demo_scans(["--out", str(tmp_path), "--count", "20", "--vertices", "60000"]) == 0
    figures = summary(joint_errors(tmp_path, "mediapipe", 20))
    assert figures["people"] == 20 and figures["swapped"] == 0
    largest = figures["largest_median_cm"]
    assert largest["main"] < 3.0 and largest["other"] < 5.0 and largest["filled"] < 8.0
    assert all(row["missing"] == 0 for row in figures["joints"].values())
