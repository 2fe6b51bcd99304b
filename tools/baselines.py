"""The trivial reconstructions that a network has to beat.

Both get the ground-truth mask and the same meshing as the network, and learn their few
numbers from the training split alone:

* flat card: front and back each at one depth, the mean of the training split;
* inflated silhouette: offset -/+ c sqrt(t), with t the distance to the silhouette's edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from dataset.shards import ShardError, ShardReader, ShardSet, ViewRef
from eval.surfaces import Surface
from model.meshing import DepthMaps, mesh_in_scan_frame, stitch
from render.camera import Camera, transform_points

Item = TypeVar("Item")

MEAN_VIEWS = 64
FIT_VIEWS = 8
FIT_FACES = 2_000
FIT_STEPS = 40
FIT_RESOLUTION = 256


@dataclass(frozen=True)
class FlatCard:
    """Front and back at one ray distance each, normalised units."""

    front: float
    back: float

    def maps(self, mask: NDArray[np.bool_]) -> DepthMaps:
        """Return the card cut out along a (R, R) bool mask."""
        return DepthMaps(
            front=np.where(mask, self.front, 0.0).astype(np.float32),
            back=np.where(mask, self.back, 0.0).astype(np.float32),
            mask=mask,
        )


@dataclass(frozen=True)
class InflatedSilhouette:
    """Depth offset -/+ scale * sqrt(t), t the distance to the edge.

    Attributes:
        offset: ray distance of the middle between both sides, normalised units.
        scale: c; t is in pixels divided by the focal length in pixels, so that one fit
            holds at every resolution.
    """

    offset: float
    scale: float

    def maps(self, mask: NDArray[np.bool_], camera: Camera) -> DepthMaps:
        """Return the inflated shape of a (R, R) bool mask seen by a camera."""
        half = self.scale * np.sqrt(edge_distance(mask) / camera.focal_px)
        return DepthMaps(
            front=np.where(mask, self.offset - half, 0.0).astype(np.float32),
            back=np.where(mask, self.offset + half, 0.0).astype(np.float32),
            mask=mask,
        )


def edge_distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (R, R) distance to the nearest pixel outside the mask, pixels; 0 outside.

    The image border counts as outside.
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance[1:-1, 1:-1], dtype=np.float64)


def person_mask(reader: ShardReader, view: int) -> NDArray[np.bool_]:
    """Return the (R, R) bool ground-truth mask of a view."""
    return reader.read("mask", view) > 0


def true_maps(reader: ShardReader, view: int) -> DepthMaps:
    """Return the ground-truth depth maps of a view."""
    return DepthMaps(
        front=reader.read("depth/front", view),
        back=reader.read("depth/back", view),
        mask=person_mask(reader, view),
    )


def reconstruct_surface(maps: DepthMaps, reader: ShardReader, view: int) -> Surface:
    """Mesh depth maps of a view and return the surface in the scan frame, centimetres.

    Args:
        maps: of any resolution.
        reader: the shard of the scan, for its frames and unit.
        view: whose pose the maps are in.
    """
    camera = replace(reader.camera, resolution=maps.resolution)
    mesh = mesh_in_scan_frame(stitch(maps, camera), reader.pose(view), reader.normalised_from_scan)
    return Surface(
        np.asarray(mesh.vertices) * reader.unit_cm, np.asarray(mesh.faces, dtype=np.int64)
    )


def scan_surface(reader: ShardReader) -> Surface:
    """Return the scan that a shard was rendered from, scan frame, centimetres.

    Raises:
        ShardError: the shard does not hold it.
    """
    vertices, faces = reader.mesh()
    return Surface(vertices * reader.unit_cm, faces.astype(np.int64))


def spread(views: Sequence[Item], limit: int) -> list[Item]:
    """Return at most `limit` views, evenly spread over the list (so over scans and turns)."""
    if len(views) <= limit:
        return list(views)
    return [views[int(place)] for place in np.linspace(0, len(views) - 1, limit).round()]


def training_views(shards: ShardSet, limit: int) -> list[ViewRef]:
    """Return at most `limit` evenly spread training views.

    Raises:
        ShardError: the training split is empty.
    """
    views = shards.views("train")
    if not views:
        raise ShardError(f"{shards.root}: expected scans in the train split, found none")
    return spread(views, limit)


def fit_flat_card(shards: ShardSet, limit: int = MEAN_VIEWS) -> FlatCard:
    """Return the card at the mean depths of the training split's person pixels."""
    sums, count = np.zeros(2), 0
    for ref in training_views(shards, limit):
        with shards.open(ref.scan_id) as reader:
            maps = true_maps(reader, ref.view)
        sums += [side[maps.mask].sum(dtype=np.float64) for side in (maps.front, maps.back)]
        count += int(maps.mask.sum())
    if count == 0:
        raise ShardError(f"{shards.root}: expected person pixels in the train split, found none")
    front, back = sums / count
    return FlatCard(front=float(front), back=float(back))


