"""Which random changes training samples go through, and how strong they are."""

from __future__ import annotations

from dataclasses import dataclass, fields

LIMITS: dict[str, tuple[float, float]] = {
    "scale": (0.0, 0.5),
    "shift": (0.0, 0.5),
    "roll_deg": (0.0, 180.0),
    "blur": (0.0, 20.0),
    "noise": (0.0, 100.0),
    "jpeg": (1.0, 100.0),
    "joint_noise": (0.0, 0.1),
}
"""Smallest and largest value of what is not in 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training samples; every strength is the limit of what is drawn.

    Attributes:
        colour: lowest factor of brightness, contrast and saturation, drawn in [colour, 1];
            1 changes nothing.
        mirror: probability of a left-right mirrored sample.
        background: probability of the background of another view.
        light: probability of other lights than those that the view was rendered with.
        edges: probability that the seam of person and background is softened.
        scale: largest change of size, a share; 0.1 is 10 % smaller to 10 % larger.
        shift: largest shift to each side, a share of the frame's width.
        roll_deg: largest turn in the picture to each side, degrees.
        blur: largest standard deviation of the lens's blur, pixels.
        noise: largest standard deviation of the sensor's noise, of 255 levels.
        jpeg: lowest quality of JPEG compression, 1 to 100; 100 compresses nothing.
        joint_noise: standard deviation of joints, a share of the frame's width.
        joint_dropout: probability that a joint, the fingers of a hand or the points of a foot
            are missing.
    """

    colour: float = 0.7
    mirror: float = 0.5
    background: float = 0.8
    light: float = 0.2
    edges: float = 0.5
    scale: float = 0.1
    shift: float = 0.03
    roll_deg: float = 5.0
    blur: float = 1.0
    noise: float = 4.0
    jpeg: float = 60.0
    joint_noise: float = 0.003
    joint_dropout: float = 0.02

    def __post_init__(self) -> None:
        for item in fields(self):
            low, high = LIMITS.get(item.name, (0.0, 1.0))
            value = getattr(self, item.name)
            if not low <= value <= high:
                raise ValueError(f"{item.name}: expected {low:g} to {high:g}, got {value}")


UNCHANGED = AugmentConfig(
    colour=1.0,
    mirror=0.0,
    background=0.0,
    light=0.0,
    edges=0.0,
    scale=0.0,
    shift=0.0,
    roll_deg=0.0,
    blur=0.0,
    noise=0.0,
    jpeg=100.0,
    joint_noise=0.0,
    joint_dropout=0.0,
)
"""No change at all: what evaluation and validation read."""
