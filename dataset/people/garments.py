"""Where hair, shirt, trousers and shoes are on the body, and how far they stand off it.

Places are given in canonical coordinates: the rest pose of one fixed phenotype, so that a
garment is cut alike on everybody. The same signed distances place colours in the texture and
cloth on the surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.people.anatomy import CANONICAL_PHENOTYPE, BodyTemplate, RestShape
from dataset.people.shoes import shoe_vertices

FloatArray = NDArray[np.float64]

FIELD_NAMES: tuple[str, ...] = (
    "x", "y", "z", "arm", "hand", "head", "lips", "eye", "shoe",
)  # fmt: skip
"""Canonical position in metres; 0 shoulder to 1 wrist along the arm; bone shares of hand and
head; metres to the lip line; 0..1 across an eye; 0..1 down a shoe."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Canonical fields at N points; see `FIELD_NAMES`. Each is (N,) float."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    arm: FloatArray
    hand: FloatArray
    head: FloatArray
    lips: FloatArray
    eye: FloatArray
    shoe: FloatArray


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Canonical places, metres, y from the ground of the bare foot."""

    neck_y: float
    neck_z: float
    head_centre: tuple[float, float, float]
    eye: tuple[float, float, float]
    waist_y: float
    crotch_y: float
    knee_y: float
    ankle_y: float
    arm_length: float
    leg_x: float
    mouth_x: float


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """Cut of the clothes and hair of one person; lengths in metres on the canonical body."""

    sleeve: float
    hem_drop: float
    neck_drop: float
    v_neck: float
    cuff_y: float
    shirt_ease: float
    trouser_ease: float
    hair_back_deg: float
    hair_side_deg: float
    hair_volume: float
    wrinkle: float


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Signed distances in metres, positive inside, each (N,)."""

    hair: FloatArray
    shirt: FloatArray
    trousers: FloatArray
    shoes: FloatArray


def draw_outfit(generator: np.random.Generator, landmarks: Landmarks, feminine: bool) -> Outfit:
    """Draw the cut of an outfit."""
    short = float(generator.uniform(0.30, 0.42))
    sleeve = float(generator.choice([short, 0.92, 0.94, 0.72]))
    knee, ankle = landmarks.knee_y, landmarks.ankle_y
    shorts = knee + float(generator.uniform(0.03, 0.10))
    cuff = float(generator.choice([ankle + 0.0, ankle + 0.01, ankle + 0.02, shorts]))
    long_hair = generator.random() < (0.7 if feminine else 0.12)
    return Outfit(
        sleeve=sleeve,
        hem_drop=float(generator.uniform(0.06, 0.16)),
        neck_drop=float(generator.uniform(0.0, 0.02)),
        v_neck=float(generator.choice([0.0, 0.0, 0.9])),
        cuff_y=cuff,
        shirt_ease=float(generator.uniform(0.008, 0.016)),
        trouser_ease=float(generator.uniform(0.006, 0.014)),
        hair_back_deg=-62.0 if long_hair else float(generator.uniform(-28, -18)),
        hair_side_deg=-48.0 if long_hair else float(generator.uniform(4, 14)),
        hair_volume=float(generator.uniform(0.014, 0.026)),
        wrinkle=float(generator.uniform(0.0016, 0.0032)),
    )


def canonical_landmarks(body: BodyTemplate, rest: RestShape) -> Landmarks:
    """Measure the canonical body (rest shape of `CANONICAL_PHENOTYPE`)."""
    head = {name: rest.bone_heads[i] for i, name in enumerate(body.bone_names)}
    ground = rest.vertices[np.unique(body.shoes[0].foot_faces), 1].min()
    eyes = (body.cap_rows @ rest.vertices)[body.eye_ramp[len(rest.vertices) :] == 1.0]
    eye = eyes[eyes[:, 0] > 0][0]
    skull = head["head"]
    elbow, wrist = head["lowerarm01.L"], head["wrist.L"]
    length = np.linalg.norm(elbow - head["upperarm01.L"]) + np.linalg.norm(wrist - elbow)
    return Landmarks(
        neck_y=float(head["neck01"][1] - ground),
        neck_z=float(head["neck01"][2]),
        head_centre=(0.0, float(eye[1] - ground + 0.012), float(skull[2] - 0.005)),
        eye=(float(eye[0]), float(eye[1] - ground), float(eye[2])),
        waist_y=float(head["upperleg01.L"][1] - ground + 0.10),
        crotch_y=float(head["upperleg01.L"][1] - ground - 0.07),
        knee_y=float(head["lowerleg01.L"][1] - ground),
        ankle_y=float(head["foot.L"][1] - ground),
        arm_length=float(length),
        leg_x=float(head["lowerleg01.L"][0]),
        mouth_x=float(rest.vertices[body.lip_loop, 0].max()),
    )


