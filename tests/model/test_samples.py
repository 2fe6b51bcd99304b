"""Views become batches: which ones, in which order, at which resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.augment import AugmentConfig
from dataset.shards import ShardError, ShardSet
from model.encoding import interior, normals_from_depth
from model.samples import DrawSchedule, ViewDataset, make_loader, reduce_image
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
    always = AugmentConfig(colour=1.0, mirror=0.0, background=1.0)
    data = ViewDataset(tmp_path / "shards", "train", 128, augment=always, seed=0)
    view = data.view(0)
    assert view.layers is not None
    images = torch.stack([data[[(number, 0)]].image[0] for number in range(8)])
    solid = torch.from_numpy(view.layers.coverage == 255)
    empty = torch.from_numpy(view.layers.coverage == 0)
    spread = images.amax(0) - images.amin(0)
    assert spread[:, solid].max() == 0 and spread[:, empty].mean() > 0.1
    # Nothing of the other person comes along with the room.
    assert (view.image[empty.numpy()] == view.layers.background[empty.numpy()]).all()
    assert (np.abs(view.layers.background.astype(int) - view.image)[solid.numpy()]).mean() > 5


def test_images_are_reduced_by_the_mean_of_blocks() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, 2)
    # (0 + 1 + 4 + 5) / 4 = 2.5, rounded up.
    assert reduce_image(image, 2)[0, 0].tolist() == [3, 3, 3]


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_rendered_normals_are_read_and_mirrored_as_the_depth_is(
    shards: Path, mirror: float
) -> None:
    augment = AugmentConfig(colour=1.0, mirror=mirror, background=0.0)
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
    assert data.view(0).normals is not None
    assert ViewDataset(shards, "train", 128, augment=None, seed=0)[[(0, 0)]].normal is None


def test_workers_share_the_memory_of_one_process(shards: Path) -> None:
    view_bytes = 128 * 128 * (3 + 2 * 4 + 1 + 3 + 1 + 3)
    data = ViewDataset(shards, "train", 128, augment=None, seed=0, cache_bytes=4 * view_bytes)
    loader = make_loader(data, DrawSchedule(len(data), 2, range(1), seed=0), workers=2)
    share = loader.dataset
    assert isinstance(share, ViewDataset)
    for index in range(len(data)):
        share.view(index)
    assert len(share._cache) == 2
    for index in range(len(data)):
        data.view(index)
    assert len(data._cache) == 4


def test_a_resolution_the_shards_do_not_have_is_refused(shards: Path) -> None:
    with pytest.raises(ShardError, match="whole fraction of the shards' 128 pixels, got 256"):
        ViewDataset(shards, "train", 256, augment=None, seed=0)
    assert ShardSet(shards).resolution == 128
