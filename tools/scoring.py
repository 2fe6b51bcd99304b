"""Views of a shard set are reconstructed by named methods, scored and pictured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dataset.shards import ShardError, ShardReader, ShardSet, ViewRef
from eval.metrics import MAP_METRICS, Measured
from eval.normal_maps import TwoSidedNormals, normalised_from_cm
from eval.page import PackedPictures, SampleId, pack_pictures
from eval.pictures import SamplePictures, SidePictures
from eval.protocol import SampleKey, SampleScore, ScoreConfig, Truth
from eval.results import Failure, Results, summarise
from eval.scorer import Attempt, LoadedScan, SurfaceScorer, occluded_share, occlusion_voxels
from eval.surfaces import Surface
from eval.volumes import Occupancy
from model.meshing import DepthMaps
from model.predict import Predictor
from model.view_files import picked_pixels, reduction_factor
from render.camera import transform_points
from tools.baselines import (
    Baselines,
    person_mask,
    reconstruct_surface,
    scan_surface,
    true_maps,
)
from tools.map_scores import map_values
from tools.pose_classes import face_of, pose_class
from tools.sample_failures import ALL_METHODS, failure_of, pictures_may_fail
from tools.sample_pictures import Painter


@dataclass(frozen=True)
class Reconstruction:
    """What a method makes of one view.

    Attributes:
        maps: depth of both sides, at any resolution.
        normals: the method's own normal maps in the camera frame, at the same resolution;
            None takes those of the mesh.
        network_seconds: time of the networks alone; None without networks.
    """

    maps: DepthMaps
    normals: TwoSidedNormals | None = None
    network_seconds: float | None = None


Reconstruct = Callable[[ShardReader, int], Reconstruction]


@dataclass(frozen=True)
class Scored:
    """Results, and the pictures that go with them.

    Attributes:
        results: scores, summaries, failures.
        packed: pictures for the report, by (scan id, view).
        overview: label and pictures of a few samples of different subjects.
    """

    results: Results
    packed: dict[SampleId, PackedPictures]
    overview: list[tuple[str, SamplePictures]]


def oracle(reader: ShardReader, view: int) -> Reconstruction:
    """Return the ground truth itself: what meshing and resolution alone cost."""
    return Reconstruction(true_maps(reader, view))


def network_method(predictor: Predictor) -> Reconstruct:
    """Return a trained network as a method; it uses its own mask."""

    def network(reader: ShardReader, view: int) -> Reconstruction:
        made = predictor.predict(reader.read("image/front", view), reader.read("joints/2d", view))
        covered = made.maps.mask & (np.abs(made.normal_front).sum(axis=-1) > 0)
        normals = TwoSidedNormals(made.normal_front, made.normal_back, covered)
        return Reconstruction(made.maps, normals, made.seconds)

    return network


def baseline_methods(baselines: Baselines, resolution: int) -> dict[str, Reconstruct]:
    """Return both baselines as methods that see the ground-truth mask alone.

    Args:
        baselines: fitted.
        resolution: at which they are meshed, a whole fraction of the shards': the network's.
    """

    def mask_of(reader: ShardReader, view: int) -> NDArray[np.bool_]:
        factor = reduction_factor(reader.resolution, resolution)
        pick = picked_pixels(factor)
        return person_mask(reader, view)[pick, pick]

    def flat_card(reader: ShardReader, view: int) -> Reconstruction:
        return Reconstruction(baselines.card.maps(mask_of(reader, view)))

    def inflated_silhouette(reader: ShardReader, view: int) -> Reconstruction:
        camera = replace(reader.camera, resolution=resolution)
        return Reconstruction(baselines.inflated.maps(mask_of(reader, view), camera))

    return {"flat card": flat_card, "inflated silhouette": inflated_silhouette}


@dataclass(frozen=True)
class _Body:
    """A scan, measured once for all its views."""

    reader: ShardReader
    scan: LoadedScan
    voxels: Occupancy
    to_normalised: NDArray[np.float64]


@dataclass
class _Collected:
    scores: list[SampleScore] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    packed: dict[SampleId, PackedPictures] = field(default_factory=dict)
    overview: list[tuple[str, SamplePictures]] = field(default_factory=list)


class Scorer:
    """Scores methods on views; holds one GL context for all of them, so use it with `with`.

    Args:
        shards: where the views are.
        methods: name -> what reconstructs; the first one is shown in the overview.
        config: what is measured.

    Raises:
        ContextError: no GL context can be made.
    """

    def __init__(
        self, shards: ShardSet, methods: Mapping[str, Reconstruct], config: ScoreConfig
    ) -> None:
        self._shards, self._methods, self._config = shards, dict(methods), config
        self._surfaces = SurfaceScorer(config)

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._surfaces.close()

    def score(
        self,
        views: Sequence[ViewRef],
        source: Mapping[str, str],
        pictured: Sequence[ViewRef] = (),
        overview: Sequence[ViewRef] = (),
        step: Callable[[], object] = lambda: None,
    ) -> Scored:
        """Score every method on every view.

        A sample that fails is listed and the rest goes on.

        Args:
            views: what to score, grouped by scan.
            source: told in the results.
            pictured: views that get pictures in the report.
            overview: views whose pictures are kept whole.
            step: called after every view.

        Raises:
            ShardError: no scan of the views has its mesh stored.
        """
        self._check_meshes(views)
        done = _Collected()
        for scan_id in dict.fromkeys(ref.scan_id for ref in views):
            own = [ref for ref in views if ref.scan_id == scan_id]
            self._score_scan(scan_id, own, done, set(pictured), set(overview), step)
        expected = len(views)
        results = Results(
            config=self._config,
            methods=tuple(
                summarise(name, done.scores, self._config, expected) for name in self._methods
            ),
            scores=tuple(done.scores),
            failures=tuple(done.failures),
            source=dict(source),
        )
        return Scored(results, done.packed, done.overview)

    def _check_meshes(self, views: Sequence[ViewRef]) -> None:
        scan_ids = dict.fromkeys(ref.scan_id for ref in views)
        for scan_id in scan_ids:
            try:
                with self._shards.open(scan_id) as reader:
                    if reader.has_mesh:
                        return
            except ShardError:
                continue  # one bad shard among good ones is listed later, not fatal here
        raise ShardError(
            f"{self._shards.root}: expected the meshes of the scans to score, found none that can "
            "be read (render with --store-mesh eval or all)"
        )

    def _score_scan(
        self,
        scan_id: str,
        views: Sequence[ViewRef],
        done: _Collected,
        pictured: set[ViewRef],
        overview: set[ViewRef],
        step: Callable[[], object],
    ) -> None:
        with ExitStack() as stack:
            try:
                body = self._body(scan_id, stack)
            except Exception as error:  # one bad shard must not cost the scores of the others
                for ref in views:
                    done.failures.append(failure_of(ALL_METHODS, ref.scan_id, ref.view, error))
                    step()
                return
            for ref in views:
                try:
                    self._score_view(body, ref, done, ref in pictured, ref in overview)
                except Exception as error:
                    done.failures.append(failure_of(ALL_METHODS, ref.scan_id, ref.view, error))
                step()

    def _body(self, scan_id: str, stack: ExitStack) -> _Body:
        reader = stack.enter_context(self._shards.open(scan_id))
        surface = scan_surface(reader)
        to_normalised = normalised_from_cm(reader.normalised_from_scan, reader.unit_cm)
        normalised = face_of(reader.read("joints/3d", 0))
        face = None
        if normalised is not None:
            face = transform_points(np.linalg.inv(to_normalised), normalised)
        scan = stack.enter_context(self._surfaces.loaded(surface, face))
        return _Body(reader, scan, occlusion_voxels(scan), to_normalised)

    def _score_view(
        self, body: _Body, ref: ViewRef, done: _Collected, pictured: bool, overview: bool
    ) -> None:
        reader, view = body.reader, ref.view
        rotation = reader.pose(view)[:3, :3]
        key = SampleKey(
            scan_id=ref.scan_id,
            subject=ref.subject,
            view=view,
            yaw_deg=reader.yaw_deg(view),
            pose_class=pose_class(reader.read("joints/3d", view)),
            occluded_share=occluded_share(body.voxels, rotation),
        )
        truth = self._surfaces.truth(body.scan, key, rotation)
        painter = None
        if pictured or overview:
            with pictures_may_fail(ref.scan_id, view):
                shown = self._surfaces.views(body.scan, rotation, truth)
                painter = Painter(reader, view, shown, body.to_normalised)
        sides = []
        for name, reconstruct in self._methods.items():
            try:
                score, side = self._score_method(name, reconstruct, body, truth, painter)
            except Exception as error:
                done.failures.append(failure_of(name, ref.scan_id, ref.view, error))
                continue
            done.scores.append(score)
            sides.append(side)
        if painter is None:
            return
        with pictures_may_fail(ref.scan_id, view):
            pictures = painter.sample(tuple(side for side in sides if side is not None))
            if pictured:
                done.packed[(ref.scan_id, view)] = pack_pictures(pictures)
            first = next(iter(self._methods))
            if overview and any(side.name == first for side in pictures.methods):
                done.overview.append((ref.scan_id, pictures))

    def _score_method(
        self,
        name: str,
        reconstruct: Reconstruct,
        body: _Body,
        truth: Truth,
        painter: Painter | None,
    ) -> tuple[SampleScore, SidePictures | None]:
        reader, view = body.reader, truth.key.view
        begin = time.perf_counter()
        made = reconstruct(reader, view)
        surface = reconstruct_surface(made.maps, reader, view)
        seconds = time.perf_counter() - begin
        with_maps = bool(set(MAP_METRICS) & set(self._config.metrics))
        own_normals = made.normals
        if own_normals is None and (with_maps or painter is not None):
            own_normals = self._mesh_normals(surface, body, view, made.maps.resolution)
        of_maps: dict[str, Measured] = {}
        if with_maps and own_normals is not None:
            of_maps = map_values(made.maps, own_normals, reader, view)
        attempt = Attempt(method=name, surface=surface, of_maps=of_maps, seconds=seconds)
        rotation = reader.pose(view)[:3, :3]
        score, shown, _ = self._surfaces.score(
            attempt, body.scan, truth, rotation, drawn=painter is not None
        )
        side = None
        if painter is not None and shown is not None and own_normals is not None:
            with pictures_may_fail(truth.key.scan_id, view):
                side = painter.side(name, made.maps, own_normals, shown)
        return score, side

    def _mesh_normals(
        self, surface: Surface, body: _Body, view: int, resolution: int
    ) -> TwoSidedNormals:
        camera = replace(body.reader.camera, resolution=resolution)
        camera_from_cm = body.reader.pose(view) @ body.to_normalised
        renderer = self._surfaces.renderer
        with renderer.loaded(surface, body.scan.body.framed_from_cm) as loaded:
            return renderer.both_sides(loaded, camera_from_cm, camera)
