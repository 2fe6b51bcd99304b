"""Folded networks answer what the networks answer, and leave them as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from model import folding
from model.blocks import AttentionUNet, Float32Head
from model.config import ModelConfig
from model.folding import FoldedConvolution, fold
from model.networks import DigitisationNetwork, build_network
from model.samples import Batch
from tests.model.conftest import TINY

CONFIG = ModelConfig(resolution=128, part_width=16, depth_width=16, refiner_width=16)


@pytest.fixture(scope="module")
def network() -> DigitisationNetwork:
    """Networks with batch statistics as training leaves them."""
    network = build_network(CONFIG, 0).eval()
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5, generator=random)  # type: ignore[union-attr]
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=random)
            nn.init.normal_(module.bias, 0, 0.1, generator=random)
    return network


def test_a_folded_layer_is_computed_by_hand() -> None:
    convolution, norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[0.0, 0, 0], [0, 2, 0], [0, 0, 0]]))
        for tensor, value in (
            (convolution.bias, 1.0),
            (norm.running_mean, 3.0),
            (norm.running_var, 4.0 - norm.eps),
            (norm.weight, 6.0),
            (norm.bias, 0.5),
        ):
            assert tensor is not None
            tensor.fill_(value)
        folded = FoldedConvolution(convolution, norm, True, torch.float32)
        found = folded(torch.tensor([[[[2.0, 0.0]]]]))
    # (2 x + 1 - 3) / 2 * 6 + 0.5 is 6.5 and -5.5.
    assert found.flatten().tolist() == [6.5, 0.0]


@pytest.mark.parametrize("winograd", [False, True])
def test_folded_networks_answer_the_same(
    network: DigitisationNetwork,
    scene_batch: Batch,
    winograd: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if winograd and not torch._nnpack_available():
        pytest.skip("torch was built without NNPACK")
    monkeypatch.setattr(folding, "_has_winograd", lambda weight: winograd)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    with torch.no_grad():
        low, full = network(scene_batch.image, scene_batch.transforms)
        folded_low, folded_full = folded(scene_batch.image, scene_batch.transforms)
    for ours, theirs in ((folded_low, low), (folded_full, full)):
        for name in ("normal", "depth", "mask_logit"):
            assert (getattr(ours, name) - getattr(theirs, name)).abs().max() < 2e-5
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    used = {m._winograd for m in folded.modules() if isinstance(m, FoldedConvolution)}
    assert used == ({True, False} if winograd else {False})
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert isinstance(network.part_normal["arm"], AttentionUNet)


def test_half_precision_spares_the_heads_and_the_refiners_first_look(scene_batch: Batch) -> None:
    network = build_network(TINY, 0).eval()
    folded = fold(network, torch.bfloat16)
    kinds = {
        name: module.weight.dtype
        for name, module in folded.named_modules()
        if isinstance(module, (FoldedConvolution, Float32Head))
    }
    wide = {name for name, kind in kinds.items() if kind == torch.float32}
    assert {name for name in kinds if name.endswith("head")} | {"refiner.depth.0.1"} == wide
    assert len(kinds) > 100
    with torch.no_grad():
        low, full = network(scene_batch.image, scene_batch.transforms)
        half_low, half_full = folded(scene_batch.image, scene_batch.transforms)
    for half, single in ((half_low, low), (half_full, full)):
        assert half.depth.dtype == half.normal.dtype == torch.float32
        error = (half.depth - single.depth).abs()
        assert 0 < error.mean() < 0.01
    # Rounded to bf16, depth near 2 would take steps of 1/64 or 1/128.
    steps = half_full.depth * 128
    assert (steps - steps.round()).abs().mean() > 0.1


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="expected evaluation mode"):
        fold(build_network(CONFIG, 0).train())


def test_pooling_for_inference_is_max_pooling() -> None:
    network = AttentionUNet(3, 6, 4).eval()
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 32, 24))).float()
    with torch.no_grad():
        inferred = network(image)
    assert torch.equal(inferred, network(image).detach())
