"""Real photographs with MediaPipe: joints where OpenPose saw them, a whole mesh."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dataset.detectors import DetectorError, make_detector, read_openpose_json
from dataset.joints import JOINT_INDEX
from tests.model.digitized import write_checkpoint
from tools.digitize import main

PHOTOS = os.environ.get("TEST_PHOTOS")
BODY = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


@pytest.mark.skipif(PHOTOS is None, reason="TEST_PHOTOS names no folder of photographs")
@pytest.mark.parametrize("name", ["DSC02780.jpg", "0502_front.png"])
def test_a_real_photograph_is_digitised_with_the_defaults(name: str, tmp_path: Path) -> None:
    try:
        make_detector().close()
    except DetectorError as error:
        pytest.skip(str(error))
    photograph = Path(str(PHOTOS)) / name
    checkpoint = write_checkpoint(tmp_path / "tiny.ckpt")
    options = ["--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    assert main([str(photograph), *options, "--device", "cpu"]) == 0
    stem = photograph.stem
    facts = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
    (person, *_) = read_openpose_json(photograph.with_name(f"{stem}_keypoints.json"))
    seen = np.array([facts["joints"][joint][:2] for joint in BODY])
    true = person.joints[[JOINT_INDEX[joint] for joint in BODY], :2]
    apart = np.linalg.norm(seen - true, axis=1) / facts["framing"]["side"]
    assert apart.mean() < 0.02 and apart.max() < 0.05
    assert facts["outline"] is True
    maps = np.load(tmp_path / "out" / f"{stem}_maps.npz")
    rows = np.nonzero(maps["mask"].any(axis=1))[0]
    assert 0.7 < (np.ptp(rows) + 1) / 128 < 0.88, "the outline fills the frame as in training"
    assert trimesh.load_mesh(tmp_path / "out" / f"{stem}.glb").volume > 0
