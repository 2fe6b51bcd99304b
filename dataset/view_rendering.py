"""One view of a scene is rendered, lit and put in front of a background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.scenes import Scene
from dataset.shard_codec import BACKGROUND_PIXELS, IMAGE_FRONT, INSTANCE
from dataset.shard_writer import ViewRecord
from dataset.synthesis_config import BACKGROUND_STREAM, LIGHT_STREAM, SynthesisConfig
from dataset.views import View, joints_in_pixels, view_seed
from render.backgrounds import BackgroundSource
from render.compositing import composite, premultiply
from render.errors import ScanError
from render.gbuffer import GBuffer
from render.lights import draw_rig, rig_to_arrays, shade
from render.people import merge_people
from render.picture_box import bounds
from render.rasteriser import Rasteriser
from render.upload import MeshHandle


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What all scans of a process share: the context's rasteriser and the backgrounds."""

    config: SynthesisConfig
    rasteriser: Rasteriser
    backgrounds: BackgroundSource


def render_view(
    studio: Studio, scene: Scene, handles: Sequence[MeshHandle], number: int
) -> ViewRecord:
    """Render, light and composite one view.

    Args:
        studio: the context's rasteriser and the backgrounds.
        scene: who is seen from where.
        handles: the uploaded meshes of its people, normalised frame.
        number: of the view.

    Raises:
        ScanError: no pixel shows a person.
    """
    config, view, scan = studio.config, scene.views[number], scene.people[0].scan
    gbuffer, instance = merge_people(_each_alone(studio.rasteriser, handles, view))
    if not gbuffer.mask.any():
        raise ScanError(
            f"{scan.mesh_path}: expected the person in view {number} "
            f"(yaw {view.yaw_deg:g} degrees), got no pixel"
        )
    # One stream per purpose: another rig leaves the backgrounds as they are.
    light_rng = config.generator(scan.scan_id, number, LIGHT_STREAM)
    background_rng = config.generator(scan.scan_id, number, BACKGROUND_STREAM)
    rig = draw_rig(config.rig, light_rng, view.distance)
    box = bounds(gbuffer.coverage)
    front, back = (
        _premultiplied(shade(side, rig, view.camera, gbuffer.mask), gbuffer.coverage, box)
        for side in (gbuffer.front, gbuffer.back)
    )
    background = studio.backgrounds.draw(background_rng, config.resolution)
    pictures = _geometry(gbuffer) | {"image/back": back, "person/front": front}
    if scene.members:
        pictures[INSTANCE] = instance
    if config.composite == "baked":
        # Outside the box the formula leaves the background as it is.
        image = background.pixels.copy()
        image[box] = composite(front[box], gbuffer.coverage[box], image[box])
        pictures[IMAGE_FRONT] = image
    else:
        pictures[BACKGROUND_PIXELS] = background.pixels
    return ViewRecord(
        pictures=pictures,
        joints_2d=joints_in_pixels(scene.joints_3d, view),
        joints_3d=scene.joints_3d,
        view=view,
        seed=view_seed(config.seed, scan.scan_id, number),
        rig=rig_to_arrays(rig),
        background_id=background.id,
        background_crop=background.crop,
    )


def _each_alone(
    rasteriser: Rasteriser, handles: Sequence[MeshHandle], view: View
) -> Iterator[GBuffer]:
    for handle in handles:
        yield rasteriser.render(handle, view.camera, view.pose)


def _geometry(gbuffer: GBuffer) -> dict[str, NDArray]:
    """Return the pictures that are stored as they were drawn."""
    pictures: dict[str, NDArray] = {"mask": gbuffer.mask, "coverage": gbuffer.coverage}
    for name, side in (("front", gbuffer.front), ("back", gbuffer.back)):
        pictures[f"albedo/{name}"] = side.albedo
        pictures[f"depth/{name}"] = side.ray_distance
        pictures[f"normal/{name}"] = side.normal
    return pictures


def _premultiplied(
    lit: NDArray[np.uint8], coverage: NDArray[np.uint8], box: tuple[slice, slice]
) -> NDArray[np.uint8]:
    result = np.zeros_like(lit)
    result[box] = premultiply(lit[box], coverage[box])
    return result
