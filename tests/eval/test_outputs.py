"""Each method's convention, applied by its own formula and undone by the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.output_files import read_conventions, read_prediction_facts
from eval.outputs import (
    CONVENTIONS,
    OutputConvention,
    OutputError,
    PredictionFacts,
    missing_facts,
    scan_from_output,
)
from eval.surfaces import Surface
from render.camera import transform_points
from tests.scenes import body

UNIT_CM = 100.0
YAW_DEG = 30.0


def scan() -> np.ndarray:
    """Vertices in metres, far from the origin, with centre, median and centroid apart."""
    vertices, _, _ = body(9)
    return vertices * np.array([1.0, 1.1, 0.9]) + np.array([0.4, 0.9, -2.0])


def surface() -> Surface:
    return Surface(scan() * UNIT_CM, body(9)[2])


def turned(points: np.ndarray, yaw_deg: float) -> np.ndarray:
    """Ry(yaw), active: +z goes towards +x."""
    yaw = np.radians(yaw_deg)
    rotation = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return points @ rotation.T


def undone(
    method: str, output: np.ndarray, facts: PredictionFacts | None = None, yaw: float = YAW_DEG
) -> np.ndarray:
    """The output, brought back to metres of the scan."""
    matrix = scan_from_output(
        CONVENTIONS[method], facts or PredictionFacts(), surface(), UNIT_CM, yaw, "none"
    )
    return transform_points(matrix, output) / UNIT_CM


def pifu_render(vertices: np.ndarray) -> np.ndarray:
    """apps/render_data.py: 180 / height, median, middle of the box upwards, half width 102.4."""
    height = np.ptp(vertices[:, 1])
    centre = np.median(vertices, axis=0)
    centre[1] = (vertices[:, 1].min() + vertices[:, 1].max()) / 2
    return turned(vertices - centre, YAW_DEG) * (180.0 / height) / 102.4


def test_our_own_meshes_are_in_the_scans_unit_already() -> None:
    np.testing.assert_allclose(undone("ours", scan()), scan(), atol=1e-12)


def test_pifu_is_in_half_images_of_its_renderer() -> None:
    np.testing.assert_allclose(undone("pifu", pifu_render(scan())), scan(), atol=1e-12)


def test_pifuhd_is_in_half_crops_of_the_image() -> None:
    # A crop of 300 pixels at (60, 40) of a 512 x 512 render: pixel of the image -> of the crop.
    facts = PredictionFacts(crop=(60, 40, 300), image_size=(512, 512))
    image = pifu_render(scan())
    column, row = 256 * (1 + image[:, 0]), 256 * (1 - image[:, 1])
    output = np.stack(
        [(column - 60) / 150 - 1, 1 - (row - 40) / 150, image[:, 2] * 512 / 300], axis=1
    )
    np.testing.assert_allclose(undone("pifuhd", output, facts), scan(), atol=1e-12)


def test_pamir_turns_the_other_way_and_is_half_a_voxel_low() -> None:
    vertices = scan()
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    scale = 0.83 / np.ptp(vertices, axis=0).max()
    output = turned((vertices - middle) * scale, -YAW_DEG) - 0.5 / 256
    facts = PredictionFacts(units_per_scan_unit=scale)
    np.testing.assert_allclose(undone("pamir", output, facts), vertices, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "shift"),
    [("icon", (0, 0, 0)), ("icon-512", (1, 1, 1)), ("econ", (0.5, 0.5, 0))],
)
def test_icon_and_econ_are_centred_on_the_pelvis(method: str, shift: tuple[float, ...]) -> None:
    vertices = scan()
    pelvis = (0.37, (vertices[:, 1].min() + vertices[:, 1].max()) / 2, -1.95)
    scale = (1.8 / np.ptp(vertices[:, 1])) * 100 / 102.4
    output = turned(vertices - pelvis, YAW_DEG) * scale - np.array(shift) / 256
    np.testing.assert_allclose(
        undone(method, output, PredictionFacts(origin_at=pelvis)), vertices, atol=1e-9
    )


def test_2k2k_is_normalised_around_the_centroid_and_divided_once_more() -> None:
    vertices, faces = scan(), body(9)[2]
    corners = vertices[faces]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    centroid = (corners.mean(axis=1) * areas[:, None]).sum(axis=0) / areas.sum()
    normalised = (vertices - centroid) / (2.8 * np.abs(vertices - centroid).max())
    output = turned(normalised, YAW_DEG) / 1.0367394227574303
    np.testing.assert_allclose(undone("2k2k", output), vertices, atol=1e-12)


def test_a_matrix_of_the_user_replaces_the_table() -> None:
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = (0.1, 0.2, 0.3)
    facts = PredictionFacts(matrix=tuple(map(tuple, matrix.tolist())))
    output = (scan() - [0.1, 0.2, 0.3]) / 2
    np.testing.assert_allclose(undone("icon", output, facts), scan(), atol=1e-12)
    mirror = tuple(map(tuple, np.diag([-1.0, 1.0, 1.0, 1.0]).tolist()))
    with pytest.raises(OutputError, match="mirror"):
        undone("icon", output, PredictionFacts(matrix=mirror))


def test_what_is_not_known_has_to_be_given_or_fitted() -> None:
    nothing = PredictionFacts()
    assert missing_facts(CONVENTIONS["pifuhd"], nothing) == ("crop", "image_size")
    assert missing_facts(CONVENTIONS["pamir"], nothing) == ("units_per_scan_unit",)
    assert missing_facts(CONVENTIONS["icon"], nothing) == ("origin_at",)
    assert missing_facts(CONVENTIONS["pifu"], nothing) == ()
    with pytest.raises(OutputError, match="icon: expected origin_at .*--align icp"):
        undone("icon", scan())
    for method, align in (("icon", "translation"), ("pamir", "icp"), ("pifuhd", "icp")):
        scan_from_output(CONVENTIONS[method], nothing, surface(), UNIT_CM, 0.0, align)
    with pytest.raises(OutputError, match="units_per_scan_unit"):
        scan_from_output(CONVENTIONS["pamir"], nothing, surface(), UNIT_CM, 0.0, "translation")


def test_every_row_says_where_it_is_known_from() -> None:
    assert set(CONVENTIONS) >= {"ours", "pifu", "pifuhd", "pamir", "icon", "econ", "2k2k"}
    assert all(row.source for row in CONVENTIONS.values())


def test_a_users_method_is_read_from_json(tmp_path: Path) -> None:
    row = {"name": "mine", "length": "height", "factor": 0.5, "centre": "box", "turn": 1}
    (tmp_path / "t.json").write_text(json.dumps([row]))
    assert read_conventions(tmp_path / "t.json")["mine"] == OutputConvention(**row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "expected JSON"),
        ('{"a": 1}', "expected a list"),
        ('[{"turn": 1}]', "expected a name"),
        ('[{"name": "x", "turn": 2}]', "turn: expected one of"),
        ('[{"name": "x", "lenght": "scan"}]', "expected fields out of .*lenght"),
        ('[{"name": "x", "patterns": ["(.+)"]}]', "a group"),
        ('[{"name": "x", "factor": 0}]', "factor above 0"),
        ('[{"name": "x", "offset": [1, 2]}]', "offset: expected 3 finite numbers"),
    ],
)
def test_an_unusable_table_is_one_sentence(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(OutputError, match=expected):
        read_conventions(tmp_path / "t.json")


def test_facts_of_predictions_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text('{"a_0": {"yaw_deg": 30, "crop": [1, 2, 3], "image_size": [4, 4]}}')
    facts = read_prediction_facts(path)["a_0"]
    assert (facts.yaw_deg, facts.crop) == (30, (1.0, 2.0, 3.0))
    path.write_text('{"a_0": {"yaw_deg": "left"}}')
    with pytest.raises(OutputError, match="a_0: yaw_deg: expected a finite number, got 'left'"):
        read_prediction_facts(path)
    with pytest.raises(OutputError, match="--frames: expected a file"):
        read_prediction_facts(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('{"units_per_scan_unit": 0}', "units_per_scan_unit: expected a number above 0, got 0"),
        ('{"units_per_scan_unit": -2}', "units_per_scan_unit: expected a number above 0"),
        ('{"crop": [1, 2, 0]}', "crop: expected sizes above 0"),
        ('{"image_size": [512, 0]}', "image_size: expected sizes above 0"),
        ('{"scan": ["0501"]}', "scan: expected the id of a scan"),
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path: Path, entry: str, expected: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(f'{{"a_0": {entry}}}')
    with pytest.raises(OutputError, match=f"a_0: {expected}"):
        read_prediction_facts(path)
