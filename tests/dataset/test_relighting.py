"""What a shard holds is enough to light, composite and measure its views again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dataset.scans import find_scans
from dataset.shards import ShardError, ShardReader, ShardSet, require_standard_views
from dataset.synthesis import Synthesis, synthesise
from dataset.synthesis_config import SynthesisConfig
from dataset.views import CameraRanges
from render.camera import project, transform_points, unproject
from render.colour import linear_from_srgb, srgb_from_linear
from render.compositing import composite, premultiply
from render.gbuffer import SideBuffer
from render.lights import RIG_NAMES, LightRig, RigName, rig_from_arrays, shade
from tests.scenes import JOINTS, write_person, write_wall

CONFIG = SynthesisConfig(resolution=96, yaws_deg=(-20.0, 160.0), seed=5)
ANY_CAMERA = {
    "perspective": CameraRanges(
        pitch_deg=(-20.0, 40.0), roll_deg=(-15.0, 15.0), fov_deg=(30.0, 70.0), distance=(0.8, 2.0)
    ),
    "orthographic": CameraRanges(
        projection="orthographic", pitch_deg=(10.0, 30.0), fov_deg=(45.0, 60.0)
    ),
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    write_person(root)
    return root


def rendered(scans: Path, out: Path, config: SynthesisConfig) -> ShardReader:
    config = replace(config, backgrounds=write_wall(out.parent / "walls"))
    report = synthesise(Synthesis(scans=find_scans(scans), config=config, out=out))
    assert report.done == ("person",) and not report.failed
    return ShardSet(out).open("person")


def side_of(reader: ShardReader, view: int, side: str) -> SideBuffer:
    return SideBuffer(
        albedo=reader.read(f"albedo/{side}", view),
        normal=reader.read(f"normal/{side}", view),
        ray_distance=reader.read(f"depth/{side}", view),
    )


def phong(side: SideBuffer, rig: LightRig, reader: ShardReader, view: int) -> NDArray[np.float64]:
    """Light every pixel of a side in float64, straight from the formula."""
    camera = reader.view(view).camera
    points, rays = unproject(side.ray_distance.astype(np.float64), camera), camera.rays()
    normals = side.normal.astype(np.float64)
    facing = np.sign(-(normals * rays).sum(axis=-1).sum())
    light = np.broadcast_to(rig.ambient, points.shape).copy()
    gloss = np.zeros_like(points)
    for position, colour in zip(rig.diffuse_positions, rig.diffuse_colours, strict=True):
        towards = position - points
        towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
        cosine = np.maximum((normals * towards).sum(axis=-1, keepdims=True), 0.0)
        mirrored = 2.0 * cosine * normals - towards
        peak = np.maximum((mirrored * -rays).sum(axis=-1, keepdims=True) * facing, 0.0)
        light += colour * cosine
        gloss += rig.specular_strength * colour * cosine * peak**rig.shininess
    linear = linear_from_srgb(side.albedo / 255.0) * light + gloss
    return 255.0 * srgb_from_linear(linear * rig.exposure)


def worst(one: NDArray, other: NDArray, where: NDArray[np.bool_]) -> float:
    return float(np.abs(one.astype(float) - other.astype(float))[where].max())


@pytest.mark.parametrize("rig_name", RIG_NAMES)
def test_a_view_lit_again_from_its_shard_is_the_view_within_one_step(
    scans: Path, tmp_path: Path, rig_name: RigName
) -> None:
    config = replace(CONFIG, rig=rig_name)
    with rendered(scans, tmp_path / "s", config) as reader:
        for view in range(2):
            rig = rig_from_arrays(reader.rig(view))
            mask, coverage = reader.read("mask", view), reader.read("coverage", view)
            for side, stored in (("front", "person/front"), ("back", "image/back")):
                buffer = side_of(reader, view, side)
                lit = shade(buffer, rig, reader.view(view).camera, mask)
                again = premultiply(lit, coverage)
                assert worst(again, reader.read(stored, view), coverage > 0) <= 1.0
                whole = coverage == 255
                formula = phong(buffer, rig, reader, view)
                assert worst(lit, formula, mask > 0) <= 1.0
                assert (lit[whole] == 255).any(axis=-1).mean() < 0.01


def test_lit_by_another_rig_and_put_elsewhere_it_is_the_view_made_so(
    scans: Path, tmp_path: Path
) -> None:
    kept = rendered(scans, tmp_path / "on_read", replace(CONFIG, composite="on-read", rig="none"))
    made = rendered(scans, tmp_path / "baked", replace(CONFIG, rig="key"))
    for view in range(2):
        rig = rig_from_arrays(made.rig(view))
        mask, coverage = kept.read("mask", view), kept.read("coverage", view)
        front = shade(side_of(kept, view, "front"), rig, kept.camera, mask)
        background = kept.read("background/pixels", view)
        image = composite(premultiply(front, coverage), coverage, background)
        assert worst(image, made.read("image/front", view), np.ones_like(mask, dtype=bool)) <= 1.0


@pytest.mark.parametrize("projection", ANY_CAMERA)
def test_views_of_drawn_cameras_are_consistent_with_what_is_stored_of_them(
    scans: Path, tmp_path: Path, projection: str
) -> None:
    config = replace(CONFIG, yaws_deg=(0.0, 90.0, 180.0, 270.0), cameras=ANY_CAMERA[projection])
    with rendered(scans, tmp_path / "s", config) as reader:
        views = [reader.view(number) for number in range(4)]
        assert views == list(config.views("person"))
        assert len({(view.pitch_deg, view.camera.fov_deg) for view in views}) == 4
        from_scan = reader.normalised_from_scan
        low, high = np.array([-0.54, 0.0, -0.13]), np.array([0.54, 1.73, 0.19])
        for number, view in enumerate(views):
            coverage = reader.read("coverage", number)
            assert not any(
                e.any() for e in (coverage[0], coverage[-1], coverage.T[0], coverage.T[-1])
            )
            person = reader.read("mask", number) > 0
            front, back = (reader.read(f"depth/{side}", number) for side in ("front", "back"))
            assert (back >= front)[person].all()
            to_scan = np.linalg.inv(reader.pose(number) @ from_scan)
            for depth in (front, back):
                found = transform_points(to_scan, unproject(depth.astype(float), view.camera))
                assert (found[person] > low - 0.01).all() and (found[person] < high + 0.01).all()
            joints = reader.read("joints/2d", number)
            positions = reader.read("joints/3d", number)
            assert (joints[:, 2] > 0).sum() == len(JOINTS)
            known = joints[:, 2] > 0
            placed = project(transform_points(reader.pose(number), positions[:, :3]), view.camera)
            assert np.abs(placed - joints[:, :2])[known].max() < 1e-2
            rows, columns = joints[known, 1].astype(int), joints[known, 0].astype(int)
            assert person[rows, columns].mean() > 0.9  # the nose is a point of the surface
            rig = rig_from_arrays(reader.rig(number))
            lit = shade(side_of(reader, number, "front"), rig, view.camera, person.astype(np.uint8))
            again = premultiply(lit, coverage)
            assert worst(again, reader.read("person/front", number), coverage > 0) <= 1.0
        with pytest.raises(ShardError, match="the only ones that the networks take"):
            require_standard_views(ShardSet(tmp_path / "s"))


def test_turned_and_tilted_views_of_the_standard_camera_are_what_training_takes(
    scans: Path, tmp_path: Path
) -> None:
    cameras = CameraRanges(pitch_deg=(5.0, 10.0), roll_deg=(-5.0, 5.0))
    rendered(scans, tmp_path / "s", replace(CONFIG, cameras=cameras)).close()
    require_standard_views(ShardSet(tmp_path / "s"))
