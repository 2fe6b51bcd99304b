"""Whole demo people: closed surfaces, true joints, clothes where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from dataset.people.garments import FIELD_NAMES, draw_outfit, regions, split_fields, stand_off
from dataset.people.person import generator_for, plan_person
from dataset.people.texture import texel_map
from tests.dataset.people_fixtures import TEXTURE, VERTICES, person, studio_and_model

STANDING, SITTING = 0, 6


@pytest.mark.parametrize("seed", [STANDING, SITTING])
def test_the_body_is_one_closed_outward_surface_with_the_asked_vertices(seed: int) -> None:
    mesh = person(seed)[1].mesh
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert len(mesh.vertices) == VERTICES == len(np.unique(mesh.faces))
    assert solid.is_watertight and solid.is_winding_consistent
    assert solid.body_count == 1
    assert 0.03 < solid.volume < 0.2  # cubic metres, outward faces


def test_people_stand_on_the_ground_face_plus_z_and_have_a_human_height() -> None:
    _, made = person(STANDING)
    low, high = made.mesh.vertices.min(axis=0), made.mesh.vertices.max(axis=0)
    assert low[1] == pytest.approx(0.0, abs=1e-9)
    assert 1.2 < high[1] < 2.1
    joints = made.joints
    toes = joints[JOINT_INDEX["left_big_toe"], :3] - joints[JOINT_INDEX["left_heel"], :3]
    assert toes[2] > 0.1
    ears = joints[[JOINT_INDEX["left_ear"], JOINT_INDEX["right_ear"]], 2].mean()
    assert joints[JOINT_INDEX["nose"], 2] > ears + 0.05


def test_joints_of_a_standing_person_are_in_anatomical_order() -> None:
    joints = person(STANDING)[1].joints
    assert joints.shape == (JOINT_COUNT, 4) and (joints[:, 3] == 1).all()
    at = {name: joints[index, :3] for name, index in JOINT_INDEX.items()}
    for pair in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear", "index"):
        assert at[f"left_{pair}"][0] > at[f"right_{pair}"][0], pair
    for side in ("left", "right"):
        chain = ["heel", "ankle", "knee", "hip", "shoulder", "ear"]
        heights = [at[f"{side}_{name}"][1] for name in chain]
        assert heights == sorted(heights)
        assert at[f"{side}_wrist"][1] < at[f"{side}_elbow"][1] < at[f"{side}_shoulder"][1]


@pytest.mark.parametrize("seed", [STANDING, SITTING])
def test_every_joint_lies_within_the_body_near_its_surface(seed: int) -> None:
    made = person(seed)[1]
    points = made.joints[:, :3]
    low, high = made.mesh.vertices.min(axis=0), made.mesh.vertices.max(axis=0)
    assert ((points > low) & (points < high)).all()
    nearest = cKDTree(made.mesh.vertices).query(points)[0]
    assert nearest.max() < 0.13
    for name, limit in (("nose", 0.02), ("left_index", 0.025), ("right_pinky", 0.025)):
        assert nearest[JOINT_INDEX[name]] < limit, name


def test_a_sitting_person_has_knees_before_the_hips_at_about_their_height() -> None:
    joints = person(SITTING)[1].joints
    knee, hip = joints[JOINT_INDEX["left_knee"]], joints[JOINT_INDEX["left_hip"]]
    assert knee[2] > hip[2] + 0.25
    assert abs(knee[1] - hip[1]) < 0.15


def test_people_of_the_demo_share_no_phenotype_and_no_pose() -> None:
    studio, model = studio_and_model()
    plans = [plan_person(seed, model, studio.landmarks) for seed in range(17)]
    assert len({tuple(plan.phenotype.items()) for plan in plans}) == 17
    assert len({plan.pose.name for plan in plans}) == 17
    assert len({repr(plan.pose) for plan in plans}) == 17


def test_a_plan_does_not_depend_on_plans_made_before_it() -> None:
    studio, model = studio_and_model()
    first = plan_person(9, model, studio.landmarks)
    plan_person(3, model, studio.landmarks)
    again = plan_person(9, model, studio.landmarks)
    assert (first.phenotype, first.pose, first.outfit, first.palette) == (
        again.phenotype,
        again.pose,
        again.outfit,
        again.palette,
    )


def _points(**columns: float) -> np.ndarray:
    row = np.zeros((1, len(FIELD_NAMES)))
    row[0, FIELD_NAMES.index("lips")] = 1.0
    for name, value in columns.items():
        row[0, FIELD_NAMES.index(name)] = value
    return row


def test_clothes_cover_chest_and_thighs_and_leave_hands_and_face_bare() -> None:
    marks = studio_and_model()[0].landmarks
    outfit = draw_outfit(generator_for(1, "outfit"), marks, feminine=False)
    cx, cy, cz = marks.head_centre
    places = {
        "chest": _points(y=marks.neck_y - 0.25, z=0.1),
        "thigh": _points(x=0.1, y=marks.crotch_y - 0.05, z=0.08),
        "hand": _points(x=0.6, y=marks.crotch_y, arm=1.1, hand=1.0),
        "nose": _points(x=cx, y=cy - 0.03, z=cz + 0.12, head=1.0),
        "crown": _points(x=cx, y=cy + 0.13, z=cz, head=1.0),
        "shoe": _points(x=0.1, y=0.02, z=0.1, shoe=0.5),
    }
    found = {}
    for name, row in places.items():
        inside = regions(split_fields(row), outfit, marks)
        found[name] = [
            kind for kind in ("hair", "shirt", "trousers", "shoes") if getattr(inside, kind)[0] > 0
        ]
    assert found == {
        "chest": ["shirt"],
        "thigh": ["trousers"],
        "hand": [],
        "nose": [],
        "crown": ["hair"],
        "shoe": ["shoes"],
    }


def test_cloth_and_hair_stand_off_by_millimetres_to_centimetres_and_skin_not_at_all() -> None:
    studio, _ = studio_and_model()
    outfit = draw_outfit(generator_for(1, "outfit"), studio.landmarks, feminine=False)
    fields = split_fields(studio.fields)
    off = stand_off(fields, outfit, studio.landmarks, generator_for(1, "cloth"))
    inside = regions(fields, outfit, studio.landmarks)
    assert off.max() < 0.045 and off.min() > -0.004
    assert (off[fields.hand > 0.99] == 0).all()
    assert np.median(off[inside.shirt > 0.02]) > 0.004
    assert np.median(off[inside.hair > 0.03]) > 0.010


def test_a_texel_knows_the_place_on_the_body_that_it_shows() -> None:
    studio, _ = studio_and_model()
    texels, body = studio.texels, studio.body
    # Uv (u, v) lies in column u * size and row (1 - v) * size.
    face = body.faces[::37]
    uv = body.uvs[body.uv_faces[::37]].mean(axis=1)
    middle = studio.fields[face, :3].mean(axis=1)
    flat = (np.floor((1 - uv[:, 1]) * TEXTURE) * TEXTURE + np.floor(uv[:, 0] * TEXTURE)).astype(int)
    shown = texels.fields[texels.nearest[flat], :3]
    assert np.median(np.linalg.norm(shown - middle, axis=1)) < 0.01


def test_the_texture_has_no_unpainted_texels_and_islands_extend_outwards() -> None:
    studio, _ = studio_and_model()
    again = texel_map(studio.body, studio.fields, 64)
    assert again.nearest.shape == (64 * 64,)
    covered = np.zeros(64 * 64, dtype=bool)
    covered[again.rows] = True
    assert 0.3 < covered.mean() < 0.9
    assert (again.nearest[again.rows] == np.arange(len(again.rows))).all()
    texture = person(STANDING)[1].texture
    assert texture.shape == (TEXTURE, TEXTURE, 3) and texture.dtype == np.uint8
    assert texture.max(axis=2).min() > 5


def test_hands_are_painted_in_skin_and_differ_from_the_shirt() -> None:
    studio, _ = studio_and_model()
    plan, made = person(STANDING)
    texels = studio.texels
    colours = made.texture.reshape(-1, 3)[texels.rows].astype(float)
    fields = split_fields(texels.fields)  # type: ignore[arg-type]
    hand = colours[fields.hand > 0.99].mean(axis=0)
    assert hand == pytest.approx(np.array(plan.palette.skin) * 255, abs=6)
    chest = colours[(np.abs(fields.x) < 0.1) & (np.abs(fields.y - 1.25) < 0.05)].mean(axis=0)
    assert np.abs(chest - hand).max() > 25
