"""The networks have the published shapes, and windows of the refiner equal the whole frame."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import BatchNorm2d, functional

from model.blocks import bounded
from model.config import ModelConfig
from model.networks import LowMaps, build_network, count_parameters
from model.part_crops import crop_parts
from model.parts import PART_NETWORKS, PARTS_OF_NETWORK, Resolution
from model.samples import Batch
from model.windows import HALO, Windows, draw_windows
from render.camera import Camera

TINY = ModelConfig(resolution=128, part_width=4, depth_width=4, refiner_width=4)


def test_the_paper_preset_has_the_published_number_of_parameters() -> None:
    network = build_network(ModelConfig(), seed=0)
    assert count_parameters(network) == 77_655_212
    assert count_parameters(network.low_normal) == 8_651_951
    assert count_parameters(network.part_normal["arm"]) == 8_653_679
    assert count_parameters(network.low_depth) == 25_460_815
    assert count_parameters(network.refiner) == 274_051
    assert len(network.state_dict()) == 1504


def test_outputs_have_the_documented_shapes_and_ranges(scene_batch: Batch) -> None:
    network = build_network(TINY, seed=0).eval()
    low, full = network(scene_batch.image, scene_batch.transforms)
    assert low.normal.shape == (2, 6, 16, 16) and low.depth.shape == (2, 2, 16, 16)
    assert full.normal.shape == (2, 6, 128, 128) and full.depth.shape == (2, 2, 128, 128)
    assert full.mask_logit.shape == (2, 1, 128, 128)
    assert (low.depth >= 0).all() and (low.depth <= 6).all() and (full.normal >= 0).all()


def test_every_head_starts_alive(scene_batch: Batch) -> None:
    network = build_network(TINY, seed=3)
    low = network.predict_low(scene_batch.image)
    parts = network.predict_parts(scene_batch.image, low.normal, scene_batch.transforms)
    assert all((low.normal[:, channel] > 0).any() for channel in range(6))
    for name in PART_NETWORKS:
        assert (parts[name].amax(dim=(0, 1, 3, 4)) > 0).all()


def test_part_networks_send_no_gradient_into_the_low_resolution_normals(
    scene_batch: Batch,
) -> None:
    network = build_network(TINY, seed=0)
    low = network.predict_low(scene_batch.image)
    parts = network.predict_parts(scene_batch.image, low.normal, scene_batch.transforms)
    sum(values.sum() for values in parts.values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in network.low_normal.parameters())
    assert network.part_normal["face"].head.weight.grad is not None  # type: ignore[union-attr]


def test_absent_parts_stay_out_of_the_batch_statistics(scene_batch: Batch) -> None:
    first, second = build_network(TINY, seed=0).train(), build_network(TINY, seed=0).train()
    guide = torch.rand(2, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    # Both people have all parts but the feet; the second of them has no arms either.
    transforms = scene_batch.transforms
    present = transforms.present.clone()
    present[:, list(PARTS_OF_NETWORK["foot"])] = False
    present[1, list(PARTS_OF_NETWORK["arm"])] = False
    fewer = dataclasses.replace(transforms, present=present)
    found = first.predict_parts(scene_batch.image, guide, fewer)
    alone = second.predict_parts(scene_batch.image[:1], guide[:1], transforms.item(0))
    both = second.predict_parts(scene_batch.image, guide, transforms)
    assert torch.allclose(found["arm"][0], alone["arm"][0], atol=1e-5)
    assert torch.allclose(found["leg"], both["leg"], atol=1e-5)
    assert not found["arm"][1].any() and not found["foot"].any()
    untouched = [m for m in first.part_normal["foot"].modules() if isinstance(m, BatchNorm2d)]
    assert all(module.num_batches_tracked == 0 for module in untouched)


def test_all_parts_present_give_what_the_network_gives_of_all_crops(scene_batch: Batch) -> None:
    network, size = build_network(TINY, seed=0), Resolution(128)
    guide = torch.rand(2, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    found = network.predict_parts(scene_batch.image, guide, scene_batch.transforms)["leg"]
    frames = (scene_batch.image, guide[:, :3])
    crops = [crop_parts(frame, scene_batch.transforms, "leg", size) for frame in frames]
    expected = network.part_normal["leg"](torch.cat(crops, dim=2).flatten(0, 1))
    assert torch.equal(found.flatten(0, 1), expected)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state() -> None:
    state = torch.random.get_rng_state()
    first, second = build_network(TINY, 5).state_dict(), build_network(TINY, 5).state_dict()
    other = build_network(TINY, 6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["low_normal.head.weight"], other["low_normal.head.weight"])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_residual_heads_count_from_the_centre_plane_and_from_the_low_resolution_depth(
    scene_batch: Batch,
) -> None:
    network = build_network(dataclasses.replace(TINY, residual_depth=True), 0).eval()
    for net in (network.low_depth, network.refiner):
        net.head.weight.data.zero_()
    low, full = network(scene_batch.image, scene_batch.transforms)
    # Towards a corner the ray to the plane z = 0 is 1 / cos long; heads start 0.12 beside it.
    rays = Camera(16).rays()
    plane = 2.0 + 2.0 * (-1.0 / rays[..., 2] - 1.0) / math.tan(math.radians(25.0))
    for side, offset in enumerate((-0.12, 0.12)):
        found = low.depth[0, side].detach().numpy()
        assert np.allclose(found, plane + offset, atol=1e-5)
    enlarged = functional.interpolate(low.depth, size=128, mode="bilinear")
    assert torch.allclose(full.depth, enlarged, atol=1e-5)


def test_a_bounded_output_keeps_relu_values_and_gradients_that_lead_back() -> None:
    x = torch.tensor([-1.0, -1.0, 3.0, 7.0, 7.0], requires_grad=True)
    y = bounded(x, 6.0)
    assert y.tolist() == [0.0, 0.0, 3.0, 6.0, 6.0]
    # Descent moves against the gradient: -1 may rise and not fall, 7 may fall and not rise.
    y.backward(torch.tensor([-1.0, 1.0, 1.0, 1.0, -1.0]))
    assert x.grad is not None and x.grad.tolist() == [-1.0, 0.0, 1.0, 1.0, 0.0]


def random_maps(size: int) -> tuple[LowMaps, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    low = LowMaps(
        torch.rand(1, 6, size // 8, size // 8, generator=generator),
        1.5 + torch.rand(1, 2, size // 8, size // 8, generator=generator),
        torch.randn(1, 1, size // 8, size // 8, generator=generator),
    )
    return low, torch.rand(1, 6, size, size, generator=generator)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("corner", [(0, 0), (64, 96), (128, 128), (0, 56)])
def test_a_window_predicts_what_the_whole_frame_predicts(
    corner: tuple[int, int], residual: bool
) -> None:
    config = ModelConfig(
        resolution=256, refiner_width=4, part_width=4, depth_width=4, residual_depth=residual
    )
    network = build_network(config, 0).eval()
    low, normal = random_maps(256)
    whole = network.refine(low, normal)
    windows = Windows((corner,), 128, 256)
    part = network.refine(windows.cut_low(low), windows.cut(normal))
    scored = windows.scored()
    assert scored.sum() >= (128 - 2 * HALO) ** 2
    difference = (part.depth - windows.cut(whole.depth)).abs() * scored
    assert difference.max() < 1e-5
    # The halo is needed: beyond it the window's border shows.
    if corner == (64, 96):
        assert (part.depth - windows.cut(whole.depth)).abs().max() > 1e-4


def test_windows_lie_on_the_person_and_inside_the_frame() -> None:
    person = torch.zeros(2, 1, 256, 256, dtype=torch.bool)
    person[0, :, 250:, :4] = True
    windows = draw_windows(person, 128, torch.Generator().manual_seed(0))
    assert windows.corners[0] == (128, 0)
    for top, left in windows.corners:
        assert 0 <= top <= 128 and 0 <= left <= 128 and top % 8 == 0 and left % 8 == 0
    assert windows.cut(person)[0].sum() == 24
