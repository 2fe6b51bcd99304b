"""Scans become a shard set: what is in it, resuming, many processes, bad scans."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.joints import JOINT_INDEX
from dataset.shard_index import shard_path
from dataset.shards import ShardSet
from dataset.synthesis_config import SynthesisConfig
from dataset.views import view_seed
from dataset.workers import Orders, render_in_worker
from render.camera import camera_from_normalised, normalised_from_scan, project, transform_points
from render.lights import draw_rig, rig_from_arrays, rig_to_arrays
from render.readers import read_mesh
from tests.dataset.small_sets import CONFIG, content, render
from tests.scenes import JOINTS, write_person


def test_a_shard_set_has_index_lists_and_one_file_per_scan(baked: Path) -> None:
    names = set(content(baked))
    assert names == {"index.json", "splits/train.txt", "splits/val.txt", "splits/test.txt"} | {
        f"scans/p{index}__person.h5" for index in range(3)
    }
    shards = ShardSet(baked)
    assert sorted(map(len, shards.splits.values())) == [1, 1, 1]
    assert len(shards.views(None)) == 9 and shards.config["seed"] == 3
    for scan_id in shards.scan_ids:
        shards.verify(scan_id)


def test_pictures_agree_with_each_other(baked: Path) -> None:
    reader = ShardSet(baked).open("p1__person")
    for view in range(3):
        read = {name: reader.read(name, view) for name in ("mask", "coverage", "image/front")}
        person = read["mask"] > 0
        assert 0.03 < person.mean() < 0.3
        assert not (read["coverage"][person] == 0).any()
        front, back = reader.read("depth/front", view), reader.read("depth/back", view)
        assert np.array_equal(front > 0, person) and np.array_equal(back > 0, person)
        assert (back[person] >= front[person]).all() and (back - front)[person].max() > 0.05
        front_normal, back_normal = (reader.read(f"normal/{s}", view) for s in ("front", "back"))
        rays = reader.camera.rays()
        assert (np.einsum("ijk,ijk->ij", front_normal, rays)[person] < 0.05).all()
        assert (np.einsum("ijk,ijk->ij", back_normal, rays)[person] > -0.05).all()
        # Where a pixel is wholly covered nothing of the background is left.
        whole = read["coverage"] == 255
        assert np.array_equal(read["image/front"][whole], reader.read("person/front", view)[whole])
        outside = read["coverage"] == 0
        for name in ("image/back", "person/front", "albedo/front", "albedo/back"):
            assert not reader.read(name, view)[outside].any(), name
        assert read["image/front"][outside].std() > 1.0


def test_depth_unprojects_to_the_scan_in_centimetres(baked: Path, scans: Path) -> None:
    reader = ShardSet(baked).open("p1__person")
    mesh = read_mesh(scans / "p1" / "person.obj")
    assert reader.unit_cm == 1.0
    assert reader.normalised_from_scan == pytest.approx(
        normalised_from_scan(mesh.vertices, mesh.faces), abs=1e-12
    )
    for view in range(3):
        depth = reader.read("depth/front", view).astype(float)
        points = depth[..., None] * reader.camera.rays()
        back = np.linalg.inv(reader.pose(view) @ reader.normalised_from_scan)
        found = transform_points(back, points[depth > 0])
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        assert (found > low - 0.1).all() and (found < high + 0.1).all()
        assert found[:, 1].max() > high[1] - 5.0 and found[:, 1].min() < low[1] + 5.0  # 2 pixels


def test_joints_are_projected_and_missing_ones_have_confidence_0(baked: Path) -> None:
    reader = ShardSet(baked).open("p0__person")
    for view, yaw in enumerate((-20.0, 0.0, 20.0)):
        assert reader.yaw_deg(view) == yaw
        assert np.allclose(reader.pose(view), camera_from_normalised(yaw))
        pixels, positions = reader.read("joints/2d", view), reader.read("joints/3d", view)
        assert (pixels[:, 2] > 0).sum() == len(JOINTS)
        nose = np.array(JOINTS["nose"])
        expected = transform_points(reader.normalised_from_scan, nose)
        index = JOINT_INDEX["nose"]
        assert positions[index] == pytest.approx([*expected, 1.0], abs=1e-5)
        placed = project(transform_points(reader.pose(view), expected), reader.camera)
        assert pixels[index, :2] == pytest.approx(placed, abs=1e-3)
        knee = pixels[JOINT_INDEX["left_knee"], :2].astype(int)
        assert reader.read("mask", view)[knee[1], knee[0]] == 1
    without = ShardSet(baked).open("p2__person")
    assert not without.read("joints/2d", 0).any() and not without.read("joints/3d", 0).any()


def test_the_person_turns_to_the_right_and_lights_stay_with_the_camera(baked: Path) -> None:
    reader = ShardSet(baked).open("p0__person")
    nose = [reader.read("joints/2d", view)[JOINT_INDEX["nose"], 0] for view in range(3)]
    assert nose[0] < nose[1] < nose[2]
    for view in range(3):
        seed = view_seed(3, "p0__person", view)
        assert reader.seed(view) == seed
        expected = rig_to_arrays(draw_rig("paper", np.random.default_rng([seed, 0])))
        stored = reader.rig(view)
        assert set(stored) == set(expected)
        assert all(np.array_equal(stored[name], expected[name]) for name in expected)
        assert len(rig_from_arrays(stored).diffuse_positions) == 90


def test_meshes_are_kept_for_scans_that_are_scored(baked: Path, scans: Path) -> None:
    shards = ShardSet(baked)
    for split, names in shards.splits.items():
        for name in names:
            assert shards.open(name).has_mesh == (split != "train")
    scored = shards.splits["test"][0]
    vertices, faces = shards.open(scored).mesh()
    mesh = read_mesh(scans / scored.split("__")[0] / "person.obj")
    assert np.allclose(vertices, mesh.vertices, rtol=1e-6) and np.array_equal(faces, mesh.faces)


def test_composed_on_read_is_the_baked_picture(scans: Path, baked: Path, tmp_path: Path) -> None:
    config = SynthesisConfig(**{**vars(CONFIG), "composite": "on-read"})
    render(scans, tmp_path / "s", config)
    for scan_id in ("p0__person", "p2__person"):
        one, other = ShardSet(baked).open(scan_id), ShardSet(tmp_path / "s").open(scan_id)
        for view in range(3):
            assert np.array_equal(one.read("image/front", view), other.read("image/front", view))
            assert one.background(view)[0] == other.background(view)[0]


def test_two_processes_and_another_place_give_the_same_bytes(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    shutil.copytree(scans, tmp_path / "moved")
    render(tmp_path / "moved", tmp_path / "other", jobs=2)
    assert content(tmp_path / "other") == content(baked)


@pytest.mark.parametrize(("users_choice", "expected"), [(None, "3"), ("5", "5")])
def test_a_worker_keeps_its_renderer_and_opencv_to_its_share_of_the_cores(
    users_choice: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LP_NUM_THREADS", users_choice or "")
    if users_choice is None:
        monkeypatch.delenv("LP_NUM_THREADS")
    threads = cv2.getNumThreads()
    try:
        orders = Orders(config=CONFIG, out=tmp_path, threads=3)
        assert render_in_worker([], orders) == []
        assert os.environ["LP_NUM_THREADS"] == expected
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(threads)


def test_another_seed_gives_other_pictures_and_the_same_geometry(
    scans: Path, baked: Path, tmp_path: Path
) -> None:
    render(scans, tmp_path / "s", SynthesisConfig(**{**vars(CONFIG), "seed": 4}))
    one, other = ShardSet(baked).open("p0__person"), ShardSet(tmp_path / "s").open("p0__person")
    assert not np.array_equal(one.read("image/front", 0), other.read("image/front", 0))
    assert not np.array_equal(one.read("person/front", 0), other.read("person/front", 0))
    for name in ("albedo/front", "depth/back", "normal/front", "mask"):
        assert np.array_equal(one.read(name, 0), other.read(name, 0))


def test_joints_in_another_unit_than_the_scan_are_refused(scans: Path, tmp_path: Path) -> None:
    mine = tmp_path / "scans"
    shutil.copytree(scans / "p0", mine / "p0")
    shutil.copy(scans / "p1" / "person.joints.json", mine / "p0" / "person.joints.json")
    report = render(mine, tmp_path / "s")
    assert (
        "person.joints.json: expected joints at the scan, got 11 far" in report.failed["p0__person"]
    )


def test_bad_scans_are_passed_over_and_no_split_stays_empty(scans: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "scans"
    shutil.copytree(scans, mixed)
    (mixed / "no_faces.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    (mixed / "nan.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n")
    (mixed / "tall.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 17 0\nf 1 2 3\n")
    (mixed / "flat.obj").write_text("v 0 0 0\nv 0 1 0\nv 0 1.7 0\nf 1 2 3\n")
    textured = write_person(mixed / "no_texture")
    textured.with_suffix(".png").unlink()
    joints = write_person(mixed / "bad_joints")
    joints.with_name("person.joints.json").write_text('{"joints": {"nose": [1, 2]}}')
    report = render(mixed, tmp_path / "s")
    assert len(report.done) == 3
    assert set(report.failed) == {
        "no_faces", "nan", "tall", "flat", "no_texture__person", "bad_joints__person"
    }  # fmt: skip
    assert all("\n" not in reason and reason for reason in report.failed.values())
    assert "person.png" in report.failed["no_texture__person"]
    assert "17 units" in report.failed["tall"]
    shards = ShardSet(tmp_path / "s")
    assert sorted(map(len, shards.splits.values())) == [1, 1, 1]
    assert all(shards.open(name).has_mesh for name in shards.splits["val"] + shards.splits["test"])


def test_a_view_without_a_pixel_of_the_person_is_an_error_of_that_scan(
    scans: Path, tmp_path: Path
) -> None:
    shutil.copytree(scans, tmp_path / "scans")
    # A millimetre wide, it stands between the two columns of pixels in the middle.
    lines = ["v -5e-4 0 0", "v 5e-4 0 0", "v 5e-4 1.7 0", "v -5e-4 1.7 0", "f 1 2 3 4"]
    (tmp_path / "scans" / "sliver.obj").write_text("\n".join(lines) + "\n")
    report = render(tmp_path / "scans", tmp_path / "s")
    assert len(report.done) == 3 and set(report.failed) == {"sliver"}
    assert (
        "sliver.obj: expected the person in view 0 (yaw -20 degrees), got no pixel"
        in (report.failed["sliver"])
    )
    assert not (tmp_path / "s" / "scans" / "sliver.h5").exists()


def test_lists_in_the_scan_folder_decide_the_splits(scans: Path, tmp_path: Path) -> None:
    listed = tmp_path / "scans"
    shutil.copytree(scans, listed)
    (listed / "splits").mkdir()
    (listed / "splits" / "test.txt").write_text("p0__person\np1__person\n")
    (listed / "splits" / "val.txt").write_text("# chosen by hand\np2__person\n")
    render(listed, tmp_path / "s")
    assert ShardSet(tmp_path / "s").splits == {
        "train": (),
        "val": ("p2__person",),
        "test": ("p0__person", "p1__person"),
    }


def test_a_scan_that_would_touch_the_border_is_shrunk_in_all_views(tmp_path: Path) -> None:
    # A board leaning towards the camera: its upper edge comes close and would leave the image.
    lines = ["v -0.5 0 -0.8", "v 0.5 0 -0.8", "v 0.5 1.6 0.9", "v -0.5 1.6 0.9", "f 1 2 3 4"]
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "board.obj").write_text("\n".join(lines) + "\n")
    render(tmp_path / "scans", tmp_path / "s")
    reader = ShardSet(tmp_path / "s").open("board")
    assert 0.5 < reader.shrink < 1.0
    largest = np.abs(
        transform_points(
            reader.normalised_from_scan, read_mesh(tmp_path / "scans/board.obj").vertices
        )
    ).max()
    assert largest == pytest.approx(reader.shrink / 2.8)
    for view in range(3):
        coverage = reader.read("coverage", view)
        edges = (coverage[0], coverage[-1], coverage[:, 0], coverage[:, -1])
        assert coverage.any() and not any(edge.any() for edge in edges)


def test_nothing_in_a_shard_names_its_place(baked: Path, scans: Path) -> None:
    for name, data in content(baked).items():
        assert str(scans).encode() not in data and str(baked).encode() not in data, name
    index = json.loads((baked / "index.json").read_text())
    assert set(index) == {"schema_version", "tool_version", "seed", "config", "shards"}
    entry = index["shards"][0]
    assert entry["bytes"] == shard_path(baked, entry["scan_id"]).stat().st_size
