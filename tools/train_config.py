"""The flags of train-2k2k that say what to learn, and the configuration they make."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import UserInputError

if TYPE_CHECKING:
    from model.config import ModelConfig, TrainConfig

PAPER_MEMORY_BYTES = 40 << 30
"""Device memory from which `--preset auto` takes the paper's preset (table 3: 30 GB a batch)."""

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
MOST_SEED = 2**32 - 1


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `resolve_config` reads, but those of `add_axis_flags`."""
    model = parser.add_argument_group("what to learn")
    model.add_argument(
        "--preset",
        choices=("auto", "paper", "lite"),
        default="auto",
        help="paper: full width at 2048 pixels; lite: narrow, for a processor; "
        "auto: the one whose width --init has, else paper where a CUDA device has the memory, "
        "else lite",
    )
    model.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="take the configuration of a run from its config.json instead of a preset",
    )
    model.add_argument(
        "--width",
        type=int,
        metavar="N",
        help="channels of the finest level of the part networks; the others keep the preset's "
        "proportion",
    )
    model.add_argument(
        "--normal-targets",
        choices=("depth", "rendered"),
        help="compare normals with those of the depth maps, as published, or the rendered ones "
        "(default: depth)",
    )
    steps = parser.add_argument_group("how long and how fast")
    steps.add_argument("--max-steps", type=int, metavar="N", help="steps of each phase")
    steps.add_argument("--learning-rate", type=float, metavar="R", help="peak rate of each phase")
    steps.add_argument("--batch-size", type=int, metavar="N", help="views a batch and device")
    steps.add_argument(
        "--accumulate", type=int, metavar="N", help="batches whose gradients make one step"
    )
    steps.add_argument(
        "--clip-norm", type=float, metavar="NORM", help="largest norm of a step's gradient"
    )
    steps.add_argument(
        "--ema",
        type=float,
        metavar="DECAY",
        help="finish with the moving average of the weights, such as 0.999",
    )
    steps.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="end each phase with its best weights, after N validations without a better one",
    )
    steps.add_argument(
        "--refiner-window",
        type=int,
        metavar="PIXELS",
        help="phase 2 and fine-tuning refine windows of this width, with a halo; 0: whole frames",
    )
    steps.add_argument(
        "--augment",
        nargs="+",
        metavar="NAME=VALUE",
        help="changes of training samples, such as colour=0.7 mirror=0.5 background=0.8; "
        "docs/training.md has all",
    )
    compute = parser.add_argument_group("how the networks are computed")
    compute.add_argument(
        "--precision", choices=PRECISIONS, help="of the networks (default: 32-true)"
    )
    compute.add_argument(
        "--channels-last", action="store_true", help="features lie with their channels together"
    )
    compute.add_argument("--compile", action="store_true", help="pass them through torch.compile")


def add_axis_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of what table 3 of the paper compares: resolution and part scheme."""
    parser.add_argument(
        "--resolution",
        type=int,
        help="working resolution, pixels (default: that of --init, --config or the preset)",
    )
    parser.add_argument(
        "--parts",
        choices=("parts", "whole"),
        help="normals by body part, as published, or by one network over the whole frame",
    )


def choose_preset(requested: str, init: ModelConfig | None = None) -> str:
    """Return the preset's name; `auto` goes by `init`, else by memory of the first CUDA device.

    Rates and losses suit a width: those of `lite` would undo what wide networks have learnt.
    """
    if requested != "auto":
        return requested
    if init is not None:
        from model.config import PRESETS

        return "paper" if init.part_width >= PRESETS["paper"].model.part_width else "lite"
    import torch

    if torch.cuda.is_available():
        if torch.cuda.get_device_properties(0).total_memory >= PAPER_MEMORY_BYTES:
            return "paper"
    return "lite"


def _changed(config: Any, flag: str, **changes: Any) -> Any:
    """Return a configuration with changes; what it refuses is the flag's fault."""
    try:
        return dataclasses.replace(config, **changes)
    except (ValueError, TypeError) as error:
        raise UserInputError(f"{flag}: {error}") from error


