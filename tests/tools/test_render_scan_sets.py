"""render-dataset on a scan set with parameters, and with a manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset.scans import LAYOUT_NAMES
from dataset.shards import ShardSet
from tests.dataset.scan_trees import ABOUT_Y, points, write_obj, write_picture
from tests.dataset.smplx_models import parameters, write_models, write_pickle
from tools.render_dataset import main
from tools.render_flags import LAYOUTS

SMALL = ["--resolution", "64", "--angles", "0", "0", "10", "--jobs", "1"]


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scans of THuman2.0, one turned to +x and with parameters that say so."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "THuman2.0"
    for name, axes in (("0001", ABOUT_Y[90]), ("0500", ABOUT_Y[0])):
        write_obj(root / name / f"{name}.obj", points(0.5, axes))
        write_picture(root / name / "material0.jpeg", 200)
    about_y = np.array([[0.0, np.pi / 2, 0.0]])
    placed = {"scale": np.array(0.5), "translation": np.array([0.0, 0.6, 0.0])}
    write_pickle(
        root / "fits" / "0001" / "smplx_param.pkl",
        parameters(12, global_orient=about_y, **placed),
    )
    return root


def front_mask(name: str) -> np.ndarray:
    return ShardSet(Path("shards")).open(name).read("mask", 0) & 1


def test_the_parser_offers_every_layout() -> None:
    assert LAYOUTS == LAYOUT_NAMES


def test_a_turned_scan_is_seen_from_the_front_and_an_edited_manifest_is_noticed(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scans", str(scans), *SMALL]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "1 scans: facing is not known, +z taken once up is +y: 0500" in said
    # Seen from the front the arms are spread; both scans show the same person.
    assert np.array_equal(front_mask("0001"), front_mask("0500"))
    splits = Path("shards/splits")
    assert "0500" in (splits / "test.txt").read_text()
    wide = np.ptp(np.flatnonzero(front_mask("0500").any(axis=0)))
    Path("mine.csv").write_text("scan_id,yaw_deg\n0500,90\n")
    assert main(["--scans", str(scans), *SMALL, "--manifest", "mine.csv"]) == 0
    assert "1 scans rendered, 1 kept" in capsys.readouterr().out
    assert np.ptp(np.flatnonzero(front_mask("0500").any(axis=0))) < 0.5 * wide


def test_bodies_that_do_not_fit_fail_their_scan_alone(
    scans: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("smplx")
    models = write_models(tmp_path / "models")
    assert main(["--scans", str(scans), *SMALL, "--body-models", str(models)]) == 1
    output = capsys.readouterr()
    assert "1 scans rendered, 0 kept, 1 failed" in output.out
    assert "failed: 0001: " in output.err and "expected a body at most 5 cm from" in output.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--joints", "smplx"], "--joints smplx: expected --body-models"),
        (["--manifest", "gone.csv"], "gone.csv: expected a readable manifest"),
        (["--layout", "2k2k"], "expected train/NNNNN/NNNNN.ply or"),
        (["--layout", "kinect"], "invalid choice: 'kinect'"),
    ],
)
def test_bad_choices_get_one_sentence_and_status_2(
    scans: Path, capsys: pytest.CaptureFixture[str], change: list[str], expected: str
) -> None:
    assert main(["--scans", str(scans), *SMALL, *change]) == 2
    assert expected in capsys.readouterr().err
