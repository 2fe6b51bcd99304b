from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dataset.detectors import (
    Detection,
    DetectorError,
    make_detector,
    mediapipe_setup,
    read_openpose_json,
    setup_pose,
)
from dataset.detectors.blazepose import FINGER_REACH, LANDMARK_OF, joints_from_landmarks
from dataset.detectors.interface import detection_of, filled
from dataset.detectors.joint_centres import to_joint_centres
from dataset.detectors.mediapipe_setup import CACHE_VARIABLE, build_bundle, bundle_path
from dataset.detectors.pifpaf import from_annotation
from dataset.joints import FILLED_CONFIDENCE, JOINT_COUNT, JOINT_INDEX, is_measured
from tests.pose_setup import NEEDS_DETECTOR

MAIN_PARTS = ("nose", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def person(**hands: Any) -> dict[str, Any]:
    """Point k of the body lies at (10 k, 20 k), sure by 0.5."""
    body = [[10.0 * k, 20.0 * k, 0.5] for k in range(25)]
    return {"pose_keypoints_2d": np.ravel(body).tolist(), **hands}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_openpose_points_become_joints_by_name_and_by_pixel_centre(tmp_path: Path) -> None:
    hand = [[500.0 + k, k, 0.9] for k in range(21)]
    content = {"people": [person(hand_left_keypoints_2d=np.ravel(hand).tolist())]}
    (found,) = read_openpose_json(write(tmp_path / "k.json", content))
    joints = found.joints
    assert joints.shape == (JOINT_COUNT, 3) and joints.dtype == np.float32
    for name, row in (("nose", 0), ("left_shoulder", 5), ("right_heel", 24), ("left_eye", 16)):
        np.testing.assert_allclose(joints[JOINT_INDEX[name]], [10 * row + 0.5, 20 * row + 0.5, 0.5])
    np.testing.assert_allclose(joints[JOINT_INDEX["left_ring"]], [514.5, 14.5, 0.9], rtol=1e-6)
    assert not joints[JOINT_INDEX["right_index"]].any(), "a hand that is left out is missing"
    np.testing.assert_allclose(found.box, [0.5, 0.5, 518.5, 480.5])
    assert found.mask is None


def test_a_missing_ear_takes_the_place_of_the_eye_with_low_confidence(tmp_path: Path) -> None:
    one = person()
    one["pose_keypoints_2d"][3 * 18 : 3 * 19] = [0.0, 0.0, 0.0]
    (found,) = read_openpose_json(write(tmp_path / "k.json", {"people": [one]}))
    ear, eye = (found.joints[JOINT_INDEX[f"left_{part}"]] for part in ("ear", "eye"))
    assert ear[:2].tolist() == eye[:2].tolist() and ear[2] == np.float32(FILLED_CONFIDENCE)


def test_the_largest_person_comes_first(tmp_path: Path) -> None:
    small = person()
    small["pose_keypoints_2d"] = [value / 4 for value in small["pose_keypoints_2d"]]
    found = read_openpose_json(write(tmp_path / "k.json", {"people": [small, person()]}))
    assert [round(float(one.box[2])) for one in found] == [240, 60]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "expected keypoints as JSON"),
        ("[" * 100_000, "expected keypoints as JSON"),
        ([1], "expected an object as JSON, found list"),
        ({}, "expected people as OpenPose writes them"),
        ({"people": []}, "at least one person, found none"),
        ({"people": [{"pose_keypoints_2d": [0.0] * 75}]}, "at least one person, found none"),
        ({"people": ["x"]}, "person 0: expected an object, found str"),
        ({"people": [{"pose_keypoints_2d": [1.0] * 54}]}, "expected 75 numbers.*found 54"),
        ({"people": [person(hand_left_keypoints_2d=[1.0])]}, "expected 63 numbers"),
        ({"people": [{"pose_keypoints_2d": ["a"] * 75}]}, "expected numbers in pose_key"),
        ('{"people": [{"pose_keypoints_2d": [' + "NaN," * 74 + "1]}]}", "found nan"),
        ({"people": [{"pose_keypoints_2d": [-1e300] * 75}]}, r"expected pixels .* found -1e\+300"),
        ({"people": [{"pose_keypoints_2d": [10**400] * 75}]}, "expected numbers in pose_key"),
        ({"people": [{"pose_keypoints_2d": [[1, 2, 3]] * 25}]}, "found no plain list"),
        ({"people": [{"pose_keypoints_2d": {}}]}, "expected numbers in pose_key"),
    ],
)
def test_a_file_that_has_no_keypoints_is_one_sentence(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(DetectorError, match=message):
        read_openpose_json(write(tmp_path / "k.json", content))


def test_a_missing_and_an_oversize_file_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"none\.json: expected a keypoint file"):
        read_openpose_json(tmp_path / "none.json")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(DetectorError, match="at most 50 MB, found 60 MB"):
        read_openpose_json(tmp_path / "huge.json")


