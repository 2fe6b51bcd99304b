"""The bench of training measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import train as bench


@pytest.mark.slow
def test_sections_are_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = bench.Scale(
        precision=128,
        memory=(128,),
        width=4,
        widths=(2,),
        resolutions=(128,),
        seeds=1,
        convergence=2,
    )
    monkeypatch.setattr(bench, "QUICK", smallest)
    out = tmp_path / "train.json"
    sections = ["--sections", "precision", "memory", "cost"]
    assert bench.main(["--quick", "--steps", "1", "--json", str(out), *sections]) == 0
    figures = json.loads(out.read_text())
    assert set(figures["precision"]["seconds"]) >= {"fp32", "bf16, channels_last"}
    (row,) = figures["memory"]
    assert row["parts"]["need"]["saved_bytes"] < row["whole"]["need"]["saved_bytes"]
    assert figures["cost"][0]["width"] == 2
    assert "parts take" in capsys.readouterr().out
