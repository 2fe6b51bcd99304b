"""Scores surfaces against a scan, one renderer and one set of trees for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eval.alignment import aligned
from eval.heat import heat_colours
from eval.metrics import Measured
from eval.normal_maps import (
    LoadedSurface,
    NormalViews,
    PaintedViews,
    SurfaceRenderer,
    framed_from_cm,
)
from eval.protocol import (
    Candidate,
    SampleKey,
    SampleScore,
    ScoreConfig,
    Truth,
    length_factor,
    scan_occupancy,
    score_sample,
)
from eval.statistics import sample_rng
from eval.surfaces import MetricError, Surface
from eval.volumes import Occupancy, occupancy, self_occluded_share, voxel_pitch_cm
from render.closing import Closing

FACE_HALF_WIDTH = 0.085
"""Half the width of a face close-up, as a share of the scan's height."""

_OCCLUSION_VOXELS = 96
_HEAD_SHARE, _FACE_SHARE = 0.1, 0.07


@dataclass(frozen=True)
class LoadedScan:
    """A scan, prepared for all its views.

    Attributes:
        surface: cm.
        body: on the GPU.
        inside: its voxels for the metric `iou`, or None.
        face_cm: (3,) middle of the face in the scan's frame.
    """

    surface: Surface
    body: LoadedSurface
    inside: Occupancy | None
    face_cm: NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceViews:
    """What is drawn of one surface in a report.

    Attributes:
        sides: normals from four sides.
        face: normals of the face, enlarged; one view.
        heat: the surface from four sides, painted with its distance to the scan; None for the
            scan itself.
    """

    sides: NormalViews
    face: NormalViews
    heat: PaintedViews | None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A reconstruction as its method made it.

    Attributes:
        method: name.
        surface: cm, scan frame, not aligned yet.
        of_maps: the columns of the metric `maps`.
        seconds: time that it took.
    """

    method: str
    surface: Surface
    of_maps: Mapping[str, Measured] = field(default_factory=dict)
    seconds: float | None = None


class SurfaceScorer(Closing):
    """Aligns, renders and scores; holds a GL context, so use it with `with`.

    Args:
        config: what is measured.

    Raises:
        ContextError: no GL context can be made.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.config = config
        self.renderer = SurfaceRenderer(config.normal_resolution)

    def close(self) -> None:
        """Give the GL context back."""
        self.renderer.close()

    @contextmanager
    def loaded(
        self, scan: Surface, face_cm: NDArray[np.floating] | None = None
    ) -> Iterator[LoadedScan]:
        """Prepare a scan for all its views.

        Args:
            scan: cm.
            face_cm: (3,) middle of the face; None: where it is on who stands upright.
        """
        frame = framed_from_cm(scan)
        face = upright_face_cm(scan) if face_cm is None else np.asarray(face_cm, dtype=np.float64)
        inside = scan_occupancy(scan, self.config)
        with self.renderer.loaded(scan, frame) as body:
            yield LoadedScan(scan, body, inside, face)

    def truth(self, scan: LoadedScan, key: SampleKey, rotation: NDArray[np.floating]) -> Truth:
        """Return what predictions of one view are compared with.

        Args:
            scan: of `loaded`.
            key: the sample.
            rotation: (3, 3), from the scan's axes to the camera's of the input view.
        """
        normals = self.renderer.four_sides(scan.body, rotation) if self.config.renders else None
        return Truth(key, scan.surface, normals, scan.inside)

    def views(self, scan: LoadedScan, rotation: NDArray[np.floating], truth: Truth) -> SurfaceViews:
        """Return what is drawn of the scan itself; `truth` saves what it has rendered."""
        sides = truth.normals
        if sides is None:
            sides = self.renderer.four_sides(scan.body, rotation)
        return SurfaceViews(sides, self._face(scan, scan.body, rotation), None)

    def score(
        self,
        attempt: Attempt,
        scan: LoadedScan,
        truth: Truth,
        rotation: NDArray[np.floating],
        drawn: bool = False,
    ) -> tuple[SampleScore, SurfaceViews | None, Surface]:
        """Align a reconstruction as the config says, and score it.

        Returns:
            Its scores, what is drawn of it (None unless asked for), and the surface as it was
            measured.

        Raises:
            MetricError: a metric cannot be computed.
        """
        key, config = truth.key, self.config
        rng = sample_rng(config.seed, key.scan_id, key.view, "alignment")
        surface, alignment = aligned(attempt.surface, scan.surface, config.align, rng)
        normals, shown = None, None
        if drawn or config.renders:
            colours = None
            if drawn:
                factor = length_factor(scan.surface, config.scale)
                colours = heat_colours(factor * scan.surface.distances(surface.vertices))
            with self.renderer.loaded(surface, scan.body.framed_from_cm, colours) as body:
                painted = self.renderer.painted_sides(body, rotation)
                normals = painted.views
                if drawn:
                    shown = SurfaceViews(normals, self._face(scan, body, rotation), painted)
        candidate = Candidate(
            method=attempt.method,
            surface=surface,
            normals=normals,
            of_maps=attempt.of_maps,
            seconds=attempt.seconds,
            alignment=alignment,
        )
        return score_sample(candidate, truth, config), shown, surface

    def _face(
        self, scan: LoadedScan, body: LoadedSurface, rotation: NDArray[np.floating]
    ) -> NormalViews:
        height = float(np.ptp(scan.surface.bounds, axis=0)[1])
        return self.renderer.close_up(body, rotation, scan.face_cm, FACE_HALF_WIDTH * height)


def upright_face_cm(scan: Surface) -> NDArray[np.float64]:
    """Return the (3,) middle, cm, of the face of a scan that stands with its arms down."""
    points = scan.vertices[scan.faces.reshape(-1)]
    low, high = scan.bounds[:, 1]
    head = points[points[:, 1] >= high - _HEAD_SHARE * (high - low)]
    middle = (head.min(axis=0) + head.max(axis=0)) / 2.0
    middle[1] = high - _FACE_SHARE * (high - low)
    return np.asarray(middle)


def occlusion_voxels(scan: LoadedScan) -> Occupancy:
    """Return the voxels that `occluded_share` looks through."""
    # Every voxel of it becomes a point, so a fine lattice would fill the memory.
    if scan.inside is not None and max(scan.inside.inside.shape) <= 2 * _OCCLUSION_VOXELS:
        return scan.inside
    return occupancy(scan.surface, voxel_pitch_cm(scan.surface, _OCCLUSION_VOXELS))


def occluded_share(voxels: Occupancy, rotation: NDArray[np.floating]) -> float | None:
    """Return `eval.volumes.self_occluded_share`; None of a scan that encloses nothing."""
    try:
        return self_occluded_share(voxels, rotation)
    except MetricError:
        return None
