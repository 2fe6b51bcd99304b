"""The rendering bench runs, agrees with ray casting, and writes what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset.people.writing import person_id, write_person
from tests.dataset.people_fixtures import person
from tools.bench.render import TARGETS, main


@pytest.mark.slow
def test_the_bench_compares_a_person_with_ray_casting_and_writes_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("embreex", reason="Embree has no package for this processor")
    plan, made = person(0)
    write_person(made, plan, tmp_path / "scans" / person_id(0))
    file = tmp_path / "figures.json"
    arguments = ["--scans", tmp_path / "scans", "--json", file, "--resolution", 64]
    arguments += ["--repeats", 1, "--casts", 1, "--processes", 1]
    assert main([str(argument) for argument in arguments]) == 0
    figures = json.loads(file.read_text())
    assert figures["mask_iou"] > 0.99 and figures["share_within_1e-4"] > 0.99
    assert figures["compared"].keys() == TARGETS.keys()
    baseline = figures["ray_casting"]["wall"]
    for entry in figures["compared"].values():
        assert entry["times_as_fast"] == pytest.approx(baseline / entry["wall"], rel=0.05, abs=0.01)
    assert figures["views_of_a_process"] == 7
    printed = capsys.readouterr().out
    assert "baseline sheet has 7.4 s" in printed and "warning" not in printed
