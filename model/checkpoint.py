"""Checkpoints: weights with the configuration and convention they belong to.

A checkpoint is a torch file of plain containers and tensors, read with `weights_only`.
It is written under a temporary name and renamed when complete.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.config import TrainConfig, config_from_dict, config_to_dict
from model.networks import DigitisationNetwork
from render.errors import UserInputError

FORMAT = "2k2k-toolkit checkpoint"
SCHEMA = 1


class CheckpointError(UserInputError):
    """A file is no checkpoint, or its tensors do not fit."""


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Where a run stands.

    Attributes:
        phase: 1 or 2.
        step: optimiser steps done in this phase.
        optimizer: the optimiser's state.
    """

    phase: int
    step: int
    optimizer: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """What a checkpoint holds.

    Attributes:
        network: with its weights, in evaluation mode, on the processor.
        config: of the training run; `config.model` describes the network.
        shards: the shard set it was trained on, as given then.
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
    """Write a checkpoint; `state` makes it one that training can resume from."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "convention": config.model.convention,
        "config": config_to_dict(config),
        "shards": shards,
        "network": network.state_dict(),
    }
    if state is not None:
        content["state"] = {
            "phase": state.phase,
            "step": state.step,
            "optimizer": state.optimizer,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _names(keys: list[str], most: int = 3) -> str:
    shown = ", ".join(keys[:most])
    return shown + (f" and {len(keys) - most} more" if len(keys) > most else "")


def load_weights(network: DigitisationNetwork, tensors: dict[str, Any], path: Path) -> None:
    """Put tensors into a network of the same shape.

    Raises:
        CheckpointError: names what is missing, unexpected or of another shape.
    """
    expected = network.state_dict()
    missing = [key for key in expected if key not in tensors]
    unexpected = [key for key in tensors if key not in expected]
    misshapen = [
        f"{key} {tuple(getattr(tensors[key], 'shape', ()))} for {tuple(expected[key].shape)}"
        for key in expected
        if key in tensors
        and (
            not isinstance(tensors[key], torch.Tensor) or tensors[key].shape != expected[key].shape
        )
    ]
    faults = [
        f"{title} {_names(keys)}"
        for title, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if keys
    ]
    if faults:
        raise CheckpointError(
            f"{path}: expected the tensors of its own configuration, got {'; '.join(faults)}"
        )
    network.load_state_dict(tensors)


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
    # torch raises whatever its zip reader, unpickler and storage code meet first.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a checkpoint, but reading failed: {reason}"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: expected a checkpoint of this toolkit, got another torch file"
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
    network = DigitisationNetwork(config.model)
    load_weights(network, tensors, path)
    return LoadedModel(network=network.eval(), config=config, shards=shards, state=state)
