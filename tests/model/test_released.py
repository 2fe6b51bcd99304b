"""The released networks answer as the authors' do to the same weights, image and joints.

Weights pass `import-checkpoint` in a file like theirs. What is compared with: `golden_inputs`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import load_checkpoint
from model.config import ModelConfig
from model.conventions import Convention
from model.networks import DigitisationNetwork, FullMaps, LowMaps
from model.part_crops import blend_parts
from model.part_fitting import PartTransforms, fit_parts, stack_transforms
from model.parts import PART_NETWORKS
from model.released import RELEASED, released_name
from model.windows import Windows
from tests.model.golden_inputs import golden_arrays, golden_error, released_shapes, sure_pixels
from tools.bench._seeded_network import seeded_image, seeded_state
from tools.import_checkpoint import main as import_checkpoint

TOLERANCE = 1e-4
SIDES = ("front", "back")
WINDOW = 736
CORNERS = (0, 672, 1312)
"""Windows at these rows and columns score all of a frame of 2048 pixels."""

Refined = tuple[Tensor, Tensor, NDArray[np.bool_]]


def test_every_tensor_of_the_paper_preset_has_its_released_name_and_shape() -> None:
    with torch.device("meta"):
        ours = DigitisationNetwork(RELEASED).state_dict()
    named = {released_name(name): tuple(tensor.shape) for name, tensor in ours.items()}
    assert named == released_shapes() and len(named) == len(ours)
    with pytest.raises(KeyError, match="part_normal.tail"):
        released_name("part_normal.tail.head.weight")


@pytest.mark.parametrize(
    ("convention", "person", "background"),
    [("released", [True, False, False], [6.0, 0.0]), ("paper", [False, True, True], [0.0, 0.0])],
)
def test_conventions_find_the_person_where_they_say(
    convention: Convention, person: list[bool], background: list[float]
) -> None:
    config = ModelConfig(
        resolution=128, part_width=4, depth_width=4, refiner_width=4, convention=convention
    )
    network = DigitisationNetwork(config)
    # A person, nothing, and the back before the front; the mask head says the opposite.
    depth = torch.tensor([[1.9, 6.0, 2.1], [2.1, 0.0, 1.9]]).view(1, 2, 1, 3)
    logit = torch.tensor([-1.0, 1.0, 1.0]).view(1, 1, 1, 3)
    normal = torch.zeros(1, 6, 1, 3)
    assert network.silhouette(FullMaps(normal, depth, logit)).flatten().tolist() == person
    # On the low-resolution frame both ask the mask head.
    masked = network.masked_low_depth(LowMaps(normal, depth, logit))
    assert masked[0, :, 0, 0].tolist() == background
    assert torch.equal(masked[..., 1:], depth[..., 1:])


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray]:
    return golden_arrays()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> DigitisationNetwork:
    """The seeded weights, out of a file as the authors' training writes it."""
    folder = tmp_path_factory.mktemp("released")
    state = {f"module.{name}": tensor for name, tensor in seeded_state(released_shapes()).items()}
    content = {
        "epoch": 10,
        "model": "DeepHumanNet",
        "best_loss": np.float64(0.5),
        "model_state_dict": state,
        "optimizer_state_dict": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-4}]},
    }
    source, out = folder / "ckpt.pth.tar", folder / "released.ckpt"
    torch.save(content, source)
    assert import_checkpoint([str(source), "--out", str(out)]) == 0
    source.unlink()
    loaded = load_checkpoint(out)
    assert loaded.config.model == RELEASED and not loaded.network.training
    out.unlink()
    return loaded.network


@pytest.fixture(scope="module")
def transforms(golden: dict[str, NDArray]) -> PartTransforms:
    return stack_transforms([fit_parts(np.column_stack([golden["pose"], np.ones(31)]))])


@pytest.fixture(scope="module")
def low(network: DigitisationNetwork) -> LowMaps:
    with torch.no_grad():
        return network.predict_low(seeded_image())


@pytest.fixture(scope="module")
def crops(
    network: DigitisationNetwork, low: LowMaps, transforms: PartTransforms
) -> dict[str, Tensor]:
    with torch.no_grad():
        return network.predict_parts(seeded_image(), low.normal, transforms)


def test_similarities_fitted_to_joints_are_the_released_ones(
    golden: dict[str, NDArray], transforms: PartTransforms
) -> None:
    assert transforms.present.all()
    for name in ("image_to_canonical", "canonical_to_image"):
        fitted = getattr(transforms, name)[0].numpy()
        assert np.abs(fitted - golden[name]).max() < 1e-6


def test_low_resolution_maps_are_the_released_ones(
    golden: dict[str, NDArray], network: DigitisationNetwork, low: LowMaps
) -> None:
    sure = _sure_low(golden)
    masked = network.masked_low_depth(low)
    for side, name in enumerate(SIDES):
        normal = low.normal[:, 3 * side : 3 * side + 3]
        assert golden_error(golden, f"pred_down_normal_{name}", normal) < TOLERANCE
        depth = masked[:, side : side + 1]
        assert golden_error(golden, f"pred_down_depth_{name}", depth, sure) < TOLERANCE
    assert golden_error(golden, "pred_down_depth_mask", torch.sigmoid(low.mask_logit)) < TOLERANCE


