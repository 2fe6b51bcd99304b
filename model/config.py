"""Configurations of the networks and of their training, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from model.conventions import RULES, Convention, Rules
from model.parts import Resolution

Preset = Literal["paper", "lite"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Architecture: everything that decides tensor shapes and how outputs are read.

    Attributes:
        resolution: R, width and height of the full frame, pixels.
        part_width: channels of the finest level of the part and low normal networks.
        depth_width: channels of the finest level of each low-resolution depth encoder.
        refiner_width: channels of the depth and of the normal branch of the refiner.
        residual_depth: depth heads predict offsets, the low-resolution one from the centre
            plane of the body and the refiner's from the enlarged low-resolution depth, which
            takes fewer steps to learn; False predicts absolute depths, as published.
        convention: see `model.conventions`.
    """

    resolution: int = 2048
    part_width: int = 64
    depth_width: int = 32
    refiner_width: int = 32
    residual_depth: bool = False
    convention: Convention = "paper"

    def __post_init__(self) -> None:
        for name in ("resolution", "part_width", "depth_width", "refiner_width"):
            if type(getattr(self, name)) is not int:
                raise TypeError(f"{name}: expected a whole number, got {getattr(self, name)!r}")
        Resolution(self.resolution)
        if self.convention not in get_args(Convention):
            raise ValueError(f"convention: expected paper or released, got {self.convention!r}")
        for name in ("part_width", "depth_width", "refiner_width"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}: expected 2 or more, got {getattr(self, name)}")

    @property
    def rules(self) -> Rules:
        """What the convention decides."""
        return RULES[self.convention]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of equations 8 to 10.

    Attributes:
        alpha: weight of L1 and smooth L1.
        beta: weight of 1 - SSIM and of the consistency term.
        gamma: weight of the mask's cross entropy.
        balanced_normals: L1 of normals weighs person and background alike, instead of by area.
        smooth_l1_beta: where smooth L1 turns from square to linear, network units.
    """

    alpha: float = 0.85
    beta: float = 0.15
    gamma: float = 0.15
    balanced_normals: bool = False
    smooth_l1_beta: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PhaseConfig:
    """Length and learning rate of one phase.

    Attributes:
        epochs: passes over the training views; used where `steps` is None.
        steps: optimiser steps, or None.
        learning_rate: peak rate of Adam.
        restart_epochs: T0 of the cosine schedule with warm restarts, epochs; None is one
            cosine over the whole phase with a linear warm-up over its first 5 %.
    """

    epochs: int = 30
    steps: int | None = None
    learning_rate: float = 1e-4
    restart_epochs: int | None = 5


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training samples.

    Attributes:
        colour: lowest factor of brightness, contrast and saturation, drawn in [colour, 1].
        mirror: probability of a left-right mirrored sample.
        background: probability of the background of another view, where the shards keep
            person and background apart (`render-dataset --composite on-read`).
    """

    colour: float = 0.7
    mirror: float = 0.5
    background: float = 0.8


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: architecture.
        loss: loss weights.
        phase1, phase2: length and learning rate of each phase.
        augment: changes of training samples.
        batch_size: views a step.
        parts_every: phase 1 trains the part networks at every so many steps; the other
            networks, which take no gradient from them, at each.
        refiner_window: width of the windows phase 2 trains on, pixels; None = whole frames.
        refiner_variants: phase 2 takes each view in this many fixed augmentations, so that the
            frozen networks answer each once and are not run again; None = fresh ones each pass.
        betas: Adam's moment decays (paper, section 5).
        precision: Lightning precision, such as `32-true` or `bf16-mixed`.
        seed: of weights, order and augmentation.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    phase1: PhaseConfig = field(default_factory=PhaseConfig)
    phase2: PhaseConfig = field(default_factory=PhaseConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 2
    parts_every: int = 1
    refiner_window: int | None = None
    refiner_variants: int | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size * (self.model.resolution // 128) ** 2 < 2:
            raise ValueError(
                "batch_size: expected 2 or more at 128 pixels, where the coarsest features are "
                f"one pixel and batch norm needs two, got {self.batch_size}"
            )

    def phase(self, number: int) -> PhaseConfig:
        """Return the configuration of phase 1 or 2."""
        return {1: self.phase1, 2: self.phase2}[number]


PRESETS: dict[Preset, TrainConfig] = {
    "paper": TrainConfig(),
    "lite": TrainConfig(
        model=ModelConfig(
            resolution=512, part_width=8, depth_width=8, refiner_width=8, residual_depth=True
        ),
        loss=LossConfig(balanced_normals=True, smooth_l1_beta=0.05),
        phase1=PhaseConfig(steps=900, learning_rate=1e-2, restart_epochs=None),
        phase2=PhaseConfig(steps=200, learning_rate=5e-3, restart_epochs=None),
        batch_size=4,
        parts_every=3,
        refiner_window=224,
        refiner_variants=2,
    ),
}
"""`paper`: section 5 of the paper. `lite`: the same networks, narrow, for a processor."""


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return plain containers, for checkpoints and JSON."""
    return asdict(config)


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """Rebuild a configuration from `config_to_dict`.

    Raises:
        TypeError, ValueError, KeyError: unknown fields or values out of range.
    """
    nested = {
        "model": ModelConfig,
        "loss": LossConfig,
        "phase1": PhaseConfig,
        "phase2": PhaseConfig,
        "augment": AugmentConfig,
    }
    plain = dict(values)
    for name, kind in nested.items():
        plain[name] = kind(**plain[name])
    plain["betas"] = tuple(plain["betas"])
    return TrainConfig(**plain)


def with_resolution(config: TrainConfig, resolution: int) -> TrainConfig:
    """Return the configuration at another working resolution."""
    return replace(config, model=replace(config.model, resolution=resolution))
