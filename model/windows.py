"""Windows of the full frame: the refiner is trained on less memory and time.

The refiner sees 28 pixels around each output pixel. A window is scored away from its
border by a halo of 32, except where its border is that of the frame, so that what is
scored equals the prediction of the whole frame (with the same batch statistics).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.networks import LowMaps
from model.parts import LOW_STEP

HALO = 32
"""Pixels inside a window's border that are computed and not scored."""


@dataclass(frozen=True)
class Windows:
    """One square window per item of a batch, on the grid of the low-resolution frame.

    Attributes:
        corners: (top, left) of each window, full-frame pixels, multiples of 8.
        size: width and height of all windows, a multiple of 8.
        full: R.
    """

    corners: tuple[tuple[int, int], ...]
    size: int
    full: int

    def cut(self, values: Tensor) -> Tensor:
        """Return (B, C, size, size) windows of (B, C, R, R) values."""
        return self._cut(values, 1)

    def cut_low(self, low: LowMaps) -> LowMaps:
        """Return the low-resolution maps under the windows."""
        return LowMaps(
            *(self._cut(each, LOW_STEP) for each in (low.normal, low.depth, low.mask_logit))
        )

    def _cut(self, values: Tensor, step: int) -> Tensor:
        width = self.size // step
        return torch.stack(
            [
                item[:, top // step : top // step + width, left // step : left // step + width]
                for item, (top, left) in zip(values, self.corners, strict=True)
            ]
        )

    def scored(self) -> Tensor:
        """Return (B, 1, size, size) bool: pixels that see all they would in the whole frame."""
        result = torch.zeros(len(self.corners), 1, self.size, self.size, dtype=torch.bool)
        for item, corner in zip(result, self.corners, strict=True):
            rows, columns = (
                slice(
                    0 if start == 0 else HALO,
                    self.size if start + self.size == self.full else self.size - HALO,
                )
                for start in corner
            )
            item[:, rows, columns] = True
        return result


def draw_windows(person: Tensor, size: int, generator: torch.Generator) -> Windows:
    """Draw a window around a random person pixel of each item (anywhere without one).

    Args:
        person: (B, 1, R, R) bool.
        size: width of the windows, a multiple of 8 above 2 HALO, at most R.
        generator: on the processor.
    """
    full = person.shape[-1]
    corners = []
    for item in person.cpu():
        pixels = item.flatten().nonzero().flatten()
        count = len(pixels) or full * full
        drawn = int(torch.randint(count, (1,), generator=generator))
        centre = divmod(int(pixels[drawn]) if len(pixels) else drawn, full)
        top, left = (
            min(max(each - size // 2, 0), full - size) // LOW_STEP * LOW_STEP for each in centre
        )
        corners.append((top, left))
    return Windows(tuple(corners), size, full)
