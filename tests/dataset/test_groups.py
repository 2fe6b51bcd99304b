"""Several people of one split in one image: where they stand, who they are, what is stored."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from dataset.groups import (
    GAP_CM,
    Cylinder,
    around,
    group_from_scans,
    place_on_floor,
    ranked_partners,
)
from dataset.joints import JOINT_INDEX
from dataset.scans import Scan, find_scans
from dataset.shard_inspection import inspect_shard, verify_arrays
from dataset.shards import ShardError, ShardReader, ShardSet, require_standard_views
from dataset.synthesis import Synthesis, SynthesisReport, scan_set_lists, synthesise
from dataset.synthesis_config import SynthesisConfig
from render.camera import project, transform_points
from render.errors import UserInputError
from render.readers import read_mesh
from tests.scenes import write_person, write_wall

CONFIG = SynthesisConfig(resolution=64, yaws_deg=(0.0, 180.0), people_per_image=2, seed=1)


def scan(name: str, subject: str | None = None) -> Scan:
    return Scan(scan_id=name, subject=subject or name, mesh_path=Path(name))


def render(scans: Path, out: Path, **more: object) -> SynthesisReport:
    config = replace(CONFIG, backgrounds=write_wall(out.parent / "walls"))
    found = find_scans(scans, joints="sidecar")
    run = Synthesis(scans=found, config=config, out=out, lists=scan_set_lists(scans))
    return synthesise(replace(run, **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    for index, unit in enumerate((1.0, 100.0, 1.0, 1.0)):
        write_person(root, f"p{index}", seed=index, unit=unit, steps=6)
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("p0\np1\np2\n")
    (root / "splits" / "test.txt").write_text("p3\n")
    return root


@pytest.fixture(scope="module")
def shards(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    out = tmp_path_factory.mktemp("groups") / "shards"
    report = render(scans, out)
    assert report.done == ("p0", "p1", "p2", "p3") and not report.without_joints
    return ShardSet(out)


def test_nobody_stands_within_anybody_and_the_places_are_drawn() -> None:
    radii = [60.0, 40.0, 90.0, 30.0, 55.0]
    drawn = [place_on_floor(radii, np.random.default_rng(seed)) for seed in range(20)]
    for places in drawn:
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
        needed = np.add.outer(radii, radii) + GAP_CM
        np.fill_diagonal(apart, np.inf)
        assert (apart >= needed).all()
        assert np.abs(places).max() < 500.0
    assert len({tuple(places[1]) for places in drawn}) == 20
    assert place_on_floor([50.0], np.random.default_rng(0)).tolist() == [[0.0, 0.0]]


def test_the_cylinder_around_a_person_stands_on_the_lowest_vertex() -> None:
    vertices = np.array([[0.0, -0.2, 0.0], [2.0, 1.0, 0.0], [1.0, 0.5, 0.5], [1.0, 0.5, -0.5]])
    cylinder = around(vertices)
    assert cylinder.middle.tolist() == [1.0, -0.2, 0.0] and cylinder.radius == 1.0


def test_people_are_placed_in_centimetres_with_their_feet_on_the_floor() -> None:
    low = Cylinder(np.array([0.5, 0.1, 0.2]), 0.3)
    high = Cylinder(np.array([10.0, -20.0, 0.0]), 40.0)
    placed = group_from_scans([low, high], [100.0, 1.0], np.random.default_rng(3))
    feet = [transform_points(m, c.middle[None])[0] for m, c in zip(placed, (low, high))]
    assert feet[0] == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
    assert feet[1][1] == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(feet[1]) >= 30.0 + 40.0 + GAP_CM
    assert np.cbrt(np.linalg.det(placed[0])) == pytest.approx(100.0)
    assert (placed[0][:3, 1] == [0.0, 100.0, 0.0]).all()  # upright


def test_partners_are_other_subjects_in_an_order_of_their_own() -> None:
    others = [scan(f"s{n}") for n in range(30)] + [scan("again", "s0")]
    ranked = ranked_partners(scan("s0"), others, 0, 100)
    assert {s.scan_id for s in ranked} == {f"s{n}" for n in range(1, 30)}
    assert ranked_partners(scan("s0"), others[::-1], 0, 5) == ranked[:5]
    assert ranked_partners(scan("s1"), others, 0, 100) != ranked
    assert ranked_partners(scan("s0"), others, 1, 100) != ranked
    without = [other for other in others if other is not ranked[3]]
    assert ranked_partners(scan("s0"), without, 0, 100) == ranked[:3] + ranked[4:]


def test_a_group_is_of_one_split_and_led_by_the_scan_it_is_named_after(shards: ShardSet) -> None:
    assert shards.splits == {"train": ("p0", "p1", "p2"), "val": (), "test": ("p3",)}
    for name in ("p0", "p1", "p2"):
        with shards.open(name) as reader:
            people = [member.scan_id for member in reader.members]
            assert people[0] == name and len(set(people)) == 2 and "p3" not in people
            assert not reader.has_mesh and reader.unit_cm == 1.0
            assert reader.metadata == {"people": [{"stated": {"joints": "sidecar"}}] * 2}
    with shards.open("p3") as reader:  # nobody else is in its split
        assert reader.people == 1 and reader.read("joints/2d", 0).shape == (31, 3)


def test_joints_depth_and_instances_of_a_group_agree(shards: ShardSet, scans: Path) -> None:
    with shards.open("p0") as reader:
        for view in range(2):
            instance, mask = reader.read("instance", view), reader.read("mask", view)
            assert np.array_equal(instance > 0, mask > 0)
            assert set(np.unique(instance)) == {0, 1, 2}
            joints, positions = reader.read("joints/2d", view), reader.read("joints/3d", view)
            assert joints.shape == (2, 31, 3) and positions.shape == (2, 31, 4)
            placed = project(transform_points(reader.pose(view), positions[..., :3]), reader.camera)
            known = joints[..., 2] > 0
            assert known.sum() == 22
            assert np.abs(placed - joints[..., :2])[known].max() < 1e-2
            front, back = reader.read("depth/front", view), reader.read("depth/back", view)
            points = reader.camera.rays() * front[..., None]
            to_group = np.linalg.inv(reader.pose(view) @ reader.normalised_from_scan)
            for number, member in enumerate(reader.members, start=1):
                shown = instance == number
                back_to_scan = np.linalg.inv(member.group_from_scan) @ to_group
                found = transform_points(back_to_scan, points[shown])
                vertices = read_mesh(scans / f"{member.scan_id}.obj").vertices
                size = np.ptp(vertices[:, 1])
                assert (found > vertices.min(axis=0) - 0.01 * size).all()
                assert (found < vertices.max(axis=0) + 0.01 * size).all()
                # The back is that of the same person, who is less wide than two are apart.
                thickness_cm = (back - front)[shown] / reader.normalised_from_scan[0, 0]
                assert 0.0 <= thickness_cm.min() and thickness_cm.max() < 110.0
                nose = joints[number - 1, JOINT_INDEX["nose"]]
                assert nose[2] > 0.0


def test_groups_are_verified_with_everybody_in_them(shards: ShardSet, tmp_path: Path) -> None:
    people = {}
    for name in shards.scan_ids:
        facts, problems = inspect_shard(shards, name, "train", verify=True)
        assert facts is not None and not problems
        assert facts.joints_known == facts.views * facts.people * 11
        people[name] = facts.people
    assert people == {"p0": 2, "p1": 2, "p2": 2, "p3": 1}
    copy = tmp_path / "p0.h5"
    shutil.copy(shards.root / "scans" / "p0.h5", copy)
    with h5py.File(copy, "r+") as file:
        row, column = np.argwhere(file["mask"][1] == 0)[0]
        file["instance"][1, row, column] = 1
    with ShardReader(copy) as reader:
        assert verify_arrays(reader) == [
            "view 1: instance: expected 1 to 2 on people, found 1 pixels otherwise"
        ]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_second_run_forms_the_same_groups_whatever_its_jobs(
    shards: ShardSet, scans: Path, tmp_path: Path, jobs: int
) -> None:
    render(scans, tmp_path / "s", jobs=jobs)
    for entry in shards.index.shards:
        assert entry in ShardSet(tmp_path / "s").index.shards


def test_a_partner_that_gets_joints_later_is_taken_with_them(tmp_path: Path) -> None:
    mine, out = tmp_path / "scans", tmp_path / "s"
    for index in range(2):
        write_person(mine, f"p{index}", seed=index, steps=4, joints=index == 0)
    (mine / "splits").mkdir()
    (mine / "splits" / "train.txt").write_text("p0\np1\n")
    for _ in range(2):  # what is kept is named again
        report = render(mine, out)
        assert report.without_joints == ("p0", "p1")
    write_person(mine, "p1", seed=1, steps=4)
    report = render(mine, out)
    assert report.done == ("p0", "p1") and not report.without_joints


def test_groups_are_kept_when_scans_are_added_but_not_with_somebody_who_turned_bad(
    shards: ShardSet, scans: Path, tmp_path: Path
) -> None:
    for path in scans.rglob("*"):
        if path.is_file():
            copy = tmp_path / "scans" / path.relative_to(scans)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    out = tmp_path / "s"
    render(scans, out)
    (tmp_path / "scans" / "p1.obj").write_text("v 0 0 0\n")
    write_person(tmp_path / "scans", "p4", seed=4, steps=6)
    with (tmp_path / "scans" / "splits" / "train.txt").open("a") as file:
        file.write("p4\n")
    beside = {"p0": set[str](), "p2": set[str]()}
    for name, members in beside.items():
        with shards.open(name) as reader:
            members |= {member.scan_id for member in reader.members}
    again = {name for name, members in beside.items() if "p1" in members}
    assert again and again < set(beside), "one group of either kind"
    report = render(tmp_path / "scans", out)
    assert set(report.done) == {"p4", *again} and set(report.failed) == {"p1"}
    kept = {entry.scan_id: entry for entry in ShardSet(out).index.shards}
    for entry in shards.index.shards:
        assert (kept[entry.scan_id] == entry) == (entry.scan_id not in again)
    # From nothing, the bad one is listed once and stands in no group.
    report = render(tmp_path / "scans", tmp_path / "new")
    assert set(report.failed) == {"p1"} and report.done == ("p0", "p2", "p3", "p4")
    for name in ("p0", "p2", "p4"):
        with ShardSet(tmp_path / "new").open(name) as reader:
            assert reader.people == 2 and "p1" not in {m.scan_id for m in reader.members}


def test_training_refuses_groups_in_a_sentence(shards: ShardSet) -> None:
    with pytest.raises(ShardError, match="people_per_image = 1.*got 2.*--people-per-image"):
        require_standard_views(shards)


@pytest.mark.parametrize(
    "bad", [{"people_per_image": 0}, {"people_per_image": 17}, {"store_mesh": "all"}]
)
def test_groups_that_cannot_be_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UserInputError, match="expected"):
        replace(CONFIG, **bad)  # type: ignore[arg-type]
