"""eval-2k2k on ellipsoid people: oracle, baselines, an untrained network, bad input."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from dataset.shard_index import shard_path
from dataset.shards import ShardReader, ShardSet
from eval.protocol import ScoreConfig
from model.checkpoint import save_checkpoint
from model.config import PRESETS, ModelConfig
from model.networks import build_network
from tests.tools.people_shards import write_people
from tools.baselines import Baselines, FlatCard, InflatedSilhouette
from tools.eval_2k2k import choose_views, main, overview_views
from tools.scoring import Reconstruction, Scorer, baseline_methods, oracle

CONFIG = ScoreConfig(samples=2_000, voxels=48, normal_resolution=128)
FAST = ["--samples", "200", "--voxels", "16", "--normal-resolution", "48", "--timing-runs", "1"]
BASELINES = Baselines(FlatCard(0.98, 1.04), InflatedSilhouette(1.01, 0.2))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    root = tmp_path_factory.mktemp("sets") / "shards"
    return write_people(root, {"train": ["ann"], "test": ["eve", "joe"]}, resolution=128, steps=16)


@pytest.fixture(scope="module")
def run_folder(shards: ShardSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with untrained weights whose mask covers the whole frame."""
    folder = tmp_path_factory.mktemp("runs") / "untrained"
    model = ModelConfig(resolution=128, part_width=4, depth_width=4, refiner_width=4)
    config = dataclasses.replace(PRESETS["lite"], model=model)
    network = build_network(model, 0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if "mask" in name and name.endswith("bias"):
                tensor.fill_(9.0)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_checkpoint(folder / "model.ckpt", network, config, shards=str(shards.root))
    return folder


def test_an_oracle_scores_near_zero_and_the_baselines_do_not(shards: ShardSet) -> None:
    methods = {"oracle": oracle, **baseline_methods(BASELINES, 128)}
    views = shards.views("test")
    with Scorer(shards, methods, CONFIG) as scorer:
        scored = scorer.score(views, {}, pictured=views[:1], overview=views[:1])
    assert scored.results.failures == ()
    truth, card, inflated = (summary.columns for summary in scored.results.methods)
    # Pixels are 1.9 cm apart here; the oracle is the scan sampled on their rays.
    assert truth["p2s_pred_to_scan_cm"].mean < 0.35
    assert truth["chamfer_cm"].mean < 0.7
    assert truth["normal_error_rad"].mean < 0.25
    assert truth["volumetric_iou"].mean > 0.93
    for other in (card, inflated):
        assert other["p2s_pred_to_scan_cm"].mean > 1.0
        assert other["normal_error_rad"].mean > 2 * truth["normal_error_rad"].mean
        assert other["volumetric_iou"].mean < 0.8
    assert truth["p2s_pred_to_scan_cm"].views == 4
    assert list(scored.packed) == [("eve", 0)]
    assert [name for name, _ in scored.packed[("eve", 0)].rows] == ["Scan", *methods]
    label, pictures = scored.overview[0]
    assert label == "eve" and len(pictures.methods) == 3
    assert pictures.depth_range_cm[0] < 0 < pictures.depth_range_cm[1]


def test_an_oracles_maps_are_those_of_the_shard(shards: ShardSet) -> None:
    config = dataclasses.replace(CONFIG, metrics=("maps", "silhouette"))
    with Scorer(shards, {"oracle": oracle}, config) as scorer:
        results = scorer.score(shards.views("test")[:1], {}).results
    assert results.failures == ()
    values = {name: measured.value for name, measured in results.scores[0].values.items()}
    assert values["map_depth_error_cm"] == 0.0
    assert values["map_mask_iou"] == 1.0
    assert values["map_normal_error_rad"] < 0.3
    assert values["silhouette_iou"] > 0.9
    # The stick person of these shards has no joints; it hides nothing of itself.
    assert results.scores[0].key.pose_class == ""
    assert results.scores[0].key.occluded_share == pytest.approx(0.0, abs=0.02)


def test_a_reconstruction_moved_by_ten_centimetres_scores_them(tmp_path: Path) -> None:
    shards = write_people(tmp_path, {"test": ["eve"]}, resolution=128, yaws_deg=(0.0,))

    def moved(reader: ShardReader, view: int) -> Reconstruction:
        maps = oracle(reader, view).maps
        unit_per_cm = reader.normalised_from_scan[0, 0] / reader.unit_cm
        shift = np.float32(10.0 * unit_per_cm) * maps.mask
        return Reconstruction(dataclasses.replace(maps, front=maps.back + shift, back=maps.back))

    def thick(reader: ShardReader, view: int) -> Reconstruction:
        maps = oracle(reader, view).maps
        shift = np.float32(10.0 * reader.normalised_from_scan[0, 0] / reader.unit_cm) * maps.mask
        return Reconstruction(dataclasses.replace(maps, back=maps.back + shift))

    config = dataclasses.replace(CONFIG, metrics=("p2s", "iou"))
    with Scorer(shards, {"oracle": oracle, "thick": thick, "moved": moved}, config) as scorer:
        results = scorer.score(shards.views("test"), {}).results
    exact, swollen, behind = (m.columns["p2s_pred_to_scan_cm"].mean for m in results.methods)
    # The front half stays, the back half lies up to 10 cm off.
    assert exact < 0.4 and 2.0 < swollen < 7.0
    assert 4.0 < behind < 10.0


def test_one_failing_sample_is_listed_and_the_rest_is_scored(shards: ShardSet) -> None:
    def sometimes(reader: ShardReader, view: int) -> Reconstruction:
        if reader.scan_id == "joe" and view == 1:
            raise ValueError("mask: expected a person, got none")
        return oracle(reader, view)

    with Scorer(shards, {"some": sometimes, "oracle": oracle}, CONFIG) as scorer:
        results = scorer.score(shards.views("test"), {}).results
    assert [(f.method, f.scan_id, f.view) for f in results.failures] == [("some", "joe", 1)]
    assert [(m.method, m.complete) for m in results.methods] == [("some", False), ("oracle", True)]
    assert len(results.scores) == 7


def test_a_shard_cut_short_fails_its_views_alone(tmp_path: Path) -> None:
    shards = write_people(tmp_path, {"test": ["eve", "joe"]}, yaws_deg=(0.0,))
    path = shard_path(tmp_path, "eve")
    path.write_bytes(path.read_bytes()[:-100])
    with Scorer(shards, {"oracle": oracle}, dataclasses.replace(CONFIG, samples=100)) as scorer:
        results = scorer.score(shards.views("test"), {}).results
    assert [(f.scan_id, f.method) for f in results.failures] == [("eve", "all")]
    assert "complete shard" in results.failures[0].reason
    assert [score.key.scan_id for score in results.scores] == ["joe"]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.modify("composite", 3),
        lambda file: file["mesh/faces"].__setitem__(0, 10**6),
        lambda file: file["view"].move("yaw_deg", "turn"),
    ],
)
def test_an_odd_shard_fails_its_views_alone(
    change: Callable[[h5py.File], object], tmp_path: Path
) -> None:
    shards = write_people(tmp_path, {"test": ["eve", "joe"]}, yaws_deg=(0.0,))
    with h5py.File(shard_path(tmp_path, "eve"), "r+") as file:
        change(file)
    index = json.loads((tmp_path / "index.json").read_text())
    for entry in index["shards"]:
        entry["bytes"] = shard_path(tmp_path, entry["scan_id"]).stat().st_size
    (tmp_path / "index.json").write_text(json.dumps(index))
    config = dataclasses.replace(CONFIG, samples=100, metrics=("p2s",))
    with Scorer(ShardSet(tmp_path), {"oracle": oracle}, config) as scorer:
        results = scorer.score(shards.views("test"), {}).results
    assert [(f.scan_id, f.method) for f in results.failures] == [("eve", "all")]
    assert [score.key.scan_id for score in results.scores] == ["joe"]


