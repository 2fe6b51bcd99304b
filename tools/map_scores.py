"""Predicted maps of a view against those of its shard: the metric `maps`."""

from __future__ import annotations

import numpy as np

from dataset.shards import ShardReader
from eval.maps import map_depth_error_cm
from eval.metrics import Measured
from eval.normal_maps import TwoSidedNormals
from eval.normals import normal_error_rad, silhouette_iou
from model.meshing import DepthMaps
from model.view_files import picked_pixels, reduction_factor
from tools.baselines import true_maps


def map_values(
    maps: DepthMaps, normals: TwoSidedNormals, reader: ShardReader, view: int
) -> dict[str, Measured]:
    """Return the columns of the metric `maps`, at the resolution of the prediction.

    Args:
        maps: predicted depth, its resolution a whole fraction of the shard's.
        normals: predicted normals of the same pixels.
        reader: the shard.
        view: the view.

    Raises:
        MetricError: no pixel is in both masks.
    """
    pick = picked_pixels(reduction_factor(reader.resolution, maps.resolution))
    true = true_maps(reader, view)
    mask = true.mask[pick, pick]
    cm_per_unit = reader.unit_cm / float(
        np.cbrt(np.linalg.det(reader.normalised_from_scan[:3, :3]))
    )
    depths = [
        cm_per_unit * np.stack(pair)
        for pair in ((maps.front, maps.back), (true.front[pick, pick], true.back[pick, pick]))
    ]
    predicted = np.stack([normals.front, normals.back])
    true_normals = np.stack([reader.read(f"normal/{side}", view) for side in ("front", "back")])
    error = normal_error_rad(
        predicted,
        np.stack([normals.mask] * 2) & (np.abs(predicted).sum(axis=-1) > 0),
        true_normals[:, pick, pick],
        np.stack([mask] * 2),
    )
    return {
        "map_depth_error_cm": map_depth_error_cm(depths[0], depths[1], maps.mask & mask),
        "map_normal_error_rad": Measured(error.mean_rad, error.pixels),
        "map_mask_iou": silhouette_iou(maps.mask[None], mask[None]),
    }
