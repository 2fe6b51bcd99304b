"""Changes of a picture alone: colours, edges, and what a lens, a sensor and a file add.

Pictures are (H, W, 3) uint8 sRGB, in and out; the steps of a camera come one after the other,
each on bytes, which is several times as fast as on floats.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.augment.arrays import Window
from render.colour import LUMA

Picture = NDArray[np.uint8]

LEAST_BLUR = 0.2
"""Standard deviation below which a Gaussian changes nothing that bytes can show, pixels."""

EDGE_SIGMA = 0.8
"""Standard deviation of the softened seam, pixels."""

NOISE_GRAIN = 2
"""Width of the sensor's grain, pixels: colours are interpolated from a mosaic of filters."""


def colour_matrix(
    brightness: float, contrast: float, saturation: float, mean_grey: float
) -> NDArray[np.float64]:
    """Return the (3, 4) affine map of colours that scales the three, in this order.

    Args:
        brightness, contrast, saturation: factors; 1 changes nothing, 0 leaves black, the mean
            grey of the image, and greys.
        mean_grey: mean luma of the image, in the unit of its colours.
    """
    colours = saturation * np.eye(3) + (1.0 - saturation) * LUMA.astype(np.float64)
    offset = np.full((3, 1), (1.0 - contrast) * brightness * mean_grey)
    return np.hstack([contrast * brightness * colours, offset])


def _mean_grey(image: NDArray) -> float:
    return float(np.dot(cv2.mean(image)[:3], LUMA))


def scale_colours(
    image: Picture, brightness: float, contrast: float, saturation: float
) -> NDArray[np.float32]:
    """Return an image in 0..1 with brightness, contrast and saturation scaled, in this order.

    Args:
        image: (H, W, 3) uint8.
        brightness, contrast, saturation: as in `colour_matrix`.
    """
    values = image.astype(np.float32) / np.float32(255.0)
    matrix = colour_matrix(brightness, contrast, saturation, _mean_grey(values))
    return np.asarray(cv2.transform(values, matrix), dtype=np.float32)


def dull_colours(image: Picture, lowest: float, rng: np.random.Generator) -> Picture:
    """Return a picture with brightness, contrast and saturation scaled by [lowest, 1].

    Args:
        image: (H, W, 3) uint8.
        lowest: 1 changes nothing.
        rng: draws the three factors.
    """
    if lowest == 1.0:
        return image
    brightness, contrast, saturation = rng.uniform(lowest, 1.0, 3)
    matrix = colour_matrix(brightness, contrast, saturation, _mean_grey(image))
    return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)


def soften_edges(image: Picture, window: Window, silhouette: NDArray[np.bool_]) -> Picture:
    """Return a picture blurred along the outline of the person.

    What was composited has a seam that no lens draws, by which a network could tell the person.

    Args:
        image: (R, R, 3) uint8.
        window: where the silhouette lies in the picture.
        silhouette: (h, w) bool.
    """
    reach, size = int(np.ceil(3.0 * EDGE_SIGMA)), image.shape[0]
    rows, columns = (slice(max(s.start - reach, 0), min(s.stop + reach, size)) for s in window)
    part = np.ascontiguousarray(image[rows, columns])
    mask = np.zeros(part.shape[:2], dtype=np.uint8)
    mask[
        window[0].start - rows.start : window[0].stop - rows.start,
        window[1].start - columns.start : window[1].stop - columns.start,
    ] = silhouette
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    band = cv2.dilate(mask, cross) - cv2.erode(mask, cross, borderValue=1)
    cv2.copyTo(cv2.GaussianBlur(part, (0, 0), EDGE_SIGMA), band, part)
    softened = image.copy()
    softened[rows, columns] = part
    return softened


def blur_lens(image: Picture, sigma: float) -> Picture:
    """Return a picture blurred by a Gaussian of a standard deviation in pixels."""
    if sigma < LEAST_BLUR:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def add_noise(image: Picture, deviation: float, rng: np.random.Generator) -> Picture:
    """Return a picture with Gaussian noise in each channel.

    Photons are counted with a deviation that grows with the square root of light, which the
    curve of sRGB flattens (its exponent is 1 / 2.2): in its levels noise is alike everywhere.

    Args:
        image: (H, W, 3) uint8.
        deviation: standard deviation, levels of 255.
        rng: draws the noise.
    """
    if deviation <= 0.0:
        return image
    height, width = image.shape[:2]
    grains = (-(-height // NOISE_GRAIN), -(-width // NOISE_GRAIN), 3)
    noise = rng.standard_normal(grains, dtype=np.float32)
    # Linear interpolation between grains, half a grain apart in both directions, leaves 5/8 of
    # the deviation: a pixel is 3/4 of one grain and 1/4 of the next.
    noise *= np.float32(deviation * 8.0 / 5.0)
    grown = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(image, grown, dtype=cv2.CV_8U), dtype=np.uint8)


def compress(image: Picture, quality: int) -> Picture:
    """Return a picture as it comes back from a JPEG file of a quality of 1 to 100."""
    blue_first = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, file = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert read is not None  # it was encoded just now
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), dtype=np.uint8)
