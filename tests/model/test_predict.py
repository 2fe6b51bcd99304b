"""Predictions follow the convention of their checkpoint and say what they left out."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX
from model.checkpoint import LoadedModel
from model.config import ModelConfig, TrainConfig
from model.conventions import Convention
from model.encoding import camera_normals_from_encoded, decode_depth, encode_image
from model.meshing import MINIMUM_THICKNESS, largest_component
from model.networks import FullMaps, build_network
from model.part_fitting import fit_parts, normalise_joints, stack_transforms
from model.predict import Predictor
from tests.model.conftest import standing_joints

SIZE = 128
TINY = ModelConfig(resolution=SIZE, part_width=4, depth_width=4, refiner_width=4)


def loaded_model(convention: Convention) -> LoadedModel:
    config = dataclasses.replace(TINY, convention=convention)
    network = build_network(config, 0).eval()
    # Around 2, where either side may be the nearer one.
    head = network.refiner.head
    torch.nn.init.normal_(head.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return LoadedModel(network=network, config=TrainConfig(model=config), shards="", state=None)


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("convention", ["paper", "released"])
def test_the_mask_and_the_scale_are_those_of_the_convention(convention: Convention) -> None:
    model, image, joints = loaded_model(convention), noise(), standing_joints(SIZE)
    made = Predictor(model).predict(image, joints)
    factor, scale = {"paper": (1.0, 1.0), "released": (0.85, 1 / 1.0367394227574303)}[convention]
    assert made.maps.point_scale == scale and made.left_out == ()

    # By hand: brightness, then contrast about the mean grey, then saturation about the grey.
    luma = np.array([0.299, 0.587, 0.114])
    colours = factor * image / 255.0
    colours = factor * colours + (1 - factor) * (colours @ luma).mean()
    colours = factor * colours + (1 - factor) * (colours @ luma)[..., None]
    pixels = torch.from_numpy(colours).float().permute(2, 0, 1)[None]
    transforms = stack_transforms([fit_parts(normalise_joints(joints, SIZE))])
    with torch.no_grad():
        _, full = model.network(encode_image(pixels), transforms)
    front, back = full.depth[0].numpy()
    person = front < back if convention == "released" else full.mask_logit[0, 0].numpy() > 0
    mask = made.maps.mask
    assert 0 < mask.sum() < mask.size and person[mask].all()
    distance = decode_depth(full.depth)[0].numpy()
    assert np.allclose(made.maps.front[mask], distance[0][mask], atol=1e-5)
    behind = np.maximum(distance[1], distance[0] + MINIMUM_THICKNESS)
    assert np.allclose(made.maps.back[mask], behind[mask], atol=1e-5)
    assert not made.maps.front[~mask].any()


def test_parts_that_are_left_out_are_named_once_and_nothing_is_nan(
    caplog: pytest.LogCaptureFixture,
) -> None:
    joints = standing_joints(SIZE)
    joints[JOINT_INDEX["left_elbow"]] = 0
    joints[JOINT_INDEX["right_ankle"], :2] = np.nan
    predictor = Predictor(loaded_model("paper"))
    with caplog.at_level(logging.WARNING):
        made = [predictor.predict(noise(), joints) for _ in range(2)]
    missing = ("left_upper_arm", "left_lower_arm", "right_lower_leg")
    assert made[0].left_out == made[1].left_out == missing
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        ", ".join(missing)
    ]
    for values in (made[0].maps.front, made[0].maps.back, made[0].normal_front):
        assert np.isfinite(values).all()


def test_no_joints_at_all_still_give_a_finite_prediction() -> None:
    made = Predictor(loaded_model("released")).predict(noise(), np.zeros((31, 3)))
    assert len(made.left_out) == 12
    assert np.isfinite(made.maps.front).all() and not made.normal_front.any()


def dense_maps(model: LoadedModel, joints: NDArray[np.float64]) -> FullMaps:
    """Return what the networks as they were trained say of the whole frame."""
    pixels = torch.from_numpy(noise()).permute(2, 0, 1)[None] / 255.0
    transforms = stack_transforms([fit_parts(normalise_joints(joints, SIZE))])
    device = model.network.centre_plane.device
    with torch.no_grad():
        return model.network(encode_image(pixels).to(device), transforms)[1]


@pytest.mark.parametrize("tile", [24, 64, 128])
def test_inside_an_outline_predictions_are_those_of_the_whole_frame(tile: int) -> None:
    model, joints = loaded_model("paper"), standing_joints(SIZE)
    outline = np.zeros((SIZE, SIZE), dtype=bool)
    outline[20:100, 61:70] = outline[30:34, 40:90] = True
    full = dense_maps(model, joints)
    made = Predictor(model, tile=tile).predict(noise(), joints, outline=outline)
    found = largest_component((full.mask_logit[0, 0].numpy() > 0) & outline)
    assert np.array_equal(made.maps.mask, found) and found.any()
    distance = decode_depth(full.depth)[0].numpy()
    assert np.allclose(made.maps.front[found], distance[0][found], atol=1e-5)
    assert not made.maps.front[~found].any() and not made.normal_back[~found].any()
    encoded = full.normal[:, 3:]
    back = torch.from_numpy(made.maps.back)[None, None]
    normal = camera_normals_from_encoded(encoded, back, SIZE, back=True)[0].permute(1, 2, 0)
    seen = found & (encoded[0].sum(0).numpy() > 0)
    assert np.allclose(made.normal_back[seen], normal.numpy()[seen], atol=1e-4) and seen.any()
    assert not made.normal_back[~seen].any()


def test_outlines_tiles_and_precisions_of_another_kind_are_refused() -> None:
    model, joints = loaded_model("paper"), standing_joints(SIZE)
    with pytest.raises(ValueError, match=r"outline: expected \(128, 128\) bool, got \(64, 64\)"):
        Predictor(model).predict(noise(), joints, outline=np.ones((64, 64), dtype=bool))
    with pytest.raises(ValueError, match="got .* uint8"):
        wrong = np.ones((SIZE, SIZE), dtype=np.uint8)
        Predictor(model).predict(noise(), joints, outline=wrong)  # type: ignore[arg-type]
    for tile in (16, 60):
        with pytest.raises(ValueError, match=f"tile: expected a multiple of 8 .* got {tile}"):
            Predictor(model, tile=tile)
    with pytest.raises(ValueError, match="precision: expected auto, 32, bf16 or 16, got 'half'"):
        Predictor(model, precision="half")  # type: ignore[arg-type]


def test_half_precision_is_taken_where_the_device_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded_model("paper")
    for flags, dtype in (({"avx2"}, torch.float32), ({"avx512_bf16"}, torch.bfloat16)):
        monkeypatch.setattr("model.precision.processor_flags", lambda flags=flags: flags)
        assert Predictor(model, precision="auto").dtype == dtype
        assert Predictor(model).dtype == torch.float32
    exact = Predictor(model).predict(noise(), standing_joints(SIZE))
    half = Predictor(model, precision="bf16").predict(noise(), standing_joints(SIZE))
    both = exact.maps.mask & half.maps.mask
    difference = np.abs(exact.maps.front - half.maps.front)[both]
    assert 0 < difference.mean() < 2e-3


@pytest.mark.gpu
@pytest.mark.parametrize("convention", ["paper", "released"])
def test_gpu_and_processor_agree(convention: Convention) -> None:
    joints = standing_joints(SIZE)
    expected = dense_maps(loaded_model(convention), joints)
    model = loaded_model(convention)
    image = encode_image(torch.from_numpy(noise()).permute(2, 0, 1)[None] / 255.0)
    transforms = stack_transforms([fit_parts(normalise_joints(joints, SIZE))])
    found = Predictor(model, "cuda").predict_maps(image.cuda(), transforms)
    # TF32, were it on, would be a hundred times as far away.
    for name in ("normal", "depth", "mask_logit"):
        assert (getattr(found, name).cpu() - getattr(expected, name)).abs().max() < 1e-4
    whole = Predictor(loaded_model(convention)).predict(noise(), joints)
    on_gpu = Predictor(model, "cuda").predict(noise(), joints)
    assert (whole.maps.mask == on_gpu.maps.mask).mean() > 0.999
    half = Predictor(model, "cuda", precision="auto")
    assert half.dtype == torch.bfloat16
    assert np.isfinite(half.predict(noise(), joints).maps.front).all()
