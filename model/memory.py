"""How much memory a process or its device has in use, had at most, and has left."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_USAGE_UNIT = 1 if sys.platform == "darwin" else 1024
"""`ru_maxrss` is in bytes there, in KiB on Linux."""


def peak_resident_bytes(*, with_children: bool = False) -> int:
    """Return the most memory that this process has had, or one of its ended children."""
    whose = [resource.RUSAGE_SELF] + [resource.RUSAGE_CHILDREN] * with_children
    return max(resource.getrusage(each).ru_maxrss for each in whose) * _USAGE_UNIT


def resident_bytes() -> int:
    """Return the memory that this process has now (Linux), or had at most (elsewhere)."""
    statistics = Path("/proc/self/statm")
    if not statistics.is_file():
        return peak_resident_bytes()
    return int(statistics.read_text().split()[1]) * resource.getpagesize()


def used_bytes(device: torch.device) -> int:
    """Return what is in use now: tensors of a CUDA device, else the whole process."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return resident_bytes()


def peak_bytes(device: torch.device) -> int:
    """Return the most that was in use: tensors of a CUDA device, else the whole process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_bytes()


def available_bytes(device: torch.device) -> int | None:
    """Return what may still be taken of a device's memory; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    table = Path("/proc/meminfo")
    if not table.is_file():
        return None
    lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
