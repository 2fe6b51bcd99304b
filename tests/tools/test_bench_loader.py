"""The bench of the loader measures the samples it names, and writes what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenes import write_person
from tools.bench.loader import kinds, main
from tools.render_dataset import main as render_dataset


def test_every_kind_of_sample_is_measured_and_workers_deliver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        write_person(tmp_path / "scans", f"person{seed}", seed=seed)
    shards, out = tmp_path / "shards", tmp_path / "loader.json"
    options = ["--scans", str(tmp_path / "scans"), "--out", str(shards), "--jobs", "1"]
    options += ["--resolution", "128", "--yaws", "0", "10", "--composite", "on-read"]
    assert render_dataset(options) == 0
    flags = ["--repeats", "1", "--samples", "2", "--workers", "0", "1", "--json", str(out)]
    assert main(["--shards", str(shards), *flags]) == 0
    figures = json.loads(out.read_text())
    assert [row["name"] for row in figures["samples"]] == list(kinds())
    assert all(row["wall"] > 0 for row in figures["samples"] + figures["steps"])
    assert [row["workers"] for row in figures["workers"]] == [0, 1]
    assert all(row["samples_a_second"] > 0 for row in figures["workers"])
    text = capsys.readouterr().out
    assert f"{figures['samples'][1]['wall']:.1f}" in text
    assert "phase 1, room, colours, edges" in text and "published loader: 543 ms" in text


def test_numbers_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--repeats", "0"]) == 2
    assert "--repeats: expected 1 or more, got 0" in capsys.readouterr().err
