"""Two processes train one network, started by torchrun and talking through gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from model.checkpoint import load_checkpoint
from model.samples import DrawSchedule

ROOT = Path(__file__).parents[2]
PROCESS = """
import dataclasses, json, os, sys
from pathlib import Path

import torch

from model.config import OptimiserConfig
from model.runs import Progress, Run
from model.training import RunOptions, train
from tests.model.conftest import tiny_config

shards, folder = Path(sys.argv[1]), Path(sys.argv[2])
rank = int(os.environ["RANK"])
drawn, networks = [], []
steps = Run.steps

def watched(self, phase, numbers):
    networks.append(self.network)
    for batches in steps(self, phase, numbers):
        drawn.append([view for batch in batches for _, view in batch.keys])
        yield batches

Run.steps = watched
config = tiny_config(2, optimiser=OptimiserConfig(ema_decay=0.5))
# The folder's name differs, as one with the time in it would: that of the first counts.
out = folder / f"run{rank}"
said = []
train(
    config,
    RunOptions(shards=shards, out=out, accelerator="cpu", devices=2),
    Progress(message=said.append),
)
torch.save(networks[-1].state_dict(), folder / f"weights{rank}.pt")
(folder / f"drawn{rank}.json").write_text(json.dumps({"drawn": drawn, "said": said}))
"""


def test_processes_share_the_views_and_end_with_the_same_weights(
    shards: Path, tmp_path: Path
) -> None:
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, str(script), str(shards), str(tmp_path)]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    reports = [json.loads((tmp_path / f"drawn{rank}.json").read_text()) for rank in (0, 1)]
    stream = DrawSchedule(6, 4, range(2), seed=0)
    expected = [[view for _, view in draws] for draws in stream] * 2
    both = zip(reports[0]["drawn"], reports[1]["drawn"], strict=True)
    # Of each step's four views, in both phases, each process takes two of its own.
    assert [first + second for first, second in both] == expected
    weights = [torch.load(tmp_path / f"weights{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert [
        name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])
    ] == []
    finished = load_checkpoint(tmp_path / "run0" / "model.ckpt").network.state_dict()
    assert [name for name in finished if not torch.equal(finished[name], weights[0][name])] == []
    # The first process alone speaks and writes.
    assert reports[0]["said"] and not reports[1]["said"]
    assert not (tmp_path / "run1").exists()
