from __future__ import annotations

import ctypes.util
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
    print(OffscreenContext().description)
except ContextError as error:
    print(error)
"""


def _open_with(**variables: str) -> str:
    environment = {**os.environ, **variables}
    if "PYOPENGL_PLATFORM" not in variables:
        environment.pop("PYOPENGL_PLATFORM", None)  # which a context of this process has set
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


@pytest.mark.skipif(not ctypes.util.find_library("OSMesa"), reason="OSMesa is not installed")
def test_osmesa_is_taken_where_egl_has_no_driver_and_where_it_is_asked_for() -> None:
    without_driver = _open_with(__EGL_VENDOR_LIBRARY_FILENAMES="/nowhere.json")
    assert without_driver.endswith(" through OSMesa")
    assert _open_with(PYOPENGL_PLATFORM="osmesa") == without_driver


def test_a_device_can_be_chosen_by_its_number() -> None:
    assert _open_with(EGL_DEVICE_ID="0").endswith(" through EGL")
    said = _open_with(EGL_DEVICE_ID="63")
    assert said.startswith("EGL_DEVICE_ID: expected a number below ") and "'63'" in said
    assert "\n" not in said


def test_the_log_says_what_draws(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="render.context"), OffscreenContext() as context:
        assert f"OpenGL: {context.renderer} through " in caplog.text


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
