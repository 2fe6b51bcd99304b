"""The bench of training measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.config import ModelConfig, TrainConfig
from model.networks import build_network, count_parameters
from tools.bench import train as bench
from tools.bench._step_cost import StepSpec, _measure_here, synthetic_batch


def test_the_cost_of_a_step_is_that_of_its_networks() -> None:
    model = ModelConfig(resolution=128, part_width=2, depth_width=2, refiner_width=2)
    cost = _measure_here(StepSpec(config=TrainConfig(model=model), batch=2, repeats=1))
    network = build_network(model, 0)
    assert cost.parameters == count_parameters(network)
    # Weights, running means and variances as float32, and a counter of 8 bytes a batch norm.
    assert 4 * cost.parameters < cost.checkpoint_bytes < 5 * cost.parameters
    wider = ModelConfig(resolution=128, part_width=4, depth_width=4, refiner_width=4)
    double = _measure_here(StepSpec(config=TrainConfig(model=wider), batch=2, repeats=1))
    # Twice the channels: four times the products of inner layers, twice those of the first.
    assert 2 < double.flops / cost.flops < 4
    assert 1.2 < double.saved_bytes / cost.saved_bytes < 2.1
    assert cost.seconds > 0


def test_synthetic_views_have_every_part_and_a_person() -> None:
    batch = synthetic_batch(ModelConfig(resolution=128), 2)
    assert batch.transforms.present.all() and batch.reliable.any()
    assert ((batch.depth[:, 1] > batch.depth[:, 0]) == batch.reliable[:, 0]).all()


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
    assert row["parts"]["saved_bytes"] < row["whole"]["saved_bytes"]
    assert figures["cost"][0]["width"] == 2
    assert "parts take" in capsys.readouterr().out
