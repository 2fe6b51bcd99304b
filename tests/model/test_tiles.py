"""Refining tiles gives what refining the whole frame gives, and finds everybody it does."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from model.blocks import OpenSides
from model.config import ModelConfig
from model.conventions import Convention
from model.networks import DigitisationNetwork, FullMaps, LowMaps, build_network
from model.tiles import HALO_CELLS, Tile, cover, refine_tiles, shown_cells

SIZE, LOW = 256, 32
CONFIG = ModelConfig(
    resolution=SIZE, refiner_width=4, part_width=2, depth_width=2, residual_depth=True
)


@pytest.fixture(scope="module")
def network() -> DigitisationNetwork:
    return lively(build_network(CONFIG, 0))


def lively(network: DigitisationNetwork) -> DigitisationNetwork:
    """Return a network with a head whose answers differ from pixel to pixel."""
    head = network.refiner.head
    torch.nn.init.normal_(head.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return network.eval()


def random_maps() -> tuple[LowMaps, Tensor]:
    random = torch.Generator().manual_seed(0)

    def values(channels: int, size: int) -> Tensor:
        return torch.rand(1, channels, size, size, generator=random)

    low = LowMaps(values(6, LOW), 1.5 + values(2, LOW), values(1, LOW) - 0.5)
    return low, values(6, SIZE)


def refined_alike(network: DigitisationNetwork, cells: Tensor, tiles: list[Tile]) -> None:
    low, normal = random_maps()
    with torch.no_grad():
        whole, tiled = network.refine(low, normal), refine_tiles(network, low, normal, tiles)
    asked = cells.repeat_interleave(8, 0).repeat_interleave(8, 1)
    assert tiled.mask_logit[0, 0][asked].isfinite().all()
    refined = tiled.mask_logit[0, 0].isfinite()
    for name in ("depth", "mask_logit"):
        difference = getattr(tiled, name) - getattr(whole, name)
        assert difference[..., refined].abs().max() < 1e-5
    assert (tiled.depth[..., ~refined] == 0).all()


@pytest.mark.parametrize("height", [3, 4, 7, 16, 31, 32, 40])
@pytest.mark.parametrize("share", [0.002, 0.02, 0.3, 1.0])
def test_tiles_in_all_layouts_answer_what_the_whole_frame_answers(
    network: DigitisationNetwork, height: int, share: float
) -> None:
    for seed in range(3):
        cells = torch.rand(LOW, LOW, generator=torch.Generator().manual_seed(seed)) < share
        refined_alike(network, cells, cover(cells, height))


@pytest.mark.parametrize("top", [0, 1, 2, 3, 15, 29, 30, 31])
def test_tiles_near_the_border_of_the_frame_answer_what_the_whole_frame_answers(
    network: DigitisationNetwork, top: int
) -> None:
    for left in (0, 1, 2, 3, 29, 30, 31):
        cells = torch.zeros(LOW, LOW, dtype=torch.bool)
        cells[top, left] = True
        refined_alike(network, cells, cover(cells, 5))


def test_without_its_halo_a_tile_answers_otherwise(network: DigitisationNetwork) -> None:
    low, normal = random_maps()
    tile = Tile(10, 20, 10, 20)
    around = LowMaps(*(tile.cut(each, 1) for each in (low.normal, low.depth, low.mask_logit)))
    with torch.no_grad():
        alone = network.refine(around, tile.cut(normal)).depth
        whole = tile.cut(network.refine(low, normal).depth)
    assert (alone - whole).abs().max() > 1e-3


def test_tiles_follow_the_cells_in_bands() -> None:
    cells = torch.zeros(32, 32, dtype=torch.bool)
    cells[5, 8] = cells[6, 12] = cells[6, 20] = True
    cells[12, 1] = True
    # Eight columns on a gap is worth two tiles; a halo's width from the border it reaches it.
    assert cover(cells, 8) == [Tile(0, 8, 8, 13), Tile(0, 8, 20, 21), Tile(8, 16, 0, 2)]
    # The last band of 30 rows would be two cells high.
    assert [(t.top, t.bottom) for t in cover(torch.ones(32, 32, dtype=torch.bool), 30)] == [(0, 32)]
    wide = cover(torch.ones(32, 32, dtype=torch.bool), 4)
    assert [(t.left, t.right) for t in wide[:2]] == [(0, 16), (16, 32)] and len(wide) == 16
    assert cover(torch.zeros(32, 32, dtype=torch.bool), 8) == []


def test_a_tile_grows_up_to_the_border_of_the_frame() -> None:
    grown, sides = Tile(0, 8, 8, 32).grown(HALO_CELLS, 32)
    assert grown == Tile(0, 11, 5, 32) and sides == OpenSides(bottom=True, left=True)
    rows = torch.arange(6.0).expand(1, 6)
    assert OpenSides(left=True).trim(rows, 2).tolist() == [[2, 3, 4, 5]]
    assert OpenSides(right=True).trim(rows, 2).tolist() == [[0, 1, 2, 3]]
    assert OpenSides(top=True, bottom=True).trim(rows.T, 2).flatten().tolist() == [2, 3]


def person_in_a_corner() -> tuple[LowMaps, Tensor]:
    """Return maps with a silhouette in one corner and a covered pixel in another."""
    low = LowMaps(
        torch.zeros(1, 6, LOW, LOW),
        torch.full((1, 2, LOW, LOW), 2.0),
        torch.full((1, 1, LOW, LOW), -9.0),
    )
    low.mask_logit[..., :6, :6] = 9.0
    normal = torch.zeros(1, 6, SIZE, SIZE)
    normal[..., 200, 201] = 0.5
    return low, normal


@pytest.mark.parametrize("convention", ["paper", "released"])
@pytest.mark.parametrize("empty_is_nobody", [True, False])
def test_no_pixel_that_the_refiner_takes_for_the_person_is_left_out(
    convention: Convention, empty_is_nobody: bool
) -> None:
    config = dataclasses.replace(CONFIG, convention=convention, residual_depth=False)
    network = lively(build_network(config, 0))
    low, normal = person_in_a_corner()
    nothing = LowMaps(low.normal, low.depth, torch.full_like(low.mask_logit, -9.0))
    with torch.no_grad():
        empty = network.refine(nothing, torch.zeros_like(normal))
        thickness = empty.depth[:, 1] - empty.depth[:, 0]
        # Heads are moved so that their answer to nothing lies on one side of the threshold.
        bias = network.refiner.head.bias
        assert bias is not None
        for values, channel, sign in ((empty.mask_logit, 2, -1), (thickness, 0, 1)):
            level = values.max() + 0.01 if empty_is_nobody else values.median() - 0.05
            bias[channel] += sign * level
        cells = shown_cells(network, low, normal)
        whole = network.refine(low, normal)
        tiled = refine_tiles(network, low, normal, cover(cells, 4))
    person = network.silhouette(whole)
    assert torch.equal(network.silhouette(tiled), person)
    if empty_is_nobody:
        # The silhouette and three cells around it; the pixel's cell and three around it.
        assert person.any() and cells.sum() == 9 * 9 + 7 * 7
    else:
        assert cells.all() and person.float().mean() > 0.5


def test_where_the_answer_to_nothing_is_not_constant_all_cells_are_shown() -> None:
    config = dataclasses.replace(CONFIG, convention="released")
    low, normal = person_in_a_corner()
    with torch.no_grad():
        assert shown_cells(lively(build_network(config, 0)), low, normal).all()


def test_nothing_refined_is_nobody(network: DigitisationNetwork) -> None:
    low, normal = random_maps()
    with torch.no_grad():
        full = refine_tiles(network, low, normal, [])
    assert isinstance(full, FullMaps) and not network.silhouette(full).any()
