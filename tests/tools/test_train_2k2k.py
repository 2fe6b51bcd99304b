"""The user's three lines, one after the other, and what train-2k2k says of bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_checkpoint
from tests.scenes import write_person
from tools.eval_2k2k import main as eval_2k2k
from tools.render_dataset import main as render_dataset
from tools.train_2k2k import main as train_2k2k


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
        assert train_2k2k(["shards/", "--max-steps", "60", "--accelerator", "cpu"]) == 0
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
        (["shards", "--out", "runs/latest"], "expected a new run folder"),
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
    assert "--accelerator, --devices, --precision: expected what this" in one_sentence(capsys)


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


def test_a_run_is_not_resumed_on_other_shards(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "others"
    shutil.copytree(here / "shards", other)
    run = here / "runs" / "latest"
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    options = ["--resume", "--max-steps", "60", "--accelerator", "cpu"]
    assert train_2k2k([str(other), *options]) == 2
    assert f"expected the shard set {here / 'shards'}" in one_sentence(capsys)
    assert before == {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


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
    options = ["--resume", "--max-steps", "60", "--accelerator", "cpu"]
    assert train_2k2k(["shards", *options]) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before and before
