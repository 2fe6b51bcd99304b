from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from tests.pose_setup import NEEDS_DETECTOR
from tests.scenes import write_person
from tools.bench.joints import Errors, main, summary


def test_medians_are_per_joint_and_filled_joints_are_reported_apart() -> None:
    distance = np.tile(np.array([1.0, 2.0, 6.0])[:, None], (1, JOINT_COUNT))
    distance[:, JOINT_INDEX["left_knee"]] = 2.5, 4.0, np.nan
    distance[:, JOINT_INDEX["left_ear"]] = 4.0
    distance[:, JOINT_INDEX["left_ring"]] = 7.0
    filled = np.zeros(distance.shape, dtype=bool)
    filled[:, JOINT_INDEX["left_ring"]] = True
    swapped = np.zeros(distance.shape, dtype=bool)
    swapped[1, JOINT_INDEX["left_hip"]] = True
    figures = summary(
        Errors(
            distance_cm=distance,
            filled=filled,
            swapped=swapped,
            reprojection_cm=np.where(filled, np.nan, 0.5),
            seconds=1.0,
        )
    )
    assert figures["people"] == 3 and figures["swapped"] == 1
    assert figures["largest_median_cm"] == {"main": 3.25, "other": 4.0, "filled": 7.0}
    knee, ring = (figures["joints"][name] for name in ("left_knee", "left_ring"))
    assert knee == {
        "kind": "main", "median_cm": 3.25, "p90_cm": 3.85, "reprojection_cm": 0.5, "missing": 1
    }  # fmt: skip
    assert ring["kind"] == "filled" and ring["reprojection_cm"] is None
    assert figures["joints"]["nose"]["median_cm"] == 2.0


@NEEDS_DETECTOR
def test_scans_without_true_joints_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_person(tmp_path, steps=4, joints=False)
    assert main(["--scans", str(tmp_path)]) == 2
    assert "person.obj: expected joints beside it, found none" in capsys.readouterr().err