def test_a_view_that_cannot_be_pictured_keeps_its_scores(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shards = write_people(tmp_path, {"test": ["eve"]}, yaws_deg=(0.0,))
    # The oracle reads depths; the pictures alone read the normals.
    with h5py.File(shard_path(tmp_path, "eve"), "r+") as file:
        chunk = file["normal/front"].id.get_chunk_info(0)
    with shard_path(tmp_path, "eve").open("r+b") as damaged:
        damaged.seek(chunk.byte_offset)
        damaged.write(bytes(chunk.size))
    config = dataclasses.replace(CONFIG, samples=100, metrics=("p2s",))
    with Scorer(shards, {"oracle": oracle}, config) as scorer:
        scored = scorer.score(shards.views("test"), {}, pictured=shards.views("test"))
    assert scored.results.failures == () and len(scored.results.scores) == 1
    assert not scored.packed
    assert "eve view 0: no pictures" in caplog.text


def test_the_command_scores_the_latest_run_on_the_shards_it_was_trained_on(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to(run_folder)
    monkeypatch.chdir(tmp_path)
    metrics = ["--metrics", "p2s", "chamfer", "normal", "iou"]
    status = main([*metrics, "--baselines", "--limit", "2", "--pictures", "1", *FAST])
    out = run_folder / "eval"
    shown = capsys.readouterr().out
    assert status == 0, shown
    read = json.loads((out / "results.json").read_text(encoding="utf-8"))
    names = ["2K2K", "flat card", "inflated silhouette"]
    assert [method["method"] for method in read["methods"]] == names
    assert all(method["columns"]["chamfer_cm"]["views"] == 2 for method in read["methods"])
    assert read["settings"]["samples"] == 200
    network, card, _ = (method["cost"] for method in read["methods"])
    assert 0 < network["network_seconds"] <= network["total_seconds"]
    assert card["network_seconds"] is None and card["total_seconds"] > 0
    assert network["runs"] == 1 and network["peak_bytes"] > 0 and network["device"]
    assert (out / "results.tex").is_file()
    assert "inflated silhouette: offset" in read["source"]["baselines"]
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    assert (out / "results_overview.png").is_file()
    assert str(out / "report.html") in shown and "inflated silhouette" in shown
    assert not list(out.glob("*partial*"))

    before = (out / "results.json").read_bytes()
    assert main(["--metrics", "p2s"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "results.json").read_bytes() == before
    assert main(["--metrics", "p2s", "--overwrite", "--limit", "1", *FAST]) == 0
    read = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [column["key"] for column in read["columns"]] == ["p2s_pred_to_scan_cm"]
    assert len(read["samples"]) == 1


def test_a_bad_shard_among_good_ones_gives_status_1_and_is_named(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path / "s", {"test": ["eve", "joe"]}, resolution=128, yaws_deg=(0.0,))
    path = shard_path(tmp_path / "s", "joe")
    path.write_bytes(path.read_bytes()[:-100])
    flags = ["--shards", str(tmp_path / "s"), "--out", str(tmp_path / "o"), "--metrics", "p2s"]
    assert main(["--checkpoint", str(run_folder), *flags, *FAST]) == 1
    assert "Not scored: 1\n  joe view 0" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "o" / "results.json").read_text())["samples"]) == 1