def landmarks() -> np.ndarray:
    points = np.zeros((33, 3))
    points[:, 0], points[:, 1] = np.arange(33) * 10.0, np.arange(33)
    points[:, 2] = 0.8
    return points


def test_blazepose_landmarks_become_joints_and_the_rest_is_filled() -> None:
    joints = joints_from_landmarks(landmarks())
    for name, row in (("left_eye", 2), ("right_ear", 8), ("left_hip", 23), ("right_big_toe", 32)):
        assert joints[JOINT_INDEX[name]].tolist() == [10.0 * row, row, 0.8]
    # The knuckle is landmark 19, its wrist 15: the joint after it is half as far again.
    np.testing.assert_allclose(joints[JOINT_INDEX["left_index"]], [210.0, 21.0, 0.8])
    assert FINGER_REACH == 1.5
    measured = {name for name, row in JOINT_INDEX.items() if is_measured(joints[row])}
    assert measured == set(LANDMARK_OF)
    assert joints[JOINT_INDEX["left_small_toe"]].tolist() == [310.0, 31.0, FILLED_CONFIDENCE]
    index, pinky = (joints[JOINT_INDEX[f"left_{name}"], :2] for name in ("index", "pinky"))
    middle = joints[JOINT_INDEX["left_middle"]]
    np.testing.assert_allclose(middle[:2], (2 * index + pinky) / 3)


def test_joints_without_neighbours_stay_missing() -> None:
    points = landmarks()
    points[LANDMARK_OF["left_index"]] = points[LANDMARK_OF["left_big_toe"]] = 0.0
    joints = joints_from_landmarks(points)
    for name in ("left_index", "left_middle", "left_ring", "left_big_toe", "left_small_toe"):
        assert not joints[JOINT_INDEX[name]].any()
    assert filled(joints)[JOINT_INDEX["left_index"]].tolist() == [0.0] * 3, "fills do not chain"


def test_a_detection_without_a_joint_is_none_and_missing_joints_are_zero() -> None:
    joints = np.full((JOINT_COUNT, 3), 7.0)
    joints[1:, 2] = 0.0
    found = detection_of(joints, 1.5)
    assert isinstance(found, Detection) and found.score == 1.0 and not found.joints[1:].any()
    assert found.box.tolist() == [7.0] * 4 and found.area == 0.0
    assert detection_of(np.zeros((JOINT_COUNT, 3)), 0.5) is None


def test_marks_move_to_joints_with_the_body_however_it_stands() -> None:
    joints = np.zeros((JOINT_COUNT, 4))
    for sign, side in ((1.0, "left"), (-1.0, "right")):
        for part, height in (("shoulder", 140.0), ("hip", 90.0), ("knee", 50.0), ("ankle", 10.0)):
            joints[JOINT_INDEX[f"{side}_{part}"]] = sign * 15.0, height, 0.0, 1.0
    moved = to_joint_centres(joints)
    # The torso is 50 long: 0.046, 0.007, -0.05 of it outwards, upwards, forwards.
    np.testing.assert_allclose(moved[JOINT_INDEX["left_hip"], :3], [17.3, 90.35, -2.5])
    np.testing.assert_allclose(moved[JOINT_INDEX["right_hip"], :3], [-17.3, 90.35, -2.5])
    np.testing.assert_allclose(moved[JOINT_INDEX["left_knee"], :3], [15.45, 52.65, -0.7])
    assert (moved[JOINT_INDEX["left_ankle"]] == joints[JOINT_INDEX["left_ankle"]]).all()
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    turned = joints.copy()
    turned[:, :3] = joints[:, :3] @ turn.T * 0.01
    np.testing.assert_allclose(to_joint_centres(turned)[:, :3], moved[:, :3] @ turn.T * 0.01)
    joints[JOINT_INDEX["left_hip"]] = 0.0
    assert (to_joint_centres(joints) == joints).all(), "without a torso nothing is known"


