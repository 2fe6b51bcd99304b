"""The contact sheet shows every view of every person, both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.scenes import write_person
from tools.contact_sheet import main as contact_sheet
from tools.render_dataset import main as render_dataset


def test_views_are_columns_and_people_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate("abc"):
        write_person(tmp_path / "scans", name, seed=seed)
    options = ["--scans", str(tmp_path / "scans"), "--out", str(tmp_path / "shards")]
    options += ["--resolution", "128", "--angles", "0", "10", "10", "--jobs", "1"]
    assert render_dataset(options) == 0
    sheet = tmp_path / "sheet.png"
    call = [str(tmp_path / "shards"), "--out", str(sheet), "--cell", "64"]
    assert contact_sheet(call) == 0
    # Two people across and two down, each of two views and six rows, eight pixels between.
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape == (2 * 6 * 64 + 8, 2 * 2 * 64 + 8, 3)
    assert (pixels[:, 128:136] == 255).all() and (pixels[-384:, -128:] == 255).all()
    cells = [pixels[row * 64 : row * 64 + 64, :64] for row in range(6)]
    assert all(cell.std() > 10 for cell in cells)
    assert contact_sheet(call) == 2
    assert "--overwrite" in capsys.readouterr().err
