"""What one prediction costs, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tools.bench._clock import Clock, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.networks import FullMaps
    from model.precision import InferencePrecision

Way = Literal["naive", "toolkit"]


@dataclass(frozen=True, kw_only=True)
class PredictionSpec:
    """Which prediction to measure.

    Attributes:
        way: `naive` as `_naive_prediction` says, or the toolkit's predictor.
        person: file of `image` (R, R, 3) uint8, `outline` (R, R) bool and `joints` (31, 3).
        resolution: R.
        widths: channels of the part, depth and refiner networks at their finest level.
        precision: of the toolkit's convolutions.
        repeats: runs.
    """

    way: Way
    person: Path
    resolution: int = 2048
    widths: tuple[int, int, int] = (64, 32, 32)
    precision: InferencePrecision = "32"
    repeats: int = 1


@dataclass(frozen=True, kw_only=True)
class PredictionCost:
    """What a prediction costs.

    Attributes:
        runs: seconds of the networks, run by run.
        peak_bytes: largest resident memory less that before the networks were made.
        answers: (C, N) float32, depth, mask logit and normals at the N pixels of the outline.
    """

    runs: tuple[Seconds, ...]
    peak_bytes: int
    answers: NDArray[np.float32]

    @property
    def seconds(self) -> Seconds:
        """The fastest run's: other work on the machine makes runs slower and never faster."""
        return min(self.runs, key=lambda run: run.wall)


def measure(spec: PredictionSpec) -> PredictionCost:
    """Measure in a fresh process: a peak of memory is that of the process's whole life."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measure_here, spec).result()


def _measure_here(spec: PredictionSpec) -> PredictionCost:
    import torch

    from model.encoding import encode_image
    from model.memory import peak_resident_bytes, resident_bytes
    from model.part_fitting import fit_parts, normalise_joints, stack_transforms

    with np.load(spec.person, allow_pickle=False) as file:
        image, outline, joints = file["image"], file["outline"], file["joints"]
    pixels = encode_image(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)
    transforms = stack_transforms([fit_parts(normalise_joints(joints, spec.resolution))])
    torch.set_num_threads(torch.get_num_threads())  # starts the threads
    before = resident_bytes()
    predict = _ready(spec, outline)
    clock = Clock()
    laps = []
    for _ in range(spec.repeats):
        clock.lap()
        full = predict(pixels, transforms)
        laps.append(clock.lap())
    maps = torch.cat([full.depth, full.mask_logit, full.normal], dim=1)
    return PredictionCost(
        runs=tuple(laps),
        peak_bytes=peak_resident_bytes() - before,
        answers=maps[0][:, torch.from_numpy(outline)].numpy(),
    )


def _ready(spec: PredictionSpec, outline: NDArray[np.bool_]) -> Callable[..., FullMaps]:
    """Return what maps an image and transforms to the full frame's maps."""
    from dataclasses import replace

    from model.checkpoint import LoadedModel
    from model.config import TrainConfig
    from model.predict import Predictor
    from model.released import RELEASED
    from tools.bench._naive_prediction import predict_naively
    from tools.bench._seeded_network import seeded_network

    part, depth, refiner = spec.widths
    config = replace(
        RELEASED,
        resolution=spec.resolution,
        part_width=part,
        depth_width=depth,
        refiner_width=refiner,
    )
    network = seeded_network(config)
    if spec.way == "naive":
        return lambda pixels, transforms: predict_naively(network, pixels, transforms)
    loaded = LoadedModel(network=network, config=TrainConfig(model=config), shards="", state=None)
    predictor = Predictor(loaded, precision=spec.precision)
    return lambda pixels, transforms: predictor.predict_maps(pixels, transforms, outline)
