"""Photographs become meshes: framed, outlined and placed as they should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dataset.framing import silhouette_of_joints
from dataset.person_checks import PersonError
from dataset.photographed_people import Person
from dataset.photographs import Photograph
from model.digitizer import DigitizeConfig, Digitizer
from tests.model.digitized import (
    HEIGHT,
    PERSON,
    WIDTH,
    joints_at,
    photograph_of,
    tiny_model,
    write_checkpoint,
)

SHAPE = (HEIGHT, WIDTH)


def test_a_photograph_with_joints_and_a_mask_becomes_a_closed_mesh() -> None:
    joints = joints_at()
    mask = silhouette_of_joints(joints, SHAPE)
    with Digitizer(tiny_model()) as digitizer:
        made = digitizer.digitize(photograph_of(joints), joints, mask)
    assert made.image.shape == (128, 128, 3) and made.outline is not None
    assert not (made.prediction.maps.mask & ~made.outline).any()
    # The mask of these networks is everything, so what is left is the outline.
    assert made.prediction.maps.mask.sum() > 0.95 * made.outline.sum()
    closed = trimesh.Trimesh(made.mesh.vertices, made.mesh.faces)
    assert closed.is_watertight and closed.volume > 0
    assert made.cm_per_unit is None and np.abs(closed.bounds).max() < 0.6
    # The person stands in the middle of the frame, as in training views.
    rows, columns = np.nonzero(made.outline)
    assert np.ptp(rows) == pytest.approx(0.79 * 128, abs=3)
    assert abs(columns.mean() - 64) < 2
    nose = made.joints[0, :2].astype(int)
    assert made.image[nose[1], nose[0]] == pytest.approx(PERSON, abs=3)
    assert made.seconds.prediction > 0 and made.seconds.meshing > 0


def test_the_alpha_channel_is_the_outline_and_what_is_transparent_is_grey() -> None:
    joints = joints_at()
    inside = silhouette_of_joints(joints, SHAPE)
    alpha = np.where(inside, np.uint8(255), np.uint8(0))
    with Digitizer(tiny_model()) as digitizer:
        made = digitizer.digitize(Photograph(photograph_of(joints), alpha), joints)
    assert made.outline is not None
    assert (made.image[2:8, 2:8] == 128).all()
    assert 0 < made.prediction.maps.mask.sum() <= made.outline.sum()


def test_a_released_checkpoint_sees_no_background_and_needs_an_outline() -> None:
    joints = joints_at()
    mask = silhouette_of_joints(joints, SHAPE)
    with Digitizer(tiny_model("released")) as digitizer:
        assert digitizer.needs_outline
        made = digitizer.digitize(photograph_of(joints), joints, mask)
        assert made.outline is not None
        assert not made.image[~made.outline].any() and made.image[made.outline].any()
        with pytest.raises(PersonError, match="photo: expected an outline"):
            digitizer.reconstruct(Photograph(photograph_of(joints)), Person(joints=joints), "photo")


def test_a_height_gives_centimetres_on_the_ground() -> None:
    joints = joints_at()
    mask = silhouette_of_joints(joints, SHAPE)
    with Digitizer(tiny_model(), DigitizeConfig(height_cm=172.0)) as digitizer:
        made = digitizer.digitize(photograph_of(joints), joints, mask)
    low, high = made.mesh.vertices.min(axis=0), made.mesh.vertices.max(axis=0)
    assert (low[1], high[1]) == pytest.approx((0.0, 172.0), abs=1e-6)
    assert made.cm_per_unit == pytest.approx(172.0 / 0.7, rel=0.15)
    with pytest.raises(ValueError, match="height_cm: expected 0 to 1000"):
        DigitizeConfig(height_cm=-3.0)


def test_the_place_in_the_photograph_does_not_matter() -> None:
    with Digitizer(tiny_model()) as digitizer:
        made = [
            digitizer.digitize(
                photograph_of(joints, width=400), joints, silhouette_of_joints(joints, (320, 400))
            )
            for joints in (joints_at(0), joints_at(160))
        ]
    assert made[1].framing.left - made[0].framing.left == 160
    assert np.allclose(made[0].joints, made[1].joints, atol=1e-6)
    difference = np.abs(made[0].image.astype(int) - made[1].image)
    assert np.median(difference[made[0].prediction.maps.mask]) == 0


def test_a_checkpoint_is_read_and_arrays_of_other_shapes_are_refused(tmp_path: Path) -> None:
    joints = joints_at()
    with Digitizer(write_checkpoint(tmp_path / "tiny.ckpt")) as digitizer:
        assert not digitizer.needs_outline
        # Joints alone: no outline, no detector.
        assert digitizer.digitize(photograph_of(joints), joints).outline is None
        with pytest.raises(ValueError, match=r"joints: expected \(31, 3\)"):
            digitizer.digitize(photograph_of(joints), joints[:30])
        with pytest.raises(ValueError, match="mask: expected"):
            digitizer.digitize(photograph_of(joints), joints, np.ones((3, 3), dtype=bool))
        with pytest.raises(ValueError, match="image: expected"):
            digitizer.digitize(np.zeros((64, 64), dtype=np.uint8), joints)


def test_somebody_cut_off_is_digitised_only_when_that_is_wanted() -> None:
    joints = joints_at(top=170.0)
    photograph = photograph_of(joints)
    with (
        Digitizer(tiny_model()) as digitizer,
        pytest.raises(PersonError, match="cut off at the bottom"),
    ):
        digitizer.digitize(photograph, joints)
    config = replace(DigitizeConfig(), allow_cut_off=True)
    with Digitizer(tiny_model(), config) as digitizer:
        assert digitizer.digitize(photograph, joints).prediction.maps.mask.any()


def test_joints_that_are_missing_leave_their_parts_out() -> None:
    joints = joints_at()
    joints[7] = 0.0  # left elbow
    with Digitizer(tiny_model()) as digitizer:
        made = digitizer.digitize(photograph_of(joints), joints)
    assert made.prediction.left_out == ("left_upper_arm", "left_lower_arm")
    assert not made.joints[7].any()
