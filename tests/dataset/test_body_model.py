"""Body parameters: read without trust, posed by the real package, placed in the scan."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from trimesh.caching import tracked_array

from dataset.body_model import misfit_cm, pose_body
from dataset.body_parameters import BodyParameters, read_body_parameters
from dataset.joints import JOINT_INDEX
from dataset.restricted_pickle import read_pickle
from render.errors import ScanError
from tests.dataset.smplx_models import model_arrays, parameters, write_models, write_pickle


class Malicious:
    """Unpickled by Python itself, this makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


def read(path: Path, content: object) -> BodyParameters:
    return read_body_parameters(write_pickle(path, content))


def test_arrays_of_old_numpy_and_of_trimesh_are_read(tmp_path: Path) -> None:
    plain = [1, "x", None, {2.5: (True,)}]
    scale = tracked_array(np.array(0.43))
    content = {"a": np.arange(6.0).reshape(2, 3), "b": plain, "scale": scale}
    path = write_pickle(tmp_path / "a.pkl", content)
    assert b"numpy.core.multiarray" in path.read_bytes() and b"TrackedArray" in path.read_bytes()
    found = read_pickle(path)
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["b"] == plain
    assert type(found["scale"]) is np.ndarray and found["scale"] == 0.43


def test_a_pickle_that_runs_code_is_refused_and_named_and_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = tmp_path / "smplx_param.pkl"
    path.write_bytes(pickle.dumps(parameters(12) | {"betas": Malicious(made)}))
    with pytest.raises(ScanError, match=r"smplx_param\.pkl: .*calls posix\.mkdir, which was ref"):
        read_body_parameters(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists(), "the pickle would have done it"


@pytest.mark.parametrize("name", ["builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_other_functions_are_refused_whatever_their_arguments(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    path = tmp_path / "a.pkl"
    path.write_bytes(f"c{module}\n{function}\n(S'1'\ntR.".encode())
    with pytest.raises(ScanError, match=f"calls {name}"):
        read_pickle(path)


class Forged:
    """Unpickled by NumPy's own functions, this is an array of objects at addresses of its own."""

    def __init__(self, kind: str, *parts: object) -> None:
        self._kind, self._parts = kind, parts

    def __reduce__(self) -> tuple[object, ...]:
        cleared = (3, "|", None, None, None, -1, -1, 0)
        if self._kind == "dtype":
            return np.dtype, ("O8", False, True), cleared
        if self._kind == "buffer":
            return np.ndarray, ((1,), np.dtype("O"), b"AAAAAAA\0")
        state = (1, (1,), Forged("dtype"), False, b"AAAAAAA\0")
        return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), state


@pytest.mark.parametrize("kind", ["buffer", "state"])
def test_bytes_are_not_taken_for_addresses_of_objects(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"betas": Forged(kind)}))
    with pytest.raises(ScanError, match=r"calls numpy\.dtype\('O8'\), which was refused"):
        read_pickle(path)


def test_arrays_of_any_order_and_of_text_are_read(tmp_path: Path) -> None:
    rows = np.arange(6, dtype=">i2").reshape(2, 3)
    content = {"big": rows, "fortran": np.asfortranarray(rows), "text": np.array(["a", "bc"])}
    found = read_pickle(write_pickle(tmp_path / "a.pkl", [content, (np.zeros((0, 3)),)]))
    assert found[0]["big"].tolist() == found[0]["fortran"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found[0]["text"].tolist() == ["a", "bc"] and found[1][0].shape == (0, 3)


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x03}q\x00(X", b"(" * 5000])
def test_a_damaged_pickle_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(ScanError, match=r"a\.pkl: expected a pickle, got"):
        read_pickle(tmp_path / "a.pkl")


def test_the_convention_is_decided_from_what_is_in_the_file(tmp_path: Path) -> None:
    turned = np.array([[0.0, np.pi / 2, 0.0]])
    placed = {"scale": tracked_array(np.array(0.5)), "translation": np.array([1.0, 2.0, 3.0])}
    first = read(tmp_path / "a.pkl", parameters(12, global_orient=turned, **placed))
    assert first.gender == "male" and first.scale == 0.5
    np.testing.assert_allclose(first.to_scan(np.array([[2.0, 0, 0]]), 7.0), [[2.0, 2.0, 3.0]])
    np.testing.assert_allclose(first.orientation[:, 2], [1.0, 0.0, 0.0], atol=1e-12)
    second = read(
        tmp_path / "b.pkl", parameters(45, scale=np.array([0.5]), transl=np.array([[1.0, 2, 3]]))
    )
    assert second.gender == "neutral"
    np.testing.assert_allclose(second.to_scan(np.array([[2.0, 0, 0]]), 7.0), [[1.5, 1.0, 1.5]])


def test_json_without_a_scale_takes_the_unit_of_the_scan(tmp_path: Path) -> None:
    plain = {name: value.ravel().tolist() for name, value in parameters(45).items()}
    path = tmp_path / "00003.json"
    path.write_text(json.dumps(plain | {"transl": [0.0, 1.0, 0.0]}))
    found = read_body_parameters(path)
    np.testing.assert_allclose(found.to_scan(np.array([[0.1, 0.0, 0.0]]), 1.0), [[10.0, 100.0, 0]])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"body_pose": np.zeros((1, 72))}, "expected body_pose of 63 numbers, got 72"),
        ({"right_hand_pose": np.zeros(45)}, "expected hands of one form"),
        ({"left_hand_pose": np.zeros(6)}, "expected left_hand_pose of 12 or 45 numbers, got 6"),
        ({"betas": ["a"] * 10}, "expected betas to hold numbers"),
        ({"betas": np.full(10, np.nan)}, "expected finite betas"),
        ({"scale": 0.0}, "expected a scale above 0"),
    ],
)
def test_other_parameters_are_refused(
    tmp_path: Path, change: dict[str, object], expected: str
) -> None:
    with pytest.raises(ScanError, match=f"a.pkl: {expected}"):
        read(tmp_path / "a.pkl", parameters(12, **change))


