"""One scan becomes one shard."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.estimates import estimate
from dataset.joints import JOINT_COUNT
from dataset.scans import Scan, load_scan, scan_unit_cm, used_vertices
from dataset.shard_codec import BACKGROUND_PIXELS, IMAGE_FRONT
from dataset.shard_index import ShardEntry, file_digest, shard_path
from dataset.shard_writer import ShardHeader, ShardWriter, ViewRecord
from dataset.synthesis_config import SynthesisConfig
from dataset.views import (
    border_shrink,
    joints_in_normalised_frame,
    joints_in_pixels,
    view_seed,
)
from render.backgrounds import BackgroundSource
from render.camera import camera_from_normalised, normalised_from_scan, transform_points
from render.compositing import composite, premultiply
from render.context import OffscreenContext
from render.errors import ContextError, OutputError, ScanError, UserInputError
from render.lights import draw_rig, rig_to_arrays, shade
from render.mesh import Mesh, transformed
from render.rasteriser import Rasteriser
from render.upload import MeshHandle


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """One scan to render.

    Attributes:
        scan: the scan.
        store_mesh: whether its geometry goes into the shard.
    """

    scan: Scan
    store_mesh: bool


@dataclass(frozen=True, kw_only=True)
class ScanOutcome:
    """What became of a scan.

    Attributes:
        scan_id: the scan.
        entry: the line of the index, or None if it failed.
        reason: why it failed, one sentence.
        traceback: where, if it was no fault of the scan.
        has_joints: whether the scan has joints.
        notes: what a user may want to know: a guessed unit, a scan that was shrunk.
    """

    scan_id: str
    entry: ShardEntry | None = None
    reason: str = ""
    traceback: str = ""
    has_joints: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What all scans of a process share: the context's rasteriser and the backgrounds."""

    config: SynthesisConfig
    rasteriser: Rasteriser
    backgrounds: BackgroundSource


@dataclass(frozen=True, kw_only=True)
class _PlacedScan:
    scan: Scan
    mesh: Mesh
    joints: NDArray[np.float64] | None
    unit_cm: float
    normalised_from_scan: NDArray[np.floating]
    shrink: float


def render_batch(
    tasks: Sequence[ScanTask], config: SynthesisConfig, out: Path
) -> Iterator[ScanOutcome]:
    """Render scans one after the other in one OpenGL context; a bad one does not stop the rest.

    Raises:
        ContextError: no context can be made.
        OutputError: shards cannot be written.
    """
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        with BackgroundSource(config.backgrounds, context) as backgrounds:
            studio = Studio(config=config, rasteriser=rasteriser, backgrounds=backgrounds)
            for task in tasks:
                yield _outcome(task, studio, out)


def _outcome(task: ScanTask, studio: Studio, out: Path) -> ScanOutcome:
    scan_id = task.scan.scan_id
    try:
        return render_scan(task, studio, out)
    except (ContextError, OutputError):
        raise
    except UserInputError as error:
        return ScanOutcome(scan_id=scan_id, reason=str(error))
    except Exception as error:  # one scan must not cost the others their shards
        reason = f"{type(error).__name__}: {error}"
        return ScanOutcome(scan_id=scan_id, reason=reason, traceback=traceback.format_exc())