def canonical_shape(model: Any, body: BodyTemplate) -> RestShape:
    """Return the rest shape that canonical coordinates refer to."""
    from dataset.people.anatomy import phenotype_coefficients, rest_shape

    return rest_shape(body, phenotype_coefficients(model, CANONICAL_PHENOTYPE))


def canonical_fields(body: BodyTemplate, rest: RestShape) -> FloatArray:
    """Return the (V, len(FIELD_NAMES)) fields at all vertices: body, caps, shoes."""
    count = len(rest.vertices)
    caps = body.cap_rows @ rest.vertices
    shoes = [shoe_vertices(layout, rest.vertices) for layout in body.shoes]
    points = np.concatenate([rest.vertices, caps, *shoes])
    points = points - [0.0, rest.vertices[np.unique(body.shoes[0].foot_faces), 1].min(), 0.0]
    fields = np.zeros((len(points), len(FIELD_NAMES)))
    fields[:, :3] = points
    weights = body.bone_weights
    for side in ("L", "R"):
        fields[:count, 3] += _along_arm(body, rest, side)
    hand = [k for k, n in enumerate(body.bone_names) if n.startswith(("wrist", "finger", "metac"))]
    head = [k for k, n in enumerate(body.bone_names) if n.startswith(("head", "eye", "neck0"))]
    fields[:count, 4] = weights[:, hand].sum(axis=1)
    fields[:count, 5] = weights[:, head].sum(axis=1)
    fields[count : count + len(caps), 5] = 1.0
    lips = rest.vertices[body.lip_loop]
    ground = points[0, 1] - rest.vertices[0, 1]
    fields[:, 6] = _distance_to(points, lips + [0.0, ground, 0.0])
    fields[: len(body.eye_ramp), 7] = body.eye_ramp
    fields[count + len(caps) :, 8] = np.concatenate([layout.ramp for layout in body.shoes])
    return fields


def _distance_to(points: FloatArray, targets: FloatArray) -> FloatArray:
    from scipy.spatial import cKDTree

    return cKDTree(targets).query(points, workers=1)[0]


def _along_arm(body: BodyTemplate, rest: RestShape, side: str) -> FloatArray:
    names = ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist", "finger", "metac")
    bones = [
        k for k, n in enumerate(body.bone_names) if n.startswith(names) and n.endswith(f".{side}")
    ]
    weight = body.bone_weights[:, bones].sum(axis=1)
    head = {n: rest.bone_heads[i] for i, n in enumerate(body.bone_names)}
    shoulder, elbow = head[f"upperarm01.{side}"], head[f"lowerarm01.{side}"]
    wrist = head[f"wrist.{side}"]
    lower = body.bone_weights[:, [k for k in bones if "upperarm" not in body.bone_names[k]]]
    share = np.divide(lower.sum(axis=1), weight, out=np.zeros_like(weight), where=weight > 0)
    total = np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow)
    first = _project(rest.vertices, shoulder, elbow)
    second = np.linalg.norm(elbow - shoulder) + _project(rest.vertices, elbow, wrist)
    along = ((1 - share) * first + share * second) / total
    return np.clip(along, 0.0, 1.4) * np.clip(weight * 1.6 - 0.3, 0.0, 1.0)


