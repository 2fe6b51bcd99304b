from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from render.camera import Camera, camera_from_normalised
from render.context import OffscreenContext
from render.errors import ContextError
from render.rasteriser import Rasteriser, render_gbuffer
from tests.render.shapes import draw, sphere

ROOT = Path(__file__).resolve().parents[2]
OPEN_ONE = """
from render.context import OffscreenContext
from render.errors import ContextError
try:
    OffscreenContext()
except ContextError as error:
    print(error)
"""


def _open_with(**variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ONE], env=environment, cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_platform_with_a_window_is_refused_in_one_sentence_with_the_packages() -> None:
    said = _open_with(PYOPENGL_PLATFORM="glx")
    assert "expected egl or osmesa" in said and "'glx'" in said
    assert "apt-get install libegl1" in said and "\n" not in said


def test_a_machine_without_a_driver_is_told_the_packages() -> None:
    # Mesa and NVIDIA are both found through this folder of descriptions.
    said = _open_with(PYOPENGL_PLATFORM="egl", __EGL_VENDOR_LIBRARY_FILENAMES="/nowhere.json")
    assert "expected a headless context through EGL" in said
    assert "apt-get install libegl1" in said and "\n" not in said


def test_a_closed_context_says_so_and_closing_twice_is_harmless() -> None:
    context = OffscreenContext()
    context.close()
    context.close()
    with pytest.raises(ContextError, match="closed"):
        context.make_current()


def test_closing_one_context_leaves_the_others_working(rasteriser: Rasteriser) -> None:
    camera, pose = Camera(32), camera_from_normalised(0.0)
    before = draw(rasteriser, sphere(0.3, 2), camera, pose)
    inner = render_gbuffer(sphere(0.3, 2), camera, pose)
    after = draw(rasteriser, sphere(0.3, 2), camera, pose)
    assert before.mask.any()
    assert (before.mask == inner.mask).all() and (before.mask == after.mask).all()
