"""The user's three lines, one after the other, and what train-2k2k says of bad input."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_checkpoint
from model.config import (
    PRESETS,
    ComputeConfig,
    ModelConfig,
    OptimiserConfig,
    config_from_dict,
    config_to_dict,
)
from model.devices import device_name
from render.errors import UserInputError
from tests.scenes import write_person
from tools.eval_2k2k import main as eval_2k2k
from tools.render_dataset import main as render_dataset
from tools.train_2k2k import build_parser, choose_out, choose_processes, point_latest
from tools.train_2k2k import main as train_2k2k
from tools.train_config import resolve_config

FLAGS = ["--max-steps", "60", "--accelerator", "cpu", "--augment", "background=0", "colour=1"]
"""Before its own room alone: sixty steps are enough to find a person there."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first two lines have been run on six people at 128 pixels."""
    folder = tmp_path_factory.mktemp("work")
    for seed in range(6):
        write_person(folder / "dir" / f"person{seed}", f"person{seed}", seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = ["--resolution", "128", "--angles", "-10", "10", "20", "--jobs", "1"]
        assert render_dataset(["--scans", "dir", *options]) == 0
        assert train_2k2k(["shards/", *FLAGS]) == 0
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in that folder."""
    monkeypatch.chdir(trained)
    return trained


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the single line on standard error."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    return lines[0]


def test_the_three_lines_end_in_scores_and_a_report(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = eval_2k2k(["--metrics", "p2s", "chamfer", "normal", "iou", "--device", "cpu"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    results = here / "runs" / "latest" / "eval"
    assert {"results.json", "results.csv", "report.html"} <= {p.name for p in results.iterdir()}
    assert json.loads((results / "results.json").read_text())
    assert "p2s" in printed.out.lower() and "report.html" in printed.out


def test_the_run_folder_says_how_to_repeat_it(here: Path) -> None:
    run = here / "runs" / "latest"
    assert run.is_symlink() and (run / "model.ckpt").is_file()
    written = json.loads((run / "config.json").read_text())
    assert written["config"]["model"]["resolution"] == 128
    assert written["config"]["phase1"]["steps"] == 60
    assert written["shards"] == str(here / "shards")
    assert written["commands"] == [["train-2k2k", "shards/", *FLAGS]]
    assert len(written["shards_sha256"]) == 64
    assert written["versions"]["torch"] == importlib.metadata.version("torch")
    assert written["device"] == device_name(torch.device("cpu"))  # as asked for, GPU or not
    assert load_checkpoint(run / "model.ckpt").shards == str(here / "shards")
    assert list((run / "tensorboard").iterdir())


def test_an_estimate_is_printed_before_the_first_step(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--max-steps", "1", "--accelerator", "cpu", "--out", str(tmp_path / "run")]
    assert train_2k2k(["shards", *options]) == 0
    printed = capsys.readouterr().out
    assert "preset lite at 128 pixels" in printed
    estimates = [line for line in printed.splitlines() if "about" in line and "GiB" in line]
    assert [line.split(":")[0] for line in estimates] == ["phase 1", "phase 2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["dir"], "dir"),
        (["shards", "--resolution", "256"], "whole fraction of the shards' 128 pixels, got 256"),
        (["shards", "--resolution", "100"], "--resolution: resolution: expected a multiple of 128"),
        (["shards", "--max-steps", "0"], "--max-steps: expected 1 or more, got 0"),
        (["shards", "--batch-size", "1"], "--batch-size: batch_size: expected 2 or more"),
        (["shards", "--init", "no.ckpt"], "--init: expected a checkpoint or a run folder"),
        (["shards", "--init", "dir"], "--init: expected model.ckpt or last.ckpt in the run"),
        (["shards", "--resolution", "0"], "--resolution: resolution: expected a multiple of 128"),
        (["shards", "--seed", "-1"], "--seed: expected 0 or more, got -1"),
        (["shards", "--seed", "9999999999"], "--seed: expected 4294967295 or less"),
        (["shards", "--workers", "-1"], "--workers: expected 0 or more, got -1"),
        (["shards", "--devices", "0"], "--devices: expected 1 or more, got 0"),
        (["shards", "--phase", "2"], "--phase 2: expected the networks of phase 1 from --init"),
        (["shards", "--phase", "finetune"], "--phase finetune: expected the networks of both"),
        (["shards", "--out", "runs/latest"], "expected a new run folder"),
        (["shards", "--nodes", "0"], "--nodes: expected 1 or more, got 0"),
        (["shards", "--accumulate", "0"], "--accumulate: accumulate: expected 1 or more, got 0"),
        (["shards", "--clip-norm", "0"], "--clip-norm: clip_norm: expected more than 0, got 0"),
        (["shards", "--ema", "1"], "--ema: ema_decay: expected between 0 and 1, got 1"),
        (["shards", "--patience", "0"], "--patience: patience: expected 1 or more, got 0"),
        (["shards", "--learning-rate", "-1"], "--learning-rate: learning_rate: expected between"),
        (["shards", "--refiner-window", "50"], "refiner_window: expected a multiple of 8 from 96"),
        (["shards", "--augment", "mirror=2"], "--augment: mirror: expected 0 to 1, got 2.0"),
        (["shards", "--augment", "shear=1"], "--augment: expected NAME=VALUE with a name of"),
        (["shards", "--augment", "mirror"], "--augment: expected NAME=VALUE with a name of"),
        (["shards", "--config", "none.json"], "none.json: expected the config.json of a run"),
        (["shards", "--config", "shards/index.json"], "expected the config.json of a run, got a"),
        (["shards", "--parts", "whole", "--init", "runs/latest"], "--parts: expected parts as in"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = (here / "runs" / "latest").resolve()
    assert train_2k2k([*arguments, "--accelerator", "cpu"]) == 2
    assert message in one_sentence(capsys)
    assert (here / "runs" / "latest").resolve() == before


@pytest.mark.parametrize("flag", ["--precision", "--accelerator"])
def test_choices_are_named(here: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert train_2k2k(["shards", flag, "foo"]) == 2
    assert f"argument {flag}: invalid choice: 'foo'" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_2k2k(["shards", "--preset", "lite", "--accelerator", "cuda"]) == 2
    assert "--accelerator, --devices, --nodes, --precision: expected what" in one_sentence(capsys)


def test_a_dry_run_says_what_training_takes_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--init", "runs/latest", "--accelerator", "cpu", "--out", str(out)]
    assert train_2k2k(["shards", "--dry-run", "--max-steps", "5", *options]) == 0
    printed = capsys.readouterr().out
    assert "preset lite at 128 pixels" in printed and "training views" in printed
    assert "phase 1: 5 steps of" in printed and "phase 2: 5 steps of" in printed
    assert not out.exists()


def test_resuming_where_nothing_was_starts_anew_and_says_so(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--resume", "--dry-run", "--accelerator", "cpu", "--out", str(out)]
    assert train_2k2k(["shards", *options]) == 0
    assert f"no run in {out}, starting a new one" in capsys.readouterr().out


def test_the_latest_run_can_be_named_by_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, link = tmp_path / "runs" / "one", Path("runs/latest")
    run.mkdir(parents=True)
    point_latest(Path("runs/one"))
    for named in (choose_out(link, True), choose_out(None, True), link):
        assert named.resolve() == run.resolve()
        point_latest(named)
        assert link.readlink() == Path("one")
    assert choose_out(Path("runs/two"), False) == Path("runs/two")


def test_a_run_is_not_resumed_on_other_shards(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "others"
    shutil.copytree(here / "shards", other)
    run = here / "runs" / "latest"
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    options = ["--resume", *FLAGS]
    assert train_2k2k([str(other), *options]) == 2
    assert f"expected the shard set {here / 'shards'}" in one_sentence(capsys)
    assert before == {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_the_configuration_of_a_run_can_be_taken_again_and_changed(
    here: Path, tmp_path: Path
) -> None:
    written = here / "runs" / "latest" / "config.json"
    parser = build_parser()
    config = config_from_dict(json.loads(written.read_text())["config"])
    assert resolve_config(parser.parse_args(["shards", "--config", str(written)]), 128) == config
    seeded = tmp_path / "config.json"
    seeded.write_text(json.dumps({"config": config_to_dict(dataclasses.replace(config, seed=7))}))
    arguments = parser.parse_args(["shards", "--config", str(seeded)])
    assert resolve_config(arguments, 128).seed == 7
    arguments = parser.parse_args(["shards", "--config", str(seeded), "--seed", "0"])
    assert resolve_config(arguments, 128).seed == 0
    flags = ["--accumulate", "3", "--ema", "0.99", "--refiner-window", "0", "--parts", "whole"]
    flags += ["--augment", "mirror=0", "colour=0.5", "--compile", "--learning-rate", "0.001"]
    changed = resolve_config(parser.parse_args(["s", "--config", str(written), *flags]), 128)
    assert changed.optimiser == OptimiserConfig(accumulate=3, ema_decay=0.99)
    assert changed.refiner_window is None and changed.model.parts == "whole"
    assert changed.augment == dataclasses.replace(config.augment, mirror=0.0, colour=0.5)
    assert changed.compute == ComputeConfig(compiled=True)
    assert {changed.phase1.learning_rate, changed.finetune.learning_rate} == {0.001}


def test_shards_smaller_than_the_checkpoint_are_refused_unless_asked_for() -> None:
    parser = build_parser()
    model = ModelConfig(resolution=512, convention="released")
    with pytest.raises(
        UserInputError, match="--init: expected shards of at least.*512 pixels, got"
    ):
        resolve_config(parser.parse_args(["shards", "--init", "x"]), 128, model)
    arguments = parser.parse_args(["shards", "--init", "x", "--resolution", "128"])
    assert resolve_config(arguments, 128, model).model == dataclasses.replace(model, resolution=128)


def test_a_checkpoint_is_trained_as_the_preset_of_its_width() -> None:
    arguments = build_parser().parse_args(["shards", "--init", "x"])
    wide, narrow = PRESETS["paper"], PRESETS["lite"]
    released = dataclasses.replace(wide.model, convention="released")
    config = resolve_config(arguments, 2048, released)
    assert config == dataclasses.replace(wide, model=released)
    assert resolve_config(arguments, 512, narrow.model) == narrow
    arguments = build_parser().parse_args(["shards", "--init", "x", "--preset", "lite"])
    assert resolve_config(arguments, 2048, released).finetune == narrow.finetune


def test_fine_tuning_goes_on_from_a_run(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "tuned"
    options = [
        "--phase",
        "finetune",
        "--init",
        "runs/latest",
        "--max-steps",
        "2",
        "--out",
        str(out),
    ]
    assert train_2k2k(["shards", "--accelerator", "cpu", *options]) == 0
    assert "phase finetune, step 2: validation loss" in capsys.readouterr().out
    before = load_checkpoint(here / "runs" / "latest" / "model.ckpt").network.state_dict()
    after = load_checkpoint(out / "model.ckpt").network.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"part_normal", "low_normal", "low_depth", "refiner"}


@pytest.mark.parametrize("asked", [(None, None), (3, 2)])
def test_torchrun_says_how_many_processes_there_are(
    monkeypatch: pytest.MonkeyPatch, asked: tuple[int | None, int | None]
) -> None:
    arguments = argparse.Namespace(devices=asked[0], nodes=asked[1])
    assert choose_processes(arguments) == (asked[0] or 1, asked[1] or 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "8")
    if asked == (None, None):
        assert choose_processes(arguments) == (4, 2)
        return
    with pytest.raises(UserInputError, match="expected 4 and 2 as torchrun started, got 3 and 2"):
        choose_processes(arguments)


@pytest.mark.slow
def test_devices_start_processes_of_their_own_and_one_speaks(here: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.train_2k2k", "shards", "--devices", "2"]
    command += ["--accelerator", "cpu", "--max-steps", "1", "--out", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.count("preset lite at 128 pixels") == 1
    assert ended.stdout.count("phase 2, step 1: validation loss") == 1
    assert load_checkpoint(tmp_path / "run" / "model.ckpt").state is None


def test_a_run_is_not_resumed_when_scans_changed_their_split(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = here / "shards" / "splits"
    before = (lists / "test.txt").read_text()
    (lists / "test.txt").write_text(before + "\n")
    options = ["--resume", *FLAGS]
    try:
        assert train_2k2k(["shards", *options]) == 2
    finally:
        (lists / "test.txt").write_text(before)
    assert "last.ckpt: expected the shard set as it was when this run" in one_sentence(capsys)


def test_a_shard_cut_short_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(here / "shards", copy)
    cut = sorted((copy / "scans").glob("*.h5"))
    for path in cut:
        path.write_bytes(path.read_bytes()[:1000])
    options = ["--max-steps", "1", "--accelerator", "cpu", "--out", str(tmp_path / "run")]
    assert train_2k2k([str(copy), *options]) == 2
    assert ".h5: expected a complete shard" in one_sentence(capsys)


def test_resuming_another_configuration_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--resume", "--max-steps", "61", "--accelerator", "cpu"]
    assert train_2k2k(["shards", *options]) == 2
    assert "expected the configuration of this run" in one_sentence(capsys)


def test_resuming_a_finished_run_does_nothing_more(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = here / "runs" / "latest" / ""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    options = ["--resume", *FLAGS]
    assert train_2k2k(["shards", *options]) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before and before


def test_a_width_keeps_the_proportion_of_the_preset() -> None:
    parser = build_parser()
    for preset, widths in (("paper", (16, 8, 8)), ("lite", (16, 16, 16))):
        arguments = parser.parse_args(["s", "--preset", preset, "--width", "16"])
        model = resolve_config(arguments, 512).model
        assert (model.part_width, model.depth_width, model.refiner_width) == widths
    with pytest.raises(UserInputError, match="--width: .*2 or more, got 1"):
        resolve_config(parser.parse_args(["s", "--preset", "paper", "--width", "2"]), 512)
    arguments = parser.parse_args(["s", "--width", "16"])
    with pytest.raises(UserInputError, match="--width: expected 8 as in --init, got 16"):
        resolve_config(arguments, 512, PRESETS["lite"].model)
