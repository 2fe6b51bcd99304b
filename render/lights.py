"""Lights, and deferred Phong lighting of a G-buffer in linear light.

Lights belong to the camera: a scan that turns is lit from where it was lit before. They
are point lights without falloff, so that a rig is as bright at a hand as at the chest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import CAMERA_DISTANCE, Camera
from render.compiled import in_bands
from render.gbuffer import EXTENSION_PX, SideBuffer, extend_outwards
from render.phong import Lamps, Surface, Tables, light_rim, light_rows
from render.picture_box import bounds

RigName = Literal["paper", "key", "soft", "none"]
RIG_NAMES: tuple[RigName, ...] = ("paper", "key", "soft", "none")

PAPER_LIGHT_COUNT = 90
LIGHT_RADIUS = 2.0
_SOFT_LIGHT_COUNT = 48
_AMBIENT = 0.14
_PEAK = 0.84


@dataclass(frozen=True)
class LightRig:
    """An ambient light and L point lights; colours are linear RGB.

    Attributes:
        ambient: (3,) float64.
        diffuse_positions: (L, 3) float64, camera frame, normalised units; L may be 0.
        diffuse_colours: (L, 3) float64, colour times intensity.
        specular_strength: factor on the light colours of the Phong highlight; 0 for none.
        shininess: exponent of the highlight.
        exposure: factor on everything.
    """

    ambient: NDArray[np.float64]
    diffuse_positions: NDArray[np.float64]
    diffuse_colours: NDArray[np.float64]
    specular_strength: float = 0.0
    shininess: float = 16.0
    exposure: float = 1.0


def draw_rig(
    name: RigName, rng: np.random.Generator, distance: float = CAMERA_DISTANCE
) -> LightRig:
    """Draw a light rig around the middle of the scan.

    Args:
        name: "paper": fixed ambient light and 90 diffuse lights around the body, intensity and
            colour random (section 5.1 of the paper); "key": one strong light, one weak
            one, a little highlight; "soft": an even sky; "none": the unlit colours.
        rng: source of randomness.
        distance: of the camera from the middle of the scan, normalised units.

    Raises:
        ValueError: no such rig.
    """
    if name not in _DRAWN:
        raise ValueError(f"rig: expected one of {', '.join(RIG_NAMES)}, got {name!r}")
    rig = _DRAWN[name](rng)
    return replace(rig, diffuse_positions=rig.diffuse_positions - np.array([0.0, 0.0, distance]))


def shade(
    side: SideBuffer, rig: LightRig, camera: Camera, mask: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Light one side of a G-buffer.

    A highlight is seen from where the surface is looked at: from the camera where the side
    faces the camera, from behind where it faces away (the back is seen through the body). It
    is weighted by the cosine at the light (Lafortune and Willems 1994), so that it fades out
    at the terminator where Phong's own ends in a step.

    Args:
        side: albedo, normals and ray distances.
        rig: lights in the camera frame of `camera`.
        camera: the camera of the G-buffer.
        mask: (R, R) uint8, above 0 on the person.

    Returns:
        (R, R, 3) uint8 sRGB, not multiplied by coverage; rim pixels outside the mask that have
        an albedo are lit as their neighbours are. Black elsewhere.
    """
    lit = np.zeros_like(side.albedo)
    # Colours are carried outwards to so many pixels at most.
    part = tuple(
        slice(max(span.start - EXTENSION_PX, 0), min(span.stop + EXTENSION_PX, camera.resolution))
        for span in bounds(mask)
    )
    known: NDArray[np.bool_] = mask[part] > 0
    x, y = camera.pixel_slopes(np.float32)
    surface = Surface(
        side.albedo[part], side.normal[part], side.ray_distance[part], known,
        x[part[1]], y[part[0]], camera.is_orthographic,
    )  # fmt: skip
    lamps = _lamps(rig, _side_of_eye(side, camera, mask) if rig.specular_strength > 0.0 else 1.0)
    tables = Tables()
    light = np.empty((*known.shape, 3), dtype=np.float32)

    def work(first: int, end: int) -> None:
        light_rows(surface, lamps, tables, (first, end), light, lit[part])

    in_bands(work, 0, len(known))
    red, green, blue = np.moveaxis(surface.albedo, -1, 0)
    rim = extend_outwards(light, known, (red | green | blue) > 0)
    light_rim(surface, lamps.exposure, tables, rim, light, lit[part])
    return lit


def rig_to_arrays(rig: LightRig) -> dict[str, NDArray[np.float32]]:
    """Return the rig as float32 arrays by name, for files; `rig_from_arrays` reads them."""
    return {
        "ambient": rig.ambient.astype(np.float32),
        "diffuse_positions": rig.diffuse_positions.astype(np.float32),
        "diffuse_colours": rig.diffuse_colours.astype(np.float32),
        "specular_strength": np.array(rig.specular_strength, dtype=np.float32),
        "shininess": np.array(rig.shininess, dtype=np.float32),
        "exposure": np.array(rig.exposure, dtype=np.float32),
    }


def rig_from_arrays(arrays: dict[str, NDArray[np.float32]]) -> LightRig:
    """Return the rig that `rig_to_arrays` wrote.

    Raises:
        ValueError: an array is missing or of the wrong shape.
    """
    try:
        rig = LightRig(
            ambient=np.asarray(arrays["ambient"], dtype=np.float64),
            diffuse_positions=np.asarray(arrays["diffuse_positions"], dtype=np.float64),
            diffuse_colours=np.asarray(arrays["diffuse_colours"], dtype=np.float64),
            specular_strength=float(arrays["specular_strength"]),
            shininess=float(arrays["shininess"]),
            exposure=float(arrays["exposure"]),
        )
    except KeyError as error:
        raise ValueError(f"light rig: expected an array {error}, found none") from error
    shape = (len(rig.diffuse_positions), 3)
    if rig.diffuse_positions.shape != shape or rig.diffuse_colours.shape != shape:
        raise ValueError(
            "light rig: expected positions and colours (L, 3), "
            f"got {rig.diffuse_positions.shape} and {rig.diffuse_colours.shape}"
        )
    return rig


