"""Shard sets of ellipsoid people, for tests of scoring; rendered by the real parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.shard_index import (
    ShardEntry,
    ShardIndex,
    file_digest,
    shard_path,
    write_index,
    write_splits,
)
from dataset.shard_writer import ShardHeader, ShardWriter, ViewRecord
from dataset.shards import ShardSet
from dataset.views import View
from render.camera import Camera, normalised_from_scan, transform_points
from render.compositing import premultiply
from render.context import OffscreenContext
from render.mesh import Mesh
from render.rasteriser import GBuffer, Rasteriser
from tests.scenes import body


def write_people(
    root: Path,
    splits: Mapping[str, Sequence[str]],
    *,
    resolution: int = 64,
    yaws_deg: Sequence[float] = (0.0, 30.0),
    steps: int = 10,
    with_mesh: bool = True,
) -> ShardSet:
    """Write a shard set with the named people (metres) in each split and return it."""
    entries = []
    with OffscreenContext() as context, Rasteriser(context) as rasteriser:
        names = [name for people in splits.values() for name in people]
        for number, name in enumerate(names):
            path = shard_path(root, name)
            _write_person(path, name, number, rasteriser, resolution, yaws_deg, steps, with_mesh)
            size, digest = file_digest(path)
            entries.append(
                ShardEntry(
                    scan_id=name, subject=name, views=len(yaws_deg), bytes=size, sha256=digest
                )
            )
    index = ShardIndex(
        config={"resolution": resolution}, seed=0, tool_version="test", shards=tuple(entries)
    )
    write_index(root, index)
    write_splits(root, {name: split for split, people in splits.items() for name in people})
    return ShardSet(root)


def _write_person(
    path: Path,
    name: str,
    number: int,
    rasteriser: Rasteriser,
    resolution: int,
    yaws_deg: Sequence[float],
    steps: int,
    with_mesh: bool,
) -> None:
    vertices, _, faces = body(steps)
    vertices = vertices * np.array([1.0 + 0.05 * number, 1.0, 1.0 + 0.1 * number])
    matrix = normalised_from_scan(vertices, faces)
    camera = Camera(resolution)
    header = ShardHeader(
        scan_id=name,
        subject=name,
        views=len(yaws_deg),
        resolution=resolution,
        projection=camera.projection,
        composite="baked",
        unit_cm=100.0,
        normalised_from_scan=matrix,
        config={"resolution": resolution},
    )
    mesh = Mesh.from_arrays(transform_points(matrix, vertices), faces)
    handle = rasteriser.upload(mesh)
    with ShardWriter(path, header) as writer:
        for yaw_deg in yaws_deg:
            view = View(camera=camera, yaw_deg=yaw_deg)
            writer.add_view(_record(rasteriser.render(handle, camera, view.pose), view))
        if with_mesh:
            writer.add_mesh(vertices, faces)
    rasteriser.release(handle)


def _record(buffer: GBuffer, view: View) -> ViewRecord:
    sides = {"front": buffer.front, "back": buffer.back}
    pictures: dict[str, NDArray[Any]] = {"mask": buffer.mask, "coverage": buffer.coverage}
    for name, side in sides.items():
        pictures |= {
            f"image/{name}": side.albedo,
            f"albedo/{name}": side.albedo,
            f"depth/{name}": side.ray_distance,
            f"normal/{name}": side.normal,
        }
    pictures["person/front"] = premultiply(buffer.front.albedo, buffer.coverage)
    return ViewRecord(
        pictures=pictures,
        joints_2d=np.zeros((31, 3)),
        joints_3d=np.zeros((31, 4)),
        view=view,
        seed=0,
        rig={},
        background_id="none",
        background_crop=np.zeros(4, dtype=np.int32),
    )