def render_scan(task: ScanTask, studio: Studio, out: Path) -> ScanOutcome:
    """Render all views of a scan and write its shard.

    Raises:
        ScanError: the scan cannot be used.
        ShardError: a rendered value does not fit the shard.
        OutputError: the shard cannot be written, which is no fault of the scan.
    """
    config, scan = studio.config, task.scan
    placed = place_scan(scan, config)
    joints_3d = joints_in_normalised_frame(placed.joints, placed.normalised_from_scan, JOINT_COUNT)
    path = shard_path(out, scan.scan_id)
    header = ShardHeader(
        scan_id=scan.scan_id,
        subject=scan.subject,
        views=len(config.yaws_deg),
        camera=config.camera,
        composite=config.composite,
        unit_cm=placed.unit_cm,
        normalised_from_scan=placed.normalised_from_scan,
        shrink=placed.shrink,
        config=config.identity(),
        metadata=scan.metadata,
    )
    handle = studio.rasteriser.upload(transformed(placed.mesh, placed.normalised_from_scan))
    try:
        _check_room(out, config)
        with ShardWriter(path, header) as writer:
            for view in range(len(config.yaws_deg)):
                writer.add_view(render_view(studio, handle, scan.scan_id, view, joints_3d))
            if task.store_mesh:
                writer.add_mesh(placed.mesh.vertices, placed.mesh.faces)
        size, digest = file_digest(path)
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise OutputError(f"{path}: expected to write a shard there, got: {reason}") from error
    finally:
        studio.rasteriser.release(handle)
    return ScanOutcome(
        scan_id=scan.scan_id,
        entry=ShardEntry(
            scan_id=scan.scan_id,
            subject=scan.subject,
            views=header.views,
            bytes=size,
            sha256=digest,
        ),
        has_joints=placed.joints is not None,
        notes=_notes(placed),
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


def place_scan(scan: Scan, config: SynthesisConfig) -> _PlacedScan:
    """Read a scan and find its unit, its place before the camera and how far it must shrink.

    Raises:
        ScanError: the scan cannot be used.
    """
    mesh, joints = load_scan(scan)
    unit_cm = scan_unit_cm(scan, mesh)
    try:
        matrix = normalised_from_scan(mesh.vertices, mesh.faces)
    except ValueError as error:
        raise ScanError(f"{scan.mesh_path}: {error}") from error
    points = transform_points(matrix, used_vertices(mesh))
    shrink = border_shrink(points, config.yaws_deg, config.camera)
    if shrink < 1.0:
        matrix = normalised_from_scan(mesh.vertices, mesh.faces, shrink)
    return _PlacedScan(
        scan=scan,
        mesh=mesh,
        joints=joints,
        unit_cm=unit_cm,
        normalised_from_scan=matrix,
        shrink=shrink,
    )


def _notes(placed: _PlacedScan) -> tuple[str, ...]:
    notes = []
    if placed.scan.unit_cm is None:
        notes.append(f"one unit taken for {placed.unit_cm:g} cm, from its height")
    if placed.shrink < 1.0:
        notes.append(f"shrunk by {placed.shrink:.4f} to clear the image border")
    return tuple(notes)


def render_view(
    studio: Studio,
    handle: MeshHandle,
    scan_id: str,
    view: int,
    joints_3d: NDArray[np.floating],
) -> ViewRecord:
    """Render, light and composite one view.

    Args:
        studio: the context's rasteriser and the backgrounds.
        handle: the uploaded mesh, normalised frame.
        scan_id: seeds the view together with its number.
        view: number of the view.
        joints_3d: (31, 4) normalised frame + confidence.
    """
    config, camera = studio.config, studio.config.camera
    yaw_deg = config.yaws_deg[view]
    pose = camera_from_normalised(yaw_deg)
    seed = view_seed(config.seed, scan_id, view)
    # One stream per purpose: another rig leaves the backgrounds as they are.
    light_rng, background_rng = (np.random.default_rng([seed, part]) for part in (0, 1))
    gbuffer = studio.rasteriser.render(handle, camera, pose)
    rig = draw_rig(config.rig, light_rng)
    box = _bounds(gbuffer.coverage)
    front, back = (
        _premultiplied(shade(side, rig, camera, gbuffer.mask), gbuffer.coverage, box)
        for side in (gbuffer.front, gbuffer.back)
    )
    background = studio.backgrounds.draw(background_rng, camera.resolution)
    pictures: dict[str, NDArray] = {
        "image/back": back,
        "person/front": front,
        "albedo/front": gbuffer.front.albedo,
        "albedo/back": gbuffer.back.albedo,
        "depth/front": gbuffer.front.ray_distance,
        "depth/back": gbuffer.back.ray_distance,
        "normal/front": gbuffer.front.normal,
        "normal/back": gbuffer.back.normal,
        "mask": gbuffer.mask,
        "coverage": gbuffer.coverage,
    }
    if config.composite == "baked":
        # Outside the box the formula leaves the background as it is.
        image = background.pixels.copy()
        image[box] = composite(front[box], gbuffer.coverage[box], image[box])
        pictures[IMAGE_FRONT] = image
    else:
        pictures[BACKGROUND_PIXELS] = background.pixels
    return ViewRecord(
        pictures=pictures,
        joints_2d=joints_in_pixels(joints_3d, pose, camera),
        joints_3d=joints_3d,
        pose=pose,
        yaw_deg=yaw_deg,
        seed=seed,
        rig=rig_to_arrays(rig),
        background_id=background.id,
        background_crop=background.crop,
    )


def _bounds(coverage: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the smallest box that holds all covered pixels (empty slices for none)."""
    rows, columns = (np.flatnonzero(coverage.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _premultiplied(
    lit: NDArray[np.uint8], coverage: NDArray[np.uint8], box: tuple[slice, slice]
) -> NDArray[np.uint8]:
    result = np.zeros_like(lit)
    result[box] = premultiply(lit[box], coverage[box])
    return result
