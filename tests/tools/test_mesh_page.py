"""The page of a mesh in a real browser: it shows the mesh, turns it, and loads nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from render.mesh import Material, Mesh
from tests.scenes import body
from tools.mesh_page import mesh_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTH, HEIGHT = 800, 500


def red_person() -> Mesh:
    vertices, uvs, faces = body()
    texture = np.full((64, 64, 3), (210, 40, 30), dtype=np.uint8)
    material = Material("person", np.ones(3), texture)
    placed = (vertices - (0.0, 0.9, 0.0)) / 2.6
    return Mesh.from_arrays(placed, faces, uvs=uvs, materials=(material,))


def screenshot(page: Path, milliseconds: int) -> NDArray[np.int_]:
    target = page.with_name(f"{milliseconds}.png")
    command = [
        *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"),
        # Nothing can be fetched: every name leads nowhere.
        "--host-resolver-rules=MAP * ~NOTFOUND",
        *(f"--window-size={WIDTH},{HEIGHT}", f"--virtual-time-budget={milliseconds}"),
        *(f"--user-data-dir={page.parent / 'profile'}", f"--screenshot={target}"),
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert target.is_file(), done.stderr[-2000:]
    return np.asarray(Image.open(target).convert("RGB")).astype(int)


def red_of(picture: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Where the right half is red."""
    right = picture[:, WIDTH // 2 :]
    return np.asarray((right[..., 0] - right[..., 2]) > 60)


def test_titles_are_escaped_and_everything_is_inside() -> None:
    photograph = np.zeros((30, 20, 3), dtype=np.uint8)
    page = mesh_page(red_person(), photograph, "<ann> & bob")
    assert "<title>&lt;ann&gt; &amp; bob</title>" in page
    assert 'src="data:image/jpeg;base64,' in page
    assert 'src="http' not in page and 'href="http' not in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, found none on the path")
def test_the_mesh_turns_beside_the_photograph(tmp_path: Path) -> None:
    photograph = np.full((400, 300, 3), (20, 60, 220), dtype=np.uint8)
    page = tmp_path / "page.html"
    page.write_text(mesh_page(red_person(), photograph, "ann"), encoding="utf-8")
    # The page's clock runs as fast as it can, decoding the mesh takes its time beside it.
    shown = (screenshot(page, budget) for budget in (4000, 12000, 40000, 120000))
    seen = next((picture for picture in shown if red_of(picture).any()), None)
    assert seen is not None, "the mesh is shown"
    left = seen[:, : WIDTH // 2]
    assert ((left[..., 2] - left[..., 0]) > 100).mean() > 0.5, "the photograph"
    red = red_of(seen)
    assert 0.03 < red.mean() < 0.6, "the mesh, in the colours of its texture"
    assert np.ptp(np.nonzero(red.any(axis=1))[0]) > HEIGHT / 2, "the whole of it"
    widths = {np.ptp(np.nonzero(red.any(axis=0))[0])}
    for budget in (41000, 42500, 44000):
        widths.add(np.ptp(np.nonzero(red_of(screenshot(page, budget)).any(axis=0))[0]))
    assert max(widths) > 1.2 * min(widths), "it turns, from broad to narrow"
