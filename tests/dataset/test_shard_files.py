"""What is written to a shard comes back."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from dataset.shard_checks import GroupMember
from dataset.shard_codec import (
    DEPTH_MAX,
    DEPTH_MIN,
    decode_depth,
    decode_normal,
    encode_depth,
    encode_normal,
)
from dataset.shard_writer import ShardWriter, tiles_with_content
from dataset.shards import PICTURES, ShardError, ShardReader
from dataset.views import View
from render.camera import Camera
from tests.dataset.records import make_header, make_record, unit_vectors

RESOLUTION = 300  # more than one tile, the last ones cut off


def write_shard(path: Path, composite: str = "baked", views: int = 2) -> Path:
    with ShardWriter(path, make_header(RESOLUTION, views, composite)) as writer:
        for view in range(views):
            writer.add_view(make_record(RESOLUTION, view))
        writer.add_mesh(np.arange(12.0).reshape(4, 3), np.array([[0, 1, 2], [1, 2, 3]]))
    return path


def test_depth_code_is_the_one_of_the_schema() -> None:
    focal = 2048 / (2 * np.tan(np.radians(25)))
    distances = np.array([0.0, 1.0, 1.0 + 1 / focal, 1.0 - 100.25 / focal])
    assert encode_depth(distances).tolist() == [0, 32768, 32800, 32768 - 3208]


def test_depth_decodes_within_a_64th_of_a_pixel_over_its_whole_range() -> None:
    distances = np.linspace(DEPTH_MIN, DEPTH_MAX, 100_001)
    error = np.abs(decode_depth(encode_depth(distances)).astype(np.float64) - distances)
    assert 6e-6 < error.max() < 7.3e-6


@pytest.mark.parametrize("distance", [0.5, 1.5, np.nan, np.inf, -1.0])
def test_depth_outside_the_code_is_refused(distance: float) -> None:
    with pytest.raises(ShardError, match="depth: expected ray distances"):
        encode_depth(np.array([1.0, distance]))


def test_normals_decode_within_0_2_degree_and_stay_unit() -> None:
    normals = unit_vectors(np.random.default_rng(0), (200_000,))
    decoded = decode_normal(encode_normal(normals))
    chord = np.linalg.norm((decoded - normals).astype(np.float64), axis=1)
    assert np.degrees(2 * np.arcsin(chord / 2)).max() < 0.2
    assert np.allclose(np.linalg.norm(decoded, axis=1), 1.0, atol=1e-6)
    assert decode_normal(encode_normal(np.zeros((1, 3)))).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("normal", [[0.0, 0.0, 0.5], [1.0, 1.0, 0.0], [np.nan, 0.0, 1.0]])
def test_normals_that_are_not_unit_are_refused(normal: list[float]) -> None:
    with pytest.raises(ShardError, match="normal: expected unit vectors"):
        encode_normal(np.array([normal]))


def test_every_array_of_a_shard_comes_back(tmp_path: Path) -> None:
    with ShardReader(write_shard(tmp_path / "a.h5")) as reader:
        for view in range(2):
            written = make_record(RESOLUTION, view)
            for name, spec in PICTURES.items():
                if name in ("background/pixels", "instance"):
                    continue
                tolerance = {"raw": 0.0, "depth": 7.3e-6, "normal": 3.5e-3}[spec.codec]
                values = reader.read(name, view)
                assert values.dtype == (np.uint8 if spec.codec == "raw" else np.float32)
                difference = np.abs(values.astype(float) - written.pictures[name].astype(float))
                assert difference.max() <= tolerance, name
            assert np.array_equal(reader.read("joints/2d", view), np.float32(written.joints_2d))
            assert np.array_equal(reader.read("joints/3d", view), np.float32(written.joints_3d))
            assert np.array_equal(reader.pose(view), written.view.pose)
            assert reader.view(view) == written.view
            assert reader.seed(view) == written.seed
            assert reader.yaw_deg(view) == 10.0
            assert {k: v.tolist() for k, v in reader.rig(view).items()} == {
                k: v.tolist() for k, v in written.rig.items()
            }
            assert reader.background(view)[0] == f"room-{view}-ä"
            assert reader.background(view)[1].tolist() == [1, 2, 3.5, 4 + view]
        assert (reader.scan_id, reader.subject, reader.unit_cm) == ("person_1", "Zoë", 100.0)
        assert (reader.view_count, reader.resolution, reader.shrink) == (2, RESOLUTION, 0.9)
        assert np.array_equal(reader.normalised_from_scan, np.diag([0.4, 0.4, 0.4, 1.0]))
        assert reader.config["composite"] == "baked" and reader.metadata == {"height": 1.7}
        vertices, faces = reader.mesh()
        assert vertices.tolist() == np.arange(12.0).reshape(4, 3).tolist()
        assert faces.tolist() == [[0, 1, 2], [1, 2, 3]]


@pytest.mark.parametrize("composite", ["baked", "on-read"])
def test_a_box_reads_the_same_as_the_part_of_the_whole(tmp_path: Path, composite: str) -> None:
    reader = ShardReader(write_shard(tmp_path / "a.h5", composite))
    for name in PICTURES:
        if name == "instance" or (name == "background/pixels" and composite == "baked"):
            continue
        whole = reader.read(name, 1)
        for box in [(0, 1, 0, 1), (250, 260, 90, 300), (17, 300, 255, 257)]:
            part = reader.read(name, 1, box)
            assert np.array_equal(part, whole[box[0] : box[1], box[2] : box[3]]), name
    with pytest.raises(ValueError, match="box"):
        reader.read("mask", 0, (0, RESOLUTION + 1, 0, 5))


@pytest.mark.parametrize("composite", ["baked", "on-read"])
def test_several_boxes_are_those_of_the_whole_in_their_order(
    tmp_path: Path, composite: str
) -> None:
    boxes = [(40, 60, 250, 290), (17, 300, 255, 257), (40, 60, 250, 290), (250, 260, 90, 300)]
    with ShardReader(write_shard(tmp_path / "a.h5", composite)) as reader:
        for name in ("image/front", "depth/back", "normal/front", "mask"):
            whole = reader.read(name, 1)
            parts = reader.read_boxes(name, 1, boxes)
            for (row0, row1, col0, col1), part in zip(boxes, parts, strict=True):
                assert np.array_equal(part, whole[row0:row1, col0:col1]), name
        with pytest.raises(ValueError, match="boxes: expected one or more"):
            reader.read_boxes("mask", 0, [])
        with pytest.raises(ValueError, match="box: expected a part of 300 x 300"):
            reader.read_boxes("mask", 0, [*boxes, (0, 1, 0, 301)])


def test_every_view_has_its_own_camera_and_its_depth_is_about_its_own_distance(
    tmp_path: Path,
) -> None:
    views = [
        View(camera=Camera(RESOLUTION, 41.5), yaw_deg=180.0, pitch_deg=-7.5, distance=0.8),
        View(camera=Camera(RESOLUTION, 60.0), yaw_deg=0.0, roll_deg=12.0, distance=3.0),
    ]
    records = []
    for view in views:
        record = make_record(RESOLUTION, 0)
        depth = record.pictures["depth/back"]
        moved = np.where(depth > 0, depth + np.float32(view.distance - 1.0), 0).astype(np.float32)
        pictures = {**record.pictures, "depth/back": moved}
        pictures["depth/front"] = moved
        records.append(replace(record, view=view, pictures=pictures))
    with ShardWriter(tmp_path / "a.h5", make_header(RESOLUTION, 2)) as writer:
        for record in records:
            writer.add_view(record)
    reader = ShardReader(tmp_path / "a.h5")
    for number, (view, record) in enumerate(zip(views, records, strict=True)):
        assert reader.view(number) == view
        assert np.array_equal(reader.pose(number), view.pose)
        error = reader.read("depth/back", number) - record.pictures["depth/back"].astype(float)
        assert np.abs(error).max() < 7.5e-6
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["camera/intrinsics"][1], views[1].camera.intrinsics())
    with pytest.raises(ShardError, match="expected one camera for all views, got 2"):
        _ = reader.camera


def test_a_group_comes_back_with_its_people_in_order(tmp_path: Path) -> None:
    record = make_record(RESOLUTION, 0)
    rng = np.random.default_rng(1)
    instance = record.pictures["mask"] * rng.integers(1, 3, (RESOLUTION, RESOLUTION), np.uint8)
    joints = rng.uniform(0, 1, (2, 31, 3)), rng.uniform(-0.3, 0.3, (2, 31, 4))
    record = replace(
        record,
        pictures={**record.pictures, "instance": instance},
        joints_2d=joints[0],
        joints_3d=joints[1],
    )
    members = tuple(
        GroupMember(scan_id=name, subject=f"{name} ä", group_from_scan=np.eye(4) * scale)
        for name, scale in (("person_1", 1.0), ("b", 100.0))
    )
    header = replace(make_header(RESOLUTION, 1), members=members)
    with ShardWriter(tmp_path / "a.h5", header) as writer:
        writer.add_view(record)
    reader = ShardReader(tmp_path / "a.h5")
    assert reader.people == 2
    assert [(m.scan_id, m.subject) for m in reader.members] == [
        ("person_1", "person_1 ä"), ("b", "b ä")
    ]  # fmt: skip
    assert reader.members[1].group_from_scan[0, 0] == 100.0
    assert np.array_equal(reader.read("instance", 0), instance)
    assert np.array_equal(reader.read("joints/2d", 0), np.float32(joints[0]))
    assert np.array_equal(reader.read("joints/3d", 0), np.float32(joints[1]))
    with pytest.raises(ShardError, match="instance"):
        ShardReader(write_shard(tmp_path / "alone.h5")).read("instance", 0)


def test_a_group_without_the_joints_of_everybody_is_not_written(tmp_path: Path) -> None:
    member = GroupMember(scan_id="a", subject="a", group_from_scan=np.eye(4))
    record = make_record(RESOLUTION, 0)
    pictures = {**record.pictures, "instance": record.pictures["mask"]}
    with pytest.raises(ShardError, match=r"joints: expected finite \(2, 31, 3\)"):
        header = replace(make_header(RESOLUTION, 1), members=(member, member))
        with ShardWriter(tmp_path / "a.h5", header) as writer:
            writer.add_view(replace(record, pictures=pictures))


def test_tiles_without_content_are_not_stored(tmp_path: Path) -> None:
    record = make_record(RESOLUTION, 0)
    mask = np.zeros((RESOLUTION, RESOLUTION), dtype=np.uint8)
    mask[299, 299] = 1
    with ShardWriter(tmp_path / "a.h5", make_header(RESOLUTION, 1)) as writer:
        writer.add_view(replace(record, pictures={**record.pictures, "mask": mask}))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["mask"].id.get_num_chunks() == 1
        assert file["image/front"].id.get_num_chunks() == 4
    assert np.array_equal(ShardReader(tmp_path / "a.h5").read("mask", 0), mask)


def test_the_same_content_gives_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    first = write_shard(tmp_path / "a.h5").read_bytes()
    time.sleep(1.1)
    (tmp_path / "elsewhere").mkdir()
    assert write_shard(tmp_path / "elsewhere" / "b.h5").read_bytes() == first


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"precious")
    record = make_record(RESOLUTION, 0)
    depth = record.pictures["depth/front"] * 3
    with pytest.raises(ShardError, match="depth"):
        with ShardWriter(path, make_header(RESOLUTION, 1)) as writer:
            writer.add_view(replace(record, pictures={**record.pictures, "depth/front": depth}))
    assert path.read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_shard_with_views_missing_is_never_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="views: expected 2, got 1"):
        with ShardWriter(tmp_path / "a.h5", make_header(RESOLUTION, 2)) as writer:
            writer.add_view(make_record(RESOLUTION, 0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_shard_cut_short_is_refused_in_one_sentence(tmp_path: Path, share: float) -> None:
    path = write_shard(tmp_path / "a.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ShardError, match="a.h5: expected a complete shard") as error:
        ShardReader(path)
    assert "\n" not in str(error.value)


def test_other_files_are_no_shards(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(ShardError, match=r"folder\.h5: expected .* cannot be opened") as error:
        ShardReader(tmp_path / "folder.h5")
    assert "\n" not in str(error.value)
    with pytest.raises(ShardError, match="schema version 2"):
        ShardReader(tmp_path / "a.h5")
    with pytest.raises(ShardError, match="no such file"):
        ShardReader(tmp_path / "b.h5")


def replace_table(name: str, values: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if values is not None:
            file[name] = values

    return change


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_attribute("schema_version", [1, 1]), "schema version"),
        (set_attribute("composite", 3), "text"),
        (set_attribute("composite", np.bytes_(b"raw")), "baked or on-read"),
        (set_attribute("views", np.bytes_(b"2")), "views"),
        (set_attribute("views", 1), "image/front"),
        (set_attribute("resolution", 2.5), "resolution"),
        (set_attribute("projection", np.bytes_(b"fisheye")), "perspective or orthographic"),
        (set_attribute("people", 0), "people from 1 to 16"),
        (set_attribute("people", 2), "instance"),
        (replace_table("camera/fov_deg", np.array([50.0, 180.0])), "camera/fov_deg between"),
        (replace_table("camera/distance", np.array([np.nan, 1.0])), "camera/distance between"),
        (replace_table("view/pitch_deg", np.zeros(3)), "view/pitch_deg"),
        (replace_table("view/yaw_deg", np.array([np.nan, 0.0])), "finite numbers in view/yaw_deg"),
        (replace_table("camera/shrink", np.inf), "finite numbers in camera/shrink"),
        (replace_table("camera/pose", np.zeros((2, 4, 4))), "flat nor mirrored in camera/pose"),
        (
            replace_table("camera/normalised_from_scan", np.diag([-1.0, 1.0, 1.0, 1.0])),
            "flat nor mirrored in camera/normalised_from_scan",
        ),
        (set_attribute("unit_cm", np.nan), "unit_cm"),
        (set_attribute("config", np.bytes_(b"[1]")), "JSON object"),
        (set_attribute("config", np.bytes_(b"{")), "JSON object"),
        (set_attribute("subject", np.bytes_(b"\xff")), "UTF-8"),
        (lambda file: file.attrs.__delitem__("subject"), "subject"),
        (replace_table("mask", None), "mask"),
        (lambda file: (file.__delitem__("mask"), file.create_group("mask")), "mask.*no table"),
        (replace_table("joints/2d", np.zeros((2, 24, 3), np.float32)), "joints/2d.*24"),
        (replace_table("joints/3d", np.float32(0)), "joints/3d"),
        (replace_table("joints/3d", np.zeros((2, 31, 4), "S3")), "joints/3d.*kind 'f'"),
        (replace_table("camera/pose", np.zeros((2, 3, 4))), "camera/pose"),
        (replace_table("camera", 1.0), "got"),
        (replace_table("view/rig", 1.0), "got"),
        (replace_table("mesh/vertices", 1.0), "got"),
        (replace_table("mesh", 1.0), "got"),
    ],
)
def test_an_odd_shard_is_refused_when_opened(
    tmp_path: Path, change: Callable[[h5py.File], object], named: str
) -> None:
    path = write_shard(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ShardError, match=f"a.h5: expected .*{named}") as error:
        ShardReader(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [-1, 4])
def test_a_mesh_whose_faces_name_no_vertices_is_refused(tmp_path: Path, number: int) -> None:
    path = write_shard(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["mesh/faces"][1, 2] = number
    with pytest.raises(ShardError, match="expected faces of 4 vertices"):
        ShardReader(path).mesh()


def test_damaged_bytes_are_refused_when_read(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.h5")
    with h5py.File(path) as file:
        offset = file["albedo/front"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))
    with pytest.raises(ShardError, match="albedo/front cannot be read"):
        ShardReader(path).read("albedo/front", 0)


def test_a_reader_survives_pickling(tmp_path: Path) -> None:
    reader = ShardReader(write_shard(tmp_path / "a.h5"))
    again = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(again.read("mask", 1), reader.read("mask", 1))


def test_a_mesh_that_was_not_stored_is_missed_in_one_sentence(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a.h5", make_header(RESOLUTION, 1)) as writer:
        writer.add_view(make_record(RESOLUTION, 0))
    with pytest.raises(ShardError, match="--store-mesh all"):
        ShardReader(tmp_path / "a.h5").mesh()


@pytest.mark.parametrize("resolution", [300, 512])
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_tiles_with_content_are_found(resolution: int, shape: tuple[int, ...], dtype: str) -> None:
    picture = np.zeros((resolution, resolution, *shape), dtype=dtype)
    picture[255, 256] = 1
    assert tiles_with_content(picture).tolist() == [[False, True], [False, False]]
    picture[-1, 0] = 1
    assert tiles_with_content(picture).tolist() == [[False, True], [True, False]]