@dataclass(frozen=True)
class _FitView:
    """A training view, prepared so that no step of the fit has to mesh it again.

    Attributes:
        directions: (V, 3) unit rays of the meshed silhouette's vertices, camera frame.
        signed_roots: (V,) sqrt(t), negative on the front.
        faces: (K, 3) faces at which P2S is measured.
        cm_from_camera: (4, 4), to the scan frame in centimetres.
        scan: the scan.
    """

    directions: NDArray[np.float64]
    signed_roots: NDArray[np.float64]
    faces: NDArray[np.int64]
    cm_from_camera: NDArray[np.float64]
    scan: Surface

    def p2s_cm(self, offset: float, scale: float) -> float:
        """Return P2S, prediction to scan, with every chosen face weighted by its area.

        The faces stay the same from step to step, so the value changes smoothly.
        """
        points = self.directions * (offset + scale * self.signed_roots)[:, None]
        corners = transform_points(self.cm_from_camera, points)[self.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        distances = self.scan.distances(corners.mean(axis=1))
        return float(np.average(distances, weights=np.linalg.norm(normals, axis=1)))


def _fit_view(mask: NDArray[np.bool_], reader: ShardReader, view: int) -> _FitView:
    size = min(FIT_RESOLUTION, mask.shape[0])
    share = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    camera = replace(reader.camera, resolution=size)
    mesh = stitch(InflatedSilhouette(1.0, 1.0).maps(np.asarray(share >= 0.5), camera), camera)
    distances = np.linalg.norm(mesh.vertices, axis=1)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    to_cm = np.diag([reader.unit_cm] * 3 + [1.0])
    return _FitView(
        directions=np.asarray(mesh.vertices) / distances[:, None],
        signed_roots=distances - 1.0,
        faces=faces[:: max(1, len(faces) // FIT_FACES)],
        cm_from_camera=to_cm @ np.linalg.inv(reader.pose(view) @ reader.normalised_from_scan),
        scan=scan_surface(reader),
    )


def fit_inflated_silhouette(
    shards: ShardSet, limit: int = FIT_VIEWS, steps: int = FIT_STEPS
) -> InflatedSilhouette:
    """Fit offset and scale for the lowest mean P2S (prediction to scan) on training views.

    Starts from the least-squares fit to the depth maps and descends with Nelder-Mead.

    Args:
        shards: the training split's scans must be stored in it.
        limit: number of views.
        steps: evaluations of the mean P2S at most.

    Raises:
        ShardError: the split is empty, or its meshes are not stored.
    """
    views, rows = [], []
    for ref in training_views(shards, limit):
        with shards.open(ref.scan_id) as reader:
            if not reader.has_mesh:
                raise ShardError(
                    f"{reader.path}: expected the mesh of a training scan for the inflated "
                    "silhouette, found none stored (render with --store-mesh all)"
                )
            maps = true_maps(reader, ref.view)
            views.append(_fit_view(maps.mask, reader, ref.view))
            rows.append(_least_squares_terms(maps, reader.camera))
    terms = np.concatenate(rows)
    offset = float(terms[:, 1].mean())
    scale = float((terms[:, 0] * terms[:, 2]).sum() / (terms[:, 0] ** 2).sum())

    def mean_p2s(parameters: NDArray[np.float64]) -> float:
        return float(
            np.mean([view.p2s_cm(float(parameters[0]), abs(parameters[1])) for view in views])
        )

    start = np.array([offset, scale])
    simplex = np.array([start, start + [0.01, 0.0], start + [0.0, 0.15 * scale]])
    found = minimize(
        mean_p2s,
        start,
        method="Nelder-Mead",
        options={"maxfev": steps, "initial_simplex": simplex, "xatol": 2e-4, "fatol": 1e-3},
    )
    return InflatedSilhouette(offset=float(found.x[0]), scale=float(abs(found.x[1])))


def _least_squares_terms(maps: DepthMaps, camera: Camera) -> NDArray[np.float64]:
    """Return (N, 3): sqrt(t), middle depth and half thickness of every person pixel."""
    root = np.sqrt(edge_distance(maps.mask) / camera.focal_px)
    middle, half = (maps.back + maps.front) / 2.0, (maps.back - maps.front) / 2.0
    return np.stack([values[maps.mask] for values in (root, middle, half)], axis=1)


@dataclass(frozen=True)
class Baselines:
    """Both baselines, fitted on one training split."""

    card: FlatCard
    inflated: InflatedSilhouette

    def describe(self) -> str:
        """Return the fitted numbers in one line."""
        return (
            f"flat card: front {self.card.front:.4f}, back {self.card.back:.4f}; "
            f"inflated silhouette: offset {self.inflated.offset:.4f}, c {self.inflated.scale:.4f} "
            "(normalised units, train split)"
        )


def fit_baselines(shards: ShardSet) -> Baselines:
    """Fit both baselines on the training split of a shard set.

    Raises:
        ShardError: the training split is empty, or its meshes are not stored.
    """
    return Baselines(card=fit_flat_card(shards), inflated=fit_inflated_silhouette(shards))
