"""What a reconstruction costs: time of the networks alone and end to end, and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

import torch

from dataset.shards import ShardSet, ViewRef
from eval.results import Cost
from model.devices import device_name
from model.memory import peak_bytes
from tools.baselines import reconstruct_surface
from tools.sample_failures import SAMPLE_ERRORS
from tools.scoring import Reconstruct

MOST_TRIES = 5


def measure_costs(
    shards: ShardSet,
    methods: Mapping[str, Reconstruct],
    views: Sequence[ViewRef],
    device: str,
    runs: int,
) -> dict[str, Cost]:
    """Return the cost of each method on the first view that it gets through.

    One run warms up, the medians are of those after it. End to end goes from the shard (image
    and joints are read and decoded) to the mesh. Memory is that of the device on CUDA, else the
    most that this whole process has had in use so far.

    Args:
        shards: where the views are.
        methods: name -> what reconstructs.
        views: to choose from.
        device: torch device.
        runs: warm runs; 0 measures nothing.
    """
    if runs < 1:
        return {}
    costs = {}
    for name, reconstruct in methods.items():
        for ref in views[:MOST_TRIES]:
            try:
                costs[name] = _cost(shards, reconstruct, ref, device, runs)
            except SAMPLE_ERRORS:
                continue  # scoring lists what fails
            break
    return costs


def _cost(shards: ShardSet, reconstruct: Reconstruct, ref: ViewRef, device: str, runs: int) -> Cost:
    on_cuda = device.startswith("cuda")
    networks: list[float] = []
    totals: list[float] = []
    with shards.open(ref.scan_id) as reader:
        for run in range(runs + 1):
            if on_cuda and run == 1:
                torch.cuda.reset_peak_memory_stats(device)
            begin = time.perf_counter()
            made = reconstruct(reader, ref.view)
            reconstruct_surface(made.maps, reader, ref.view)
            if run == 0:
                continue
            totals.append(time.perf_counter() - begin)
            if made.network_seconds is not None:
                networks.append(made.network_seconds)
    return Cost(
        network_seconds=statistics.median(networks) if networks else None,
        total_seconds=statistics.median(totals),
        runs=runs,
        peak_bytes=peak_bytes(torch.device(device)),
        memory="GPU tensors" if on_cuda else "whole process so far",
        device=device_name(torch.device(device)),
    )
