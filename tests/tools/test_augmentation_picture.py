"""What each augmentation does is measured and drawn, one column each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.augment import UNCHANGED, AugmentConfig
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import ModelConfig, TrainConfig
from model.networks import build_network
from tests.scenes import write_person
from tools.augmentation_picture import (
    BAR,
    CELL,
    MARGIN,
    NAME_WIDTH,
    draw_picture,
    main,
    mean_losses,
    single_changes,
)
from tools.render_dataset import main as render_dataset


def test_changes_are_made_one_at_a_time() -> None:
    changes = single_changes(replace(UNCHANGED, colour=0.6, mirror=0.5))
    assert changes["unchanged"] == UNCHANGED
    assert changes["colour"] == replace(UNCHANGED, colour=0.6)
    assert changes["mirror"] == replace(UNCHANGED, mirror=1.0)
    # What is off is drawn as it would be by default.
    assert changes["noise"] == replace(UNCHANGED, noise=AugmentConfig().noise)
    assert list(changes)[-1] == "all, as configured"
    assert set(changes) == {"unchanged", *vars(UNCHANGED), "all, as configured"}


def test_a_picture_has_a_column_a_change_and_the_losses_of_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        write_person(tmp_path / "scans", f"person{seed}", seed=seed)
    shards, checkpoint, out = tmp_path / "shards", tmp_path / "model.ckpt", tmp_path / "out.png"
    options = ["--scans", str(tmp_path / "scans"), "--out", str(shards), "--jobs", "1"]
    options += ["--resolution", "128", "--angles", "0", "0", "10", "--composite", "on-read"]
    assert render_dataset(options) == 0
    model = ModelConfig(resolution=128, part_width=2, depth_width=2, refiner_width=2)
    config = TrainConfig(model=model)
    save_checkpoint(checkpoint, build_network(model, 0), config, shards=str(shards))
    flags = ["--checkpoint", str(checkpoint), "--out", str(out), "--views", "1", "--draws", "1"]
    assert main([str(shards), *flags]) == 0
    picture = np.asarray(Image.open(out))
    assert picture.shape[1] == NAME_WIDTH + 5 * (CELL + MARGIN)
    image, terms = mean_losses(load_checkpoint(checkpoint), shards, UNCHANGED, 1, 1, 0)
    assert f"unchanged            loss {sum(terms.values()):.4f}" in capsys.readouterr().out
    mirrored, _ = mean_losses(
        load_checkpoint(checkpoint), shards, single_changes(config.augment)["mirror"], 1, 1, 0
    )
    assert np.array_equal(mirrored[:, ::-1], image)


def test_bars_are_as_long_as_the_losses(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    losses = {"unchanged": {"depth": 1.0}, "colour": {"depth": 2.0}}
    draw_picture(dict.fromkeys(losses, image), losses, tmp_path / "bars.png")
    row = np.asarray(Image.open(tmp_path / "bars.png"))[CELL + 2 * BAR - 5]
    starts = [NAME_WIDTH, NAME_WIDTH + CELL + MARGIN]
    lengths = [int((row[start : start + CELL, 0] < 255).sum()) for start in starts]
    assert lengths == [CELL // 2 + 1, CELL]