Flags = Callable[[Path, Path], list[str]]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (lambda run, tmp: ["--metrics", "psnr"], "--metrics: expected names out of p2s, chamfer"),
        (lambda run, tmp: ["--checkpoint", str(tmp / "no")], "--checkpoint: expected a checkpoint"),
        (lambda run, tmp: ["--checkpoint", str(tmp)], "model.ckpt or last.ckpt"),
        (lambda run, tmp: ["--checkpoint", str(run / "config.json")], "expected a checkpoint"),
        (lambda run, tmp: ["--checkpoint", str(run), "--shards", str(tmp)], "render-dataset"),
        (lambda run, tmp: ["--checkpoint", str(run), "--split", "val"], "val split"),
        (lambda run, tmp: ["--checkpoint", str(run), "--views", "7"], "--views: expected"),
        (lambda run, tmp: ["--checkpoint", str(run), "--limit", "0"], "--limit: expected"),
        (lambda run, tmp: ["--checkpoint", str(run), "--device", "tpu9"], "--device: expected"),
        (
            lambda run, tmp: ["--checkpoint", str(run), "--samples", "0"],
            "--samples: expected 100 to",
        ),
        (lambda run, tmp: ["--voxels", "7"], "--voxels: expected 8 to 512, got 7"),
        (lambda run, tmp: ["--voxels", "513"], "--voxels: expected 8 to 512, got 513"),
        (
            lambda run, tmp: ["--normal-resolution", "5000"],
            "--normal-resolution: expected 32 to 4096, got 5000",
        ),
        (lambda run, tmp: ["--samples", "10000001"], "--samples: expected 100 to 10000000"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    flags: Flags,
    expected: str,
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*flags(run_folder, tmp_path), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err.strip()
    assert expected in message and message.count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_without_a_run_the_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "train-2k2k" in capsys.readouterr().err


def test_shards_without_any_mesh_are_refused_before_work(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path / "s", {"test": ["eve"]}, resolution=128, with_mesh=False)
    flags = ["--shards", str(tmp_path / "s"), "--out", str(tmp_path / "o"), *FAST]
    assert main(["--checkpoint", str(run_folder), *flags]) == 2
    assert "--store-mesh" in capsys.readouterr().err


def test_a_results_folder_that_cannot_be_made_is_refused_before_scoring(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    out = tmp_path / "file" / "out"
    assert main(["--checkpoint", str(run_folder), "--out", str(out), *FAST]) == 2
    output = capsys.readouterr()
    expected = f"eval-2k2k: {out}: expected a folder that can be written to, got: Not a directory"
    assert output.err.strip() == expected


def test_a_dry_run_writes_nothing(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--dry-run", "--out", str(tmp_path / "out")]
    assert main(["--checkpoint", str(run_folder), *flags]) == 0
    assert "4 views of 2 scans" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_views_are_chosen_by_number_and_the_overview_takes_frontal_ones(shards: ShardSet) -> None:
    assert {ref.view for ref in choose_views(shards, "test", [1], None)} == {1}
    assert len(choose_views(shards, "test", None, 3)) == 3
    chosen = overview_views(shards, shards.views("test")[::-1])
    assert {(ref.scan_id, ref.view) for ref in chosen} == {("eve", 0), ("joe", 0)}
