"""One demo person, fully determined by a seed: body, pose, clothes, texture, joints."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from dataset.people.anatomy import (
    BodyTemplate,
    RestShape,
    bone_of_joint,
    build_template,
    load_anny,
    phenotype_coefficients,
    rest_shape,
)
from dataset.people.garments import (
    FIELD_NAMES,
    Landmarks,
    Outfit,
    canonical_fields,
    canonical_landmarks,
    canonical_shape,
    draw_outfit,
    regions,
    smooth_step,
    split_fields,
    stand_off,
)
from dataset.people.painting import Palette, draw_palette, paint
from dataset.people.poses import POSES, Pose, jittered
from dataset.people.rig import BonePose, pose_bones, skin
from dataset.people.shoes import shoe_vertices, shoe_weights
from dataset.people.subdivision import FineMesh, subdivide_to, vertex_normals
from dataset.people.texture import TexelMap, texel_map

FloatArray = NDArray[np.float64]

MIN_VERTICES, MAX_VERTICES = 14_000, 1_000_000
_CLOTH_SMOOTHING_ROUNDS = 14


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What all people share: the body, its canonical fields, and the texel map."""

    body: BodyTemplate
    fields: FloatArray
    landmarks: Landmarks
    texels: TexelMap


@dataclass(frozen=True, kw_only=True)
class PersonPlan:
    """All random choices for one person.

    Attributes:
        seed: what determines everything.
        phenotype: values 0..1 by anny's label.
        coefficients: (K,) float64 blend-shape coefficients of the phenotype.
        pose: the jittered pose.
        outfit, palette: cut and colours.
    """

    seed: int
    phenotype: dict[str, float]
    coefficients: FloatArray
    pose: Pose
    outfit: Outfit
    palette: Palette


@dataclass(frozen=True, kw_only=True)
class Person:
    """A finished person in the scan frame, metres, standing on y = 0.

    Attributes:
        mesh: the closed surface.
        texture: (S, S, 3) uint8 sRGB.
        joints: (31, 4) float64, position and confidence 1.
        height_m: stature of the undressed body in the rest pose.
    """

    mesh: FineMesh
    texture: NDArray[np.uint8]
    joints: FloatArray
    height_m: float


