"""Checkpoints give back what was saved, refuse what does not fit, and survive a full disk."""

from __future__ import annotations

import dataclasses
import resource
from pathlib import Path

import pytest
import torch

from model.checkpoint import CheckpointError, find_checkpoint, load_checkpoint, save_checkpoint
from model.config import PRESETS, config_from_dict, config_to_dict
from model.networks import build_network
from render.errors import OutputError
from tests.model.conftest import TINY, tiny_config


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


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path, network = tmp_path / "last.ckpt", build_network(TINY, 0)
    save_checkpoint(path, network, tiny_config(1), shards="before")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, hard))
    try:
        with pytest.raises(OutputError, match="last.ckpt: expected to write.*File too large.*kept"):
            save_checkpoint(path, network, tiny_config(1), shards="after")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert load_checkpoint(path).shards == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["last.ckpt"]
