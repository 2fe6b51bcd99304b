"""Checkpoints: weights with the configuration and convention they belong to.

A checkpoint is a torch file of plain containers and tensors, read with `weights_only`.
It is written under a temporary name and renamed when complete.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.config import (
    PHASES,
    ModelConfig,
    Phase,
    TrainConfig,
    config_from_dict,
    config_to_dict,
)
from model.networks import DigitisationNetwork
from render.errors import OutputError, UserInputError

FORMAT = "2k2k-toolkit checkpoint"
SCHEMA = 1

FINISHED, LAST, BEST = "model.ckpt", "last.ckpt", "best.ckpt"
"""Checkpoints in a run folder: the finished model, where training stands, and the weights of
the lowest validation loss of the phase under way."""


class CheckpointError(UserInputError):
    """A file is no checkpoint, or its tensors do not fit."""


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Where a run stands: with the weights, all that the steps to come depend on.

    Attributes:
        phase: the phase under way.
        step: optimiser steps done in this phase.
        shards_digest: of the shard set.
        optimizer: the optimiser's state; empty behind the last step.
        scaler: state of the loss scaling of 16-mixed, else empty.
        average: averaged weights of the phase and how many steps they average, where they are.
        best: lowest validation loss of the phase so far.
        stale: validations since then.
    """

    phase: Phase
    step: int
    shards_digest: str
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    average: dict[str, Any] | None
    best: float | None
    stale: int

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"phase: expected one of {', '.join(PHASES)}, got {self.phase!r}")


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """What a checkpoint holds.

    Attributes:
        network: with its weights, in evaluation mode, on the processor.
        config: of the training run; `config.model` describes the network.
        shards: the shard set it was trained on, as given then; "" of imported weights.
        state: where the run stands; None in finished models.
    """

    network: DigitisationNetwork
    config: TrainConfig
    shards: str
    state: TrainState | None


def save_checkpoint(
    path: Path,
    network: DigitisationNetwork,
    config: TrainConfig,
    *,
    shards: str,
    state: TrainState | None = None,
) -> None:
    """Write a checkpoint; `state` makes it one that training can resume from.

    A checkpoint that was there stays whole until the new one is.

    Raises:
        OutputError: the file cannot be written, for lack of space or rights.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "convention": config.model.convention,
        "config": config_to_dict(config),
        "shards": shards,
        "network": network.state_dict(),
    }
    if state is not None:
        content["state"] = {field.name: getattr(state, field.name) for field in fields(state)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    # torch's zip writer turns what the file raises into a RuntimeError of its own.
    except (OSError, RuntimeError) as error:
        kept = "the checkpoint before it is kept" if path.exists() else "there was none before"
        raise OutputError(
            f"{path}: expected to write a checkpoint, got: {_system_reason(error)} ({kept})"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _system_reason(error: BaseException) -> str:
    """Return what the system said, wherever it stands in a chain of exceptions."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


def find_checkpoint(path: Path, flag: str) -> Path:
    """Return the checkpoint file that a path names: itself, or the one in a run folder.

    Args:
        path: file or folder; of a folder, the finished model is preferred.
        flag: the option that gave the path.

    Raises:
        CheckpointError: there is none.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(
            f"{flag}: expected a checkpoint or a run folder of train-2k2k at {path}, found none"
        )
    for name in (FINISHED, LAST):
        if (path / name).is_file():
            return path / name
    raise CheckpointError(
        f"{flag}: expected {FINISHED} or {LAST} in the run folder {path}, found none"
    )


def _names(keys: list[str], most: int = 3) -> str:
    shown = ", ".join(str(key) for key in keys[:most])
    return shown + (f" and {len(keys) - most} more" if len(keys) > most else "")


def tensor_faults(tensors: Mapping[str, Any], expected: Mapping[str, Tensor]) -> str:
    """Return which tensors are missing, unexpected or of another shape; "" when none is.

    Args:
        tensors: what a file holds.
        expected: tensors of the expected names and shapes, such as on the meta device.
    """
    misshapen = [
        f"{key} {tuple(getattr(tensors[key], 'shape', ()))} for {tuple(wanted.shape)}"
        for key, wanted in expected.items()
        if key in tensors
        and (not isinstance(tensors[key], Tensor) or tensors[key].shape != wanted.shape)
    ]
    kinds = (
        ("missing", [key for key in expected if key not in tensors]),
        ("unexpected", [key for key in tensors if key not in expected]),
        ("of another shape", misshapen),
    )
    return "; ".join(f"{kind} {_names(keys)}" for kind, keys in kinds if keys)


def build_with_weights(
    config: ModelConfig, tensors: dict[str, Any], path: Path
) -> DigitisationNetwork:
    """Build the network of a configuration around tensors of the same shapes.

    Shapes are compared before anything of their size is allocated.

    Raises:
        CheckpointError: the configuration is of no network of ours, or names what is missing,
            unexpected or of another shape.
    """
    try:
        with torch.device("meta"):
            expected = DigitisationNetwork(config).state_dict()
    # RuntimeError: sizes beyond what a tensor can have.
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: expected a configuration that this toolkit runs, "
            f"got one it cannot build ({str(error).splitlines()[0]})"
        ) from error
    faults = tensor_faults(tensors, expected)
    if faults:
        raise CheckpointError(
            f"{path}: expected the tensors of its own configuration, got {faults}"
        )
    network = DigitisationNetwork(config)
    network.load_state_dict(tensors)
    return network


def load_checkpoint(path: Path) -> LoadedModel:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is missing, no checkpoint of ours, of a later schema, or its
            tensors do not fit its configuration.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint, got no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # torch raises whatever its zip reader, unpickler and storage code meet first, and advises
    # to run the code that the file may hold: its text is not passed on.
    except Exception as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint, got a file that is cut short or holds more than "
            "tensors and plain containers"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: expected a checkpoint of this toolkit, got another torch file "
            "(import-checkpoint reads the one that the authors released)"
        )
    if content.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path}: expected checkpoint schema {SCHEMA}, got {content.get('schema')!r}"
        )
    try:
        config = config_from_dict(content["config"])
        state = TrainState(**content["state"]) if "state" in content else None
        shards, tensors = str(content["shards"]), dict(content["network"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a complete checkpoint, got a fault in its configuration: {error}"
        ) from error
    network = build_with_weights(config.model, tensors, path)
    return LoadedModel(network=network.eval(), config=config, shards=shards, state=state)