def resolve_config(
    arguments: argparse.Namespace, shard_resolution: int, init: ModelConfig | None = None
) -> TrainConfig:
    """Return the preset, or the configuration of a run, with the command line's changes.

    Args:
        arguments: of the command line.
        shard_resolution: pixels.
        init: the architecture of the checkpoint to start from, which is kept, as is its
            convention.

    Raises:
        UserInputError: a flag is out of range, or the shards are smaller than the checkpoint.
    """
    config = _base_config(arguments, init)
    if init is not None:
        config = dataclasses.replace(config, model=init)
        if arguments.resolution is None and shard_resolution < init.resolution:
            raise UserInputError(
                f"--init: expected shards of at least the checkpoint's {init.resolution} pixels, "
                f"got {shard_resolution} (--resolution {shard_resolution} trains it at theirs)"
            )
    resolution = arguments.resolution
    if resolution is None:
        resolution = min(config.model.resolution, shard_resolution)
    model = _changed(config.model, "--resolution", resolution=resolution)
    if arguments.width is not None:
        model = _of_width(model, arguments.width, init)
    if arguments.parts is not None:
        if init is not None and arguments.parts != init.parts:
            raise UserInputError(f"--parts: expected {init.parts} as in --init, got the other")
        model = dataclasses.replace(model, parts=arguments.parts)
    config = _changed(config, "--resolution", model=model)
    if arguments.normal_targets is not None:
        loss = dataclasses.replace(config.loss, normal_target=arguments.normal_targets)
        config = dataclasses.replace(config, loss=loss)
    if arguments.seed is not None:
        config = dataclasses.replace(config, seed=arguments.seed)
    return _with_compute(arguments, _with_steps(arguments, config))


def _of_width(model: ModelConfig, width: int, init: ModelConfig | None) -> ModelConfig:
    if init is not None and width != init.part_width:
        raise UserInputError(f"--width: expected {init.part_width} as in --init, got {width}")
    names = ("part_width", "depth_width", "refiner_width")
    widths = {name: getattr(model, name) * width // model.part_width for name in names}
    changed: ModelConfig = _changed(model, "--width", **widths)
    return changed


def _base_config(arguments: argparse.Namespace, init: ModelConfig | None) -> TrainConfig:
    from model.config import PRESETS
    from model.run_record import read_config

    if arguments.config is not None:
        return read_config(arguments.config)
    return PRESETS[choose_preset(arguments.preset, init)]  # type: ignore[index]


def _with_steps(arguments: argparse.Namespace, config: TrainConfig) -> TrainConfig:
    phases: dict[str, Any] = {}
    if arguments.max_steps is not None:
        phases["steps"] = arguments.max_steps
    if arguments.learning_rate is not None:
        phases["learning_rate"] = arguments.learning_rate
    for name in ("phase1", "phase2", "finetune"):
        changed = _changed(getattr(config, name), "--learning-rate", **phases)
        config = dataclasses.replace(config, **{name: changed})
    if arguments.batch_size is not None:
        config = _changed(config, "--batch-size", batch_size=arguments.batch_size)
    for flag, field in (
        ("accumulate", "accumulate"),
        ("clip_norm", "clip_norm"),
        ("ema", "ema_decay"),
    ):
        value = getattr(arguments, flag)
        if value is not None:
            name = f"--{flag.replace('_', '-')}"
            optimiser = _changed(config.optimiser, name, **{field: value})
            config = dataclasses.replace(config, optimiser=optimiser)
    if arguments.patience is not None:
        config = _changed(config, "--patience", patience=arguments.patience)
    if arguments.refiner_window is not None:
        window = arguments.refiner_window or None
        config = _changed(config, "--refiner-window", refiner_window=window)
    return dataclasses.replace(config, augment=_augment(arguments.augment or [], config))


def _augment(items: list[str], config: TrainConfig) -> Any:
    known = [field.name for field in dataclasses.fields(config.augment)]
    changes: dict[str, float] = {}
    for item in items:
        name, _, value = item.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            name = ""
        if name not in known:
            raise UserInputError(
                f"--augment: expected NAME=VALUE with a name of {', '.join(known)}, got {item}"
            )
    return _changed(config.augment, "--augment", **changes)


def _with_compute(arguments: argparse.Namespace, config: TrainConfig) -> TrainConfig:
    changes: dict[str, Any] = {}
    if arguments.precision is not None:
        changes["precision"] = arguments.precision
    if arguments.channels_last:
        changes["channels_last"] = True
    if arguments.compile:
        changes["compiled"] = True
    return dataclasses.replace(config, compute=dataclasses.replace(config.compute, **changes))
