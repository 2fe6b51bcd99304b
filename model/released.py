"""The authors' released checkpoint: what its tensors are called, and how it becomes ours.

Layers are the same one to one; `released_name` is the one home of how their names go together.
The file is a dict with the weights under `model_state_dict`, whose keys may carry the `module.`
of a model that was trained on several devices, and the optimiser's state beside it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.checkpoint import CheckpointError, tensor_faults
from model.config import ModelConfig
from model.networks import DigitisationNetwork
from model.parts import PART_NETWORKS

RELEASED = ModelConfig(convention="released")
"""The published networks at 2048 pixels."""

LARGEST_FILE_BYTES = 4 << 30
"""Weights and optimiser state take 0.93 GB; a larger file is something else."""

WEIGHTS = "model_state_dict"
PARALLEL_PREFIX = "module."

# A loss or an epoch may have been written as a number of numpy's.
_NUMPY_NUMBERS: list[Any] = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)),
]


def _decoder(ours: str, theirs: str, levels: int) -> dict[str, str]:
    names: dict[str, str] = {}
    for stage, level in enumerate(range(levels, 1, -1)):
        own = f"{ours}.decoder.stages.{stage}"
        names |= {
            f"{own}.up": f"{theirs}.Up{level}.up",
            f"{own}.attention.gate": f"{theirs}.Att{level}.W_g",
            f"{own}.attention.skip": f"{theirs}.Att{level}.W_x",
            f"{own}.attention.attend": f"{theirs}.Att{level}.psi",
            f"{own}.merge": f"{theirs}.Up_conv{level}.conv",
        }
    return names


def _normal_network(ours: str, theirs: str) -> dict[str, str]:
    levels = 4
    encoder = {f"{ours}.encoder.blocks.{i}": f"{theirs}.Conv{i + 1}.conv" for i in range(levels)}
    head = {f"{ours}.head": f"{theirs}.Conv_1x1.conv.0"}
    return encoder | _decoder(ours, theirs, levels) | head


def _depth_network(ours: str, theirs: str) -> dict[str, str]:
    levels = 5
    encoders = {
        f"{ours}.{name}_encoder.blocks.{i}": f"{theirs}.Conv{i + 1}_{number}.conv"
        for number, name in enumerate(("image", "normal"), 1)
        for i in range(levels)
    }
    return encoders | _decoder(ours, theirs, levels) | {f"{ours}.head": f"{theirs}.Conv_1x1"}


def _refiner(ours: str, theirs: str) -> dict[str, str]:
    names = {f"{ours}.head": f"{theirs}.merge3_2"}
    for stage in range(3):
        names[f"{ours}.depth.{stage}"] = f"{theirs}.depth{stage + 1}.up"
        names[f"{ours}.normal.{stage}"] = f"{theirs}.normal{stage + 1}.conv"
        names[f"{ours}.merge.{stage}"] = f"{theirs}.merge{stage + 1}_1.conv"
    for stage in range(2):
        names[f"{ours}.project.{stage}"] = f"{theirs}.merge{stage + 1}_2.conv.0"
    return names


def _module_names() -> dict[str, str]:
    names = _normal_network("low_normal", "img2normal_down")
    for network in PART_NETWORKS:
        theirs = {"foot": "shoe"}.get(network, network)
        names |= _normal_network(f"part_normal.{network}", f"img2normal_{theirs}")
    return names | _depth_network("low_depth", "ImgNorm_to_Dep") | _refiner("refiner", "refine")


_MODULE_NAMES = _module_names()


def released_name(name: str) -> str:
    """Return what the authors' checkpoint calls a tensor of `DigitisationNetwork`.

    Raises:
        KeyError: their networks have no such tensor.
    """
    module, place = name, ""
    while module not in _MODULE_NAMES:
        module, dot, last = module.rpartition(".")
        if not dot:
            raise KeyError(name)
        place = f".{last}{place}"
    return _MODULE_NAMES[module] + place


def _read_weights(path: Path) -> dict[str, Any]:
    """Return the file's weights by name, without `module.`; they stay in the file until used."""
    if not path.is_file():
        raise CheckpointError(f"{path}: expected the authors' checkpoint, got no such file")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path}: expected a checkpoint as PyTorch 1.6 and later write it, got another file "
            "or one that is cut short"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            size = max(path.stat().st_size, sum(item.file_size for item in archive.infolist()))
        if size > LARGEST_FILE_BYTES:
            raise CheckpointError(
                f"{path}: expected a checkpoint of at most {LARGEST_FILE_BYTES >> 30} GiB, "
                f"got {size / 2**30:.1f} GiB"
            )
        with torch.serialization.safe_globals(_NUMPY_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except CheckpointError:
        raise
    # torch raises whatever its zip reader, unpickler and storage code meet first, and advises
    # to run the code that the file may hold: its text is not passed on.
    except Exception as error:
        raise CheckpointError(
            f"{path}: expected the authors' checkpoint, got a file that is damaged or holds more "
            "than tensors, numbers and plain containers"
        ) from error
    weights = content.get(WEIGHTS) if isinstance(content, dict) else None
    if not isinstance(weights, dict):
        raise CheckpointError(
            f"{path}: expected the authors' checkpoint with {WEIGHTS}, got another torch file"
        )
    return {str(name).replace(PARALLEL_PREFIX, ""): value for name, value in weights.items()}


def read_released(path: Path) -> DigitisationNetwork:
    """Read the authors' checkpoint.

    Nothing in the file is run. Its size is bounded, and shapes are compared before anything of
    their size is allocated.

    Args:
        path: such as `ckpt_bg_mask.pth.tar`.

    Returns:
        The networks in the `released` convention, in evaluation mode, on the processor.

    Raises:
        CheckpointError: the file is missing, too large, no such checkpoint, or its tensors are
            not those of the published networks; names the first few that differ.
    """
    weights = _read_weights(path)
    with torch.device("meta"):
        expected = DigitisationNetwork(RELEASED).state_dict()
    faults = tensor_faults(weights, {released_name(key): expected[key] for key in expected})
    if faults:
        raise CheckpointError(
            f"{path}: expected the tensors of the published networks, got {faults}"
        )
    tensors: dict[str, Tensor] = {key: weights[released_name(key)] for key in expected}
    wild = [released_name(key) for key, tensor in tensors.items() if not tensor.isfinite().all()]
    if wild:
        raise CheckpointError(f"{path}: expected finite weights, got NaN or infinity in {wild[0]}")
    network = DigitisationNetwork(RELEASED)
    network.load_state_dict(tensors)
    return network.eval()
