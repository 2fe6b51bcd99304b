"""One view of a scan, whole and step by step, with the scan loaded and the context up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.bench._clock import Clock, Seconds, median, timed

if TYPE_CHECKING:
    from dataset.scenes import Scene
    from dataset.shard_writer import ShardWriter, ViewRecord
    from dataset.synthesis_config import SynthesisConfig
    from dataset.view_rendering import Studio
    from render.gbuffer import GBuffer
    from render.upload import MeshHandle

VIEW = 1
"""The view that is timed: a turn by -20 degrees."""


@dataclass(frozen=True, kw_only=True)
class ReadyScan:
    """A scan that lies in OpenGL memory.

    Attributes:
        studio: its rasteriser and backgrounds.
        scene: who is seen from where.
        handle: the uploaded mesh.
        renderer: what draws.
        loading: seconds from the scan's files to its place in OpenGL memory.
    """

    studio: Studio
    scene: Scene
    handle: MeshHandle
    renderer: str
    loading: Seconds


@contextmanager
def ready_scan(folder: Path, config: SynthesisConfig) -> Iterator[ReadyScan]:
    """Load the first scan of a folder and open a context for it."""
    from dataset.scans import find_scans, load_scan
    from dataset.scenes import set_scene
    from dataset.view_rendering import Studio
    from render.backgrounds import BackgroundSource
    from render.context import OffscreenContext
    from render.mesh import transformed
    from render.rasteriser import Rasteriser

    with ExitStack() as stack:
        context = stack.enter_context(OffscreenContext())
        rasteriser = stack.enter_context(Rasteriser(context))
        backgrounds = stack.enter_context(BackgroundSource(config.backgrounds, context))
        clock = Clock()
        scene = set_scene([load_scan(find_scans(folder)[0])], config)
        mesh = transformed(scene.people[0].mesh, scene.normalised_from_scans[0])
        handle = rasteriser.upload(mesh)
        stack.callback(rasteriser.release, handle)
        yield ReadyScan(
            studio=Studio(config=config, rasteriser=rasteriser, backgrounds=backgrounds),
            scene=scene,
            handle=handle,
            renderer=context.renderer,
            loading=clock.lap(),
        )


def draw_gbuffer(scan: ReadyScan, *, antialiased: bool) -> GBuffer:
    """Draw both sides of the timed view."""
    view = scan.scene.views[VIEW]
    return scan.studio.rasteriser.render(
        scan.handle, view.camera, view.pose, antialiased=antialiased
    )


def time_whole_view(scan: ReadyScan, repeats: int) -> Seconds:
    """Return the time from nothing to a view in a shard, the median of some runs."""
    from dataset.view_rendering import render_view

    runs = []
    with _writer(scan, repeats + 1) as writer:
        clock = Clock()
        for _ in range(repeats + 1):
            writer.add_view(render_view(scan.studio, scan.scene, [scan.handle], VIEW))
            runs.append(clock.lap())
    return median(runs[1:])


def time_steps(scan: ReadyScan, repeats: int) -> dict[str, Seconds]:
    """Return the time of every step of a view by its name, medians of some runs."""
    from dataset.view_rendering import render_view
    from dataset.views import joints_in_pixels
    from render.compositing import composite, premultiply
    from render.lights import draw_rig, shade

    view = scan.scene.views[VIEW]
    resolution, rng = view.camera.resolution, np.random.default_rng(0)
    gbuffer = draw_gbuffer(scan, antialiased=True)
    rig = draw_rig(scan.studio.config.rig, rng, view.distance)
    lit = shade(gbuffer.front, rig, view.camera, gbuffer.mask)
    backgrounds = scan.studio.backgrounds
    background = backgrounds.draw(rng, resolution).pixels
    sides = (gbuffer.front, gbuffer.back)
    steps: dict[str, Callable[[], object]] = {
        "G-buffer of both sides, read back": lambda: draw_gbuffer(scan, antialiased=False),
        "the same, antialiased": lambda: draw_gbuffer(scan, antialiased=True),
        f"{len(rig.diffuse_positions)} lights on both sides": lambda: [
            shade(side, rig, view.camera, gbuffer.mask) for side in sides
        ],
        "background": lambda: backgrounds.draw(rng, resolution),
        "compositing (whole frames)": lambda: [
            premultiply(lit, gbuffer.coverage),
            composite(premultiply(lit, gbuffer.coverage), gbuffer.coverage, background),
        ],
        "joints": lambda: joints_in_pixels(scan.scene.joints_3d, view),
    }
    seconds = {name: timed(work, repeats) for name, work in steps.items()}
    record = render_view(scan.studio, scan.scene, [scan.handle], VIEW)
    seconds["compressed shard write"] = _time_writing(scan, record, repeats)
    return seconds


def _time_writing(scan: ReadyScan, record: ViewRecord, repeats: int) -> Seconds:
    runs = []
    with _writer(scan, repeats + 1) as writer:
        clock = Clock()
        for _ in range(repeats + 1):
            writer.add_view(record)
            runs.append(clock.lap())
    return median(runs[1:])


@contextmanager
def _writer(scan: ReadyScan, views: int) -> Iterator[ShardWriter]:
    """Open a shard that is thrown away."""
    from dataset.shard_writer import ShardHeader, ShardWriter

    config, person = scan.studio.config, scan.scene.people[0].scan
    header = ShardHeader(
        scan_id=person.scan_id,
        subject=person.subject,
        views=views,
        resolution=config.resolution,
        projection=scan.scene.views[VIEW].camera.projection,
        composite=config.composite,
        unit_cm=scan.scene.unit_cm,
        normalised_from_scan=scan.scene.normalised_from_group,
    )
    with tempfile.TemporaryDirectory() as folder:
        with ShardWriter(Path(folder) / "bench.h5", header) as writer:
            yield writer
