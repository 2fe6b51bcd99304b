"""Networks and an image drawn from a seed: what predictions are compared and timed with."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.config import ModelConfig
from model.networks import DigitisationNetwork
from model.released import RELEASED, released_name

SEED = 11


def _seeded_tensor(name: str, shape: tuple[int, ...], seed: int) -> NDArray:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    leaf = name.rsplit(".", 1)[1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf == "weight" and len(shape) == 4:
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    elif leaf == "weight":
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = rng.normal(0, 0.1, shape)
    values = values.astype(np.float32)
    if name in ("refine.merge3_2.weight", "ImgNorm_to_Dep.Conv_1x1.weight"):
        values = values * np.float32(0.15)
    if name in ("refine.merge3_2.bias", "ImgNorm_to_Dep.Conv_1x1.bias"):
        mask = 0.3 if name.startswith("refine") else -0.105
        values = values + np.array([1.5, 2.5, mask], np.float32)
    if name.endswith("Conv_1x1.conv.0.bias"):
        values = values + np.float32(2)
    return values


def seeded_state(shapes: dict[str, tuple[int, ...]], seed: int = SEED) -> dict[str, Tensor]:
    """Return weights under which all outputs are alive and the mask lies around 0.5.

    Args:
        shapes: by the names of the authors' checkpoint.
        seed: of the weights.
    """
    return {
        name: torch.from_numpy(np.asarray(_seeded_tensor(name, shape, seed)))
        for name, shape in shapes.items()
    }


def seeded_network(config: ModelConfig = RELEASED) -> DigitisationNetwork:
    """Return networks in evaluation mode with the weights of `seeded_state`."""
    network = DigitisationNetwork(config).eval()
    own = network.state_dict()
    drawn = seeded_state({released_name(name): tuple(value.shape) for name, value in own.items()})
    network.load_state_dict({name: drawn.pop(released_name(name)) for name in own})
    return network


def seeded_image(seed: int = SEED, size: int = 2048) -> Tensor:
    """Return a (1, 3, size, size) float32 image in -1..1 without fine detail."""
    rng = np.random.default_rng([seed, 1])
    coarse = torch.from_numpy(rng.uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32))
    return functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
