"""Meshes of any methods are scored against the scans that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.scans import Scan, find_scans, load_scan
from dataset.scans.meshes import read_scan_mesh
from eval.alignment import AlignmentMode
from eval.outputs import OutputConvention, OutputError, PredictionFacts, scan_from_output
from eval.page import PackedPictures, SampleId, pack_pictures
from eval.pairing import Pairing, Prediction, pair_outputs
from eval.pictures import SamplePictures, SidePictures, crop_around, surface_pictures
from eval.protocol import SampleKey, SampleScore, ScoreConfig
from eval.results import Cost, Failure, Results, summarise
from eval.scorer import Attempt, LoadedScan, SurfaceScorer, occluded_share, occlusion_voxels
from eval.surfaces import Surface, moved
from render.camera import yaw_rotation
from render.readers import MESH_SUFFIXES, read_mesh
from tools.pose_classes import face_of, pose_class
from tools.sample_failures import ALL_METHODS, failure_of

PICTURE_CELL = 384
LIKELY_RATIO = 3.0
"""Heights of prediction and scan that differ by more are told: probably another unit."""


@dataclass(frozen=True)
class MethodFolder:
    """The meshes of one method.

    Attributes:
        name: shown in the tables.
        folder: where they are, at any depth.
        convention: of the method.
    """

    name: str
    folder: Path
    convention: OutputConvention


@dataclass(frozen=True)
class MeshSet:
    """Scans and what methods made of them, paired but not read.

    Attributes:
        scans: by id.
        methods: in the order of the table.
        pairings: of each method.
        views: the samples, (scan id, yaw), of all methods together.
    """

    scans: dict[str, Scan]
    methods: tuple[MethodFolder, ...]
    pairings: tuple[Pairing, ...]
    views: tuple[tuple[str, float], ...]


def find_meshes(
    scans: Path, methods: Sequence[MethodFolder], facts: Mapping[str, PredictionFacts]
) -> MeshSet:
    """List the scans and pair every method's files with them.

    A scan without any prediction is a sample at yaw 0 that every method misses.

    Raises:
        ScanError: no scans.
        OutputError: a folder without outputs of its method, two for one view, or facts of files
            that are not there.
    """
    found = {scan.scan_id: scan for scan in find_scans(scans)}
    pairings = []
    used: set[str] = set()
    for method in methods:
        if not method.folder.is_dir():
            raise OutputError(f"--pred: expected a folder, got {method.folder}")
        paths = [
            path
            for path in sorted(method.folder.rglob("*"))
            if path.suffix.lower() in MESH_SUFFIXES and path.is_file()
        ]
        own: dict[str, PredictionFacts] = {}
        for name in {path.stem for path in paths}:
            # The longer key wins: methods may give their files equal names.
            keys = [key for key in (name, f"{method.folder.name}/{name}") if key in facts]
            if keys:
                own[name] = facts[keys[-1]]
            used.update(keys)
        pairing = pair_outputs(paths, list(found), method.convention, own)
        if not pairing.predictions:
            raise OutputError(
                f"--pred: {method.folder}: expected meshes of {method.convention.name} named "
                f"after scans of {scans}, found none among {len(paths)} meshes"
            )
        pairings.append(pairing)
    unused = [name for name in facts if name not in used]
    if unused:
        raise OutputError(
            "--frames: expected file names of predictions without suffix, or FOLDER/NAME, "
            f"got {unused[0]!r}"
        )
    views = {place for pairing in pairings for place in pairing.predictions}
    views |= {(scan_id, 0.0) for scan_id in found if not any(scan_id == v[0] for v in views)}
    return MeshSet(found, tuple(methods), tuple(pairings), tuple(sorted(views)))


@dataclass
class _Collected:
    scores: list[SampleScore] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    packed: dict[SampleId, PackedPictures] = field(default_factory=dict)
    ratios: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _ReadScan:
    """A scan in the axes of its file, cm."""

    surface: Surface
    unit_cm: float
    pose_class: str
    face_cm: NDArray[np.float64] | None


@dataclass(frozen=True)
class _Frame:
    """What one view of one scan is compared in."""

    scan: LoadedScan
    unit_cm: float
    rotation: NDArray[np.floating]


class MeshScorer:
    """Scores meshes; holds a GL context, so use it with `with`.

    Args:
        meshes: of `find_meshes`.
        config: what is measured.
        unit_cm: length of one unit of the scans; None: as their set says, or as tall as a person.
    """

    def __init__(self, meshes: MeshSet, config: ScoreConfig, unit_cm: float | None) -> None:
        self._meshes, self._config, self._unit_cm = meshes, config, unit_cm
        self._surfaces = SurfaceScorer(config)
        self._done = _Collected()

    def __enter__(self) -> MeshScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._surfaces.close()

    def score(
        self,
        pictured: Sequence[tuple[str, float]],
        source: Mapping[str, str],
        step: Callable[[], object] = lambda: None,
    ) -> tuple[Results, dict[SampleId, PackedPictures]]:
        """Score every method on every view; what fails or is missing is listed, the rest goes on.

        Args:
            pictured: views that get pictures in the report.
            source: told in the results.
            step: called after every view.
        """
        meshes, done = self._meshes, self._done
        for method, pairing in zip(meshes.methods, meshes.pairings):
            for path in pairing.strangers:
                reason = f"{path}: expected a name with the id of a scan, found no such scan"
                done.failures.append(Failure(method.name, path.stem, 0, reason))
        for scan_id in dict.fromkeys(view[0] for view in meshes.views):
            yaws = [view[1] for view in meshes.views if view[0] == scan_id]
            self._score_scan(scan_id, yaws, set(pictured), step)
        results = Results(
            config=self._config,
            methods=tuple(
                summarise(method.name, done.scores, self._config, len(meshes.views))
                for method in meshes.methods
            ),
            scores=tuple(done.scores),
            failures=tuple(done.failures),
            source=dict(source),
            costs=self._costs(),
            notes=self._notes(),
        )
        return results, done.packed

    def _score_scan(
        self,
        scan_id: str,
        yaws: Sequence[float],
        pictured: set[tuple[str, float]],
        step: Callable[[], object],
    ) -> None:
        done = self._done.failures
        with ExitStack() as stack:
            try:
                scan = self._meshes.scans[scan_id]
                read = self._read_scan(scan)
                loaded = stack.enter_context(self._surfaces.loaded(read.surface, read.face_cm))
                voxels = occlusion_voxels(loaded)
            except Exception as error:  # one bad scan must not cost the scores of the others
                for number, _ in enumerate(yaws):
                    done.append(failure_of(ALL_METHODS, scan_id, number, error))
                    step()
                return
            for number, yaw_deg in enumerate(yaws):
                rotation = yaw_rotation(yaw_deg)[:3, :3]
                key = SampleKey(
                    scan_id=scan_id,
                    subject=scan.subject,
                    view=number,
                    yaw_deg=yaw_deg,
                    pose_class=read.pose_class,
                    occluded_share=occluded_share(voxels, rotation),
                )
                frame = _Frame(loaded, read.unit_cm, rotation)
                try:
                    self._score_view(key, frame, (scan_id, yaw_deg) in pictured)
                except Exception as error:
                    done.append(failure_of(ALL_METHODS, scan_id, number, error))
                step()

    def _read_scan(self, scan: Scan) -> _ReadScan:
        """Read a scan in the axes of its file, which is what methods know."""
        loaded = load_scan(scan)
        mesh, joints = loaded.mesh, loaded.joints
        unit_cm = self._unit_cm if self._unit_cm is not None else loaded.unit_cm
        face = None if joints is None else face_of(joints)
        if scan.stance.up != "+y" or scan.stance.yaw_deg != 0.0:
            mesh, face = read_scan_mesh(scan), None
        return _ReadScan(
            surface=Surface(mesh.vertices * unit_cm, mesh.faces.astype(np.int64)),
            unit_cm=unit_cm,
            pose_class="" if joints is None else pose_class(joints),
            face_cm=None if face is None else face * unit_cm,
        )

    def _score_view(self, key: SampleKey, frame: _Frame, pictured: bool) -> None:
        truth = self._surfaces.truth(frame.scan, key, frame.rotation)
        shown = self._surfaces.views(frame.scan, frame.rotation, truth) if pictured else None
        crop = crop_around(shown.sides.masks) if shown is not None else None
        sides = []
        for method, pairing in zip(self._meshes.methods, self._meshes.pairings):
            prediction = pairing.predictions.get((key.scan_id, key.yaw_deg))
            if prediction is None:
                reason = f"{method.folder}: expected a prediction, found none"
                self._done.failures.append(Failure(method.name, key.scan_id, key.view, reason))
                continue
            try:
                attempt = self._attempt(method, prediction, frame)
                score, drawn, _ = self._surfaces.score(
                    attempt, frame.scan, truth, frame.rotation, drawn=pictured
                )
            except Exception as error:
                failure = failure_of(method.name, key.scan_id, key.view, error)
                self._done.failures.append(failure)
                continue
            self._done.scores.append(score)
            if drawn is not None and crop is not None:
                cells = surface_pictures(drawn, crop, PICTURE_CELL)
                sides.append(SidePictures(method.name, cells))
        if shown is not None and crop is not None:
            scan_side = SidePictures("Scan", surface_pictures(shown, crop, PICTURE_CELL))
            pictures = SamplePictures(None, scan_side, tuple(sides), None)
            self._done.packed[(key.scan_id, key.view)] = pack_pictures(pictures)

    def _attempt(self, method: MethodFolder, prediction: Prediction, frame: _Frame) -> Attempt:
        mesh = read_mesh(prediction.path)
        align: AlignmentMode = self._config.align
        matrix = scan_from_output(
            method.convention,
            prediction.facts,
            frame.scan.surface,
            frame.unit_cm,
            prediction.yaw_deg,
            align,
        )
        surface = moved(Surface(mesh.vertices, mesh.faces.astype(np.int64)), matrix)
        if align != "icp":
            heights = [
                float(np.ptp(side.bounds, axis=0)[1]) for side in (surface, frame.scan.surface)
            ]
            ratio = heights[0] / heights[1]
            if not 1.0 / LIKELY_RATIO <= ratio <= LIKELY_RATIO:
                found = self._done.ratios.setdefault(method.name, [])
                found.append((str(prediction.path), ratio))
        return Attempt(method=method.name, surface=surface, seconds=prediction.facts.seconds)

    def _costs(self) -> dict[str, Cost]:
        costs = {}
        for method, pairing in zip(self._meshes.methods, self._meshes.pairings):
            facts = [prediction.facts for prediction in pairing.predictions.values()]
            seconds = [entry.seconds for entry in facts if entry.seconds is not None]
            peaks = [entry.peak_bytes for entry in facts if entry.peak_bytes is not None]
            if seconds or peaks:
                costs[method.name] = Cost(
                    total_seconds=float(np.median(seconds)) if seconds else None,
                    runs=len(seconds),
                    peak_bytes=max(peaks, default=None),
                    memory="as given",
                    device="as given",
                )
        return costs

    def _notes(self) -> tuple[str, ...]:
        notes = []
        for name, found in self._done.ratios.items():
            path, ratio = found[0]
            notes.append(
                f"{name}: {path} is {ratio:.3g} times as tall as its scan ({len(found)} like it): "
                "another unit, or another convention (--unit, --method)?"
            )
        for method, pairing in zip(self._meshes.methods, self._meshes.pairings):
            blind = sum(not p.yaw_known for p in pairing.predictions.values())
            if method.convention.turn != 0 and blind:
                notes.append(
                    f"{method.name}: {blind} of {len(pairing.predictions)} predictions name no "
                    "yaw; 0 was taken (--frames)."
                )
            if pairing.others:
                notes.append(
                    f"{method.name}: {pairing.others} meshes of {method.folder} are no final "
                    f"outputs of {method.convention.name} and were left out."
                )
        return tuple(notes)