def generator_for(seed: int, purpose: str) -> np.random.Generator:
    """Return a generator that depends on nothing but a seed and what it is for."""
    digest = hashlib.sha256(f"demo-person/1/{purpose}/{seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def open_studio(texture_size: int) -> tuple[Studio, Any]:
    """Load the body model once; return the shared data and the model (for `plan_person`)."""
    model = load_anny()
    body = build_template(model)
    canonical = canonical_shape(model, body)
    fields = canonical_fields(body, canonical)
    studio = Studio(
        body=body,
        fields=fields,
        landmarks=canonical_landmarks(body, canonical),
        texels=texel_map(body, fields, texture_size),
    )
    return studio, model


def draw_phenotype(seed: int) -> dict[str, float]:
    """Draw a phenotype: mostly adults of all builds, some older children and teenagers."""
    generator = generator_for(seed, "phenotype")
    young = generator.random() < 0.14
    age = generator.uniform(0.42, 0.56) if young else generator.uniform(0.62, 0.98)
    gender = generator.choice([generator.uniform(0.0, 0.18), generator.uniform(0.82, 1.0)])
    values = {
        "gender": gender,
        "age": age,
        "muscle": generator.uniform(0.25, 0.85),
        "weight": np.clip(generator.normal(0.50, 0.19), 0.20, 0.92),
        "height": generator.uniform(0.10, 0.58),
        "proportions": generator.uniform(0.35, 0.95),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def plan_person(seed: int, model: Any, landmarks: Landmarks) -> PersonPlan:
    """Draw everything random about the person with this seed."""
    phenotype = draw_phenotype(seed)
    clearance = 24.0 * max(0.0, phenotype["weight"] - 0.45) + 4.0 * phenotype["muscle"] - 2.0
    base = POSES[seed % len(POSES)]
    pose = jittered(base, generator_for(seed, "pose"), clearance)
    feminine = phenotype["gender"] > 0.5
    return PersonPlan(
        seed=seed,
        phenotype=phenotype,
        coefficients=phenotype_coefficients(model, phenotype),
        pose=pose,
        outfit=draw_outfit(generator_for(seed, "outfit"), landmarks, feminine),
        palette=draw_palette(generator_for(seed, "palette"), phenotype["age"]),
    )


def make_person(studio: Studio, plan: PersonPlan, vertex_count: int) -> Person:
    """Build a person.

    Args:
        studio: shared data.
        plan: the choices.
        vertex_count: vertices of the finished mesh, MIN_VERTICES..MAX_VERTICES.
    """
    body = studio.body
    rest = rest_shape(body, plan.coefficients)
    bones = pose_bones(body, rest, plan.pose)
    coarse = _posed_surface(studio, plan, rest, bones)
    fine = subdivide_to(coarse, vertex_count)
    off = stand_off(
        split_fields(fine.fields), plan.outfit, studio.landmarks, generator_for(plan.seed, "cloth")
    )
    normals = vertex_normals(fine.vertices, fine.faces)
    dressed = fine.vertices + off[:, None] * normals
    shift = np.array([0.0, -dressed[:, 1].min(), 0.0]) - bones.heads[0] * [1, 0, 1]
    texture = paint(
        studio.texels, plan.outfit, plan.palette, studio.landmarks,
        generator_for(plan.seed, "paint"),
    )  # fmt: skip
    return Person(
        mesh=FineMesh(
            vertices=dressed + shift,
            faces=fine.faces,
            uvs=fine.uvs,
            uv_faces=fine.uv_faces,
            fields=fine.fields,
        ),
        texture=texture,
        joints=_joints(body, rest, bones, shift),
        height_m=float(np.ptp(rest.vertices[:, 1])),
    )


def _posed_surface(studio: Studio, plan: PersonPlan, rest: RestShape, bones: BonePose) -> FineMesh:
    """Return the closed base mesh, posed, smoothed where cloth lies; unused vertices dropped."""
    body = studio.body
    points, weights = [rest.vertices], [body.bone_weights]
    points.append(body.cap_rows @ rest.vertices)
    weights.append(body.cap_rows @ body.bone_weights)
    for layout in body.shoes:
        foot = body.bone(f"foot.{layout.side[0].upper()}")
        points.append(shoe_vertices(layout, rest.vertices))
        weights.append(shoe_weights(layout, body.bone_weights, foot))
    used, compact = np.unique(body.faces, return_inverse=True)
    faces = compact.reshape(body.faces.shape)
    fields = studio.fields[used]
    inside = regions(split_fields(fields), plan.outfit, studio.landmarks)
    cloth = smooth_step(np.maximum(inside.shirt, inside.trousers), 0.0, 0.03)
    smooth = _smoother(faces, len(used), cloth)
    vertices, bone_weights = np.concatenate(points)[used], np.concatenate(weights)[used]
    vertices = _smooth_along_normals(vertices, faces, smooth, _CLOTH_SMOOTHING_ROUNDS)
    for _ in range(_CLOTH_SMOOTHING_ROUNDS):
        bone_weights = smooth @ bone_weights
    posed = skin(vertices, bone_weights, rest.bone_heads, bones)
    posed = _smooth_along_normals(posed, faces, smooth, 4)
    used_uvs, compact_uvs = np.unique(body.uv_faces, return_inverse=True)
    return FineMesh(
        vertices=posed,
        faces=faces,
        uvs=body.uvs[used_uvs],
        uv_faces=compact_uvs.reshape(body.uv_faces.shape),
        fields=fields[:, : len(FIELD_NAMES)],
    )


def _smooth_along_normals(
    vertices: FloatArray, faces: NDArray[np.int64], smooth: Any, rounds: int
) -> FloatArray:
    """Smooth without moving vertices along the surface, which would bend the patterns."""
    for _ in range(rounds):
        normals = vertex_normals(vertices, faces)
        step = smooth @ vertices - vertices
        vertices = vertices + normals * (step * normals).sum(axis=1, keepdims=True)
    return vertices


def _smoother(faces: NDArray[np.int64], count: int, share: FloatArray) -> Any:
    """Return the (N, N) sparse matrix of one Laplacian step, weighted by (N,) share 0..1."""
    from scipy.sparse import coo_matrix, diags

    rows = np.concatenate([faces.ravel(), np.roll(faces, -1, axis=1).ravel()])
    columns = np.concatenate([np.roll(faces, -1, axis=1).ravel(), faces.ravel()])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    mean = diags(1.0 / np.asarray(graph.sum(axis=1)).ravel()) @ graph
    step = 0.6 * share
    return (diags(1 - step) + diags(step) @ mean).tocsr()


def _joints(body: BodyTemplate, rest: RestShape, bones: BonePose, shift: FloatArray) -> FloatArray:
    joints = np.ones((JOINT_COUNT, 4))
    posed = skin(rest.vertices, body.bone_weights, rest.bone_heads, bones)
    surface = body.keypoint_rows @ posed
    for row, name in enumerate(body.surface_joints):
        joints[JOINT_INDEX[name], :3] = surface[row]
    for name, index in JOINT_INDEX.items():
        bone = bone_of_joint(name)
        if bone is not None:
            joints[index, :3] = bones.heads[body.bone(bone)]
    joints[:, :3] += shift
    return joints
