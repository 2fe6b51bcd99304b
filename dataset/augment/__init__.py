"""Random changes of a view that training sees: where all augmentation lives.

Each change is a function of arrays and of an explicit random generator, and inputs are never
modified. They are made in the order in which a photograph comes about: the room and the lights,
the framing, the lens, the colours, the sensor, the file. Every one draws from a generator of its
own: whether one is made does not change what another draws.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.augment.arrays import Geometry, Painted, Person, ViewSource, Window
from dataset.augment.config import UNCHANGED, AugmentConfig
from dataset.augment.keypoints import detect_roughly
from dataset.augment.pixels import (
    add_noise,
    blur_lens,
    compress,
    dull_colours,
    scale_colours,
    soften_edges,
)
from dataset.augment.reframing import (
    draw_similarity,
    mirror_geometry,
    reframe_geometry,
    reframe_image,
)
from dataset.augment.scene import before, relight

__all__ = [
    "UNCHANGED",
    "AugmentConfig",
    "Geometry",
    "Painted",
    "Person",
    "ViewSource",
    "Window",
    "augment_view",
    "scale_colours",
]

STREAMS = 10
"""Independent generators of one view; new changes take the next ones."""


def augment_view(
    source: ViewSource, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Geometry, NDArray[np.uint8]]:
    """Return a randomly changed view: where the person is, and the (R, R, 3) uint8 picture.

    Args:
        source: the view.
        config: which changes, how often or how strong.
        rng: decides everything.
    """
    scene, edges, framing, mirror, lens, colour, sensor, file, joints, _ = rng.spawn(STREAMS)
    geometry, image = source.geometry, _photographed(source, config, scene)
    if edges.random() < config.edges:
        image = soften_edges(image, geometry.window, geometry.ray_distance[0] > 0.0)
    if config.scale > 0.0 or config.shift > 0.0 or config.roll_deg > 0.0:
        change = draw_similarity(config.scale, config.shift, config.roll_deg, framing)
        geometry, image = reframe_geometry(geometry, change), reframe_image(image, change)
    if mirror.random() < config.mirror:
        geometry, image = mirror_geometry(geometry), np.asarray(cv2.flip(image, 1), np.uint8)
    image = blur_lens(image, lens.uniform(0.0, config.blur))
    image = dull_colours(image, config.colour, colour)
    image = add_noise(image, sensor.uniform(0.0, config.noise), sensor)
    if config.jpeg < 100.0:
        image = compress(image, round(file.uniform(config.jpeg, 100.0)))
    if config.joint_noise > 0.0 or config.joint_dropout > 0.0:
        deviation = config.joint_noise * geometry.resolution
        found = detect_roughly(geometry.joints, deviation, config.joint_dropout, joints)
        geometry = replace(geometry, joints=found)
    return geometry, image


def _photographed(
    source: ViewSource, config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the picture of the view, or of its person in another room or in other lights."""
    room, lights, lamps = rng.spawn(3)
    elsewhere = room.random() < config.background
    lit_anew = lights.random() < config.light
    if not (elsewhere or lit_anew):
        return source.image()
    background = source.other_background(room) if elsewhere else source.background()
    if elsewhere and room.random() < 0.5:
        background = np.asarray(cv2.flip(background, 1), np.uint8)
    person = (
        relight(source.painted(), source.geometry.resolution, lamps)
        if lit_anew
        else source.person()
    )
    return before(person, background)