def _project(points: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    axis = (end - start) / np.linalg.norm(end - start)
    return (points - start) @ axis


def split_fields(values: FloatArray) -> Fields:
    """Name the columns of (N, len(FIELD_NAMES)) values."""
    return Fields(**{name: values[:, k] for k, name in enumerate(FIELD_NAMES)})


def regions(fields: Fields, outfit: Outfit, landmarks: Landmarks) -> Regions:
    """Return the signed distances of N points to the clothes and the hair."""
    arm_free = np.where(fields.arm > 0.12, 1.0, -1.0)
    collar = landmarks.neck_y + 0.012 - outfit.neck_drop
    slope = np.where(fields.z > landmarks.neck_z, 0.42, 0.30)
    neck = collar - slope * (fields.z - landmarks.neck_z) - fields.y
    front = np.clip((fields.z - landmarks.neck_z) / 0.05, 0.0, 1.0)
    neck = neck - front * outfit.v_neck * np.clip(0.075 - np.abs(fields.x), 0.0, 1.0)
    hem = fields.y - (landmarks.waist_y - outfit.hem_drop)
    sleeve = (outfit.sleeve - fields.arm) * landmarks.arm_length
    shirt = np.minimum(np.minimum(neck, sleeve), np.where(arm_free > 0, 1.0, hem))
    waist = landmarks.waist_y - fields.y
    trousers = np.minimum(np.minimum(waist, fields.y - outfit.cuff_y), -arm_free)
    trousers = np.where(fields.shoe > 0, -1.0, trousers)
    shoes = np.where(fields.shoe > 0, 0.02, -1.0)
    return Regions(
        hair=_hair(fields, outfit, landmarks),
        shirt=np.where(fields.shoe > 0, -1.0, shirt),
        trousers=trousers,
        shoes=shoes,
    )


def _hair(fields: Fields, outfit: Outfit, landmarks: Landmarks) -> FloatArray:
    cx, cy, cz = landmarks.head_centre
    x, y, z = fields.x - cx, fields.y - cy, fields.z - cz
    radius = np.sqrt(x * x + y * y + z * z) + 1e-9
    elevation = np.rad2deg(np.arcsin(np.clip(y / radius, -1.0, 1.0)))
    azimuth = np.rad2deg(np.abs(np.arctan2(x, z)))
    side, back = outfit.hair_side_deg, outfit.hair_back_deg
    line = np.interp(
        azimuth, [0, 30, 50, 62, 74, 86, 100, 115, 180], [33, 33, 28, 17, 6, 9, side, back, back]
    )
    if side > 0:
        ear = np.where((azimuth > 60) & (azimuth < 118) & (np.abs(x) > 0.083), 13.0, -90.0)
        line = np.maximum(line, ear)
    distance = np.deg2rad(elevation - line) * radius
    distance = np.minimum(distance, fields.y - landmarks.neck_y - 0.035)
    return np.where((fields.head > 0.35) & (fields.eye == 0) & (radius < 0.21), distance, -1.0)


def smooth_step(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def stand_off(
    fields: Fields,
    outfit: Outfit,
    landmarks: Landmarks,
    generator: np.random.Generator,
) -> FloatArray:
    """Return (N,) metres that hair and cloth stand off the skin, wrinkles included."""
    inside = regions(fields, outfit, landmarks)
    waves = _waves(fields, generator)
    shirt = smooth_step(inside.shirt, -0.002, 0.006)
    hem_flare = 0.007 * smooth_step(landmarks.waist_y + 0.05 - fields.y, 0.0, 0.2)
    sleeve_flare = 0.005 * smooth_step(fields.arm - outfit.sleeve + 0.25, 0.0, 0.25)
    armpit = 1.0 - 0.5 * np.exp(-(((fields.arm - 0.12) / 0.07) ** 2))
    off_shirt = (outfit.shirt_ease + np.where(fields.arm > 0.12, sleeve_flare, hem_flare)) * armpit
    off_shirt = off_shirt + outfit.wrinkle * waves[0]
    trousers = smooth_step(inside.trousers, -0.002, 0.006)
    inner_thigh = np.exp(-((fields.x / 0.05) ** 2) - ((fields.y - landmarks.crotch_y) / 0.12) ** 2)
    cuff = 0.010 * smooth_step(landmarks.knee_y - fields.y, 0.0, 0.3)
    off_trousers = (outfit.trouser_ease + cuff) * (1 - 0.8 * inner_thigh)
    off_trousers = off_trousers + outfit.wrinkle * waves[1] * (1 - inner_thigh)
    hair = smooth_step(inside.hair, -0.004, 0.022)
    off_hair = outfit.hair_volume * (1 + 0.18 * waves[2]) + 0.003
    cloth = np.maximum(shirt * off_shirt, trousers * off_trousers)
    return cloth + hair * off_hair


def _waves(fields: Fields, generator: np.random.Generator) -> tuple[FloatArray, ...]:
    """Three sums of a few random sine waves in canonical space, each about -1..1."""
    points = np.stack([fields.x, fields.y, fields.z], axis=1)
    out = []
    for low, high, count in ((18.0, 75.0, 9), (15.0, 65.0, 9), (60.0, 260.0, 8)):
        total = np.zeros(len(points))
        for _ in range(count):
            direction = generator.normal(size=3) * [1.0, 0.8, 1.0]
            direction /= np.linalg.norm(direction)
            frequency = generator.uniform(low, high)
            phase = generator.uniform(0, 2 * np.pi)
            total += np.sin(frequency * (points * direction).sum(axis=1) + phase)
        out.append(total / np.sqrt(count))
    return tuple(out)
