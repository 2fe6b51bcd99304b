"""What a shard set is made with, and what of it tells one set from another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.shard_codec import MOST_PEOPLE, RESOLUTION_LIMITS
from dataset.views import MOST_YAWS, CameraRanges, View, view_seed, yaw_angles
from render.backgrounds import image_names
from render.errors import UserInputError
from render.lights import RIG_NAMES, RigName

COMPOSITES = ("baked", "on-read")
STORE_MESH = ("eval", "all", "none")
# Draws of one view that must not shift each other, as the second part of its seed.
LIGHT_STREAM, BACKGROUND_STREAM, CAMERA_STREAM, GROUP_STREAM = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How scans are rendered.

    Attributes:
        resolution: width and height of a view, pixels.
        yaws_deg: the turns of every scan, one a view, degrees.
        cameras: what the camera of every view is drawn from.
        people_per_image: number of people in front of each background; above 1, every scan
            leads a group with others of its split.
        rig: lights, a name of `render.lights.draw_rig`.
        composite: "baked" or "on-read".
        store_mesh: whose geometry goes into the shards: "eval" (val and test), "all", "none".
        backgrounds: folder of pictures; None for procedural rooms.
        background_jitter: how strongly the colours of backgrounds are changed, 0..1.
        seed: of everything random.
    """

    resolution: int = 2048
    yaws_deg: tuple[float, ...] = yaw_angles(-30.0, 30.0, 10.0)
    cameras: CameraRanges = field(default_factory=CameraRanges)
    people_per_image: int = 1
    rig: RigName = "paper"
    composite: str = "baked"
    store_mesh: str = "eval"
    backgrounds: Path | None = None
    background_jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("rig", RIG_NAMES),
            ("composite", COMPOSITES),
            ("store_mesh", STORE_MESH),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}: expected {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        least, most = RESOLUTION_LIMITS
        if not least <= self.resolution <= most:
            raise UserInputError(
                f"resolution: expected {least} to {most} pixels, got {self.resolution}"
            )
        if not 1 <= len(self.yaws_deg) <= MOST_YAWS or not np.isfinite(self.yaws_deg).all():
            raise UserInputError(
                f"yaws: expected 1 to {MOST_YAWS} finite turns in degrees, got "
                f"{len(self.yaws_deg)}: {', '.join(f'{yaw:g}' for yaw in self.yaws_deg[:4])}"
            )
        if not 1 <= self.people_per_image <= MOST_PEOPLE:
            raise UserInputError(
                f"people-per-image: expected 1 to {MOST_PEOPLE}, got {self.people_per_image}"
            )
        if self.people_per_image > 1 and self.store_mesh == "all":
            raise UserInputError(
                "store-mesh: expected eval or none with several people per image, whose meshes "
                "are not stored, got all"
            )
        if not 0.0 <= self.background_jitter <= 1.0:
            raise UserInputError(
                f"background-jitter: expected 0 to 1, got {self.background_jitter:g}"
            )
        if self.backgrounds is not None and not self.backgrounds.is_dir():
            raise UserInputError(
                f"{self.backgrounds}: expected a folder of background pictures, found none"
            )

    def views(self, scan_id: str) -> tuple[View, ...]:
        """Return the views of a scan, drawn from the seed and its id."""
        return tuple(
            self.cameras.draw(self.generator(scan_id, number, CAMERA_STREAM), self.resolution, yaw)
            for number, yaw in enumerate(self.yaws_deg)
        )

    def generator(self, scan_id: str, view: int, stream: int) -> np.random.Generator:
        """Return the source of randomness of one purpose in one view."""
        return np.random.default_rng([view_seed(self.seed, scan_id, view), stream])

    def stores_mesh(self, split: str) -> bool:
        """Whether the shards of a split hold the scan's geometry."""
        if self.people_per_image > 1:
            return False
        return self.store_mesh == "all" or (self.store_mesh == "eval" and split != "train")

    def identity(self) -> dict[str, Any]:
        """Return, as JSON values, what two runs must agree on to write into one set.

        Background pictures count by their names inside the folder, never by where it is.
        """
        return {
            "resolution": self.resolution,
            "yaws_deg": list(self.yaws_deg),
            **self.cameras.identity(),
            "people_per_image": self.people_per_image,
            "rig": self.rig,
            "composite": self.composite,
            "backgrounds": _backgrounds_digest(self.backgrounds),
            "background_jitter": self.background_jitter,
            "seed": self.seed,
        }


def _backgrounds_digest(root: Path | None) -> str:
    if root is None:
        return "rooms"
    names = "\n".join(image_names(root)).encode("utf-8", "surrogateescape")
    return "pictures " + hashlib.sha256(names).hexdigest()
