"""Colours of the demo people: skin, face, hair, and cloth with fine patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.people.garments import Fields, Landmarks, Outfit, regions, split_fields
from dataset.people.shoes import SOLE_RAMP_START
from dataset.people.texture import TexelMap, fill

Colour = tuple[float, float, float]
Float32 = NDArray[np.float32]

_SKIN: tuple[Colour, ...] = (
    (0.95, 0.80, 0.72), (0.91, 0.73, 0.62), (0.84, 0.65, 0.52), (0.74, 0.54, 0.41),
    (0.60, 0.42, 0.31), (0.46, 0.31, 0.23), (0.34, 0.23, 0.18),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (0.09, 0.07, 0.06), (0.18, 0.12, 0.08), (0.30, 0.20, 0.12), (0.46, 0.31, 0.18),
    (0.66, 0.51, 0.30), (0.45, 0.20, 0.10), (0.58, 0.57, 0.56),
)  # fmt: skip
_IRIS: tuple[Colour, ...] = ((0.36, 0.22, 0.12), (0.30, 0.46, 0.60), (0.36, 0.47, 0.28))
_CLOTH: tuple[Colour, ...] = (
    (0.80, 0.16, 0.15), (0.13, 0.29, 0.60), (0.95, 0.93, 0.88), (0.14, 0.15, 0.18),
    (0.93, 0.72, 0.20), (0.18, 0.48, 0.31), (0.48, 0.22, 0.47), (0.35, 0.62, 0.74),
    (0.90, 0.50, 0.38), (0.55, 0.58, 0.60),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = (
    (0.17, 0.24, 0.40), (0.25, 0.35, 0.53), (0.13, 0.14, 0.16), (0.58, 0.50, 0.38),
    (0.36, 0.38, 0.30), (0.42, 0.42, 0.45), (0.36, 0.24, 0.18),
)  # fmt: skip
_SHOES: tuple[Colour, ...] = (
    (0.12, 0.12, 0.13), (0.90, 0.90, 0.88), (0.40, 0.24, 0.14), (0.65, 0.15, 0.15),
    (0.16, 0.25, 0.45),
)  # fmt: skip
SHIRT_PATTERNS: tuple[str, ...] = ("stripes", "checks", "dots", "plain_logo", "pinstripes", "marl")
TROUSER_PATTERNS: tuple[str, ...] = ("denim", "denim", "twill", "pinstripes", "checks")
# Around the trunk, cloth coordinates repeat a whole number of times in this many metres.
_GIRTH_M = 0.96


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours (sRGB, 0..1) and patterns of one person."""

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    shirt_accent: Colour
    trousers: Colour
    shoes: Colour
    sole: Colour
    shirt_pattern: str
    trouser_pattern: str
    pattern_m: float


def draw_palette(generator: np.random.Generator, age: float) -> Palette:
    """Draw the colours of one person."""
    tone = float(generator.uniform(0, len(_SKIN) - 1))
    low = int(tone)
    high = min(low + 1, len(_SKIN) - 1)
    skin = _mix(_SKIN[low], _SKIN[high], tone - low)
    hair = _HAIR[int(generator.integers(2 if tone > 4 else 6))] if age < 0.9 else _HAIR[6]
    shirt, accent = generator.choice(len(_CLOTH), size=2, replace=False)
    return Palette(
        skin=skin,
        hair=hair,
        iris=_IRIS[0] if tone > 3 else _IRIS[int(generator.integers(3))],
        shirt=_CLOTH[int(shirt)],
        shirt_accent=_CLOTH[int(accent)],
        trousers=_TROUSERS[int(generator.integers(len(_TROUSERS)))],
        shoes=_SHOES[int(generator.integers(len(_SHOES)))],
        sole=(0.93, 0.92, 0.90) if generator.random() < 0.7 else (0.20, 0.18, 0.17),
        shirt_pattern=str(generator.choice(SHIRT_PATTERNS)),
        trouser_pattern=str(generator.choice(TROUSER_PATTERNS)),
        pattern_m=float(generator.uniform(0.016, 0.05)),
    )


