"""Training learns, resumes to the same weights, and freezes what it says it freezes."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.augment import AugmentConfig, mirror_view
from dataset.shards import ShardError, ShardSet
from model.checkpoint import CheckpointError, find_checkpoint, load_checkpoint, save_checkpoint
from model.config import (
    PRESETS,
    ModelConfig,
    Phase,
    PhaseConfig,
    TrainConfig,
    config_from_dict,
    config_to_dict,
)
from model.networks import build_network
from model.objectives import FrozenAnswers, PhaseObjective, frozen_maps, learning_rate
from model.part_crops import blend_parts, crop_parts
from model.parts import PART_NETWORKS, Resolution
from model.predict import Predictor
from model.samples import Batch, DrawSchedule, ViewDataset, reduce_image
from model.training import Progress, RunOptions, TrainingError, plan, train
from render.camera import NORMALISATION_DIVISOR
from tests.scenes import write_person
from tools.render_dataset import main as render_dataset

TINY = ModelConfig(resolution=128, part_width=4, depth_width=4, refiner_width=4)
PERSON_HEIGHT_CM = 170.0


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five rendered ellipsoid people at 128 pixels, two views each."""
    folder = tmp_path_factory.mktemp("set")
    for seed in range(5):
        write_person(folder / "scans", f"person{seed}", seed=seed)
    options = ["--scans", str(folder / "scans"), "--out", str(folder / "shards"), "--jobs", "1"]
    options += ["--resolution", "128", "--angles", "-10", "10", "20", "--store-mesh", "all"]
    assert render_dataset(options) == 0
    return folder / "shards"


def tiny_config(steps: int, **changes: object) -> TrainConfig:
    phase = PhaseConfig(steps=steps, learning_rate=1e-2, restart_epochs=None)
    config = TrainConfig(model=TINY, phase1=phase, phase2=phase, batch_size=2)
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture
def single_view(tmp_path: Path) -> Path:
    """Three rendered people in one view each at 256 pixels, one of them for training."""
    for seed in range(3):
        write_person(tmp_path / "scans", f"person{seed}", seed=seed)
    shards = tmp_path / "shards"
    options = ["--scans", str(tmp_path / "scans"), "--out", str(shards), "--jobs", "1"]
    assert render_dataset([*options, "--resolution", "256", "--angles", "0", "0", "10"]) == 0
    return shards


@pytest.mark.slow
def test_a_network_overfits_one_view(single_view: Path, tmp_path: Path) -> None:
    still = AugmentConfig(colour=1.0, mirror=0.0)
    loss = dataclasses.replace(PRESETS["lite"].loss, smooth_l1_beta=0.02)
    # At 128 pixels the coarsest features are one pixel, and equal views have no variance there.
    model_config = dataclasses.replace(TINY, resolution=256)
    config = tiny_config(100, augment=still, loss=loss, model=model_config)
    data = ViewDataset(single_view, "train", 256, augment=None, seed=0)
    assert len(data) == 1
    view = data.view(0)
    model = train(config, RunOptions(shards=single_view, out=tmp_path / "run", accelerator="cpu"))
    prediction = Predictor(load_checkpoint(model)).predict(view.image, view.joints)
    # The scene has no joints of head and hands: where no part lies, the refiner is blind.
    batch = data[[(0, 0)]]
    resolution = Resolution(256)
    ones = {
        name: torch.ones_like(crop_parts(batch.image, batch.transforms, name, resolution))
        for name in PART_NETWORKS
    }
    normals = {name: crops.repeat(1, 1, 2, 1, 1) for name, crops in ones.items()}
    covered = blend_parts(normals, batch.transforms, resolution)[1][0, 0].numpy() > 0
    person = (view.ray_distance[0] > 0) & covered
    found = prediction.maps.mask & covered
    assert person.sum() > 3000
    assert (found & person).sum() / (found | person).sum() > 0.9
    # The largest coordinate, about half the height, is 1 / 2.8.
    centimetres = PERSON_HEIGHT_CM / 2 * NORMALISATION_DIVISOR
    error = np.abs(prediction.maps.front - view.ray_distance[0])[found & person].mean()
    assert error * centimetres < 3.0


def crash() -> None:
    raise RuntimeError("power cut")


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


RESUMED = {"refiner_variants": 2, "refiner_window": 96}


