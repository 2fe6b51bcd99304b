"""The comparison of codecs on small people: what is read back, what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.tools.people_shards import write_people
from tools.bench.shards import main, measure_png, person_arrays, read_samples


def test_png_files_hold_as_many_arrays_and_codecs_are_compared_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_people(tmp_path / "set", {"train": ["ann", "bob"]}, resolution=128, steps=8)
    for path in (tmp_path / "set" / "scans").iterdir():
        with h5py.File(path, "r+") as file:
            file["joints/2d"][...] = np.random.default_rng(0).uniform(20, 108, (2, 31, 3))
    (sample,) = read_samples(tmp_path / "set", 1)
    assert len(sample.boxes) > 6
    assert len(sample.codes) == len(person_arrays()) == 10
    assert sample.codes["normal/front"].shape == (128, 128, 3)
    measured = measure_png([sample], tmp_path, 1)
    files = list(tmp_path.glob("*.png"))
    assert len(files) == 10 and measured["bytes"] == sum(f.stat().st_size for f in files)
    path = tmp_path / "bench.json"
    line = ["--shards", str(tmp_path / "set"), "--repeats", "1", "--json", str(path)]
    assert main([*line, "--only", "gzip", "as shards are"]) == 0
    rows = json.loads(path.read_text())["candidates"]
    assert [(row["label"], row["tile"]) for row in rows] == [
        ("gzip 4", 256),
        *(("as shards are", tile) for tile in (64, 128, 512, 256)),
    ]
    assert rows[-1]["bytes"] < rows[0]["bytes"]
    assert all(np.isfinite(row["parts_times_as_fast"]) for row in rows)
    assert "as shards are" in capsys.readouterr().out
    assert main([*line, "--only", "nothing like it"]) == 2
