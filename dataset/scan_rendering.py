"""One scan, or a group of them, becomes one shard."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from dataset.estimates import estimate
from dataset.joint_detection import JointFinder
from dataset.scans import LoadedScan, Scan, load_scan
from dataset.scenes import Scene, check_area, set_scene
from dataset.shard_index import ShardEntry, file_digest, shard_path
from dataset.shard_writer import ShardHeader, ShardWriter
from dataset.source_files import source_digest
from dataset.synthesis_config import SynthesisConfig
from dataset.view_rendering import Studio, render_view
from render.backgrounds import BackgroundError, BackgroundSource
from render.context import OffscreenContext
from render.errors import ContextError, OutputError, ScanError, UserInputError
from render.mesh import transformed
from render.rasteriser import Rasteriser
from render.upload import MeshHandle


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """One shard to render.

    Attributes:
        scan: the scan that it is named after.
        store_mesh: whether its geometry goes into the shard.
        partners: who may stand beside it, first choices first; ones that cannot be used are
            passed over, and no subject is chosen twice.
    """

    scan: Scan
    store_mesh: bool
    partners: tuple[Scan, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScanOutcome:
    """What became of a task.

    Attributes:
        scan_id: the scan that the shard is named after.
        entry: the line of the index, or None if it failed.
        reason: why it failed, one sentence.
        traceback: where, if it was no fault of the scan.
        has_joints: whether everybody in it has joints.
        doubts: what of the scan was assumed, and had better be looked at.
        notes: what a user may want to know: a guessed unit, a scan that was shrunk.
        renderer: what drew it.
        skipped_backgrounds: pictures of the folder that cannot be decoded.
    """

    scan_id: str
    entry: ShardEntry | None = None
    reason: str = ""
    traceback: str = ""
    has_joints: bool = False
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    renderer: str = ""
    skipped_backgrounds: frozenset[str] = frozenset()


def render_batch(
    tasks: Sequence[ScanTask], config: SynthesisConfig, out: Path
) -> Iterator[ScanOutcome]:
    """Render scans one after the other in one OpenGL context; a bad one does not stop the rest.

    Raises:
        BackgroundError: no picture of the folder can be decoded.
        ContextError: no context can be made.
        OutputError: shards cannot be written.
    """
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        source = BackgroundSource(config.backgrounds, context, config.background_jitter)
        with source as backgrounds, JointFinder(rasteriser) as finder:
            studio = Studio(config=config, rasteriser=rasteriser, backgrounds=backgrounds)
            for task in tasks:
                outcome = _outcome(task, studio, finder, out)
                yield replace(
                    outcome,
                    renderer=context.description,
                    skipped_backgrounds=frozenset(backgrounds.skipped),
                )


def _outcome(task: ScanTask, studio: Studio, finder: JointFinder, out: Path) -> ScanOutcome:
    scan_id = task.scan.scan_id
    try:
        return render_scan(task, studio, finder, out)
    except (BackgroundError, ContextError, OutputError):
        raise
    except UserInputError as error:
        return ScanOutcome(scan_id=scan_id, reason=str(error))
    except Exception as error:  # one scan must not cost the others their shards
        reason = f"{type(error).__name__}: {error}"
        return ScanOutcome(scan_id=scan_id, reason=reason, traceback=traceback.format_exc())


def render_scan(task: ScanTask, studio: Studio, finder: JointFinder, out: Path) -> ScanOutcome:
    """Render all views of a scan, or of the group it leads, and write the shard.

    Raises:
        ScanError: the scan cannot be used.
        ShardError: a rendered value does not fit the shard.
        OutputError: the shard cannot be written, which is no fault of the scan.
    """
    config = studio.config
    leader = finder.with_joints(load_scan(task.scan))
    scan = leader.scan
    partners = _partners(task, finder, config.people_per_image - 1)
    if partners:
        check_area(leader)
    scene = set_scene([leader, *partners], config)
    path = shard_path(out, scan.scan_id)
    handles: list[MeshHandle] = []
    try:
        for person, matrix in zip(scene.people, scene.normalised_from_scans, strict=True):
            handles.append(studio.rasteriser.upload(transformed(person.mesh, matrix)))
        _check_room(out, config)
        with ShardWriter(path, _header(scene, config)) as writer:
            _write_views(writer, studio, scene, handles)
            if task.store_mesh:
                writer.add_mesh(leader.mesh.vertices, leader.mesh.faces)
        size, digest = file_digest(path)
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise OutputError(f"{path}: expected to write a shard there, got: {reason}") from error
    finally:
        for handle in handles:
            studio.rasteriser.release(handle)
    return ScanOutcome(
        scan_id=scan.scan_id,
        entry=ShardEntry(
            scan_id=scan.scan_id,
            subject=scan.subject,
            views=len(scene.views),
            bytes=size,
            sha256=digest,
        ),
        has_joints=all(person.joints is not None for person in scene.people),
        doubts=leader.doubts,
        notes=_notes(scene),
    )


def _write_views(
    writer: ShardWriter, studio: Studio, scene: Scene, handles: Sequence[MeshHandle]
) -> None:
    """Render all views; each is compressed and written while the next one is rendered."""
    with ThreadPoolExecutor(1) as thread:
        written: Future[None] | None = None
        for number in range(len(scene.views)):
            record = render_view(studio, scene, handles, number)
            if written is not None:
                written.result()  # no more than one view waits in memory
            written = thread.submit(writer.add_view, record)
        if written is not None:
            written.result()


def _partners(task: ScanTask, finder: JointFinder, count: int) -> list[LoadedScan]:
    """Return the first partners that can be used, of different subjects."""
    chosen: list[LoadedScan] = []
    subjects = {task.scan.subject}
    for scan in task.partners:
        if len(chosen) == count:
            break
        if scan.subject in subjects:
            continue
        try:
            person = finder.with_joints(load_scan(scan))
            check_area(person)
        except ScanError:  # named where it leads its own group
            continue
        chosen.append(person)
        subjects.add(scan.subject)
    return chosen


def _header(scene: Scene, config: SynthesisConfig) -> ShardHeader:
    scan = scene.people[0].scan
    metadata = [person.scan.metadata for person in scene.people]
    return ShardHeader(
        scan_id=scan.scan_id,
        subject=scan.subject,
        views=len(scene.views),
        resolution=config.resolution,
        projection=config.cameras.projection,
        composite=config.composite,
        unit_cm=scene.unit_cm,
        normalised_from_scan=scene.normalised_from_group,
        shrink=scene.shrink,
        config=config.identity(),
        metadata=scan.metadata if not scene.members else {"people": metadata},
        members=scene.members,
        sources={person.scan.scan_id: source_digest(person.scan) for person in scene.people},
    )


def _check_room(out: Path, config: SynthesisConfig) -> None:
    """Raise OutputError before the disk is full: HDF5 may end the process when it is."""
    out.mkdir(parents=True, exist_ok=True)
    need, free = estimate(1, config, 1).bytes, shutil.disk_usage(out).free
    if free < need:
        raise OutputError(
            f"{out}: expected room for another shard of about {need / 1e6:.3g} MB, "
            f"got {free / 1e6:.3g} MB"
        )


def _notes(scene: Scene) -> tuple[str, ...]:
    notes = [
        note if person is scene.people[0] else f"{person.scan.scan_id}: {note}"
        for person in scene.people
        for note in person.notes
    ]
    if scene.members:
        notes.append(f"stands with {', '.join(member.scan_id for member in scene.members[1:])}")
    if scene.shrink < 1.0:
        notes.append(f"shrunk by {scene.shrink:.4f} to fit into its pictures")
    return tuple(notes)