def test_part_normals_are_the_released_ones(
    golden: dict[str, NDArray], crops: dict[str, Tensor]
) -> None:
    assert tuple(crops) == PART_NETWORKS
    for network, released in zip(crops, ("face", "upper", "arm", "leg", "shoe")):
        for side, name in enumerate(SIDES):
            normal = crops[network][0, :, 3 * side : 3 * side + 3]
            assert golden_error(golden, f"pred_{released}_normal_{name}", normal) < TOLERANCE


@pytest.fixture(scope="module")
def blended(
    network: DigitisationNetwork, crops: dict[str, Tensor], transforms: PartTransforms
) -> tuple[Tensor, Tensor]:
    return blend_parts(crops, transforms, network.resolution)


def test_blended_normals_are_the_released_ones(
    golden: dict[str, NDArray], blended: tuple[Tensor, Tensor]
) -> None:
    normal, covered = blended
    for side, name in enumerate(SIDES):
        one = normal[:, 3 * side : 3 * side + 3]
        assert golden_error(golden, f"pred_normal_{name}", one) < TOLERANCE
    assert golden_error(golden, "occupancy", covered[0]) < TOLERANCE


def _sure_low(golden: dict[str, NDArray]) -> NDArray[np.bool_]:
    """Return the low-resolution pixels whose mask another order of summation cannot flip."""
    sure = np.ones((256, 256), bool)
    sure[tuple(golden["fragile_low_res"].T)] = False
    return sure


@torch.no_grad()
def _refined(
    network: DigitisationNetwork, low: LowMaps, normal: Tensor, columns: tuple[int, ...]
) -> Refined:
    """Return depth and mask of the windows in some columns, and which pixels those score."""
    depth, mask = torch.zeros(1, 2, 2048, 2048), torch.zeros(1, 1, 2048, 2048)
    seen = np.zeros((2048, 2048), bool)
    for top, left in ((top, left) for top in CORNERS for left in columns):
        windows = Windows(((top, left),), WINDOW, 2048)
        full = network.refine(windows.cut_low(low), windows.cut(normal))
        rows, places = windows.scored()[0, 0].nonzero(as_tuple=True)
        depth[0][:, top + rows, left + places] = full.depth[0][:, rows, places]
        mask[0][:, top + rows, left + places] = torch.sigmoid(full.mask_logit[0][:, rows, places])
        seen[top + rows.numpy(), left + places.numpy()] = True
    return depth, mask, seen


def _check_refined(golden: dict[str, NDArray], refined: Refined) -> None:
    depth, mask, seen = refined
    kept = seen & sure_pixels(golden)
    for side, name in enumerate(SIDES):
        assert (
            golden_error(golden, f"pred_depth_{name}", depth[:, side : side + 1], kept) < TOLERANCE
        )
    assert golden_error(golden, "pred_depth_mask", mask, kept) < TOLERANCE


def test_refined_depth_around_the_person_is_the_released_one(
    golden: dict[str, NDArray],
    network: DigitisationNetwork,
    low: LowMaps,
    blended: tuple[Tensor, Tensor],
) -> None:
    refined = _refined(network, low, blended[0], CORNERS[1:2])
    # Nearly all pixels that parts cover lie in these windows.
    assert refined[2][golden["covered_rows"], golden["covered_cols"]].mean() > 0.99
    _check_refined(golden, refined)


@pytest.mark.slow
def test_refined_depth_beside_the_person_is_the_released_one(
    golden: dict[str, NDArray],
    network: DigitisationNetwork,
    low: LowMaps,
    blended: tuple[Tensor, Tensor],
) -> None:
    refined = _refined(network, low, blended[0], CORNERS)
    assert refined[2].all()
    _check_refined(golden, refined)


def test_most_samples_of_the_golden_file_are_compared(golden: dict[str, NDArray]) -> None:
    middle = np.zeros((2048, 2048), bool)
    middle[:, CORNERS[1] + 32 : CORNERS[1] + WINDOW - 32] = True
    kept = {
        "pred_down_depth_front": _sure_low(golden),
        "pred_down_depth_back": _sure_low(golden),
        **{f"pred_depth_{name}": middle & sure_pixels(golden) for name in (*SIDES, "mask")},
    }
    compared = total = 0.0
    rows, columns = golden["covered_rows"], golden["covered_cols"]
    for name in [key.removesuffix("__stride") for key in golden if key.endswith("__stride")]:
        offset, step = golden[f"{name}__stride"]
        share = kept[name][offset::step, offset::step].mean() if name in kept else 1.0
        compared, total = compared + share * golden[name].size, total + golden[name].size
        if f"{name}__covered" in golden:
            share = kept[name][rows, columns].mean() if name in kept else 1.0
            size = golden[f"{name}__covered"].size
            compared, total = compared + share * size, total + size
    assert compared / total > 0.75
