"""The user's three lines, one after the other, and what train-2k2k says of bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

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
        (["shards", "--init", "no.ckpt"], "no.ckpt: expected a checkpoint, got no such file"),
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
    before = (here / "runs" / "latest" / "last.ckpt").read_bytes()
    options = ["--resume", "--max-steps", "60", "--accelerator", "cpu"]
    assert train_2k2k(["shards", *options]) == 0
    assert (here / "runs" / "latest" / "last.ckpt").read_bytes() == before
