"""Made-up view records, for tests of what is stored rather than of what is rendered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.shard_writer import ShardHeader, ViewRecord
from dataset.views import View
from render.camera import Camera


def unit_vectors(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random (..., 3) directions."""
    vectors = rng.normal(size=(*shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def make_record(resolution: int, seed: int, yaw_deg: float = 10.0) -> ViewRecord:
    """A view with random content inside a centred square and nothing outside."""
    rng = np.random.default_rng(seed)
    quarter = resolution // 4
    person = np.zeros((resolution, resolution), dtype=bool)
    person[quarter:-quarter, quarter:-quarter] = True

    def colour() -> NDArray[np.uint8]:
        values = rng.integers(1, 256, (resolution, resolution, 3), dtype=np.uint8)
        return np.where(person[..., None], values, 0).astype(np.uint8)

    def depth() -> NDArray[np.float32]:
        return np.where(person, rng.uniform(0.6, 1.4, person.shape), 0.0).astype(np.float32)

    def normal() -> NDArray[np.float32]:
        return np.where(person[..., None], unit_vectors(rng, person.shape), 0).astype(np.float32)

    pictures: dict[str, NDArray] = {
        name: colour() for name in ("image/back", "albedo/front", "albedo/back")
    }
    pictures |= {f"depth/{side}": depth() for side in ("front", "back")}
    pictures |= {f"normal/{side}": normal() for side in ("front", "back")}
    coverage = np.where(person, rng.integers(1, 256, person.shape), 0).astype(np.uint8)
    pictures |= {"mask": np.where(person, 1, 0).astype(np.uint8), "coverage": coverage}
    premultiplied = colour() * (coverage[..., None] / 255.0)
    pictures["person/front"] = np.rint(premultiplied).astype(np.uint8)
    whole = rng.integers(0, 256, (resolution, resolution, 3), dtype=np.uint8)
    pictures |= {"background/pixels": whole, "image/front": whole[::-1].copy()}
    return ViewRecord(
        pictures=pictures,
        joints_2d=rng.uniform(0, 1, (31, 3)),
        joints_3d=rng.uniform(-0.3, 0.3, (31, 4)),
        view=View(camera=Camera(resolution), yaw_deg=yaw_deg),
        seed=2**64 - 1 - seed,
        rig={"ambient": rng.uniform(0, 1, 3), "colours": rng.uniform(0, 1, (90, 3))},
        background_id=f"room-{seed}-ä",
        background_crop=np.array([1, 2, 3.5, 4 + seed]),
    )


def make_header(resolution: int, views: int, composite: str = "baked") -> ShardHeader:
    """A header to go with `make_record`."""
    return ShardHeader(
        scan_id="person_1",
        subject="Zoë",
        views=views,
        resolution=resolution,
        projection="perspective",
        composite=composite,
        unit_cm=100.0,
        normalised_from_scan=np.diag([0.4, 0.4, 0.4, 1.0]),
        shrink=0.9,
        config={"resolution": resolution, "composite": composite},
        metadata={"height": 1.7},
    )
