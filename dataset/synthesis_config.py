"""What a shard set is made with, and what of it tells one set from another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.scans.scan import folder_tree
from dataset.shard_codec import RESOLUTION_LIMITS
from dataset.views import yaw_angles
from render.backgrounds import IMAGE_SUFFIXES
from render.camera import FOV_DEG, Camera
from render.errors import UserInputError
from render.lights import RIG_NAMES, RigName

COMPOSITES = ("baked", "on-read")
STORE_MESH = ("eval", "all", "none")


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How scans are rendered.

    Attributes:
        resolution: width and height of a view, pixels.
        angles: smallest and largest turn and the step between turns, degrees.
        rig: lights, a name of `render.lights.draw_rig`.
        composite: "baked" or "on-read".
        store_mesh: whose geometry goes into the shards: "eval" (val and test), "all", "none".
        backgrounds: folder of pictures; None for procedural rooms.
        seed: of everything random.
    """

    resolution: int = 2048
    angles: tuple[float, float, float] = (-30.0, 30.0, 10.0)
    rig: RigName = "paper"
    composite: str = "baked"
    store_mesh: str = "eval"
    backgrounds: Path | None = None
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
        try:
            yaw_angles(*self.angles)
        except ValueError as error:
            raise UserInputError(str(error)) from error
        if self.backgrounds is not None and not self.backgrounds.is_dir():
            raise UserInputError(
                f"{self.backgrounds}: expected a folder of background pictures, found none"
            )

    @property
    def yaws_deg(self) -> tuple[float, ...]:
        """The turns of every scan, degrees."""
        return yaw_angles(*self.angles)

    @property
    def camera(self) -> Camera:
        """The camera of every view."""
        return Camera(self.resolution)

    def stores_mesh(self, split: str) -> bool:
        """Whether the shards of a split hold the scan's geometry."""
        return self.store_mesh == "all" or (self.store_mesh == "eval" and split != "train")

    def identity(self) -> dict[str, Any]:
        """Return, as JSON values, what two runs must agree on to write into one set.

        Background pictures count by their names inside the folder, never by where it is.
        """
        return {
            "resolution": self.resolution,
            "fov_deg": FOV_DEG,
            "angles_deg": list(self.yaws_deg),
            "rig": self.rig,
            "composite": self.composite,
            "backgrounds": _backgrounds_digest(self.backgrounds),
            "seed": self.seed,
        }


def _backgrounds_digest(root: Path | None) -> str:
    if root is None:
        return "rooms"
    names = sorted(
        path.relative_to(root).as_posix()
        for folder in folder_tree(root)
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
    )
    return (
        "pictures "
        + hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    )
