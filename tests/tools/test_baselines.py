"""The trivial baselines: their shapes by hand, their fits on ellipsoid people."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dataset.shards import ShardError, ShardSet
from render.camera import Camera
from tests.tools.people_shards import write_people
from tools.baselines import (
    FlatCard,
    InflatedSilhouette,
    edge_distance,
    fit_flat_card,
    fit_inflated_silhouette,
    spread,
    training_views,
    true_maps,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    root = tmp_path_factory.mktemp("shards")
    return write_people(root, {"train": ["ann", "bob"], "test": ["eve"]})


def disc(size: int, radius: float) -> np.ndarray:
    row, column = np.mgrid[0:size, 0:size] + 0.5 - size / 2
    return row**2 + column**2 < radius**2


def test_edge_distance_counts_pixels_to_the_outside_and_the_border_is_outside() -> None:
    mask = np.ones((5, 5), dtype=bool)
    np.testing.assert_allclose(edge_distance(mask)[2], [1, 2, 3, 2, 1])
    assert not edge_distance(~mask).any()


def test_inflated_depth_is_offset_and_root_of_the_edge_distance() -> None:
    mask, camera = disc(64, 20), Camera(64)
    maps = InflatedSilhouette(offset=1.02, scale=0.3).maps(mask, camera)
    half = 0.3 * np.sqrt(edge_distance(mask)[32, 32] / camera.focal_px)
    assert maps.front[32, 32] == pytest.approx(1.02 - half)
    assert maps.back[32, 32] == pytest.approx(1.02 + half)
    assert not maps.front[~mask].any() and not maps.back[~mask].any()


def test_inflated_thickness_does_not_depend_on_the_resolution() -> None:
    shape = InflatedSilhouette(offset=1.0, scale=0.3)
    small = shape.maps(disc(64, 20), Camera(64)).back[32, 32]
    large = shape.maps(disc(512, 160), Camera(512)).back[256, 256]
    assert large - 1.0 == pytest.approx(small - 1.0, rel=0.03)


def test_the_card_stands_at_the_mean_depths_of_the_training_pixels(shards: ShardSet) -> None:
    fronts, backs = [], []
    for ref in shards.views("train"):
        with shards.open(ref.scan_id) as reader:
            maps = true_maps(reader, ref.view)
        fronts.append(maps.front[maps.mask])
        backs.append(maps.back[maps.mask])
    card = fit_flat_card(shards)
    assert card.front == pytest.approx(np.concatenate(fronts).mean(), abs=1e-6)
    assert card.back == pytest.approx(np.concatenate(backs).mean(), abs=1e-6)
    maps = FlatCard(0.9, 1.1).maps(np.eye(4, dtype=bool))
    assert np.unique(maps.front).tolist() == [0.0, np.float32(0.9)]


def test_the_fit_is_the_lowest_p2s_around_and_repeatable(shards: ShardSet) -> None:
    from tools import baselines

    fitted = fit_inflated_silhouette(shards, limit=2, steps=25)
    start = fit_inflated_silhouette(shards, limit=2, steps=1)
    assert fitted == fit_inflated_silhouette(shards, limit=2, steps=25)

    def mean_p2s(shape: InflatedSilhouette) -> float:
        values = []
        for ref in training_views(shards, 2):
            reader = shards.open(ref.scan_id)
            mask = baselines.person_mask(reader, ref.view)
            surface = baselines.reconstruct_surface(
                shape.maps(mask, reader.camera), reader, ref.view
            )
            scan = baselines.scan_surface(reader)
            values.append(scan.distances(surface.sample(5_000, np.random.default_rng(0))).mean())
        return float(np.mean(values))

    best = mean_p2s(fitted)
    assert best < 1.01 * mean_p2s(start)
    for scale in (0.5, 1.7):
        assert best < mean_p2s(dataclasses.replace(fitted, scale=scale * fitted.scale)) - 0.05
    for shift in (-0.02, 0.02):
        assert best < mean_p2s(dataclasses.replace(fitted, offset=fitted.offset + shift)) - 0.05
    assert 0.98 < fitted.offset < 1.05 and fitted.scale > 0.05


def test_training_scans_without_meshes_say_how_to_render(tmp_path: Path) -> None:
    bare = write_people(tmp_path, {"train": ["ann"]}, with_mesh=False)
    with pytest.raises(ShardError, match="--store-mesh all"):
        fit_inflated_silhouette(bare)
    assert fit_flat_card(bare).front > 0


def test_an_empty_training_split_is_the_users_error(tmp_path: Path) -> None:
    empty = write_people(tmp_path, {"test": ["ann"]})
    with pytest.raises(ShardError, match="train split"):
        fit_flat_card(empty)


def test_views_are_spread_evenly_over_the_list(shards: ShardSet) -> None:
    views = shards.views("train")
    assert spread(views, 2) == [views[0], views[-1]]
    assert spread(views, 99) == views
