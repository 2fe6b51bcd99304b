"""A rectangle of pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: first column and row (0 is the top row), width and height."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.left, self.left + self.width)

    def enlarged(self, factor: int) -> Box:
        """The same rectangle in an image of this many times the size."""
        return Box(self.left * factor, self.top * factor, self.width * factor, self.height * factor)
