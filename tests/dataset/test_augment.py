"""What augmentation changes, and what it leaves as it was."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.augment import (
    UNCHANGED,
    AugmentConfig,
    Layers,
    ViewArrays,
    augment_view,
    change_room,
    jitter_colours,
    mirror_view,
)
from dataset.joints import JOINT_COUNT, JOINT_INDEX


def view(level: int) -> ViewArrays:
    """A 4 x 4 view: a person of two pixels in the left half before a room of one grey level."""
    rng = np.random.default_rng(level)
    person = np.zeros((4, 4, 3), dtype=np.uint8)
    coverage = np.zeros((4, 4), dtype=np.uint8)
    person[1:3, 1], coverage[1:3, 1] = 200, 255
    background = np.full((4, 4, 3), level, dtype=np.uint8)
    distance = np.where(coverage > 0, rng.uniform(0.9, 1.1, (2, 4, 4)), 0).astype(np.float32)
    joints = np.zeros((JOINT_COUNT, 3), dtype=np.float32)
    joints[JOINT_INDEX["left_wrist"]] = 1.5, 2.5, 1.0
    return ViewArrays(
        image=np.where(coverage[..., None] > 0, person, background),
        ray_distance=distance,
        reliable=coverage > 0,
        joints=joints,
        layers=Layers(person=person, coverage=coverage, background=background),
    )


def test_mirroring_moves_pixels_and_joints_to_the_other_side_and_twice_is_nothing() -> None:
    before = view(10)
    mirrored = mirror_view(before)
    assert mirrored.reliable[1].tolist() == [False, False, True, False]
    assert mirrored.joints[JOINT_INDEX["right_wrist"]].tolist() == [2.5, 2.5, 1.0]
    # Missing joints stay where missing joints are.
    assert mirrored.joints[JOINT_INDEX["left_wrist"]].tolist() == [0.0, 0.0, 0.0]
    assert mirrored.ray_distance[0, 1, 2] == before.ray_distance[0, 1, 1]
    twice = mirror_view(mirrored)
    assert np.array_equal(twice.image, before.image)
    assert np.array_equal(twice.joints, before.joints)


def test_another_room_leaves_the_person() -> None:
    changed = change_room(view(10), view(90), np.random.default_rng(0))
    assert changed.image[1, 1].tolist() == [200, 200, 200]
    assert changed.image[0, 0].tolist() == [90, 90, 90]
    without = ViewArrays(
        image=view(10).image,
        ray_distance=view(10).ray_distance,
        reliable=view(10).reliable,
        joints=view(10).joints,
    )
    assert change_room(without, view(90), np.random.default_rng(0)) is without


def test_colours_are_darkened_and_greyed_by_factors_from_the_lowest_to_one() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[..., 0] = 255
    unchanged = jitter_colours(image, 1.0, np.random.default_rng(0))
    assert unchanged == pytest.approx(image / 255.0, abs=1e-7)

    class Fixed(np.random.Generator):
        def uniform(self, *args: object, **kwargs: object) -> np.ndarray:  # type: ignore[override]
            return np.array([0.5, 1.0, 0.5])

    # Brightness 0.5 gives 0.5 red, whose luma is 0.1495; saturation 0.5 goes half way there.
    changed = jitter_colours(image, 0.5, Fixed(np.random.PCG64(0)))
    assert changed[0, 0].tolist() == pytest.approx([0.32475, 0.07475, 0.07475], abs=1e-6)


def test_the_same_generator_makes_the_same_changes_and_none_makes_none() -> None:
    always = AugmentConfig(colour=0.5, mirror=0.5, background=1.0)
    results = [
        augment_view(view(10), always, np.random.default_rng(7), lambda rng: view(90))[1]
        for _ in range(2)
    ]
    assert np.array_equal(results[0], results[1])
    same, image = augment_view(
        view(10), UNCHANGED, np.random.default_rng(7), lambda rng: pytest.fail("asked for a room")
    )
    assert np.array_equal(same.image, view(10).image)
    assert image == pytest.approx(view(10).image / 255.0, abs=1e-7)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="mirror: expected 0 to 1, got 1.5"):
        AugmentConfig(mirror=1.5)
