"""A photograph of a drawn person, its joints as files, and networks that answer anything."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dataset.framing import silhouette_of_joints
from dataset.sidecars import OPENPOSE_ROWS
from model.checkpoint import LoadedModel, save_checkpoint
from model.config import TrainConfig
from model.conventions import Convention
from model.networks import build_network
from tests.model.conftest import TINY, standing_joints

WIDTH, HEIGHT = 240, 320
PERSON = (200, 60, 40)


def joints_at(left: float = 0.0, top: float = 40.0, size: float = 240.0) -> NDArray[np.float64]:
    """Return (31, 3) joints of a standing person in a square of the photograph."""
    joints = standing_joints(1000)
    joints[:, :2] = joints[:, :2] * size / 1000 + (left, top)
    return joints


def photograph_of(*people: NDArray[np.float64], width: int = WIDTH) -> NDArray[np.uint8]:
    """Return (320, W, 3) uint8 sRGB: red people before grey noise."""
    noise = np.random.default_rng(0).integers(90, 140, (HEIGHT, width, 1), dtype=np.uint8)
    pixels = np.repeat(noise, 3, axis=2)
    for joints in people:
        pixels[silhouette_of_joints(joints, (HEIGHT, width))] = PERSON
    return pixels


def tiny_model(convention: Convention = "paper") -> LoadedModel:
    """Return untrained networks of 128 pixels that take every pixel for the person."""
    config = dataclasses.replace(TINY, convention=convention)
    network = build_network(config, 0).eval()
    bias = network.refiner.head.bias
    assert bias is not None
    with torch.no_grad():
        bias.copy_(torch.tensor([1.8, 2.2, 20.0]))
        network.refiner.head.weight.mul_(0.05)
    return LoadedModel(network=network, config=TrainConfig(model=config), shards="", state=None)


def write_checkpoint(path: Path, convention: Convention = "paper") -> Path:
    """Write `tiny_model` as a checkpoint and return the path."""
    model = tiny_model(convention)
    save_checkpoint(path, model.network, model.config, shards="")
    return path


def write_keypoints(path: Path, *people: NDArray[np.float64]) -> Path:
    """Write joints as OpenPose does, whose pixels are counted by their centres."""
    entries = []
    for joints in people:
        points = np.zeros((67, 3))
        points[list(OPENPOSE_ROWS)] = joints
        points[points[:, 2] > 0, :2] -= 0.5
        parts = (points[:25], points[25:46], points[46:])
        names = ("pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
        entries.append({name: part.ravel().tolist() for name, part in zip(names, parts)})
    path.write_text(json.dumps({"version": 1.3, "people": entries}))
    return path
