"""The golden file's own numbers; weights and image are those of `tools.bench._seeded_network`.

`data/released_golden_seed11.npz` holds what the authors' network classes (both phases,
evaluation mode, float32) answer to them. A name `k` is `full[..., offset::step, offset::step]`
with `k__stride` = (offset, step), or, as `k__covered`, the full array at pixels that parts
cover (`covered_rows`, `covered_cols`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

DATA = Path(__file__).parent / "data"


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of each tensor of the released checkpoint."""
    text = (DATA / "released_checkpoint_tensors.json").read_text(encoding="utf-8")
    return {name: tuple(shape) for name, shape in json.loads(text).items()}


def golden_arrays() -> dict[str, NDArray]:
    """Return the golden file."""
    with np.load(DATA / "released_golden_seed11.npz", allow_pickle=False) as file:
        return dict(file)


def golden_error(
    golden: dict[str, NDArray], name: str, full: Tensor, kept: NDArray[np.bool_] | None = None
) -> float:
    """Return the largest difference at the golden samples that are kept."""
    kept = np.ones(full.shape[-2:], bool) if kept is None else kept
    offset, step = golden[f"{name}__stride"]
    every = slice(offset, None, step)
    places: dict[str, tuple] = {name: (every, every)}
    if f"{name}__covered" in golden:
        places[f"{name}__covered"] = (golden["covered_rows"], golden["covered_cols"])
    worst = 0.0
    for key, place in places.items():
        values = full.numpy()[(..., *place)].reshape(golden[key].shape)
        worst = max(worst, float(np.abs(values - golden[key])[..., kept[place]].max()))
    return worst


def sure_pixels(golden: dict[str, NDArray]) -> NDArray[np.bool_]:
    """Return the pixels farther than 64 from where a fragile low-resolution pixel lies."""
    sure = np.ones((2048, 2048), bool)
    for row, column in 8 * golden["fragile_low_res"].astype(int):
        sure[max(row - 64, 0) : row + 72, max(column - 64, 0) : column + 72] = False
    return sure