@pytest.fixture(scope="module")
def whole_run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of ten steps a phase without a stop."""
    out = tmp_path_factory.mktemp("whole") / "run"
    options = RunOptions(shards=shards, out=out, accelerator="cpu")
    return train(tiny_config(10, **RESUMED), options)


@pytest.mark.parametrize(
    ("stop", "stop_in_phase", "saved_step"),
    [(crash, "1", 6), (crash, "2", 6), (press_ctrl_c, "1", 8), (press_ctrl_c, "2", 8)],
)
def test_a_resumed_run_comes_to_the_same_weights(
    shards: Path,
    whole_run: Path,
    tmp_path: Path,
    stop: Callable[[], None],
    stop_in_phase: Phase,
    saved_step: int,
) -> None:
    config = tiny_config(10, **RESUMED)

    def stop_midway(steps, phase, start, end):  # type: ignore[no-untyped-def]
        for number, batches in enumerate(steps):
            if phase == stop_in_phase and number == 7:
                stop()
            yield batches

    options = RunOptions(shards=shards, out=tmp_path / "cut", accelerator="cpu", resume=True)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        train(config, options, Progress(steps=stop_midway))
    state = load_checkpoint(tmp_path / "cut" / "last.ckpt").state
    # A crash goes back to what was saved every fifth of the phase, in whole passes.
    assert state is not None and (state.phase, state.step) == (stop_in_phase, saved_step)
    resumed = train(config, options)
    first = load_checkpoint(whole_run).network.state_dict()
    second = load_checkpoint(resumed).network.state_dict()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


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
    present = np.ones((4, 12), dtype=bool)
    present[1:, 0] = False
    monkeypatch.setattr(ViewDataset, "present_parts", lambda self: present)
    said: list[str] = []
    options = RunOptions(shards=shards, out=tmp_path / "run", accelerator="cpu")
    plan(tiny_config(2), options, Progress(message=said.append))
    assert said[0].startswith("warning: 3 of 4 training views lack body parts")
    present[:] = False
    with pytest.raises(TrainingError, match="expected joints that fix the body parts"):
        plan(tiny_config(2), options)
    assert not (tmp_path / "run").exists()


def test_parts_of_views_are_those_their_joints_fix(shards: Path) -> None:
    data = ViewDataset(shards, "train", 128, augment=None, seed=0)
    expected = [data[[(0, index)]].transforms.present[0].tolist() for index in range(len(data))]
    assert data.present_parts().tolist() == expected


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


def test_every_view_is_drawn_once_a_pass_and_processes_share_the_stream() -> None:
    whole = [draw for draws in DrawSchedule(7, 2, range(14), seed=3) for draw in draws]
    for number in range(4):
        assert sorted(index for passed, index in whole if passed == number) == list(range(7))
    late = [draw for draws in DrawSchedule(7, 2, range(5, 14), seed=3) for draw in draws]
    assert late == whole[10:]
    ranks = [list(DrawSchedule(7, 1, range(14), seed=3, rank=rank, world=2)) for rank in (0, 1)]
    assert [draw for pair in zip(*ranks) for draws in pair for draw in draws] == whole


def test_mirroring_twice_is_nothing_and_swaps_sides(shards: Path) -> None:
    view = ViewDataset(shards, "train", 128, augment=None, seed=0).view(0)
    mirrored = mirror_view(view)
    twice = mirror_view(mirrored)
    assert np.array_equal(twice.image, view.image)
    assert np.allclose(twice.joints, view.joints)
    left, right = 5, 6
    assert mirrored.joints[left, 0] == pytest.approx(128 - view.joints[right, 0])
    row, column = np.argwhere(view.ray_distance[0] > 0)[0]
    assert mirrored.ray_distance[0, row, 127 - column] == view.ray_distance[0, row, column]


def test_people_are_put_before_the_rooms_of_other_views(tmp_path: Path) -> None:
    write_person(tmp_path / "scans", "a", seed=1)
    write_person(tmp_path / "scans", "b", seed=2)
    write_person(tmp_path / "scans", "c", seed=3)
    options = ["--scans", str(tmp_path / "scans"), "--out", str(tmp_path / "shards")]
    options += ["--resolution", "128", "--angles", "-10", "10", "20", "--jobs", "1"]
    assert render_dataset([*options, "--composite", "on-read"]) == 0
    always = AugmentConfig(colour=1.0, mirror=0.0, background=1.0)
    data = ViewDataset(tmp_path / "shards", "train", 128, augment=always, seed=0)
    view = data.view(0)
    assert view.layers is not None
    images = torch.stack([data[[(number, 0)]].image[0] for number in range(8)])
    solid = torch.from_numpy(view.layers.coverage == 255)
    empty = torch.from_numpy(view.layers.coverage == 0)
    spread = images.amax(0) - images.amin(0)
    assert spread[:, solid].max() == 0 and spread[:, empty].mean() > 0.1


def test_images_are_reduced_by_the_mean_of_blocks() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, 2)
    # (0 + 1 + 4 + 5) / 4 = 2.5, rounded up.
    assert reduce_image(image, 2)[0, 0].tolist() == [3, 3, 3]


def test_a_checkpoint_gives_back_configuration_weights_and_shards(tmp_path: Path) -> None:
    config, network = tiny_config(1), build_network(TINY, 4)
    path = tmp_path / "folder" / "model.ckpt"
    save_checkpoint(path, network, config, shards="somewhere")
    loaded = load_checkpoint(path)
    assert loaded.config == config and loaded.shards == "somewhere" and loaded.state is None
    expected = network.state_dict()
    found = loaded.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert config_from_dict(config_to_dict(PRESETS["lite"])) == PRESETS["lite"]
    assert list(tmp_path.rglob("*.tmp")) == []


def test_a_checkpoint_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    wider = build_network(dataclasses.replace(TINY, part_width=8), 0)
    save_checkpoint(path, wider, tiny_config(1), shards="")
    with pytest.raises(
        CheckpointError, match=r"model.ckpt.*another shape part_normal.*and \d+ more"
    ):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.ckpt"
    if content is None:
        torch.save({"model_state_dict": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="model.ckpt: expected a checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("part_width", 8.5, "part_width: expected a whole number, got 8.5"),
        ("part_width", 10**6, "the tensors of its own configuration"),
        ("part_width", 10**12, "got one it cannot build"),
        ("convention", "other", "convention: expected paper or released, got .other."),
        ("resolution", "big", "resolution: expected a whole number, got 'big'"),
    ],
)
def test_a_configuration_that_no_network_has_is_refused_before_it_is_built(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    path = tmp_path / "model.ckpt"
    save_checkpoint(path, build_network(TINY, 0), tiny_config(1), shards="")
    content = torch.load(path, weights_only=True)
    content["config"]["model"][field] = value
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=f"model.ckpt: expected.*{reason}") as refusal:
        load_checkpoint(path)
    assert "\n" not in str(refusal.value)


def test_a_run_folder_stands_for_its_finished_model_else_for_where_it_stands(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError, match="--init: expected model.ckpt or last.ckpt in"):
        find_checkpoint(tmp_path, "--init")
    (tmp_path / "last.ckpt").touch()
    assert find_checkpoint(tmp_path, "--init") == tmp_path / "last.ckpt"
    (tmp_path / "model.ckpt").touch()
    assert find_checkpoint(tmp_path, "--init") == tmp_path / "model.ckpt"
    assert find_checkpoint(tmp_path / "last.ckpt", "--init") == tmp_path / "last.ckpt"
    with pytest.raises(CheckpointError, match="--init: expected a checkpoint or a run folder"):
        find_checkpoint(tmp_path / "none", "--init")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"format": "2k2k-toolkit checkpoint", "config": Harmful()}, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError) as refusal:
        load_checkpoint(tmp_path / "model.ckpt")
    assert "weights_only" not in str(refusal.value)
    assert not (tmp_path / "touched").exists()


def test_a_run_folder_is_not_overwritten(shards: Path, tmp_path: Path) -> None:
    options = RunOptions(shards=shards, out=tmp_path, phases=("2",), accelerator="cpu")
    (tmp_path / "model.ckpt").write_bytes(b"precious")
    with pytest.raises(TrainingError, match="--resume"):
        train(tiny_config(1), options)
    assert (tmp_path / "model.ckpt").read_bytes() == b"precious"


def test_a_resolution_the_shards_do_not_have_is_refused(shards: Path) -> None:
    with pytest.raises(ShardError, match="whole fraction of the shards' 128 pixels, got 256"):
        ViewDataset(shards, "train", 256, augment=None, seed=0)
    assert ShardSet(shards).resolution == 128
