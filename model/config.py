"""Configurations of the networks and of their training, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from dataset.augment import UNCHANGED, AugmentConfig
from model.conventions import RULES, Convention, Rules
from model.parts import Resolution

Preset = Literal["paper", "lite"]

Phase = Literal["1", "2", "finetune"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order in which a run goes through them."""

NormalTarget = Literal["depth", "rendered"]

PartScheme = Literal["parts", "whole"]
"""`parts`: normals by body part, as published. `whole`: one network over the whole frame."""


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
        parts: see `PartScheme`.
    """

    resolution: int = 2048
    part_width: int = 64
    depth_width: int = 32
    refiner_width: int = 32
    residual_depth: bool = False
    convention: Convention = "paper"
    parts: PartScheme = "parts"

    def __post_init__(self) -> None:
        for name in ("resolution", "part_width", "depth_width", "refiner_width"):
            if type(getattr(self, name)) is not int:
                raise TypeError(f"{name}: expected a whole number, got {getattr(self, name)!r}")
        Resolution(self.resolution)
        if self.convention not in get_args(Convention):
            raise ValueError(f"convention: expected paper or released, got {self.convention!r}")
        if self.parts not in get_args(PartScheme):
            raise ValueError(f"parts: expected parts or whole, got {self.parts!r}")
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
        normal_target: equation 8 compares with normals from the depth maps, as published, or
            with the rendered ones, which show what is finer than a pixel. The consistency term
            always compares depth with depth.
    """

    alpha: float = 0.85
    beta: float = 0.15
    gamma: float = 0.15
    balanced_normals: bool = False
    smooth_l1_beta: float = 1.0
    normal_target: NormalTarget = "depth"

    def __post_init__(self) -> None:
        if self.normal_target not in get_args(NormalTarget):
            raise ValueError(f"normal_target: expected depth or rendered, got {self.normal_target}")


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

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "restart_epochs"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name}: expected a whole number from 1, got {value!r}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate: expected between 0 and 1, got {self.learning_rate}")


FINE_TUNING = PhaseConfig(epochs=10, learning_rate=1e-5, restart_epochs=None)
"""All networks together, from trained ones: a tenth of the rate of the phases before."""

WINDOW_MULTIPLE, LEAST_WINDOW = 8, 96
"""Windows lie on the low-resolution grid; the halo takes 32 pixels of each border."""


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """How gradients become steps.

    Attributes:
        betas: Adam's moment decays (paper, section 5).
        accumulate: batches whose gradients are averaged into one step.
        clip_norm: largest norm of a step's gradient; None = any.
        ema_decay: the finished model, and the one that is validated, is the exponential moving
            average of the weights with this decay a step; None = the last weights.
    """

    betas: tuple[float, float] = (0.9, 0.99)
    accumulate: int = 1
    clip_norm: float | None = None
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise ValueError(f"accumulate: expected 1 or more, got {self.accumulate}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm: expected more than 0, got {self.clip_norm}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay: expected between 0 and 1, got {self.ema_decay}")


@dataclass(frozen=True, kw_only=True)
class ComputeConfig:
    """How the networks are computed.

    Attributes:
        precision: Lightning precision, such as `32-true` or `bf16-mixed`.
        channels_last: weights and features lie in memory with their channels together.
        compiled: the networks pass through torch.compile.
    """

    precision: str = "32-true"
    channels_last: bool = False
    compiled: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: architecture.
        loss: loss weights.
        phase1, phase2, finetune: length and learning rate of each phase.
        augment: changes of training samples.
        optimiser: how gradients become steps.
        compute: how the networks are computed.
        batch_size: views a batch, on each device.
        parts_every: phase 1 trains the part networks at every so many steps; the other
            networks, which take no gradient from them, at each.
        refiner_window: width of the windows that phase 2 and fine-tuning refine, pixels;
            None = whole frames.
        refiner_variants: phase 2 takes each view in this many fixed augmentations, so that the
            frozen networks answer each once and are not run again; None = fresh ones each pass.
        patience: a phase ends with its best weights, after so many validations that were no
            better than the best; None = it ends with its last weights, after all its steps.
        seed: of weights, order and augmentation.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    phase1: PhaseConfig = field(default_factory=PhaseConfig)
    phase2: PhaseConfig = field(default_factory=PhaseConfig)
    finetune: PhaseConfig = FINE_TUNING
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    batch_size: int = 2
    parts_every: int = 1
    refiner_window: int | None = None
    refiner_variants: int | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size * (self.model.resolution // 128) ** 2 < 2:
            raise ValueError(
                "batch_size: expected 2 or more at 128 pixels, where the coarsest features are "
                f"one pixel and batch norm needs two, got {self.batch_size}"
            )
        window = self.refiner_window
        if window is not None and (window % WINDOW_MULTIPLE or window < LEAST_WINDOW):
            raise ValueError(
                f"refiner_window: expected a multiple of {WINDOW_MULTIPLE} from {LEAST_WINDOW}, "
                f"got {window}"
            )
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: expected 1 or more, got {self.patience}")

    def phase(self, phase: Phase) -> PhaseConfig:
        """Return the configuration of a phase."""
        return {"1": self.phase1, "2": self.phase2, "finetune": self.finetune}[phase]


PRESETS: dict[Preset, TrainConfig] = {
    "paper": TrainConfig(),
    "lite": TrainConfig(
        model=ModelConfig(
            resolution=512, part_width=8, depth_width=8, refiner_width=8, residual_depth=True
        ),
        loss=LossConfig(balanced_normals=True, smooth_l1_beta=0.05),
        phase1=PhaseConfig(steps=900, learning_rate=1e-2, restart_epochs=None),
        phase2=PhaseConfig(steps=200, learning_rate=5e-3, restart_epochs=None),
        finetune=PhaseConfig(steps=200, learning_rate=1e-3, restart_epochs=None),
        augment=replace(UNCHANGED, colour=0.7, mirror=0.5, background=0.8),
        batch_size=4,
        parts_every=3,
        refiner_window=224,
        refiner_variants=2,
    ),
}
"""`paper`: section 5 of the paper. `lite`: the same networks, narrow, for a processor; its few
steps were measured with three changes of samples, to which more would have to be learnt."""


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """Return plain containers, for checkpoints and JSON."""
    return asdict(config)


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """Rebuild a configuration from `config_to_dict`.

    Changes of samples that an earlier version did not know are off, as they were in its runs.

    Raises:
        TypeError, ValueError, KeyError: unknown fields or values out of range.
    """
    nested = {
        "model": ModelConfig,
        "loss": LossConfig,
        "phase1": PhaseConfig,
        "phase2": PhaseConfig,
        "finetune": PhaseConfig,
        "augment": AugmentConfig,
        "optimiser": OptimiserConfig,
        "compute": ComputeConfig,
    }
    plain = dict(values)
    plain["augment"] = asdict(UNCHANGED) | plain["augment"]
    for name, kind in nested.items():
        plain[name] = kind(**plain[name])
    optimiser = plain["optimiser"]
    plain["optimiser"] = replace(optimiser, betas=tuple(optimiser.betas))
    return TrainConfig(**plain)


def with_resolution(config: TrainConfig, resolution: int) -> TrainConfig:
    """Return the configuration at another working resolution."""
    return replace(config, model=replace(config.model, resolution=resolution))
