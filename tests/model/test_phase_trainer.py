"""Steps, validation and the end of a phase: averaging, accumulation, patience, bad losses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.averaging import WeightAverage, trained_tensors
from model.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from model.config import ComputeConfig, OptimiserConfig, TrainConfig
from model.devices import memory_advice
from model.networks import build_network
from model.objectives import PhaseObjective
from model.phase_trainer import NonFiniteLossError, PhaseTrainer
from model.runs import Progress, Run, RunOptions, initial_network
from model.samples import ViewDataset
from model.steps import objective_arguments, total_loss
from model.training import TrainingError, train
from tests.model.conftest import TINY, tiny_config


def trainer_of(shards: Path, out: Path, config: TrainConfig, phase: str = "1") -> PhaseTrainer:
    options = RunOptions(shards=shards, out=out, accelerator="cpu")
    return PhaseTrainer(Run(config, options, Progress()), phase, None)  # type: ignore[arg-type]


def first_gradient(trainer: PhaseTrainer) -> list[Tensor]:
    """Return the gradient that Adam took in its first step, weight by weight."""
    moments = trainer.state(1).optimizer["state"]
    return [moments[index]["exp_avg"] / (1 - 0.9) for index in sorted(moments)]


def test_accumulated_batches_give_the_mean_of_their_gradients(shards: Path, tmp_path: Path) -> None:
    config = tiny_config(1, optimiser=OptimiserConfig(accumulate=2))
    trainer = trainer_of(shards, tmp_path, config)
    (batches,) = trainer.run.steps("1", range(1))
    assert [len(batch.keys) for batch in batches] == [2, 2]
    assert len({view for batch in batches for _, view in batch.keys}) == 4
    objective = PhaseObjective(build_network(TINY, 0), "1", config).train()
    for batch in batches:
        (total_loss(objective(*objective_arguments(batch, 0))) / 2).backward()
    trainer.step(batches, 0)
    # People without joints of the head have no face crop, and its network no gradient.
    expected = [weight.grad for weight in objective.trainable() if weight.grad is not None]
    assert len(expected) > len(objective.trainable()) / 2
    for gradient, mean in zip(first_gradient(trainer), expected, strict=True):
        assert torch.allclose(gradient, mean, rtol=1e-3, atol=1e-5 * float(mean.abs().max()) + 1e-9)


def test_gradients_are_clipped_to_the_norm(shards: Path, tmp_path: Path) -> None:
    config = tiny_config(1, optimiser=OptimiserConfig(clip_norm=0.01))
    trainer = trainer_of(shards, tmp_path, config)
    trainer.step(next(trainer.run.steps("1", range(1))), 0)
    norm = torch.stack([gradient.norm() for gradient in first_gradient(trainer)]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_the_average_starts_short_and_gives_weights_back() -> None:
    network = build_network(TINY, 0)
    average = WeightAverage(network, "2", 0.5)
    weight = network.refiner.head.weight
    with torch.no_grad():
        weight.fill_(1.0)
        average.update()  # decay 1/10 of the weights before, 9/10 of 1
        weight.fill_(2.0)
        average.update()  # decay 2/11
    first = trained_tensors(build_network(TINY, 0), "2")["refiner.head.weight"]
    expected = 2 / 11 * (0.1 * first + 0.9) + 9 / 11 * 2.0
    with average.applied():
        assert torch.allclose(weight, expected)
    assert weight.unique().tolist() == [2.0]
    average.keep()
    assert torch.allclose(weight, expected)


def test_validation_and_the_finished_phase_have_the_averaged_weights(
    shards: Path, tmp_path: Path
) -> None:
    config = tiny_config(2, optimiser=OptimiserConfig(ema_decay=0.9))
    trainer = trainer_of(shards, tmp_path, config)
    for step, batches in enumerate(trainer.run.steps("1", range(2))):
        trainer.step(batches, step)
    raw = {name: value.clone() for name, value in trainer.run.network.state_dict().items()}
    found = trainer.validate()
    now = trainer.run.network.state_dict()
    assert all(torch.equal(raw[name], now[name]) for name in raw)
    trainer.finish()
    finished = trainer.run.network.state_dict()
    assert not torch.equal(finished["low_normal.head.weight"], raw["low_normal.head.weight"])
    best = load_checkpoint(tmp_path / BEST).network.state_dict()
    assert torch.equal(best["low_normal.head.weight"], finished["low_normal.head.weight"])
    assert trainer.validate().total == pytest.approx(found.total)


def test_without_patience_left_a_phase_ends_early_with_its_best_weights(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, seen = [3.0, 2.0, 4.0, 1.0], []

    def scripted(self: PhaseTrainer) -> dict[str, float]:
        seen.append(self.run.network.low_normal.head.weight.clone())
        return {"depth": losses[len(seen) - 1]}

    monkeypatch.setattr(PhaseTrainer, "_validation_terms", scripted)
    options = RunOptions(shards=shards, out=tmp_path, phases=("1",), accelerator="cpu")
    model = train(tiny_config(16, patience=1), options)
    # Validated after every fifth of the steps: the second was the best, the third no better.
    assert len(seen) == 3 and not torch.equal(seen[1], seen[2])
    last = load_checkpoint(tmp_path / LAST)
    assert last.state is not None and last.state.step == 16
    for loaded in (load_checkpoint(model), last, load_checkpoint(tmp_path / BEST)):
        assert torch.equal(loaded.network.low_normal.head.weight, seen[1])


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_view(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ViewDataset._sample

    def one_is_infinite(self: ViewDataset, number: int, index: int):  # type: ignore[no-untyped-def]
        geometry, image = whole(self, number, index)
        if self.describe(index) != bad:
            return geometry, image
        infinite = geometry.ray_distance * np.inf
        return dataclasses.replace(geometry, ray_distance=infinite), image

    out = tmp_path / "run"
    config = tiny_config(4)
    trainer = trainer_of(shards, tmp_path / "other", config)
    first, second = (
        [view for _, view in batches[0].keys] for batches in trainer.run.steps("1", range(2))
    )
    bad = trainer.run.train_data.describe(second[0])
    trainer.step(next(trainer.run.steps("1", range(1))), 0)
    expected = trainer.run.network.state_dict()
    monkeypatch.setattr(ViewDataset, "_sample", one_is_infinite)
    options = RunOptions(shards=shards, out=out, accelerator="cpu")

    with pytest.raises(
        TrainingError, match=f"expected a finite loss .*step 1 of phase 1 on {bad} "
    ):
        train(config, options)
    saved = load_checkpoint(out / LAST)
    assert saved.state is not None and saved.state.step == 1
    found = saved.network.state_dict()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_loss_scaling_that_skips_every_step_ends_with_a_sentence(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.phase_trainer.MOST_SKIPPED_STEPS", 3)
    config = tiny_config(9, compute=ComputeConfig(precision="16-mixed"))
    trainer = trainer_of(shards, tmp_path, config)
    precision = trainer.run.fabric.strategy.precision
    # Gradients of new networks overflow by themselves at the 2^16 that scaling starts with.
    precision.load_state_dict({**precision.state_dict(), "scale": 2.0**10})
    weight = trainer.run.network.low_normal.head.weight
    before, overflow = weight.clone(), math.inf
    weight.register_hook(lambda gradient: gradient * overflow)
    steps = enumerate(trainer.run.steps("1", range(9)))

    def train_steps(count: int) -> None:
        for number, batches in itertools.islice(steps, count):
            assert math.isfinite(trainer.step(batches, number)["total"])

    train_steps(3)
    assert torch.equal(weight, before)
    overflow = 1.0
    train_steps(1)
    assert not torch.equal(weight, before)  # a step that is taken begins the count anew
    overflow = math.inf
    train_steps(3)
    with pytest.raises(NonFiniteLossError, match="3 steps skipped"):
        train_steps(1)


def allocate_too_much() -> None:
    torch.empty(1 << 48)


def device_is_full() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("fill", [allocate_too_much, device_is_full])
def test_too_little_memory_names_what_lowers_the_need(fill: Callable[[], None]) -> None:
    with pytest.raises(TrainingError, match="--batch-size.*--precision: expected.*2 views a batch"):
        with memory_advice(tiny_config(1)):
            fill()
    with pytest.raises(RuntimeError, match="of another kind"), memory_advice(tiny_config(1)):
        raise RuntimeError("of another kind")


def test_fine_tuning_trains_every_network_on_all_equations(shards: Path, tmp_path: Path) -> None:
    trainer = trainer_of(shards, tmp_path, tiny_config(1, refiner_window=96), "finetune")
    before = {name: value.clone() for name, value in trainer.run.network.state_dict().items()}
    terms = trainer.step(next(trainer.run.steps("finetune", range(1))), 0)
    first = {"depth", "consistency", "mask", "low_normal", "part_normal"}
    second = {"refined_depth", "refined_consistency", "refined_mask"}
    assert set(terms) == first | second | {"total"}
    after = trainer.run.network.state_dict()
    changed = {
        name.removesuffix(".head.weight")
        for name in before
        if name.endswith("head.weight") and not torch.equal(before[name], after[name])
    }
    # The parts of the scene's joints; the others have no crop.
    assert {"low_normal", "low_depth", "refiner", "part_normal.upper", "part_normal.leg"} <= changed


def test_refined_depth_teaches_the_first_networks_in_fine_tuning(
    shards: Path, tmp_path: Path
) -> None:
    trainer = trainer_of(shards, tmp_path, tiny_config(1), "finetune")
    batch = next(trainer.run.steps("finetune", range(1)))[0]
    objective = PhaseObjective(trainer.run.network, "finetune", trainer.run.config).train()
    terms = objective(*objective_arguments(batch, 0))
    refined = torch.stack([value for name, value in terms.items() if "refined" in name]).sum()
    refined.backward()
    gradient = trainer.run.network.part_normal["upper"].head.weight.grad
    assert gradient is not None and gradient.abs().max() > 0


@pytest.mark.parametrize(
    "compute",
    [
        ComputeConfig(channels_last=True),
        pytest.param(
            ComputeConfig(compiled=True), marks=[pytest.mark.slow, pytest.mark.timeout(3600)]
        ),
    ],
)
def test_layout_and_compiling_change_no_result(
    shards: Path, tmp_path: Path, compute: ComputeConfig
) -> None:
    # In phase 1 the coarsest features of 128 pixels are one pixel a view, and batch norm over two
    # values magnifies rounding.
    plain = trainer_of(shards, tmp_path, tiny_config(2), "2")
    other = trainer_of(shards, tmp_path, tiny_config(2, compute=compute), "2")
    weight = other.run.network.refiner.merge[0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == compute.channels_last
    batches = next(plain.run.steps("2", range(1)))
    assert other.step(batches, 0) == pytest.approx(plain.step(batches, 0), rel=1e-4)
    gradients = [
        torch.cat([gradient.flatten() for gradient in first_gradient(trainer)])
        for trainer in (plain, other)
    ]
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.9999


def test_a_checkpoint_starts_a_run_at_another_resolution(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    network = build_network(TINY, 5)
    save_checkpoint(path, network, tiny_config(1), shards="")
    larger = dataclasses.replace(TINY, resolution=256)
    started = initial_network(path, larger)
    assert started.resolution.full == 256
    expected = network.state_dict()
    found = started.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(TrainingError, match="model.ckpt: expected a checkpoint of.*part_width=8"):
        initial_network(path, dataclasses.replace(larger, part_width=8))
