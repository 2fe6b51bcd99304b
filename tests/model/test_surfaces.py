"""Surfaces are closed, whole, as fine as wanted, and open behind an arm."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from model.carving import largest_part, stitch_with_gaps
from model.meshing import DepthMaps, stitch
from model.poisson import separated
from model.surfaces import SurfaceConfig, SurfaceMethod, reconstruct_surface
from render.camera import Camera
from tests.model.sphere_maps import arm_before_trunk, sphere_maps

METHODS: list[SurfaceMethod] = ["stitch", "poisson"]


def config_of(method: SurfaceMethod, max_faces: int | None = None) -> SurfaceConfig:
    if method == "poisson":
        pytest.importorskip("open3d")
    return SurfaceConfig(method=method, poisson_depth=6, max_faces=max_faces)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_faces", [None, 1000])
def test_a_sphere_is_closed_outward_and_where_its_maps_say(
    method: SurfaceMethod, max_faces: int | None
) -> None:
    surface = reconstruct_surface(sphere_maps(0.3, 96), Camera(96), config_of(method, max_faces))
    assert surface.is_watertight and surface.is_winding_consistent and surface.body_count == 1
    assert surface.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.03)
    distances = np.linalg.norm(surface.vertices - [0, 0, -1], axis=1)
    assert np.abs(distances - 0.3).max() < 0.012
    assert max_faces is None or len(surface.faces) <= max_faces


@pytest.mark.parametrize("method", METHODS)
def test_of_two_parts_the_larger_one_is_kept(method: SurfaceMethod) -> None:
    maps = sphere_maps(0.2, 64)
    mask = maps.mask.copy()
    mask[2:5, 2:5] = True
    front = np.where(mask & ~maps.mask, 0.9, maps.front).astype("f4")
    back = np.where(mask & ~maps.mask, 1.0, maps.back).astype("f4")
    surface = reconstruct_surface(DepthMaps(front, back, mask), Camera(64), config_of(method))
    assert surface.body_count == 1
    assert np.linalg.norm(surface.vertices - [0, 0, -1], axis=1).max() < 0.22


def test_behind_an_arm_there_is_air_and_no_curtain() -> None:
    maps, camera = arm_before_trunk(256), Camera(256)
    joined, opened = stitch(maps, camera), stitch_with_gaps(maps, camera)
    assert opened.is_watertight and opened.is_winding_consistent and opened.body_count == 1
    # Half way between the free end of the bar (0.8) and the plate (1.1), inside the joined mesh.
    ray = camera.rays()[128, 157]
    assert joined.contains([0.95 * ray])[0] and not opened.contains([0.95 * ray])[0]
    # The plate behind and the bar before stay where they are.
    assert opened.contains([0.82 * ray, 1.15 * ray]).all()
    assert opened.volume < 0.995 * joined.volume


@pytest.mark.parametrize("seed", range(6))
def test_gaps_of_any_shape_leave_a_closed_surface(seed: int) -> None:
    """Random bars before and behind each other, ends and crossings of all kinds."""
    rng = np.random.default_rng(seed)
    mask, front, back = np.zeros((96, 96), bool), np.full((96, 96), 9.0), np.zeros((96, 96))
    rows, columns = np.indices((96, 96))
    for _ in range(7):
        centre, angle = rng.uniform(24, 72, 2), rng.uniform(0, np.pi)
        across = (columns - centre[0]) * np.sin(angle) - (rows - centre[1]) * np.cos(angle)
        along = (columns - centre[0]) * np.cos(angle) + (rows - centre[1]) * np.sin(angle)
        bar = (np.abs(across) < rng.uniform(1, 9)) & (np.abs(along) < rng.uniform(10, 40))
        depth = rng.uniform(0.6, 1.4) + rng.uniform(-0.004, 0.004) * along
        front[bar] = np.minimum(front, depth)[bar]
        back[bar] = np.maximum(back, depth + 0.05)[bar]
        mask |= bar
    maps = DepthMaps((front * mask).astype("f4"), back.astype("f4"), mask)
    joined, opened = stitch(maps, Camera(96)), stitch_with_gaps(maps, Camera(96))
    assert opened.is_watertight and opened.is_winding_consistent
    assert len(opened.faces) > len(largest_part(joined).faces)
    assert 0 < opened.volume < joined.volume


def test_an_arm_that_hangs_on_its_curtain_alone_is_not_cut_off() -> None:
    maps = arm_before_trunk(half=2)
    front = np.where(maps.front < 1.1, np.where(maps.mask, 0.8, 0.0), maps.front).astype("f4")
    loose = DepthMaps(front, maps.back, maps.mask)
    opened = stitch_with_gaps(loose, Camera(64))
    assert opened.is_watertight and opened.volume == pytest.approx(stitch(loose, Camera(64)).volume)


def test_two_boxes_that_share_an_edge_are_parted_there() -> None:
    low, high = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1))
    both = low + high.apply_translation([1, 1, 0])
    both.merge_vertices()
    assert not both.is_watertight
    vertices, faces = separated(np.array(both.vertices), np.array(both.faces, dtype=np.int64))
    parted = trimesh.Trimesh(vertices=vertices, faces=faces, process=False)
    assert parted.is_watertight and parted.is_winding_consistent
    assert parted.volume == pytest.approx(2.0)


def test_the_larger_of_two_boxes_is_the_largest_part() -> None:
    small = trimesh.creation.box((1, 1, 1))
    large = trimesh.creation.icosphere(2).apply_translation([5, 0, 0])
    assert largest_part(small + large).volume == pytest.approx(large.volume)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "cut"}, "stitch or poisson"),
        ({"poisson_depth": 3}, "4 to 12"),
        ({"max_faces": 3}, "at least 100"),
    ],
)
def test_an_unusable_config_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SurfaceConfig(**values)  # type: ignore[arg-type]