def test_what_is_no_dictionary_or_lacks_the_pose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="expected a dictionary of SMPL-X parameters, got list"):
        read(tmp_path / "a.pkl", [1])
    with pytest.raises(ScanError, match="expected the SMPL-X parameter global_orient"):
        read(tmp_path / "a.pkl", {"betas": np.zeros(10)})
    (tmp_path / "b.json").write_text("[" * 100_000)
    with pytest.raises(ScanError, match=r"b\.json: expected JSON"):
        read_body_parameters(tmp_path / "b.json")


def joint(joints: np.ndarray, name: str) -> np.ndarray:
    return joints[JOINT_INDEX[name]]


def test_joints_of_a_body_at_rest_are_where_the_model_has_them(
    tmp_path: Path, models: Path
) -> None:
    body = pose_body(read(tmp_path / "a.pkl", parameters(12)), models)
    assert body.vertices.shape == (10475, 3) and body.joints.shape == (31, 3)
    for name, place in {
        "left_shoulder": (0.18, 0.1, 0.0),
        "right_knee": (-0.1, -0.85, 0.0),
        "left_wrist": (0.69, 0.1, 0.0),
        "left_index": (0.81, 0.1, 0.04),  # the joint after the knuckle
        "left_pinky": (0.81, 0.1, 0.0),
        "right_ring": (-0.81, 0.1, -0.02),
    }.items():
        np.testing.assert_allclose(joint(body.joints, name), place, atol=1e-5, err_msg=name)
    rest = model_arrays()["v_template"]
    for name, vertex in {"nose": 9120, "left_eye": 9448, "right_heel": 8635}.items():
        np.testing.assert_allclose(joint(body.joints, name), rest[vertex], atol=1e-5)


def test_a_bent_elbow_shape_and_expression_move_what_they_should(
    tmp_path: Path, models: Path
) -> None:
    pose = np.zeros((21, 3))
    pose[17] = (0.0, 0.0, np.pi / 2)  # the left elbow
    bent = pose_body(read(tmp_path / "a.pkl", parameters(12, body_pose=pose)), models)
    np.testing.assert_allclose(joint(bent.joints, "left_wrist"), (0.44, 0.35, 0.0), atol=1e-5)
    np.testing.assert_allclose(joint(bent.joints, "right_wrist"), (-0.69, 0.1, 0.0), atol=1e-5)
    shape, face = np.zeros(10), np.zeros(10)
    shape[0], face[0] = 2.0, 3.0
    changed = parameters(45, betas=shape, expression=face)
    grown = pose_body(read(tmp_path / "b.pkl", changed), models)
    np.testing.assert_allclose(joint(grown.joints, "left_shoulder"), (0.18, 0.12, 0.06), atol=1e-5)


def test_models_of_the_first_version_keep_expressions_behind_ten_shapes(tmp_path: Path) -> None:
    pytest.importorskip("smplx")
    shapes = np.zeros((10475, 3, 20), np.float32)
    shapes[:, 2, 10] = 0.02
    models = write_models(tmp_path / "models", shapedirs=shapes)
    face = np.zeros(10)
    face[0] = 3.0
    body = pose_body(read(tmp_path / "a.pkl", parameters(45, expression=face)), models)
    np.testing.assert_allclose(joint(body.joints, "left_shoulder"), (0.18, 0.1, 0.06), atol=1e-5)


def test_hands_by_components_and_by_angles_are_the_same_hands(tmp_path: Path, models: Path) -> None:
    amounts = np.linspace(-0.5, 0.5, 12)
    angles = amounts @ model_arrays()["hands_componentsl"][:12]
    by_components = pose_body(
        read(tmp_path / "a.pkl", parameters(12, left_hand_pose=amounts)), models
    )
    by_angles = pose_body(read(tmp_path / "b.pkl", parameters(45, left_hand_pose=angles)), models)
    np.testing.assert_allclose(by_components.joints, by_angles.joints, atol=1e-5)
    assert abs(joint(by_angles.joints, "left_index") - (0.81, 0.1, 0.04)).max() > 0.001


def test_a_model_file_is_not_unpickled_and_a_bad_or_missing_one_is_named(tmp_path: Path) -> None:
    pytest.importorskip("smplx")
    made = tmp_path / "made"
    objects = np.array([Malicious(made)], dtype=object)
    models = write_models(tmp_path / "models", joint2num=objects)
    found = read(tmp_path / "a.pkl", parameters(45))
    assert pose_body(found, models).joints.shape == (31, 3)
    assert not made.exists()
    (models / "smplx" / "SMPLX_NEUTRAL.npz").write_bytes(b"PK")
    (models / "smplx" / "SMPLX_NEUTRAL.npz").rename(tmp_path / "SMPLX_NEUTRAL.npz")
    with pytest.raises(ScanError, match=r"SMPLX_NEUTRAL\.npz: expected an SMPL-X model file"):
        pose_body(found, tmp_path)
    with pytest.raises(ScanError, match=r"models: expected SMPLX_NEUTRAL\.npz in it"):
        pose_body(found, models)


def test_the_distance_from_body_to_scan_is_a_mean_in_centimetres() -> None:
    body = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    scan = np.array([[0.0, 0, 0.02], [1.0, 0.04, 0], [5.0, 5, 5]])
    assert misfit_cm(body, scan, 100.0) == pytest.approx(3.0)
