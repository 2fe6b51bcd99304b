"""Names of the methods' files and the scans that they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.outputs import CONVENTIONS, OutputError, PredictionFacts
from eval.pairing import Pairing, pair_outputs

SCANS = ("0501", "0502", "anna_2")


def paired(method: str, *names: str, facts: dict[str, PredictionFacts] | None = None) -> Pairing:
    paths = [Path("out") / name for name in names]
    return pair_outputs(paths, SCANS, CONVENTIONS[method], facts or {})


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("ours", "0501_030.obj"),
        ("pifu", "result_0501_30_0_00.obj"),
        ("pifuhd", "result_0501_030_512.obj"),
        ("pamir", "0501-30.obj"),
        ("icon", "0501_030_refine.obj"),
        ("econ", "0501_030_0_full.obj"),
        ("econ", "0501_030_final.obj"),
        ("2k2k", "0501_+30.ply"),
    ],
)
def test_names_of_each_method_give_scan_and_yaw(method: str, name: str) -> None:
    pairing = paired(method, name)
    assert list(pairing.predictions) == [("0501", 30.0)]
    assert pairing.predictions[("0501", 30.0)].yaw_known


def test_an_id_that_ends_in_a_number_is_no_yaw() -> None:
    predictions = paired("ours", "anna_2.obj", "anna_2_-20.obj").predictions
    assert set(predictions) == {("anna_2", 0.0), ("anna_2", -20.0)}
    assert not predictions[("anna_2", 0.0)].yaw_known


def test_yaws_a_full_turn_apart_are_one_view() -> None:
    predictions = paired("ours", "0501_330.obj", "0502_-180.obj", "anna_2_20.obj").predictions
    assert set(predictions) == {("0501", -30.0), ("0502", 180.0), ("anna_2", 20.0)}
    with pytest.raises(OutputError, match="one prediction of 0501 at yaw -30"):
        paired("ours", "0501_330.obj", "0501_-30.obj")


def test_the_best_of_several_outputs_of_one_image_is_taken() -> None:
    pairing = paired("icon", "0501_recon.obj", "0501_smpl.obj", "0501_refine.obj", "0502_recon.obj")
    assert {p.path.name for p in pairing.predictions.values()} == {
        "0501_refine.obj",
        "0502_recon.obj",
    }
    assert pairing.others == 1


def test_predictions_without_a_scan_are_told() -> None:
    pairing = paired("pifu", "result_0501.obj", "result_0999.obj")
    assert [path.name for path in pairing.strangers] == ["result_0999.obj"]
    assert len(pairing.predictions) == 1


def test_two_files_for_one_view_are_refused() -> None:
    with pytest.raises(OutputError, match="one prediction of 0501 at yaw 0, got 0501.obj too"):
        paired("ours", "0501.obj", "0501.ply")


def test_what_the_user_says_comes_before_the_name() -> None:
    facts = {"img7_512": PredictionFacts(scan="0502", yaw_deg=-10.0)}
    pairing = paired("pifuhd", "img7_512.obj", facts=facts)
    assert list(pairing.predictions) == [("0502", -10.0)]
