"""What a run folder says about how to repeat the run."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dataset.shards import SPLITS
from model.config import Phase, TrainConfig, config_from_dict, config_to_dict
from model.devices import device_name
from render.errors import UserInputError
from render.files import write_text_atomically

CONFIG = "config.json"
_PACKAGES = ("2k2k-toolkit", "torch", "lightning", "numpy")


def shard_set_digest(root: Path) -> str:
    """Return the SHA-256 of a shard set's index, which has those of the shards, and its splits."""
    digest = hashlib.sha256((root / "index.json").read_bytes())
    for split in SPLITS:
        path = root / "splits" / f"{split}.txt"
        digest.update(split.encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_record(
    folder: Path,
    config: TrainConfig,
    *,
    shards: str,
    shards_digest: str,
    device: torch.device,
    phases: tuple[Phase, ...],
    command: tuple[str, ...],
) -> None:
    """Write `config.json`: configuration, shard set, command lines, versions and device.

    Command lines of earlier starts of the run stay in the list.
    """
    path = folder / CONFIG
    commands = _commands_so_far(path)
    content = {
        "config": config_to_dict(config),
        "shards": shards,
        "shards_sha256": shards_digest,
        "phases": list(phases),
        "commands": [*commands, list(command)],
        "versions": {"python": platform.python_version()}
        | {name: _installed(name) for name in _PACKAGES},
        "device": device_name(device),
    }
    write_text_atomically(path, json.dumps(content, indent=1) + "\n")


def _commands_so_far(path: Path) -> list[Any]:
    """Return the command lines in a record; none where it is missing or damaged."""
    try:
        commands = json.loads(path.read_text(encoding="utf-8"))["commands"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return commands if isinstance(commands, list) else []


def is_record_of(folder: Path, config: TrainConfig, shards_digest: str) -> bool:
    """Return whether a run folder is of a configuration and a shard set.

    Raises:
        UserInputError: it has no record.
    """
    path = folder / CONFIG
    if read_config(path) != config:
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("shards_sha256") == shards_digest)


def read_config(path: Path) -> TrainConfig:
    """Return the configuration in a run's `config.json`.

    Raises:
        UserInputError: the file holds none.
    """
    try:
        return config_from_dict(json.loads(path.read_text(encoding="utf-8"))["config"])
    except OSError as error:
        raise UserInputError(
            f"{path}: expected the config.json of a run, got: {error.strerror}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserInputError(
            f"{path}: expected the config.json of a run, got a fault in it: {error}"
        ) from error
