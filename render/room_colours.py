"""Colours that homes are painted and furnished in; all are (3,) sRGB 0..1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.float64]

_WHITES = ((0.95, 0.94, 0.91), (0.90, 0.88, 0.83), (0.87, 0.86, 0.85), (0.93, 0.89, 0.80))
_TINTS = (
    (0.78, 0.80, 0.72), (0.70, 0.77, 0.80), (0.85, 0.75, 0.66), (0.80, 0.70, 0.72),
    (0.88, 0.80, 0.58), (0.62, 0.66, 0.60), (0.66, 0.68, 0.74), (0.74, 0.68, 0.60),
)  # fmt: skip
_DEEPS = (
    (0.22, 0.30, 0.36), (0.28, 0.36, 0.30), (0.60, 0.34, 0.24), (0.45, 0.22, 0.24),
    (0.30, 0.29, 0.31), (0.72, 0.55, 0.25), (0.20, 0.42, 0.44), (0.42, 0.36, 0.50),
)  # fmt: skip
_WOODS = (
    (0.72, 0.56, 0.38), (0.40, 0.27, 0.18), (0.82, 0.68, 0.48), (0.55, 0.31, 0.20),
    (0.28, 0.20, 0.15), (0.62, 0.50, 0.38), (0.56, 0.53, 0.49),
)  # fmt: skip
_LACQUERS = ((0.93, 0.92, 0.90), (0.10, 0.10, 0.11), (0.75, 0.75, 0.74), (0.86, 0.82, 0.74))
_CLOTHS = (
    (0.52, 0.51, 0.50), (0.76, 0.70, 0.60), (0.17, 0.22, 0.33), (0.24, 0.33, 0.25),
    (0.74, 0.56, 0.22), (0.58, 0.28, 0.18), (0.42, 0.14, 0.18), (0.22, 0.22, 0.23),
    (0.84, 0.82, 0.78), (0.36, 0.48, 0.52), (0.70, 0.52, 0.50),
)  # fmt: skip


def wall(rng: np.random.Generator) -> Colour:
    """Draw a paint for walls: mostly near white, often tinted, sometimes deep."""
    kind = rng.choice(3, p=[0.45, 0.35, 0.2])
    return _varied((_WHITES, _TINTS, _DEEPS)[kind], rng, 0.06)


def accent(rng: np.random.Generator) -> Colour:
    """Draw a paint for the one wall that differs."""
    return _varied(_DEEPS if rng.random() < 0.5 else _TINTS, rng, 0.1)


def wood(rng: np.random.Generator) -> Colour:
    """Draw the colour of furniture or boards: a wood, or paint on it."""
    return _varied(_WOODS if rng.random() < 0.65 else _LACQUERS, rng, 0.12)


def floor_wood(rng: np.random.Generator) -> Colour:
    """Draw the colour of floor boards."""
    return _varied(_WOODS, rng, 0.12)


def stone(rng: np.random.Generator) -> Colour:
    """Draw the colour of tiles or bricks."""
    stones = (*_WHITES, *_LACQUERS[2:], *_WOODS[3:4], *_DEEPS[4:5], *_TINTS[5:8])
    return _varied(stones, rng, 0.1)


def cloth(rng: np.random.Generator) -> Colour:
    """Draw the colour of a sofa, curtain, bed or rug."""
    return _varied(_CLOTHS, rng, 0.15)


def _varied(
    choices: tuple[tuple[float, float, float], ...], rng: np.random.Generator, spread: float
) -> Colour:
    colour = np.array(choices[int(rng.integers(len(choices)))])
    level = rng.uniform(1.0 - spread, 1.0 + spread)
    return np.clip(colour * level * (1.0 + 0.3 * spread * rng.uniform(-1.0, 1.0, 3)), 0.03, 0.97)