def paint(
    texels: TexelMap,
    outfit: Outfit,
    palette: Palette,
    landmarks: Landmarks,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the (size, size, 3) uint8 sRGB texture of one person."""
    fields = split_fields(texels.fields)  # type: ignore[arg-type]
    inside = regions(fields, outfit, landmarks)
    grain = generator.standard_normal(len(texels.rows), dtype=np.float32)
    blotches = _noise(fields, generator, 30.0, 90.0)
    colours = _skin(fields, palette, landmarks, grain, blotches)
    trousers = _cloth(
        fields,
        palette.trouser_pattern,
        palette.trousers,
        _mix(palette.trousers, (0.9, 0.9, 0.92), 0.35),
        palette,
        landmarks,
        grain,
        blotches,
    )
    _seam(trousers, np.abs(inside.trousers - 0.012), 0.0015, 0.82)
    _lay(colours, trousers, inside.trousers)
    shirt = _cloth(
        fields,
        palette.shirt_pattern,
        palette.shirt,
        palette.shirt_accent,
        palette,
        landmarks,
        grain,
        blotches,
    )
    _seam(shirt, np.abs(inside.shirt - 0.012), 0.0015, 0.85)
    _lay(colours, shirt, inside.shirt)
    _lay(colours, _shoes(fields, palette, grain), inside.shoes)
    _lay(colours, _hair(fields, palette, landmarks, grain, generator), inside.hair, 0.004)
    return fill(texels, colours)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(float(x + (y - x) * share) for x, y in zip(a, b))  # type: ignore[return-value]


def _lay(
    under: Float32, over: Float32, distance: NDArray[np.floating], soft_m: float = 0.001
) -> None:
    """Put a layer over the colours where its signed distance is positive (in place)."""
    share = np.clip(distance / soft_m + 0.5, 0.0, 1.0)[:, None].astype(np.float32)
    under += (over - under) * share


def _seam(cloth: Float32, distance: Float32, half_width_m: float, factor: float) -> None:
    cloth[distance < half_width_m] *= np.float32(factor)


def _flat(colour: Colour, count: int) -> Float32:
    return np.tile(np.asarray(colour, dtype=np.float32), (count, 1))


def _noise(fields: Fields, generator: np.random.Generator, low: float, high: float) -> Float32:
    total = np.zeros(len(fields.x), dtype=np.float32)
    for _ in range(4):
        direction = generator.normal(size=3)
        direction *= generator.uniform(low, high) / np.linalg.norm(direction)
        kx, ky, kz = (np.float32(v) for v in direction)
        phase = np.float32(generator.uniform(0, 6.28))
        total += np.sin(kx * fields.x + ky * fields.y + kz * fields.z + phase)
    return total / np.float32(2.0)


def _skin(
    fields: Fields, palette: Palette, landmarks: Landmarks, grain: Float32, blotches: Float32
) -> Float32:
    colours = _flat(palette.skin, len(fields.x))
    colours *= (1 + 0.015 * grain + 0.02 * blotches)[:, None]
    ex, ey, ez = landmarks.eye
    x, y = np.abs(fields.x), fields.y
    front = fields.z > ez - 0.05
    face = front & (fields.head > 0.5)
    lip = np.asarray(palette.skin, dtype=np.float32) * np.array([0.80, 0.52, 0.52], np.float32)
    reach = 0.0088 * np.clip(1.15 - (x / np.float32(landmarks.mouth_x)) ** 2, 0.0, 1.0)
    share = np.clip((reach - fields.lips) / 0.003, 0.0, 1.0) * face
    colours += (lip - colours) * share[:, None].astype(np.float32)
    arch = ey + 0.021 - 9.0 * (x - ex) ** 2
    brow = (np.abs(y - arch) < 0.0035 * (1 - ((x - ex) / 0.026) ** 2)) & (np.abs(x - ex) < 0.024)
    brow &= face & (fields.eye == 0)
    hair = np.asarray(palette.hair, dtype=np.float32)
    colours[brow] = colours[brow] * np.float32(0.3) + hair * np.float32(0.7)
    rim = face & (fields.eye == 0) & (np.hypot(x - ex, 1.6 * (y - ey)) < 0.0185)
    colours[rim] *= np.float32(0.90)
    return _eyes(colours, fields, palette, landmarks)


def _eyes(colours: Float32, fields: Fields, palette: Palette, landmarks: Landmarks) -> Float32:
    ex, ey, _ = landmarks.eye
    eye = fields.eye > 0.02
    radius = np.hypot(np.abs(fields.x) - ex, fields.y - ey)
    colours[eye] = (0.93, 0.92, 0.90)
    colours[eye & (radius < 0.0062)] = np.asarray(palette.iris, dtype=np.float32)
    colours[eye & (radius < 0.0062) & (radius > 0.0054)] *= np.float32(0.5)
    colours[eye & (radius < 0.0024)] = (0.03, 0.03, 0.03)
    glint = np.hypot(fields.x - np.sign(fields.x) * ex - 0.0018, fields.y - ey - 0.0018)
    colours[eye & (glint < 0.001)] = (1.0, 1.0, 1.0)
    colours[(fields.eye > 0) & (fields.eye < 0.12)] = (0.22, 0.14, 0.12)
    return colours


def _cloth_coordinates(fields: Fields, landmarks: Landmarks) -> tuple[Float32, Float32]:
    """Metres around and along the cloth; along the arm on the sleeves."""
    on_arm = fields.arm > 0.12
    around = np.arctan2(fields.x, fields.z + 0.02) * np.float32(_GIRTH_M / (2 * np.pi))
    leg_x = np.abs(fields.x) - np.float32(landmarks.leg_x)
    around_leg = np.arctan2(leg_x, fields.z + 0.01) * np.float32(_GIRTH_M / (4 * np.pi))
    around = np.where(fields.y < landmarks.crotch_y, around_leg, around)
    around = np.where(on_arm, fields.z, around)
    along = np.where(on_arm, fields.arm * np.float32(0.58), fields.y)
    return around, along


def _cloth(
    fields: Fields,
    pattern: str,
    base: Colour,
    accent: Colour,
    palette: Palette,
    landmarks: Landmarks,
    grain: Float32,
    blotches: Float32,
) -> Float32:
    around, along = _cloth_coordinates(fields, landmarks)
    period = np.float32(_GIRTH_M / round(_GIRTH_M / palette.pattern_m))
    u, v = around / period, along / period
    colours = _flat(base, len(u))
    share = np.zeros(len(u), dtype=np.float32)
    if pattern == "stripes":
        share = (v % 1 < 0.42).astype(np.float32)
    elif pattern == "checks":
        share = 0.5 * (u % 1 < 0.4) + 0.5 * (v % 1 < 0.4)
        share = np.maximum(share, 1.0 * ((v % 1 > 0.68) & (v % 1 < 0.73)))
    elif pattern == "dots":
        odd = np.floor(v) % 2
        share = (np.hypot((u + 0.5 * odd) % 1 - 0.5, v % 1 - 0.5) < 0.27).astype(np.float32)
    elif pattern == "pinstripes":
        share = 0.8 * ((around / np.float32(_GIRTH_M / 80)) % 1 < 0.16)
    elif pattern == "plain_logo":
        chest = np.hypot(fields.x, fields.y - np.float32(landmarks.neck_y - 0.20))
        ring = ((chest < 0.075) & (chest > 0.058)) | (chest < 0.03)
        share = (ring & (fields.z > 0) & (fields.arm < 0.1)).astype(np.float32)
    elif pattern == "denim":
        twill = np.sin((around + along) * np.float32(2 * np.pi / 0.0045))
        share = 0.22 + 0.16 * twill + 0.16 * grain + 0.10 * blotches
    elif pattern == "twill":
        share = 0.12 + 0.12 * np.sin((around - along) * np.float32(2 * np.pi / 0.006))
    elif pattern == "marl":
        share = 0.35 + 0.22 * grain
    share = np.clip(share, 0.0, 1.0)[:, None].astype(np.float32)
    colours += (np.asarray(accent, dtype=np.float32) - colours) * share
    weave = 1 + 0.030 * grain + 0.025 * blotches
    return colours * weave[:, None].astype(np.float32)


def _shoes(fields: Fields, palette: Palette, grain: Float32) -> Float32:
    colours = _flat(palette.shoes, len(fields.x)) * (1 + 0.03 * grain)[:, None]
    ramp = fields.shoe
    laces = (ramp > 0.12) & (ramp < 0.42)
    lace_rows = (ramp * 26) % 1 < 0.35
    front = fields.z > 0.09
    light = np.asarray(palette.sole, dtype=np.float32)
    colours[laces & lace_rows & front] = light * np.float32(0.9)
    colours[ramp < 0.05] *= np.float32(0.7)
    colours[ramp > SOLE_RAMP_START] = light
    edge = (ramp > SOLE_RAMP_START) & (ramp < SOLE_RAMP_START + 0.015)
    colours[edge] = light * np.float32(0.55)
    return colours


def _hair(
    fields: Fields,
    palette: Palette,
    landmarks: Landmarks,
    grain: Float32,
    generator: np.random.Generator,
) -> Float32:
    angle = np.arctan2(fields.x, fields.z - np.float32(landmarks.head_centre[2]))
    phase = np.float32(generator.uniform(0, 6.28))
    wobble = np.sin(fields.y * 55 + phase)
    strands = 0.5 * np.sin(angle * 90 + 2 * wobble) + 0.5 * np.sin(angle * 173 + 3 * wobble)
    colours = _flat(palette.hair, len(fields.x))
    shade = 1 + 0.22 * strands + 0.08 * grain
    return (colours * shade[:, None] + 0.012).astype(np.float32)
