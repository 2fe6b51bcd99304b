"""Small scenes for model tests: an ellipsoid person with joints, rendered or analytic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX
from model.config import ModelConfig, PhaseConfig, TrainConfig
from model.encoding import encode_depth, encode_image
from model.part_fitting import fit_parts, normalise_joints, stack_transforms
from model.samples import Batch
from render.camera import Camera
from tests.scenes import write_person
from tools.render_dataset import main as render_dataset

TINY = ModelConfig(resolution=128, part_width=4, depth_width=4, refiner_width=4)


def tiny_config(steps: int, **changes: object) -> TrainConfig:
    """Return a configuration of the smallest networks, so many steps a phase."""
    phase = PhaseConfig(steps=steps, learning_rate=1e-2, restart_epochs=None)
    config = TrainConfig(model=TINY, phase1=phase, phase2=phase, finetune=phase, batch_size=2)
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five rendered ellipsoid people at 128 pixels, two views each; six views for training."""
    folder = tmp_path_factory.mktemp("set")
    for seed in range(5):
        write_person(folder / "scans", f"person{seed}", seed=seed)
    options = ["--scans", str(folder / "scans"), "--out", str(folder / "shards"), "--jobs", "1"]
    options += ["--resolution", "128", "--angles", "-10", "10", "20", "--store-mesh", "all"]
    assert render_dataset(options) == 0
    return folder / "shards"


STANDING: dict[str, tuple[float, float]] = {
    "nose": (0.50, 0.20),
    "eye": (0.52, 0.19),
    "ear": (0.54, 0.20),
    "shoulder": (0.58, 0.30),
    "elbow": (0.62, 0.42),
    "wrist": (0.64, 0.53),
    "hip": (0.54, 0.53),
    "knee": (0.55, 0.68),
    "ankle": (0.55, 0.82),
    "big_toe": (0.56, 0.86),
    "small_toe": (0.58, 0.85),
    "heel": (0.55, 0.84),
    "index": (0.64, 0.57),
    "middle": (0.645, 0.57),
    "ring": (0.65, 0.57),
    "pinky": (0.655, 0.565),
}
"""Left side of a frontal standing person, fractions of the frame (image right = person's left)."""


def standing_joints(resolution: int) -> NDArray[np.float64]:
    """Return (31, 3) pixel joints of a frontal standing person, all of confidence 1."""
    joints = np.ones((len(JOINT_INDEX), 3))
    for name, row in JOINT_INDEX.items():
        side, _, base = name.partition("_")
        x, y = STANDING[base or side]
        joints[row, :2] = (1 - x if side == "right" else x) * resolution, y * resolution
    return joints


def ellipsoid_depth(resolution: int) -> NDArray[np.float64]:
    """Return (2, R, R) ray distances of an upright ellipsoid around the origin, 0 outside."""
    rays = Camera(resolution).rays() / np.array([0.12, 0.33, 0.10])
    centre = np.array([0.0, 0.0, -1.0]) / np.array([0.12, 0.33, 0.10])
    a = (rays**2).sum(-1)
    b = rays @ centre
    root = b**2 - a * (centre @ centre - 1.0)
    inside = root > 0
    root = np.sqrt(np.maximum(root, 0))
    return np.where(inside, np.stack([(b - root) / a, (b + root) / a]), 0.0)


@pytest.fixture
def scene_batch() -> Batch:
    """Twice the same 128-pixel view: a shaded ellipsoid, its depth and standing joints."""
    resolution = 128
    depth = torch.from_numpy(ellipsoid_depth(resolution)).float()[None]
    inside = depth[:, :1] > 0
    shade = torch.where(inside, 0.2 + 4.0 * (1.12 - depth[:, :1]), 0.7)
    image = torch.cat([shade, shade * 0.8, 1 - shade], dim=1).clamp(0, 1)
    transforms = fit_parts(normalise_joints(standing_joints(resolution), resolution))
    return Batch(
        encode_image(image).repeat(2, 1, 1, 1),
        encode_depth(depth).repeat(2, 1, 1, 1),
        inside.repeat(2, 1, 1, 1),
        stack_transforms([transforms] * 2),
    )
