"""The twelve body parts, their five networks, and every size that follows from R.

A part lies upright at a fixed place around the origin of its canonical frame; `part_fitting`
finds where in an image, `part_crops` cuts it out and blends it back.

Anchors and crop sizes as in the released method; equation 5's blur as in the paper, section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.encoding import REFERENCE_RESOLUTION

LOW_STEP = 8
"""Pixels of the full frame per pixel of the low-resolution frame."""

CROP_MULTIPLE = 8
"""Crops are rounded up to this, since the part networks halve them three times."""


@dataclass(frozen=True)
class Anchor:
    """Where one point of a part lies in the canonical frame.

    Attributes:
        joints: names of the joints whose mean (of those present) is the point.
        position: (x, y), canonical frame.
        substitute: joint taken when none of `joints` is present.
    """

    joints: tuple[str, ...]
    position: tuple[float, float]
    substitute: str | None = None


@dataclass(frozen=True)
class Part:
    """One of the twelve parts.

    Attributes:
        name: the person's own side first.
        network: which of the five part networks predicts it.
        anchors: the points that place it.
        limb: indices of the two anchors whose distance caps the scale: the crop is never
            magnified (the short-limb rule); None for no cap.
        required: how many anchors have to be present.
    """

    name: str
    network: str
    anchors: tuple[Anchor, ...]
    limb: tuple[int, int] | None
    required: int


def _arm(side: str) -> tuple[Part, Part]:
    upper = (
        Anchor((f"{side}_shoulder",), (0.0, -3 / 16)),
        Anchor((f"{side}_elbow",), (0.0, 1 / 16)),
    )
    fingers = tuple(f"{side}_{finger}" for finger in ("index", "middle", "ring", "pinky"))
    lower = (
        Anchor((f"{side}_elbow",), (0.0, -2 / 9)),
        Anchor((f"{side}_wrist",), (0.0, 0.0)),
        Anchor(fingers, (0.0, 1 / 18)),
    )
    return (
        Part(f"{side}_upper_arm", "arm", upper, (0, 1), 2),
        Part(f"{side}_lower_arm", "arm", lower, (0, 2), 2),
    )


def _leg(side: str) -> tuple[Part, Part]:
    x = -3 / 128 if side == "left" else 3 / 128
    upper = (
        Anchor((f"{side}_hip",), (x, -5 / 32)),
        Anchor((f"{side}_knee",), (x, 3 / 32)),
    )
    lower = (
        Anchor((f"{side}_knee",), (x, -9 / 64)),
        Anchor((f"{side}_ankle",), (x, 9 / 64)),
    )
    return (
        Part(f"{side}_upper_leg", "leg", upper, (0, 1), 2),
        Part(f"{side}_lower_leg", "leg", lower, (0, 1), 2),
    )


def _foot(side: str) -> Part:
    anchors = (
        Anchor((f"{side}_big_toe",), (0.0, 1 / 24)),
        Anchor((f"{side}_small_toe",), (0.0, 1 / 24)),
        Anchor((f"{side}_heel",), (0.0, -1 / 24)),
        Anchor((f"{side}_ankle",), (0.0, -1 / 24)),
    )
    return Part(f"{side}_foot", "foot", anchors, None, 2)


_FACE = Part(
    "face",
    "face",
    (
        Anchor(("right_ear",), (-1 / 12, 1 / 24), "right_eye"),
        Anchor(("left_ear",), (1 / 12, 1 / 24), "left_eye"),
    ),
    (0, 1),
    2,
)
_UPPER_BODY = Part(
    "upper_body",
    "upper",
    (
        Anchor(("right_shoulder",), (-1 / 9, -1 / 6)),
        Anchor(("left_shoulder",), (1 / 9, -1 / 6)),
        Anchor(("left_hip",), (1 / 12, 1 / 6)),
        Anchor(("right_hip",), (-1 / 12, 1 / 6)),
    ),
    None,
    2,
)

PARTS: tuple[Part, ...] = (
    _FACE,
    _UPPER_BODY,
    *_arm("left"),
    *_arm("right"),
    *_leg("left"),
    *_leg("right"),
    _foot("left"),
    _foot("right"),
)
"""The twelve parts, in the order of the released networks."""

PART_NETWORKS: tuple[str, ...] = ("face", "upper", "arm", "leg", "foot")
CROP_SIZES_2048: dict[str, tuple[int, int]] = {
    "face": (368, 320),
    "upper": (528, 336),
    "arm": (352, 224),
    "leg": (272, 256),
    "foot": (176, 128),
}
"""(height, width) of each network's crop at 2048, pixels."""

PARTS_OF_NETWORK: dict[str, tuple[int, ...]] = {
    network: tuple(i for i, part in enumerate(PARTS) if part.network == network)
    for network in PART_NETWORKS
}


@dataclass(frozen=True)
class Resolution:
    """The resolution table: every size that follows from the working resolution R.

    Attributes:
        full: R, the full frame, pixels; a multiple of 128, at most 2048.
    """

    full: int

    def __post_init__(self) -> None:
        if self.full % 128 or not 128 <= self.full <= REFERENCE_RESOLUTION:
            raise ValueError(
                f"resolution: expected a multiple of 128 up to {REFERENCE_RESOLUTION}, "
                f"got {self.full}"
            )

    @property
    def low(self) -> int:
        """Width of the low-resolution frame, R / 8 pixels."""
        return self.full // LOW_STEP

    def crop_size(self, network: str) -> tuple[int, int]:
        """Return (height, width) of a network's crop, multiples of 8 pixels."""
        height, width = CROP_SIZES_2048[network]
        scale = self.full / REFERENCE_RESOLUTION / CROP_MULTIPLE
        return (
            math.ceil(height * scale) * CROP_MULTIPLE,
            math.ceil(width * scale) * CROP_MULTIPLE,
        )

    @property
    def blur_radius(self) -> int:
        """Radius of the Gaussian of equation 5: 7 pixels (15 x 15) at 2048."""
        return max(1, 7 * self.full // REFERENCE_RESOLUTION)

    @property
    def blur_sigma(self) -> float:
        """Sigma of that Gaussian: 5 pixels at 2048 (paper, section 5)."""
        return 5.0 * self.full / REFERENCE_RESOLUTION

    @property
    def erosion(self) -> int:
        """How far the weights keep from the crop's border: the blur ends one pixel inside it."""
        return self.blur_radius + 1