def test_openpifpaf_keypoints_become_joints() -> None:
    points = np.array([[k, 2 * k, 0.5 + k / 1000] for k in range(133)], dtype=np.float32)
    points[17, 2] = points[18, 2] = points[19, 2] = 0.0
    found = from_annotation(points, 0.6)
    assert found is not None and found.score == pytest.approx(0.6)
    rows = {name: found.joints[JOINT_INDEX[name]].tolist() for name in JOINT_INDEX}
    assert rows["nose"] == [0.5, 0.5, 0.5]
    # The right hand begins at 112; the joint after the knuckle of the middle finger is its 10th.
    np.testing.assert_allclose(rows["right_middle"], [122.5, 244.5, 0.622], rtol=1e-6)
    assert rows["left_big_toe"] == rows["left_small_toe"] == [0.0] * 3
    np.testing.assert_allclose(rows["left_heel"], [15.5, 30.5, FILLED_CONFIDENCE], rtol=1e-6)
    with pytest.raises(DetectorError, match="expected a whole-body model with 133 .* found 17"):
        from_annotation(points[:17], 0.6)


def test_a_detector_that_is_not_set_up_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(DetectorError, match=r"cache/pose.*run once: digitize --setup-pose"):
        make_detector("mediapipe")
    with pytest.raises(DetectorError, match=r"expected the package openpifpaf-vita"):
        make_detector("openpifpaf")
    with pytest.raises(ValueError, match="most_people: expected at least 1, got 0"):
        make_detector("mediapipe", 0)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert bundle_path().parent == Path("/somewhere/2k2k-toolkit")
    monkeypatch.setenv(CACHE_VARIABLE, "/else")
    assert bundle_path().parent == Path("/else")


def test_another_wheel_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-0.10.21.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mediapipe/modules/pose_detection/pose_detection.tflite", b"x")
    with pytest.raises(DetectorError, match=r"mediapipe-0\.10\.21\.whl: expected SHA-256 05dc"):
        build_bundle(wheel, tmp_path / "cache" / "a.task")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("size", [4, 6])
def test_a_network_of_another_size_is_not_unpacked(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net", b"x" * size)
    with zipfile.ZipFile(path) as archive, pytest.raises(DetectorError, match="expected 5 bytes"):
        mediapipe_setup._member(archive, "net", 5)


@NEEDS_DETECTOR
def test_a_second_set_up_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe_setup, "_pip", lambda *arguments: pytest.fail("pip was called"))
    written = bundle_path().stat().st_mtime_ns
    assert setup_pose() == bundle_path() and bundle_path().stat().st_mtime_ns == written
    with zipfile.ZipFile(bundle_path()) as bundle:
        assert {(i.filename, i.compress_type) for i in bundle.infolist()} == {
            ("pose_detector.tflite", zipfile.ZIP_STORED),
            ("pose_landmarks_detector.tflite", zipfile.ZIP_STORED),
        }


@NEEDS_DETECTOR
def test_a_bundle_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    bundle_path().write_bytes(b"no networks")
    with pytest.raises(DetectorError, match=r"expected networks that mediapipe can load"):
        make_detector("mediapipe")


@NEEDS_DETECTOR
def test_nobody_is_found_in_an_empty_picture_of_any_size(capfd: pytest.CaptureFixture[str]) -> None:
    with make_detector("mediapipe", most_people=2) as detector:
        for shape in ((1, 1, 3), (2000, 7, 3), (64, 64, 3)):
            assert detector.detect(np.zeros(shape, dtype=np.uint8)) == []
        with pytest.raises(ValueError, match=r"image: expected \(H, W, 3\) uint8, got \(4, 4\)"):
            detector.detect(np.zeros((4, 4), dtype=np.uint8))
    assert "XNNPACK" not in capfd.readouterr().err


@NEEDS_DETECTOR
@pytest.mark.skipif(not os.environ.get("TEST_PHOTOS"), reason="TEST_PHOTOS names no folder")
@pytest.mark.parametrize("picture", ["DSC02780.jpg", "0502_front.png"])
def test_mediapipe_finds_what_openpose_found(picture: str) -> None:
    path = Path(os.environ["TEST_PHOTOS"]) / picture
    image = np.asarray(cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB), np.uint8)
    (expected,) = read_openpose_json(path.with_name(f"{path.stem}_keypoints.json"))
    with make_detector("mediapipe") as detector:
        (found,) = detector.detect(image)
    rows = [row for name, row in JOINT_INDEX.items() if name.split("_")[-1] in MAIN_PARTS]
    assert len(rows) == 13
    distance = np.linalg.norm(found.joints[rows, :2] - expected.joints[rows, :2], axis=1)
    assert distance.mean() < 25.0 and distance.max() < 60.0
    assert found.mask is not None and found.mask.shape == image.shape[:2]
    x, y = expected.joints[rows, :2].astype(int).T
    assert found.mask[y, x].min() > 0.5 > found.mask[[0, 0, -1], [0, -1, 0]].max()
