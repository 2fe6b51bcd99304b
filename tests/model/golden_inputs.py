"""Weights and image of the golden comparison, drawn from a seed, and the file's own numbers.

`data/released_golden_seed11.npz` holds what the authors' network classes (both phases,
evaluation mode, float32) answer to them. A name `k` is `full[..., offset::step, offset::step]`
with `k__stride` = (offset, step), or, as `k__covered`, the full array at pixels that parts
cover (`covered_rows`, `covered_cols`).
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

DATA = Path(__file__).parent / "data"
SEED = 11


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of each tensor of the released checkpoint."""
    text = (DATA / "released_checkpoint_tensors.json").read_text(encoding="utf-8")
    return {name: tuple(shape) for name, shape in json.loads(text).items()}


def golden_arrays() -> dict[str, NDArray]:
    """Return the golden file."""
    with np.load(DATA / "released_golden_seed11.npz", allow_pickle=False) as file:
        return dict(file)


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
    """Return weights under which all outputs are alive and the mask lies around 0.5."""
    return {
        name: torch.from_numpy(np.asarray(_seeded_tensor(name, shape, seed)))
        for name, shape in shapes.items()
    }


def seeded_image(seed: int = SEED, size: int = 2048) -> Tensor:
    """Return a (1, 3, size, size) float32 image in -1..1 without fine detail."""
    rng = np.random.default_rng([seed, 1])
    coarse = torch.from_numpy(rng.uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32))
    return functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
