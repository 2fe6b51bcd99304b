"""What a step costs is measured, and counted without being done."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks

from model.config import ModelConfig, PartScheme, TrainConfig
from model.networks import build_network, count_parameters
from tools.step_cost import (
    StepNeed,
    StepSpec,
    _measure_here,
    _SavedTensors,
    count_here,
    smallest_step,
    synthetic_batch,
)


def tiny(width: int = 2, parts: PartScheme = "parts") -> TrainConfig:
    model = ModelConfig(
        resolution=128, part_width=width, depth_width=width, refiner_width=width, parts=parts
    )
    return TrainConfig(model=model)


def test_the_cost_of_a_step_is_that_of_its_networks() -> None:
    cost = _measure_here(StepSpec(config=tiny(), batch=2, repeats=1))
    network = build_network(tiny().model, 0)
    assert cost.parameters == count_parameters(network)
    # Weights, running means and variances as float32, and a counter of 8 bytes a batch norm.
    assert 4 * cost.parameters < cost.checkpoint_bytes < 5 * cost.parameters
    double = _measure_here(StepSpec(config=tiny(4), batch=2, repeats=1))
    # Twice the channels: four times the products of inner layers, twice those of the first.
    assert 2 < double.flops / cost.flops < 4
    assert 1.2 < double.need.saved_bytes / cost.need.saved_bytes < 2.1
    assert cost.seconds > 0


def test_a_forward_pass_that_keeps_nothing_counts_what_a_step_keeps() -> None:
    for parts in ("parts", "whole"):
        spec = smallest_step(tiny(parts=parts), accelerator="cpu")
        counted, measured = count_here(spec), _measure_here(spec)
        assert spec.batch == 2
        assert counted.saved_bytes == measured.need.saved_bytes > 0
        refiner = count_parameters(build_network(spec.config.model, 0).refiner)
        assert counted.trained == measured.parameters - refiner


def test_kept_tensors_are_counted_once_by_storage() -> None:
    weight = torch.ones(5, requires_grad=True)
    sample = torch.full((5,), 3.0)
    saved = _SavedTensors([weight, sample])
    with saved_tensors_hooks(saved.add_and_drop, lambda nothing: nothing):
        product = weight * sample  # keeps both factors, which are there before
        assert saved.bytes == 0
        root = product.exp()  # keeps its result, 5 floats
        (root[:2] * root[3:]).sum()  # keeps two views of that result
    assert saved.bytes == 5 * 4
    with saved_tensors_hooks(saved.add_and_drop, lambda nothing: nothing):
        for _ in range(3):  # each result may come to lie where the last one was
            product.exp()
    assert saved.bytes == 4 * 5 * 4


def test_what_a_step_needs_is_what_it_keeps_and_three_floats_a_weight() -> None:
    assert StepNeed(saved_bytes=1000, trained=10, available_bytes=None).bytes == 1000 + 10 * 3 * 4


def test_synthetic_views_have_every_part_and_a_person() -> None:
    batch = synthetic_batch(ModelConfig(resolution=128), 2)
    assert batch.transforms.present.all() and batch.reliable.any()
    assert ((batch.depth[:, 1] > batch.depth[:, 0]) == batch.reliable[:, 0]).all()
