"""Distances between a predicted surface and a scan.

All take centimetres and give centimetres; both surfaces come in one frame, and nothing here
scales, aligns or hides. Points are drawn uniformly over the area of a surface, and each is
measured to the nearest point of the other *surface* (not to its nearest vertex or sample).
The intervals are those of the drawing: where the value would lie, with 95 % confidence, with
endlessly many points. They say nothing about other people; `eval.statistics` does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics import DEFAULT_SAMPLES, Measured
from eval.surfaces import Surface

_NORMAL_95 = 1.959964
"""Half width of the central 95 % of the standard normal distribution."""


def sampled_distances_cm(
    source: Surface, target: Surface, rng: np.random.Generator, samples: int = DEFAULT_SAMPLES
) -> NDArray[np.float64]:
    """Return the distances of random points of one surface to another.

    Args:
        source: cm; the points are uniform over its area.
        target: cm, same frame.
        rng: draws the points.
        samples: number of points.

    Returns:
        (samples,) float64, cm.
    """
    return target.distances(source.sample(samples, rng))


def p2s_pred_to_scan_cm(
    prediction: Surface,
    scan: Surface,
    rng: np.random.Generator,
    samples: int = DEFAULT_SAMPLES,
) -> Measured:
    """Return P2S: the mean distance from points of the prediction to the surface of the scan.

    The direction of PIFuHD's evaluator (lib/evaluator.py); the 2K2K paper names none. It does
    not see parts of the scan that are missing from the prediction: `p2s_scan_to_pred_cm` does.

    Args:
        prediction: cm, same frame as the scan.
        scan: cm.
        rng: draws the points, uniform over the area of the prediction.
        samples: number of points.
    """
    return mean_distance_cm(sampled_distances_cm(prediction, scan, rng, samples))


def p2s_scan_to_pred_cm(
    prediction: Surface,
    scan: Surface,
    rng: np.random.Generator,
    samples: int = DEFAULT_SAMPLES,
) -> Measured:
    """Return the mean distance from points of the scan to the surface of the prediction.

    What the evaluators of ICON and ECON call P2S (lib/dataset/Evaluator.py). It does not see
    what the prediction has too much. Arguments as in `p2s_pred_to_scan_cm`.
    """
    return mean_distance_cm(sampled_distances_cm(scan, prediction, rng, samples))


def mean_distance_cm(distances: NDArray[np.float64]) -> Measured:
    """Return the mean of (N,) distances, cm, with the interval of the drawing."""
    return _mean_of(distances)


def chamfer_cm(forth: NDArray[np.float64], back: NDArray[np.float64]) -> Measured:
    """Return the Chamfer distance, cm: the mean of both directed means (not their sum).

    As in the evaluators of PIFuHD, ICON and ECON.

    Args:
        forth: (N,) distances from the prediction to the scan, cm.
        back: (M,) distances from the scan to the prediction, cm.
    """
    return _half_of_both(_mean_of(forth), _mean_of(back))


def chamfer_squared_cm2(forth: NDArray[np.float64], back: NDArray[np.float64]) -> Measured:
    """Return the squared Chamfer distance, cm2: the mean of both directed means of squares.

    Works on point sets often give the sum of both (Fan et al. 2017), which is twice this.
    Arguments as in `chamfer_cm`.
    """
    return _half_of_both(_mean_of(forth**2), _mean_of(back**2))


def hausdorff_cm(forth: NDArray[np.float64], back: NDArray[np.float64]) -> Measured:
    """Return the Hausdorff distance, cm: the largest distance of either direction.

    The largest of the drawn points; the true one is at least as large, so there is no interval.
    Arguments as in `chamfer_cm`.
    """
    return Measured(float(max(forth.max(), back.max())), len(forth) + len(back))


def percentile_cm(distances: NDArray[np.float64], percent: float) -> Measured:
    """Return the distance, cm, that a share of (N,) distances stays below.

    The interval goes from one order statistic to another (binomial, normal approximation).

    Args:
        distances: (N,), cm.
        percent: 0..100.

    Raises:
        ValueError: `percent` is out of range.
    """
    if not 0.0 <= percent <= 100.0:
        raise ValueError(f"percent: expected 0 to 100, got {percent}")
    share, count = percent / 100.0, len(distances)
    spread = _NORMAL_95 * np.sqrt(share * (1.0 - share) / count)
    ends = np.clip([share - spread, share + spread], 0.0, 1.0)
    low, value, high = np.quantile(distances, [ends[0], share, ends[1]])
    return Measured(float(value), count, (float(low), float(high)))


def hausdorff_percentile_cm(
    forth: NDArray[np.float64], back: NDArray[np.float64], percent: float = 95.0
) -> Measured:
    """Return the larger of both directed percentiles, cm (at 95 known as HD95).

    Unlike `hausdorff_cm` it does not hang on a single point. Arguments as in `chamfer_cm`.
    """
    worse = max((percentile_cm(side, percent) for side in (forth, back)), key=lambda m: m.value)
    return Measured(worse.value, len(forth) + len(back), worse.interval)


def f_score(forth: NDArray[np.float64], back: NDArray[np.float64], threshold_cm: float) -> Measured:
    """Return the F-score at a threshold, 0..1: harmonic mean of precision and recall.

    Precision is the share of the prediction within the threshold of the scan, recall the share
    of the scan within the threshold of the prediction (Knapitsch et al. 2017; Tatarchenko et
    al. 2019). 0 where both are 0. The interval is the delta method's.

    Args:
        forth: (N,) distances from the prediction to the scan, cm.
        back: (M,) distances from the scan to the prediction, cm.
        threshold_cm: above 0; a distance equal to it counts as within.

    Raises:
        ValueError: the threshold is not above 0.
    """
    if not threshold_cm > 0.0:
        raise ValueError(f"threshold_cm: expected above 0, got {threshold_cm}")
    precision, recall = float(np.mean(forth <= threshold_cm)), float(np.mean(back <= threshold_cm))
    both = precision + recall
    count = len(forth) + len(back)
    if both == 0.0:
        return Measured(0.0, count, (0.0, 0.0))
    score = 2.0 * precision * recall / both
    variance = (2.0 * recall**2 / both**2) ** 2 * precision * (1.0 - precision) / len(forth)
    variance += (2.0 * precision**2 / both**2) ** 2 * recall * (1.0 - recall) / len(back)
    half = _NORMAL_95 * np.sqrt(variance)
    return Measured(score, count, (max(0.0, float(score - half)), min(1.0, float(score + half))))


def _mean_of(values: NDArray[np.float64]) -> Measured:
    mean, count = float(values.mean()), len(values)
    half = _NORMAL_95 * float(values.std(ddof=1)) / np.sqrt(count) if count > 1 else 0.0
    return Measured(mean, count, (float(mean - half), float(mean + half)))


def _half_of_both(forth: Measured, back: Measured) -> Measured:
    value = (forth.value + back.value) / 2.0
    # Both directions are drawn independently, so their variances add.
    half = 0.5 * float(np.hypot(_half_width(forth), _half_width(back)))
    return Measured(value, forth.samples + back.samples, (value - half, value + half))


def _half_width(measured: Measured) -> float:
    return 0.0 if measured.interval is None else measured.interval[1] - measured.value
