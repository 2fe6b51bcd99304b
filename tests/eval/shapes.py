"""Surfaces whose distances and volumes are known by hand, centimetres."""

from __future__ import annotations

import numpy as np
import trimesh

from eval.surfaces import Surface


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def surface(mesh: trimesh.Trimesh) -> Surface:
    return Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def sphere(radius_cm: float) -> Surface:
    return surface(trimesh.creation.icosphere(subdivisions=5, radius=radius_cm))


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Surface:
    return surface(trimesh.creation.box(bounds=[low, high]))


def square(height: float) -> Surface:
    corners = np.array([[0, 0, height], [10, 0, height], [10, 10, height], [0, 10, height]])
    return Surface(corners, np.array([[0, 1, 2], [0, 2, 3]]))
