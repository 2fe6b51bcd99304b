"""Several people in one view: who is in front in every pixel, and the back side of that one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from render.gbuffer import GBuffer, SideBuffer


def merge_people(views: Iterable[GBuffer]) -> tuple[GBuffer, NDArray[np.uint8]]:
    """Merge views of people, each drawn alone by the same camera, into the view of all.

    The person whose front is nearest has the pixel, on both sides: the back is the farthest
    surface of the same person, whoever stands behind. Where only rims of people meet, the one
    who covers more of the pixel gives it its colour. Coverage is that of all of them, taken
    as independent where several cover a part of a pixel.

    Args:
        views: one of each person; at least one. They are asked for one after the other.

    Returns:
        The view of all; (R, R) uint8 instance mask, 0 on the background and k on the k-th
        person, above 0 where the mask is.

    Raises:
        ValueError: there is no view.
    """
    merged, instance = None, np.zeros((0, 0), dtype=np.uint8)
    for number, view in enumerate(views, start=1):
        if merged is None:
            merged, instance = view, (view.mask > 0).astype(np.uint8)
            continue
        is_nearer = (merged.mask == 0) | (view.front.ray_distance < merged.front.ray_distance)
        wins = (view.mask > 0) & is_nearer
        has_rim = (view.mask == 0) & (merged.mask == 0) & (view.coverage > merged.coverage)
        instance = np.where(wins, np.uint8(number), instance)
        merged = GBuffer(
            front=_chosen(view.front, merged.front, wins | has_rim),
            back=_chosen(view.back, merged.back, wins | has_rim),
            mask=np.where(wins, view.mask, merged.mask),
            coverage=_union(view.coverage, merged.coverage),
        )
    if merged is None:
        raise ValueError("views: expected at least one person, got none")
    return merged, instance


def _chosen(one: SideBuffer, other: SideBuffer, wants_one: NDArray[np.bool_]) -> SideBuffer:
    wanted = wants_one[..., None]
    return SideBuffer(
        albedo=np.where(wanted, one.albedo, other.albedo),
        normal=np.where(wanted, one.normal, other.normal),
        ray_distance=np.where(wants_one, one.ray_distance, other.ray_distance),
    )


def _union(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return round(255 (1 - (1 - a / 255) (1 - b / 255)))."""
    free = (255 - one).astype(np.uint16) * (255 - other)
    return (255 - (free + 127) // 255).astype(np.uint8)
