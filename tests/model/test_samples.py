"""Views become batches: which ones, in which order, at which resolution."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.augment import UNCHANGED, AugmentConfig
from dataset.shards import ShardError, ShardReader, ShardSet
from model.encoding import interior, normals_from_depth
from model.losses import low_resolution_target
from model.part_crops import crop_parts
from model.parts import PART_NETWORKS, Resolution
from model.samples import DrawSchedule, Loader, PartDataset, ViewDataset, make_loader
from model.view_files import reduce_image
from tests.scenes import write_person
from tools.render_dataset import main as render_dataset


def test_parts_of_views_are_those_their_joints_fix(shards: Path) -> None:
    data = ViewDataset(shards, "train", 128, augment=None, seed=0)
    expected = [data[[(0, index)]].transforms.present[0].tolist() for index in range(len(data))]
    assert data.present_parts().tolist() == expected


def test_every_view_is_drawn_once_a_pass_and_processes_share_the_stream() -> None:
    whole = [draw for draws in DrawSchedule(7, 2, range(14), seed=3) for draw in draws]
    for number in range(4):
        assert sorted(index for passed, index in whole if passed == number) == list(range(7))
    late = [draw for draws in DrawSchedule(7, 2, range(5, 14), seed=3) for draw in draws]
    assert late == whole[10:]
    ranks = [list(DrawSchedule(7, 1, range(14), seed=3, rank=rank, world=2)) for rank in (0, 1)]
    assert [draw for pair in zip(*ranks) for draws in pair for draw in draws] == whole


@pytest.mark.parametrize("composite", ["baked", "on-read"])
def test_people_are_put_before_the_rooms_of_other_views(tmp_path: Path, composite: str) -> None:
    write_person(tmp_path / "scans", "a", seed=1)
    write_person(tmp_path / "scans", "b", seed=2)
    write_person(tmp_path / "scans", "c", seed=3)
    options = ["--scans", str(tmp_path / "scans"), "--out", str(tmp_path / "shards")]
    options += ["--resolution", "128", "--angles", "-10", "10", "20", "--jobs", "1"]
    assert render_dataset([*options, "--composite", composite]) == 0
    always = replace(UNCHANGED, background=1.0)
    data = ViewDataset(tmp_path / "shards", "train", 128, augment=always, seed=0)
    coverage = np.zeros((128, 128), dtype=np.uint8)
    person = data.files.person(0)
    coverage[person.window] = person.coverage
    images = torch.stack([data[[(number, 0)]].image[0] for number in range(8)])
    solid, empty = torch.from_numpy(coverage == 255), torch.from_numpy(coverage == 0)
    spread = images.amax(0) - images.amin(0)
    assert spread[:, solid].max() == 0 and spread[:, empty].mean() > 0.1
    # Nothing of the person comes along with the room.
    image, background = data.files.image(0), data.files.background(0)
    assert (image[coverage == 0] == background[coverage == 0]).all()
    assert np.abs(background.astype(int) - image)[coverage == 255].mean() > 5


def test_images_are_reduced_by_the_mean_of_blocks() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, 2)
    # (0 + 1 + 4 + 5) / 4 = 2.5, rounded up.
    assert reduce_image(image, 2)[0, 0].tolist() == [3, 3, 3]


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_rendered_normals_are_read_and_mirrored_as_the_depth_is(
    shards: Path, mirror: float
) -> None:
    augment = replace(UNCHANGED, mirror=mirror)
    data = ViewDataset(shards, "train", 128, augment=augment, seed=0, with_normals=True)
    batch = data[[(0, 0)]]
    assert batch.normal is not None
    expected = normals_from_depth(batch.depth, 128)
    inside = interior(batch.reliable).expand_as(expected)
    error = (batch.normal - expected)[inside].abs()
    assert inside.sum() > 3000 and error.median() < 0.02
    # With the sign of the slope to the sides turned round they would be this far apart.
    turned = torch.cat([1 - batch.normal[:, :1], batch.normal[:, 1:]], dim=1)
    assert (turned - expected)[:, 0][inside[:, 0]].abs().median() > 0.1
    assert data.files.geometry(0).normals is not None
    assert ViewDataset(shards, "train", 128, augment=None, seed=0)[[(0, 0)]].normal is None


def test_workers_share_the_memory_of_one_process(shards: Path) -> None:
    image_bytes = 128 * 128 * 3
    data = ViewDataset(shards, "train", 128, augment=None, seed=0, cache_bytes=4 * image_bytes)
    share = Loader(data, DrawSchedule(len(data), 2, range(1), seed=0), 2).data
    for files, kept in ((share.files, 2), (data.files, 4)):
        first = [files.image(index) for index in range(len(data))]
        again = [files.image(index) for index in range(len(data))]
        assert len(data) > 4
        assert sum(one is other for one, other in zip(first, again)) == kept


def test_samples_are_those_of_the_seed_for_any_number_of_workers(shards: Path) -> None:
    config = AugmentConfig(light=0.5)
    data = ViewDataset(shards, "train", 128, augment=config, seed=3, cache_bytes=0)
    schedule = DrawSchedule(len(data), 2, range(4), seed=3)
    here, there = (list(make_loader(data, schedule, workers=count)) for count in (0, 2))
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.image, other.image) and torch.equal(one.depth, other.depth)
        assert torch.equal(one.transforms.canonical_to_image, other.transforms.canonical_to_image)
    assert not torch.equal(here[0].image, here[1].image)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_shard_is_named_in_one_sentence_whoever_reads_it(
    shards: Path, tmp_path: Path, workers: int
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    data = ViewDataset(copy, "train", 128, augment=None, seed=0)
    for path in (copy / "scans").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 8 : -len(content) // 8] = bytes(len(content) * 3 // 4)
        path.write_bytes(content)
    schedule = DrawSchedule(len(data), 1, range(len(data)), seed=0)
    with pytest.raises(ShardError) as caught:
        list(make_loader(data, schedule, workers=workers))
    assert str(copy) in str(caught.value) and "Traceback" not in str(caught.value)


@pytest.mark.parametrize("with_normals", [False, True])
def test_parts_alone_are_those_of_the_whole_frames(shards: Path, with_normals: bool) -> None:
    augment = replace(UNCHANGED, scale=0.1, roll_deg=5.0, mirror=0.5, background=0.5)
    data = ViewDataset(shards, "train", 128, augment=augment, seed=1, with_normals=with_normals)
    draws = [(0, 0), (1, 3)]
    whole, parts = data[draws], PartDataset(data)[draws]
    assert parts.keys == whole.keys
    assert torch.equal(parts.low_depth, low_resolution_target(whole.depth))
    assert torch.equal(parts.low_reliable, low_resolution_target(whole.reliable))
    reduced = torch.nn.functional.interpolate(
        whole.image, size=(16, 16), mode="bilinear", align_corners=False
    )
    assert torch.allclose(parts.low_image, reduced, atol=1e-5)
    encoded = whole.normal if with_normals else normals_from_depth(whole.depth, 128)
    assert encoded is not None
    assert (parts.low_normal is not None) == with_normals
    if parts.low_normal is not None:
        assert torch.equal(parts.low_normal, low_resolution_target(encoded))
    present = parts.transforms.present
    assert present.sum() > 8
    for network in PART_NETWORKS:
        size = Resolution(128)
        images = crop_parts(whole.image, whole.transforms, network, size)
        normals = crop_parts(encoded, whole.transforms, network, size)
        assert parts.images[network].shape == images.shape
        assert (parts.images[network] - images).abs().max() < 1e-3
        assert (parts.normals[network] - normals).abs().max() < 1e-3


def test_parts_alone_read_no_normals_or_depth_outside_the_person(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, object] = {}
    original = ShardReader.read

    def spy(self: ShardReader, name: str, view: int, box: object = None) -> np.ndarray:
        read[name] = box
        return original(self, name, view, box)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardReader, "read", spy)
    data = ViewDataset(shards, "train", 128, augment=None, seed=0, with_normals=True)
    PartDataset(data)[[(0, 0)]]
    rows, columns = data.files.window(0)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 128 * 128 / 2
    box = (rows.start, rows.stop, columns.start, columns.stop)
    boxed = ["depth/front", "depth/back", "normal/front", "normal/back", "mask"]
    assert [read.pop(name) for name in boxed] == [box] * 5
    assert set(read) == {"coverage", "joints/2d", "image/front"}


def test_a_resolution_the_shards_do_not_have_is_refused(shards: Path) -> None:
    with pytest.raises(ShardError, match="whole fraction of the shards' 128 pixels, got 256"):
        ViewDataset(shards, "train", 256, augment=None, seed=0)
    assert ShardSet(shards).resolution == 128