def _paper_rig(rng: np.random.Generator) -> LightRig:
    """90 lights all around; those near a random direction are brighter, as near a window."""
    directions = _spread_directions(PAPER_LIGHT_COUNT, -0.5, 0.95, rng)
    key = _direction(rng.uniform(-80.0, 80.0), rng.uniform(5.0, 55.0))
    focus = rng.uniform(1.5, 6.0)
    towards_key = np.exp(focus * (directions @ key - 1.0))
    share = rng.uniform(0.6, 0.9)
    weights = share * towards_key / towards_key.sum() + (1.0 - share) / PAPER_LIGHT_COUNT
    weights = weights * rng.gamma(2.0, 0.5, PAPER_LIGHT_COUNT)
    warmth = rng.normal(0.0, 0.12) + rng.normal(0.0, 0.06, PAPER_LIGHT_COUNT)
    warmth = warmth + rng.normal(0.0, 0.12) * (directions @ key)
    colours = _tint(warmth) * rng.uniform(0.93, 1.0, (PAPER_LIGHT_COUNT, 3))
    return _balanced(directions, colours * weights[:, None], rng.uniform(0.9, 1.1))


def _key_rig(rng: np.random.Generator) -> LightRig:
    side = rng.choice([-1.0, 1.0])
    directions = np.stack(
        [
            _direction(side * rng.uniform(25.0, 70.0), rng.uniform(20.0, 50.0)),
            _direction(-side * rng.uniform(30.0, 120.0), rng.uniform(0.0, 30.0)),
        ]
    )
    colours = _tint(rng.normal(0.0, 0.1, 2)) * np.array([[1.0], [rng.uniform(0.15, 0.4)]])
    return _balanced(directions, colours, rng.uniform(0.85, 1.0), specular_strength=0.06)


def _soft_rig(rng: np.random.Generator) -> LightRig:
    directions = _spread_directions(_SOFT_LIGHT_COUNT, -0.1, 1.0, rng)
    colours = _tint(np.full(_SOFT_LIGHT_COUNT, rng.normal(0.0, 0.06)))
    return _balanced(directions, colours, rng.uniform(0.9, 1.05))


def _no_rig(rng: np.random.Generator) -> LightRig:
    return LightRig(np.ones(3), np.zeros((0, 3)), np.zeros((0, 3)))


_DRAWN: dict[str, Callable[[np.random.Generator], LightRig]] = {
    "paper": _paper_rig,
    "key": _key_rig,
    "soft": _soft_rig,
    "none": _no_rig,
}


def _balanced(
    directions: NDArray[np.float64],
    colours: NDArray[np.float64],
    exposure: float,
    specular_strength: float = 0.0,
) -> LightRig:
    """Place the lights around the origin; the best lit direction gets the same in every rig.

    With the ambient light the sum stays below 1, so that hardly a pixel is clipped.
    """
    samples = _spread_directions(512, -1.0, 1.0, None)
    peak = (np.maximum(samples @ directions.T, 0.0) @ colours).max()
    return LightRig(
        ambient=np.full(3, _AMBIENT),
        diffuse_positions=directions * LIGHT_RADIUS,
        diffuse_colours=colours * (_PEAK / peak),
        specular_strength=specular_strength,
        exposure=float(exposure),
    )


def _spread_directions(
    count: int, lowest: float, highest: float, rng: np.random.Generator | None
) -> NDArray[np.float64]:
    """Return (count, 3) unit vectors spread evenly over a band of heights (golden spiral)."""
    heights = lowest + (highest - lowest) * (np.arange(count) + 0.5) / count
    turn = 0.0 if rng is None else rng.uniform(0.0, 2.0 * np.pi)
    azimuths = turn + np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    across = np.sqrt(1.0 - heights**2)
    return np.stack([across * np.sin(azimuths), heights, across * np.cos(azimuths)], axis=1)


def _direction(azimuth_deg: float, elevation_deg: float) -> NDArray[np.float64]:
    """Return a (3,) unit vector; azimuth 0 is towards the camera, positive to the right."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    across = np.cos(elevation)
    return np.array([across * np.sin(azimuth), np.sin(elevation), across * np.cos(azimuth)])


def _tint(warmth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (L, 3) linear colours, yellowish for positive and bluish for negative warmth."""
    warmth = np.clip(warmth, -0.3, 0.3)
    return np.stack([1.0 + 0.5 * warmth, np.ones_like(warmth), 1.0 - 0.9 * warmth], axis=1)


def _lamps(rig: LightRig, towards_eye: float) -> Lamps:
    return Lamps(
        ambient=rig.ambient.astype(np.float32),
        positions=rig.diffuse_positions.astype(np.float32),
        colours=rig.diffuse_colours.astype(np.float32),
        gloss=np.float32(rig.specular_strength),
        shininess=np.float32(rig.shininess),
        towards_eye=np.float32(towards_eye),
        exposure=np.float32(rig.exposure),
    )


def _side_of_eye(side: SideBuffer, camera: Camera, mask: NDArray[np.uint8]) -> float:
    """Return -1 where the side faces the camera, 1 where it faces away.

    All normals of a side do the same; asked of each by itself, one at the horizon would flip
    with the rounding of a file.
    """
    known = mask > 0
    facing = np.einsum("ij,ij->", side.normal[known], camera.rays(dtype=np.float32)[known])
    return 1.0 if facing > 0.0 else -1.0
