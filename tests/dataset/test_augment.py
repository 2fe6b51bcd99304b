"""What augmentation changes of a view, and what it leaves as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from dataset.augment import UNCHANGED, AugmentConfig, Geometry, Painted, Person, ViewSource
from dataset.augment import augment_view as augment
from dataset.augment.keypoints import DETECTED_TOGETHER, detect_roughly
from dataset.augment.pixels import (
    add_noise,
    blur_lens,
    compress,
    dull_colours,
    scale_colours,
    soften_edges,
)
from dataset.augment.scene import before, relight
from dataset.joints import JOINT_COUNT, JOINT_INDEX

SIZE = 16
WINDOW = slice(4, 12), slice(2, 8)
PERSON = slice(5, 11), slice(3, 7)


def grey(level: int, size: int = SIZE) -> NDArray[np.uint8]:
    return np.full((size, size, 3), level, dtype=np.uint8)


def source(level: int) -> ViewSource:
    """A 16 x 16 view: a light person in the left half before a room of one grey level."""
    coverage = np.zeros((SIZE, SIZE), dtype=np.uint8)
    coverage[PERSON] = 255
    coverage = coverage[WINDOW]
    pixels = np.where(coverage[..., None] > 0, np.uint8(200), np.uint8(0)).repeat(3, axis=2)
    joints = np.zeros((JOINT_COUNT, 3), dtype=np.float32)
    joints[JOINT_INDEX["left_wrist"]] = 5.0, 8.0, 1.0
    distance = np.where(coverage > 0, np.float32(1.0), np.float32(0.0))
    normals = np.zeros((*coverage.shape, 3), dtype=np.float32)
    normals[coverage > 0] = 0.0, 0.0, 1.0
    person = Person(window=WINDOW, pixels=pixels, coverage=coverage)
    painted = Painted(person=person, albedo=pixels, normals=normals, ray_distance=distance)
    return ViewSource(
        geometry=Geometry(
            resolution=SIZE,
            window=WINDOW,
            ray_distance=np.stack([distance, distance * np.float32(1.1)]),
            reliable=coverage > 0,
            joints=joints,
        ),
        image=lambda: before(person, grey(level)),
        person=lambda: person,
        painted=lambda: painted,
        background=lambda: grey(level),
        other_background=lambda rng: grey(90),
    )


def only(**changes: float) -> AugmentConfig:
    return dataclasses.replace(UNCHANGED, **changes)


def test_no_change_gives_the_view_itself() -> None:
    view = source(10)
    refuse = dataclasses.replace(view, other_background=lambda rng: pytest.fail("asked for a room"))
    geometry, image = augment(refuse, UNCHANGED, np.random.default_rng(7))
    assert geometry is view.geometry
    assert np.array_equal(image, view.image())


def test_the_same_generator_makes_the_same_changes_and_another_makes_others() -> None:
    config = AugmentConfig(light=0.5)
    (first, image), (second, again), (_, other) = (
        augment(source(10), config, np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    assert np.array_equal(image, again) and np.array_equal(first.joints, second.joints)
    assert np.array_equal(first.ray_distance, second.ray_distance)
    assert not np.array_equal(image, other)


def test_a_change_that_is_not_made_leaves_the_draws_of_the_others() -> None:
    """The colours of the whole picture are the same with and without a new room."""
    plain = augment(source(90), only(colour=0.5), np.random.default_rng(3))[1]
    moved = augment(source(10), only(colour=0.5, background=1.0), np.random.default_rng(3))[1]
    assert np.array_equal(plain, moved)


def test_another_room_leaves_the_person() -> None:
    _, image = augment(source(10), only(background=1.0), np.random.default_rng(0))
    assert image[7, 4].tolist() == [200, 200, 200]
    assert image[0, 0].tolist() == [90, 90, 90]


def test_half_covered_pixels_are_half_the_room() -> None:
    person = Person(
        window=(slice(1, 2), slice(2, 3)),
        pixels=np.full((1, 1, 3), 100, dtype=np.uint8),
        coverage=np.full((1, 1), 128, dtype=np.uint8),
    )
    image = before(person, grey(90, 4))
    # 100 + round(90 * 127 / 255) = 100 + 45.
    assert image[1, 2].tolist() == [145, 145, 145] and (np.delete(image, 1, axis=0) == 90).all()


def test_other_lights_leave_the_room_and_the_shape_and_change_the_person() -> None:
    view = source(10)
    lit = [relight(view.painted(), SIZE, np.random.default_rng(seed)) for seed in range(4)]
    levels = [float(person.pixels[2, 2].mean()) for person in lit]
    assert len({round(level) for level in levels}) > 1
    for person in lit:
        assert np.array_equal(person.coverage, view.person().coverage)
        assert (person.pixels[person.coverage == 0] == 0).all()
        # Lights and albedo are below 1: nothing outshines its own colour.
        assert person.pixels.max() <= 200
    _, image = augment(view, only(light=1.0), np.random.default_rng(0))
    assert (image[~np.isin(np.arange(SIZE), range(5, 11))] == 10).all()


def test_mirroring_moves_picture_surface_and_joints_to_the_other_side() -> None:
    view = source(10)
    geometry, image = augment(view, only(mirror=1.0), np.random.default_rng(0))
    assert np.array_equal(image, view.image()[:, ::-1])
    assert geometry.window == (WINDOW[0], slice(8, 14))
    assert geometry.joints[JOINT_INDEX["right_wrist"]].tolist() == [11.0, 8.0, 1.0]
    # Missing joints stay where missing joints are.
    assert geometry.joints[JOINT_INDEX["left_wrist"]].tolist() == [0.0, 0.0, 0.0]
    assert np.array_equal(geometry.ray_distance, view.geometry.ray_distance[:, :, ::-1])


def test_colours_are_scaled_in_the_order_brightness_contrast_saturation() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[..., 0] = 255
    assert scale_colours(image, 1.0, 1.0, 1.0) == pytest.approx(image / 255.0, abs=1e-6)
    # Brightness 0.5 gives 0.5 red, whose luma is 0.1495; saturation 0.5 goes half way there.
    changed = scale_colours(image, 0.5, 1.0, 0.5)[0, 0]
    assert changed.tolist() == pytest.approx([0.32475, 0.07475, 0.07475], abs=1e-6)
    # Contrast 0.5 goes half way to the mean grey, here of black and white: 0.5.
    halves = np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    assert scale_colours(halves, 1.0, 0.5, 1.0)[0, :, 0].tolist() == pytest.approx([0.25, 0.75])
    dulled = dull_colours(halves, 0.5, np.random.default_rng(0))
    factors = np.random.default_rng(0).uniform(0.5, 1.0, 3)
    assert dulled == pytest.approx(scale_colours(halves, *factors) * 255, abs=0.51)
    assert dull_colours(halves, 1.0, np.random.default_rng(0)) is halves


def test_the_seam_alone_is_softened() -> None:
    size = 64
    image = np.zeros((size, size, 3), dtype=np.uint8)
    image[::2] = 60
    image[16:48, 16:48] = 200
    window = slice(14, 50), slice(14, 50)
    silhouette = np.zeros((size, size), dtype=bool)
    silhouette[16:48, 16:48] = True
    soft = soften_edges(image, window, silhouette[window])
    assert np.array_equal(soft[24:40, 24:40], image[24:40, 24:40])
    assert np.array_equal(soft[:8], image[:8]) and np.array_equal(soft[:, 56:], image[:, 56:])
    assert 100 < soft[32, 16, 0] < 200 and 0 < soft[33, 15, 0] < 100
    assert (image[32, 16] == 200).all()  # the picture that came in is as it was


def test_a_lens_spreads_a_point_and_keeps_its_light() -> None:
    image = np.zeros((15, 15, 3), dtype=np.uint8)
    image[7, 7] = 255
    blurred = blur_lens(image, 1.0)
    # The middle of a Gaussian of deviation 1 over unit pixels is 0.3991^2 = 0.159.
    assert blurred[7, 7, 0] == pytest.approx(0.159 * 255, abs=1.5)
    assert blurred[..., 0].sum() == pytest.approx(255, abs=12)
    assert blur_lens(image, 0.1) is image


def test_noise_has_the_deviation_that_was_asked_for_and_no_bias() -> None:
    noisy = add_noise(grey(128, 256), 6.0, np.random.default_rng(0)).astype(float) - 128
    assert noisy.std() == pytest.approx(6.0, rel=0.03)
    assert noisy.mean() == pytest.approx(0.0, abs=0.1)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.02
    assert add_noise(grey(255), 6.0, np.random.default_rng(0)).min() > 200
    plain = grey(9)
    assert add_noise(plain, 0.0, np.random.default_rng(0)) is plain


def test_compression_keeps_even_colours_and_costs_detail() -> None:
    red = np.zeros((16, 16, 3), dtype=np.uint8)
    red[...] = 200, 40, 20
    assert compress(red, 60).astype(int) == pytest.approx(red.astype(int), abs=4)
    detail = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    errors = [float(np.abs(compress(detail, q).astype(int) - detail).mean()) for q in (30, 95)]
    assert errors[0] > errors[1] > 0


def test_joints_are_found_roughly_and_groups_are_lost_together() -> None:
    joints = np.ones((JOINT_COUNT, 3), dtype=np.float32)
    joints[:, :2] = 100.0
    joints[0] = 0.0
    many = np.stack(
        [detect_roughly(joints, 2.0, 0.1, np.random.default_rng(seed)) for seed in range(2000)]
    )
    assert (many[:, 0] == 0).all()
    found = many[..., 2] > 0
    assert found[:, 1:].mean() == pytest.approx(0.9, abs=0.01)
    assert (many[~found] == 0).all()
    assert many[..., :2][found].std() == pytest.approx(2.0, rel=0.02)
    assert many[..., :2][found].mean() == pytest.approx(100.0, abs=0.05)
    hand = [JOINT_INDEX[f"left_{finger}"] for finger in ("index", "middle", "ring", "pinky")]
    assert (found[:, hand].all(axis=1) | ~found[:, hand].any(axis=1)).all()
    assert DETECTED_TOGETHER[hand].tolist() == [hand[0]] * 4
    unsure = joints.copy()
    unsure[1:, 2] = 0.3
    spread = detect_roughly(unsure, 2.0, 0.0, np.random.default_rng(0)) - unsure
    sure = detect_roughly(joints, 2.0, 0.0, np.random.default_rng(0)) - joints
    assert spread[1:, :2] == pytest.approx(1.7 * sure[1:, :2], rel=1e-3, abs=1e-4)


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="mirror: expected 0 to 1, got 1.5"):
        AugmentConfig(mirror=1.5)
    with pytest.raises(ValueError, match="jpeg: expected 1 to 100, got 0"):
        AugmentConfig(jpeg=0)
    with pytest.raises(ValueError, match="noise: expected 0 to 100, got nan"):
        AugmentConfig(noise=float("nan"))
