"""What predictions run, tiles and folded networks, still answers as the authors' networks do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.checkpoint import LoadedModel
from model.config import TrainConfig
from model.networks import FullMaps
from model.part_fitting import PartTransforms, fit_parts, stack_transforms
from model.predict import Predictor
from model.released import RELEASED
from tests.model.golden_inputs import golden_arrays, golden_error, sure_pixels
from tools.bench._naive_prediction import predict_naively
from tools.bench._seeded_network import seeded_image, seeded_network

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray]:
    return golden_arrays()


@pytest.fixture(scope="module")
def transforms(golden: dict[str, NDArray]) -> PartTransforms:
    return stack_transforms([fit_parts(np.column_stack([golden["pose"], np.ones(31)]))])


def check(golden: dict[str, NDArray], full: FullMaps, kept: NDArray[np.bool_]) -> None:
    for side, name in enumerate(("front", "back")):
        normal = full.normal[:, 3 * side : 3 * side + 3]
        assert golden_error(golden, f"pred_normal_{name}", normal) < TOLERANCE
        depth = full.depth[:, side : side + 1]
        assert golden_error(golden, f"pred_depth_{name}", depth, kept) < TOLERANCE
    mask = torch.sigmoid(full.mask_logit)
    assert golden_error(golden, "pred_depth_mask", mask, kept) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("tile", [64, 256])
def test_predictions_are_the_released_ones(
    golden: dict[str, NDArray], transforms: PartTransforms, tile: int
) -> None:
    config = TrainConfig(model=RELEASED)
    loaded = LoadedModel(network=seeded_network(), config=config, shards="", state=None)
    outline = np.zeros((2048, 2048), dtype=bool)
    # About as much as a person, and none of its sides on the grid of the tiles.
    outline[205:1777, 803:1131] = outline[500:700, 333:1650] = True
    full = Predictor(loaded, tile=tile).predict_maps(seeded_image(), transforms, outline)
    check(golden, full, sure_pixels(golden) & outline)


@pytest.mark.slow
def test_predictions_without_an_outline_are_the_released_ones(
    golden: dict[str, NDArray], transforms: PartTransforms
) -> None:
    config = TrainConfig(model=RELEASED)
    loaded = LoadedModel(network=seeded_network(), config=config, shards="", state=None)
    full = Predictor(loaded).predict_maps(seeded_image(), transforms)
    refined = full.mask_logit[0, 0].isfinite().numpy()
    assert refined[golden["covered_rows"], golden["covered_cols"]].all()
    check(golden, full, sure_pixels(golden) & refined)


@pytest.mark.slow
def test_the_naive_way_of_the_bench_is_the_released_one(
    golden: dict[str, NDArray], transforms: PartTransforms
) -> None:
    full = predict_naively(seeded_network(), seeded_image(), transforms)
    check(golden, full, sure_pixels(golden))
