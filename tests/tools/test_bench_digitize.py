"""The naive way is the published one, and the bench prints and writes what it measures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.part_fitting import fit_parts, normalise_joints, stack_transforms
from model.released import RELEASED
from tests.model.conftest import standing_joints
from tools.bench import digitize as bench
from tools.bench._naive_prediction import predict_naively
from tools.bench._seeded_network import seeded_image, seeded_network


def test_the_naive_way_answers_what_the_networks_answer() -> None:
    config = dataclasses.replace(
        RELEASED, resolution=256, part_width=4, depth_width=4, refiner_width=4
    )
    network = seeded_network(config)
    transforms = stack_transforms([fit_parts(normalise_joints(standing_joints(256), 256))])
    image = seeded_image(size=256)
    with torch.no_grad():
        _, expected = network(image, transforms)
    found = predict_naively(network, image, transforms)
    # Where a pixel just misses a part's outermost weight is a matter of rounding.
    alike = (found.normal.amax(1) > 0) == (expected.normal.amax(1) > 0)
    assert alike.float().mean() > 0.9999
    assert ((found.normal - expected.normal).abs().amax(1) * alike).max() < 1e-4
    assert (found.depth - expected.depth).abs().median() < 1e-5


@pytest.mark.slow
def test_the_bench_prints_and_writes_what_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "digitize.json"
    options = ["--resolution", "256", "--width", "4", "--repeats", "1", "--json", str(out)]
    assert bench.main(options) == 0
    figures = json.loads(out.read_text())
    assert 0.09 < figures["outline_share"] < 0.12
    entry = figures["toolkit"]["32"]
    assert max(entry["largest_difference"].values()) < 1e-4
    assert np.isclose(
        entry["times_as_fast"],
        figures["naive"]["seconds"]["wall"] / entry["seconds"]["wall"],
        rtol=0.05,
    )
    assert figures["lite"]["resolution"] == 512
    printed = capsys.readouterr().out
    assert "naive, float32" in printed and "published implementation" in printed


def test_no_runs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--repeats", "0"]) == 2
    assert "--repeats: expected 1 or more, got 0" in capsys.readouterr().err
