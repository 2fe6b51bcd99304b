"""What only shows after many scans, or with other numbers of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.scan_rendering import ScanTask, render_batch
from dataset.scans import find_scans
from dataset.synthesis_config import SynthesisConfig
from tests.scenes import write_person, write_wall

ROOT = Path(__file__).resolve().parents[2]
STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_two_hundred_scans_in_one_process_do_not_grow_its_memory(tmp_path: Path) -> None:
    write_person(tmp_path / "scans", steps=60)
    config = SynthesisConfig(
        resolution=256, yaws_deg=(0.0,), backgrounds=write_wall(tmp_path / "walls")
    )
    task = ScanTask(scan=find_scans(tmp_path / "scans")[0], store_mesh=True)
    resident = []
    for outcome in render_batch([task] * 200, config, tmp_path / "s"):
        assert outcome.entry is not None, outcome.reason
        resident.append(resident_bytes())
    # One mesh is 7 MB and one side of a view 1 MB: leaking either would be 200 times that.
    assert max(resident[150:]) - max(resident[20:50]) < 30e6


@pytest.mark.slow
def test_the_number_of_threads_of_the_renderer_changes_no_byte(tmp_path: Path) -> None:
    write_person(tmp_path / "scans")
    sets = []
    for threads in ("1", "3"):
        out = tmp_path / threads
        line = ["--scans", "scans", "--out", threads, "--resolution", "128", "--yaws", "0", "200"]
        subprocess.run(
            [sys.executable, "-m", "tools.render_dataset", *line, "--jobs", "1"],
            env={**os.environ, "LP_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        files = sorted(path for path in out.rglob("*") if path.is_file())
        sets.append({path.relative_to(out): path.read_bytes() for path in files})
    assert len(sets[0]) == 5 and sets[0] == sets[1]
