"""The refiner works on the tiles of a frame that show the person, and on no others.

A tile sees the refiner's whole receptive field (`blocks.REFINER_HALO`), so that it answers what
the whole frame would. Tiles follow the person's outline in bands, on the grid of the
low-resolution frame, whose pixels are called cells here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.blocks import REFINER_HALO, OpenSides
from model.networks import DigitisationNetwork, FullMaps, LowMaps, person_mask
from model.parts import LOW_STEP

HALO_CELLS = REFINER_HALO // LOW_STEP

GAP_CELLS = 2 * HALO_CELLS
"""Pieces of a band that are nearer than this make one tile: their halos would overlap."""

TILE_ASPECT = 4
"""Tiles are at most so many times as wide as high."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of cells.

    Attributes:
        top, bottom, left, right: the first row and column, and those behind the last.
    """

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, cells: int, size: int) -> tuple[Tile, OpenSides]:
        """Return the tile and so many cells around it, within a frame, and where those are.

        Args:
            cells: on each side, or none at all where the frame ends.
            size: width of the frame.
        """
        sides = OpenSides(
            top=self.top > 0,
            left=self.left > 0,
            bottom=self.bottom < size,
            right=self.right < size,
        )
        return Tile(
            self.top - cells * sides.top,
            self.bottom + cells * sides.bottom,
            self.left - cells * sides.left,
            self.right + cells * sides.right,
        ), sides

    def cut(self, values: Tensor, step: int = LOW_STEP) -> Tensor:
        """Return a view of (..., R, R) values; with step 1, of low-resolution ones."""
        rows = slice(self.top * step, self.bottom * step)
        return values[..., rows, self.left * step : self.right * step]


def cover(cells: Tensor, height: int) -> list[Tile]:
    """Cover cells by tiles.

    Args:
        cells: (h, h) bool, what has to be covered.
        height: of the tiles, in cells, from `HALO_CELLS` on; they are `TILE_ASPECT` times as
            wide at most.
    """
    size, tiles = cells.shape[-1], []
    # Between a tile and the border of the frame there is a whole halo, or nothing.
    rows = [*range(0, max(size - HALO_CELLS + 1, 1), height), size]
    for top, bottom in zip(rows, rows[1:]):
        pieces: list[list[int]] = []
        for column in cells[top:bottom].any(0).nonzero().flatten().tolist():
            if pieces and column - pieces[-1][1] < GAP_CELLS:
                pieces[-1][1] = column + 1
            else:
                pieces.append([column, column + 1])
        for left, right in pieces:
            left = 0 if left < HALO_CELLS else left
            right = size if right > size - HALO_CELLS else right
            count = math.ceil((right - left) / (TILE_ASPECT * height))
            edges = [left + (right - left) * index // count for index in range(count + 1)]
            tiles += [Tile(top, bottom, *edge) for edge in zip(edges, edges[1:])]
    return tiles


def shown_cells(network: DigitisationNetwork, low: LowMaps, normal: Tensor) -> Tensor:
    """Return the cells whose pixels may be the person, whatever the refiner has learnt.

    Where neither the low-resolution silhouette nor any part lies in the receptive field, the
    refiner sees the background alone and answers everywhere alike. That answer is asked for on
    an empty frame, borders included.

    Args:
        network: in evaluation mode.
        low: (1, ...) low-resolution maps.
        normal: (1, 6, R, R) blended normals.

    Returns:
        (h, h) bool. All of them where the answer to nothing is a person, or is not the same
        everywhere.
    """
    enlarged_depth = network.config.residual_depth and network.config.rules.silhouette_in_depth
    if enlarged_depth or _empty_frame_shows_a_person(network, low.depth.device):
        return torch.ones_like(low.mask_logit[0, 0], dtype=torch.bool)
    covered = functional.max_pool2d(normal.amax(1, keepdim=True), LOW_STEP) > 0
    seen = (person_mask(low.mask_logit) | covered).float()
    return functional.max_pool2d(seen, 2 * HALO_CELLS + 1, 1, HALO_CELLS)[0, 0] > 0


def _empty_frame_shows_a_person(network: DigitisationNetwork, device: torch.device) -> bool:
    cells = 2 * HALO_CELLS + 2
    low = LowMaps(
        torch.zeros(1, 6, cells, cells, device=device),
        torch.zeros(1, 2, cells, cells, device=device),
        torch.full((1, 1, cells, cells), -math.inf, device=device),
    )
    normal = torch.zeros(1, 6, cells * LOW_STEP, cells * LOW_STEP, device=device)
    return bool(network.silhouette(network.refine(low, normal)).any())


def refine_tiles(
    network: DigitisationNetwork, low: LowMaps, normal: Tensor, tiles: list[Tile]
) -> FullMaps:
    """Raise the depth maps to full resolution in the tiles alone.

    Args:
        network: in evaluation mode.
        low: (1, ...) low-resolution maps.
        normal: (1, 6, R, R) blended normals.
        tiles: see `cover`.

    Returns:
        What `DigitisationNetwork.refine` returns; outside the tiles the depth is 0 and the
        mask's logit minus infinity, which both say that nobody is there.
    """
    size = low.depth.shape[-1]
    depth = torch.zeros_like(normal[:, :2])
    logit = torch.full_like(normal[:, :1], -math.inf)
    for tile in tiles:
        grown, sides = tile.grown(HALO_CELLS, size)
        around = LowMaps(*(grown.cut(each, 1) for each in (low.normal, low.depth, low.mask_logit)))
        full = network.refine(around, grown.cut(normal), sides)
        tile.cut(depth)[:] = full.depth
        tile.cut(logit)[:] = full.mask_logit
    return FullMaps(normal, depth, logit)
