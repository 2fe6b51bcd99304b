"""Training learns, resumes to the same weights, and freezes what it says it freezes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.augment import AugmentConfig
from model.checkpoint import load_checkpoint
from model.config import ComputeConfig, OptimiserConfig, Phase, PhaseConfig
from model.networks import build_network
from model.objectives import FrozenAnswers, PhaseObjective, frozen_maps, learning_rate
from model.parts import PART_NETWORKS
from model.samples import Batch, ViewDataset
from model.training import Progress, RunOptions, TrainingError, plan, train
from tests.model.conftest import TINY, tiny_config


def crash() -> None:
    raise RuntimeError("power cut")


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


RESUMED = tiny_config(
    6,
    refiner_variants=2,
    refiner_window=96,
    optimiser=OptimiserConfig(accumulate=2, clip_norm=1.0, ema_decay=0.8),
)


@pytest.fixture(scope="module")
def whole_run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of six steps a phase without a stop."""
    out = tmp_path_factory.mktemp("whole") / "run"
    options = RunOptions(shards=shards, out=out, accelerator="cpu")
    return train(RESUMED, options)


@pytest.mark.parametrize(
    ("stop", "stop_in_phase", "saved_step"),
    [
        (crash, "1", 4),
        (press_ctrl_c, "2", 5),
        pytest.param(crash, "2", 4, marks=pytest.mark.slow),
        pytest.param(press_ctrl_c, "1", 5, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_comes_to_the_same_weights(
    shards: Path,
    whole_run: Path,
    tmp_path: Path,
    stop: Callable[[], None],
    stop_in_phase: Phase,
    saved_step: int,
) -> None:
    def stop_midway(steps, phase, start, end):  # type: ignore[no-untyped-def]
        for number, batches in enumerate(steps):
            if phase == stop_in_phase and number == 4:
                stop()
            yield batches

    options = RunOptions(shards=shards, out=tmp_path / "cut", accelerator="cpu", resume=True)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        train(RESUMED, options, Progress(steps=stop_midway))
    state = load_checkpoint(tmp_path / "cut" / "last.ckpt").state
    # A crash goes back to what was saved after every second step.
    assert state is not None and (state.phase, state.step) == (stop_in_phase, saved_step)
    resumed = train(RESUMED, options)
    first = load_checkpoint(whole_run).network.state_dict()
    second = load_checkpoint(resumed).network.state_dict()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_fine_tuning_in_fp16_resumes_with_its_loss_scale(shards: Path, tmp_path: Path) -> None:
    config = tiny_config(4, compute=ComputeConfig(precision="16-mixed"))
    whole = RunOptions(
        shards=shards, out=tmp_path / "whole", phases=("finetune",), accelerator="cpu"
    )
    cut = dataclasses.replace(whole, out=tmp_path / "cut", resume=True)

    def stop_in_the_third(steps, phase, start, end):  # type: ignore[no-untyped-def]
        yield from itertools.islice(steps, 2)
        press_ctrl_c()
        yield from steps

    expected = load_checkpoint(train(config, whole)).network.state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(config, cut, Progress(steps=stop_in_the_third))
    state = load_checkpoint(tmp_path / "cut" / "last.ckpt").state
    assert state is not None and (state.phase, state.step) == ("finetune", 3)
    # It starts at 65536 and is halved by each step that overflows.
    assert state.scaler["scale"] <= 65536 and state.scaler["growth_interval"] == 2000
    found = load_checkpoint(train(config, cut)).network.state_dict()
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []


def test_long_phases_are_saved_by_the_clock(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.SAVE_SECONDS", 0.0)

    def stop_at_once(steps, phase, start, end):  # type: ignore[no-untyped-def]
        yield next(iter(steps))
        crash()

    options = RunOptions(shards=shards, out=tmp_path, accelerator="cpu")
    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny_config(10), options, Progress(steps=stop_at_once))
    state = load_checkpoint(tmp_path / "last.ckpt").state
    assert state is not None and (state.phase, state.step) == ("1", 1)


def test_views_without_any_part_are_refused_and_some_without_are_counted(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = np.ones((6, 12), dtype=bool)
    present[1:4, 0] = False
    present[2] = False
    monkeypatch.setattr(ViewDataset, "present_parts", lambda self: present)
    said: list[str] = []
    options = RunOptions(shards=shards, out=tmp_path / "run", accelerator="cpu")
    plan(tiny_config(2), options, Progress(message=said.append))
    assert said[0].startswith("warning: 3 of 6 training views lack body parts")
    # The view that lacks most is named first.
    third = ViewDataset(shards, "train", 128, augment=None, seed=0).describe(2)
    assert f"outside the image ({third} has 0 of 12, " in said[0]
    present[:] = False
    with pytest.raises(TrainingError, match="expected joints that fix the body parts"):
        plan(tiny_config(2), options)
    assert not (tmp_path / "run").exists()


def test_phase_2_changes_the_refiner_alone_batch_statistics_included(
    shards: Path, tmp_path: Path
) -> None:
    config = tiny_config(3)
    run = RunOptions(shards=shards, out=tmp_path / "one", phases=("1",), accelerator="cpu")
    before = load_checkpoint(train(config, run)).network.state_dict()
    second = dataclasses.replace(
        run, out=tmp_path / "two", phases=("2",), init=tmp_path / "one" / "model.ckpt"
    )
    after = load_checkpoint(train(config, second)).network.state_dict()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"refiner"}


def test_phase_1_trains_every_network_but_the_refiner(scene_batch: Batch) -> None:
    network = build_network(TINY, 0)
    objective = PhaseObjective(network, "1", tiny_config(1)).train()
    transforms = scene_batch.transforms
    terms = objective(
        scene_batch.image,
        scene_batch.depth,
        scene_batch.reliable,
        (transforms.image_to_canonical, transforms.canonical_to_image, transforms.present),
        (),
        None,
    )
    assert set(terms) == {"depth", "consistency", "mask", "low_normal", "part_normal"}
    torch.stack(list(terms.values())).sum().backward()
    idle = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is None}
    assert idle == {"refiner"}
    assert not network.refiner.training and network.low_depth.training


def test_kept_answers_are_those_of_the_frozen_networks(shards: Path) -> None:
    network = build_network(TINY, 0).eval()
    data = ViewDataset(shards, "train", 128, augment=AugmentConfig(), seed=0).with_variants(2)
    batch = data[[(0, 1), (5, 0)]]
    assert batch.keys == ((0, 1), (1, 0))
    answers = FrozenAnswers(network)
    low, normal = answers(batch)
    fresh_low, fresh_normal = frozen_maps(network, batch.image, batch.transforms)
    assert torch.allclose(normal, fresh_normal, atol=2e-3)
    assert torch.allclose(low.depth, fresh_low.depth, atol=1e-5)
    again, _ = answers(data[[(2, 1), (1, 0)]])
    assert torch.equal(again.depth, low.depth)


def test_the_learning_rate_restarts_every_five_epochs_and_ends_at_zero() -> None:
    paper = PhaseConfig()
    assert learning_rate(paper, 0, 300, 10) == pytest.approx(1e-4)
    assert learning_rate(paper, 25, 300, 10) == pytest.approx(0.5e-4)
    assert learning_rate(paper, 49, 300, 10) < 1e-6
    assert learning_rate(paper, 50, 300, 10) == pytest.approx(1e-4)
    single = PhaseConfig(steps=100, learning_rate=1e-3, restart_epochs=None)
    assert learning_rate(single, 0, 100, 10) == pytest.approx(2e-4)
    assert learning_rate(single, 5, 100, 10) == pytest.approx(1e-3)
    assert learning_rate(single, 99, 100, 10) < 1e-6


def test_a_run_folder_is_not_overwritten(shards: Path, tmp_path: Path) -> None:
    options = RunOptions(shards=shards, out=tmp_path, phases=("2",), accelerator="cpu")
    (tmp_path / "model.ckpt").write_bytes(b"precious")
    with pytest.raises(TrainingError, match="--resume"):
        train(tiny_config(1), options)
    assert (tmp_path / "model.ckpt").read_bytes() == b"precious"


def test_the_estimate_is_of_the_compiled_networks(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    config = tiny_config(1, compute=ComputeConfig(compiled=True))
    options = RunOptions(shards=shards, out=tmp_path / "run", phases=("1",), accelerator="cpu")
    plan(config, options)
    # Those of the run, and those of the copy on which its steps are timed.
    assert len({id(module) for module in compiled}) == 2 * len(PART_NETWORKS) + 2 * 3


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_training_on_cuda_changes_the_weights_and_says_where_it_ran(
    shards: Path, tmp_path: Path, precision: str
) -> None:
    # Behind the first steps, which loss scaling may skip.
    config = tiny_config(20, compute=ComputeConfig(precision=precision, channels_last=True))
    losses: list[float] = []
    options = RunOptions(shards=shards, out=tmp_path / "run", accelerator="cuda")
    model = train(config, options, Progress(loss=losses.append))
    assert len(losses) == 40 and np.isfinite(losses).all()
    start, end = build_network(TINY, 0).state_dict(), load_checkpoint(model).network.state_dict()
    for name in ("low_normal.head.weight", "low_depth.head.weight", "refiner.head.weight"):
        assert end[name].isfinite().all() and not torch.equal(start[name], end[name])
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["device"] == torch.cuda.get_device_name()
