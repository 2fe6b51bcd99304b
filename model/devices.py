"""The devices a run works on: processes, precision, memory layout, and too little memory."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.precision import MixedPrecision
from lightning.fabric.utilities.exceptions import MisconfigurationException

from model.config import ComputeConfig, TrainConfig
from model.networks import DigitisationNetwork
from render.errors import UserInputError

_PROCESSOR_OUT_OF_MEMORY = "can't allocate memory"
"""How torch words it on a processor, where it has no exception of its own for it."""


class TrainingError(UserInputError):
    """Training cannot start or go on."""


class AutocastPrecision(MixedPrecision):
    """Autocast alone: what goes into the objective stays float32.

    Fabric's own would round the depth that is to be learnt to the precision of the networks,
    in bf16 to whole centimetres.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data as they are."""
        return data


def launch(accelerator: str, devices: int, nodes: int, compute: ComputeConfig) -> Fabric:
    """Start the processes of a run, or join those that torchrun started.

    Args:
        accelerator: as Lightning takes it.
        devices: on each machine.
        nodes: machines.
        compute: precision.

    Raises:
        TrainingError: this machine cannot run that.
    """
    precision: str | None = compute.precision
    plugins = None
    if compute.precision in ("16-mixed", "bf16-mixed"):
        kind = _device_kind(accelerator)
        precision, plugins = None, AutocastPrecision(compute.precision, kind)  # type: ignore[arg-type]
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            # A batch in which a part network has no crop leaves its weights out.
            strategy="ddp_find_unused_parameters_true" if devices * nodes > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
            plugins=plugins,
        )
        fabric.launch()
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise TrainingError(
            "--accelerator, --devices, --nodes, --precision: expected what this machine can run, "
            f"got {accelerator}, {devices}, {nodes}, {compute.precision} "
            f"({str(error).splitlines()[0]})"
        ) from error
    return fabric


def _device_kind(accelerator: str) -> str:
    if accelerator != "auto":
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """Return what a device is, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{_processor()}, {torch.get_num_threads()} threads"
    return str(device)


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def arrange(network: DigitisationNetwork, compute: ComputeConfig) -> None:
    """Lay the weights out in memory, and compile the networks, as the configuration says."""
    if compute.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compute.compiled:
        single = (network.low_normal, network.low_depth, network.refiner)
        for module in (*network.part_normal.values(), *single):
            module.compile()


@contextmanager
def memory_advice(config: TrainConfig) -> Iterator[None]:
    """Turn a lack of memory into a sentence that names what lowers the need.

    Raises:
        TrainingError: the body ran out of memory.
    """
    try:
        yield
    except RuntimeError as error:
        exhausted = isinstance(error, torch.OutOfMemoryError)
        if not exhausted and _PROCESSOR_OUT_OF_MEMORY not in str(error):
            raise
        window = config.refiner_window
        raise TrainingError(
            "--resolution, --batch-size, --refiner-window, --precision: expected training to fit "
            f"the memory, got out of memory at {config.model.resolution} pixels, "
            f"{config.batch_size} views a batch, refining "
            f"{'whole frames' if window is None else f'windows of {window}'}, "
            f"{config.compute.precision} (take less of one; --accumulate keeps the views of a step)"
        ) from error
