"""Changes of the scene before it is photographed: another room, other lights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dataset.augment.arrays import Painted, Person
from render.camera import Camera
from render.compositing import composite, premultiply
from render.gbuffer import SideBuffer
from render.lights import RigName, draw_rig, shade

NEW_LIGHTS: tuple[RigName, ...] = ("paper", "key", "soft")


def before(person: Person, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the (R, R, 3) uint8 picture of a person before a background of that size."""
    image = np.array(background, dtype=np.uint8)
    room = np.ascontiguousarray(image[person.window])
    image[person.window] = composite(person.pixels, person.coverage, room)
    return image


def relight(painted: Painted, resolution: int, rng: np.random.Generator) -> Person:
    """Return the person in other lights: a rig of `render.lights`, drawn anew.

    Args:
        painted: albedo and surface.
        resolution: R of the frame, pixels.
        rng: draws the rig.
    """
    person = painted.person
    rig = draw_rig(NEW_LIGHTS[int(rng.integers(len(NEW_LIGHTS)))], rng)

    def whole(part: NDArray) -> NDArray:
        frame = np.zeros((resolution, resolution, *part.shape[2:]), dtype=part.dtype)
        frame[person.window] = part
        return frame

    side = SideBuffer(whole(painted.albedo), whole(painted.normals), whole(painted.ray_distance))
    mask = (side.ray_distance > 0.0).astype(np.uint8)
    lit = shade(side, rig, Camera(resolution), mask)[person.window]
    return replace(person, pixels=premultiply(np.ascontiguousarray(lit), person.coverage))
