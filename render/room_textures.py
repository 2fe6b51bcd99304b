"""Textures of rooms, painted with noise and lines; all are (N, N, 3) uint8 sRGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE = 256


def plain(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Paint or plaster: one colour (sRGB 0..1) with faint spots."""
    return _bytes(colour * (1.0 + 0.01 * _cloud(rng, 6) + 0.012 * _cloud(rng, 96))[..., None])


def stripes(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Striped wallpaper."""
    count = int(rng.integers(2, 7))
    phase = (np.arange(_SIZE) * count / _SIZE) % 1.0
    tone = np.where(phase < rng.uniform(0.3, 0.7), 1.0, rng.uniform(0.82, 0.94))
    return _bytes(colour * (tone[None, :] * (1.0 + 0.02 * _cloud(rng, 64)))[..., None])


def bricks(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bricks or tiles in running bond, with joints."""
    rows = int(rng.choice([4, 8, 12]))
    columns = rows // 2
    y, x = np.mgrid[0:_SIZE, 0:_SIZE] / _SIZE
    row = np.floor(y * rows).astype(int)
    shifted = x * columns + 0.5 * (row % 2)
    column = np.floor(shifted).astype(int) % columns
    tones = rng.normal(1.0, 0.09, (rows, columns))
    joint = (np.abs(y * rows % 1.0 - 0.5) > 0.45) | (np.abs(shifted % 1.0 - 0.5) > 0.475)
    image = colour * (tones[row, column] * (1.0 + 0.05 * _cloud(rng, 48)))[..., None]
    grout = np.full(3, rng.uniform(0.5, 0.85))
    return _bytes(np.where(joint[..., None], grout, image))


def planks(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Wooden boards that run upwards in the texture, with grain."""
    count = int(rng.integers(3, 8))
    x = np.arange(_SIZE) * count / _SIZE
    board = np.floor(x).astype(int)
    tones = rng.normal(1.0, 0.08, count)[board]
    streaks = cv2.resize(rng.normal(size=(6, _SIZE)), (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)
    grain = 1.0 + 0.05 * streaks + 0.04 * _cloud(rng, 12)
    seam = np.where(np.abs(x % 1.0 - 0.5) > 0.485, 0.6, 1.0)
    return _bytes(colour * (grain * (tones * seam)[None, :])[..., None])


def checks(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Floor tiles, of one colour or two."""
    count = int(rng.choice([2, 4]))
    y, x = np.mgrid[0:_SIZE, 0:_SIZE] * count / _SIZE
    other = rng.uniform(0.55, 1.0)
    tone = np.where((np.floor(x) + np.floor(y)) % 2 == 0, 1.0, other) * (1 + 0.04 * _cloud(rng, 24))
    joint = (np.abs(x % 1.0 - 0.5) > 0.485) | (np.abs(y % 1.0 - 0.5) > 0.485)
    return _bytes(colour * np.where(joint, 0.7, tone)[..., None])


def cloth(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A carpet or cover with fine noise."""
    return _bytes(colour * (1.0 + 0.07 * _cloud(rng, 128) + 0.03 * _cloud(rng, 10))[..., None])


def rug(rng: np.random.Generator, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A rug with fine noise and perhaps a border."""
    image = colour * (1.0 + 0.07 * _cloud(rng, 128) + 0.05 * _cloud(rng, 10))[..., None]
    if rng.random() < 0.5:
        y, x = np.abs(np.mgrid[0:_SIZE, 0:_SIZE] / _SIZE - 0.5)
        ring = (np.maximum(x, y) > 0.36) & (np.maximum(x, y) < 0.42)
        image = np.where(ring[..., None], rng.uniform(0.2, 0.9, 3), image)
    return _bytes(image)


def painting(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A framed abstract picture."""
    few = rng.uniform(0.05, 0.95, (int(rng.integers(2, 6)), int(rng.integers(2, 6)), 3))
    # Few pictures that people hang are as bright as a rainbow.
    dull = few.mean(axis=-1, keepdims=True) * rng.uniform(0.6, 1.1, 3)
    few = dull + rng.uniform(0.1, 0.7) * (few - dull)
    method = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST
    image = cv2.resize(few, (_SIZE, _SIZE), interpolation=method)
    edge = int(rng.integers(6, 20))
    frame = rng.choice([0.08, 0.35, 0.9]) * np.array([1.0, 0.9, 0.75])
    framed = np.tile(frame, (_SIZE, _SIZE, 1))
    framed[edge:-edge, edge:-edge] = image[edge:-edge, edge:-edge]
    return _bytes(framed)


def books(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Four shelves of books, seen from the front."""
    image = np.tile(rng.uniform(0.15, 0.4) * np.array([1.0, 0.8, 0.6]), (_SIZE, _SIZE, 1))
    shelf = _SIZE // 4
    for top in range(0, _SIZE, shelf):
        left = 4
        while left < _SIZE - 12:
            width, height = int(rng.integers(4, 14)), int(rng.integers(34, 56))
            rows = slice(top + shelf - 4 - height, top + shelf - 4)
            level, tint = rng.uniform(0.08, 0.8), rng.uniform(-0.45, 0.45, 3)
            image[rows, left : left + width] = level * (1.0 + tint)
            image[rows, left + width - 1] *= 0.5
            left += width + (int(rng.integers(4, 24)) if rng.random() < 0.08 else 0)
    return _bytes(image)


def window(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A window: sky, something green or built below, and a cross of frames."""
    heights = np.linspace(1.0, 0.0, _SIZE)[:, None, None]
    sky = np.array([0.75, 0.87, 1.0]) * heights + np.array([1.0, 0.99, 0.96]) * (1.0 - heights)
    image = np.tile(sky, (1, _SIZE, 1))
    outside = rng.choice([[0.35, 0.5, 0.25], [0.6, 0.55, 0.5], [0.5, 0.58, 0.6]])
    horizon = rng.uniform(0.5, 0.85) * _SIZE + 12.0 * _cloud(rng, 10)[0]
    below = np.arange(_SIZE)[:, None] > horizon[None, :]
    land = outside * (1.0 + 0.2 * _cloud(rng, 16))[..., None]
    image = np.where(below[..., None], 0.4 + 0.6 * land, image)
    bar = int(rng.integers(5, 10))
    middle = _SIZE // 2
    for part in (slice(0, bar), slice(middle - bar // 2, middle + bar // 2), slice(-bar, None)):
        image[part] = image[:, part] = 0.85
    return _bytes(image)


def _cloud(rng: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Return (N, N) smooth noise of about unit strength that repeats without a seam."""
    few = rng.normal(size=(cells, cells))
    wrapped = np.pad(few, 2, mode="wrap")
    step = _SIZE / cells
    side = int(round((cells + 4) * step))
    large = cv2.resize(wrapped, (side, side), interpolation=cv2.INTER_CUBIC)
    start = int(round(2 * step))
    return np.asarray(large[start : start + _SIZE, start : start + _SIZE])


def _bytes(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
