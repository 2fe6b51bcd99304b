"""The page of a mesh in a real browser: it shows the mesh, turns it, and loads nothing."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from eval.pictures import BACKGROUND
from render.mesh import Material, Mesh
from tests.scenes import body
from tools.mesh_page import mesh_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTH, HEIGHT = 800, 500

PROBE = """<img src="/shown" hidden><script>
const sent = [];
const timer = setInterval(() => {
  const viewer = document.querySelector("iframe").contentWindow;
  const found = [];
  if (viewer.scene) viewer.scene.traverse((item) => { if (item.isMesh) found.push(item); });
  if (!found.length) return;
  viewer.render();
  sent.push(viewer.renderer.domElement.toDataURL("image/png"));
  if (sent.length < 5) return;
  clearInterval(timer);
  fetch("/canvases", { method: "POST", body: sent.join("\\n") });
}, 300);
</script>"""
"""Sends what the canvas shows, five times in 1.5 s; the page is not loaded before that."""


def red_person() -> Mesh:
    vertices, uvs, faces = body()
    texture = np.full((64, 64, 3), (210, 40, 30), dtype=np.uint8)
    material = Material("person", np.ones(3), texture)
    placed = (vertices - (0.0, 0.9, 0.0)) / 2.6
    return Mesh.from_arrays(placed, faces, uvs=uvs, materials=(material,))


class _PageServer(ThreadingHTTPServer):
    """Serves one page, whose last picture comes when the page has sent its canvases."""

    daemon_threads = True

    def __init__(self, page: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.page = page.encode("utf-8")
        self.canvases: list[NDArray[np.int_]] = []
        self.sent = threading.Event()
        self.asked: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: _PageServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/shown":
            self.server.sent.wait(90.0)
        self._say(self.server.page if self.path == "/page" else b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        for line in body.splitlines():
            picture = Image.open(io.BytesIO(base64.b64decode(line.partition(",")[2])))
            self.server.canvases.append(np.asarray(picture.convert("RGB")).astype(int))
        self.server.sent.set()
        self._say(b"")

    def _say(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@contextmanager
def served(page: str) -> Iterator[_PageServer]:
    with _PageServer(page.replace("</main>", "</main>" + PROBE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def screenshot(server: _PageServer, folder: Path) -> NDArray[np.int_]:
    target = folder / "page.png"
    command = [
        *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"),
        # Nothing else can be fetched: every name leads nowhere.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        *(f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}"),
        *(f"--user-data-dir={folder / 'profile'}", "--timeout=100000"),
        f"http://127.0.0.1:{server.server_port}/page",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert target.is_file(), done.stderr[-2000:]
    return np.asarray(Image.open(target).convert("RGB")).astype(int)


def red_of(picture: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Where a picture is red."""
    return np.asarray((picture[..., 0] - picture[..., 2]) > 60)


def test_titles_are_escaped_and_everything_is_inside() -> None:
    photograph = np.zeros((30, 20, 3), dtype=np.uint8)
    page = mesh_page(red_person(), photograph, "<ann> & bob")
    assert "<title>&lt;ann&gt; &amp; bob</title>" in page
    assert 'src="data:image/jpeg;base64,' in page
    assert 'src="http' not in page and 'href="http' not in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, found none on the path")
def test_the_mesh_turns_beside_the_photograph(tmp_path: Path) -> None:
    photograph = np.full((400, 300, 3), (20, 60, 220), dtype=np.uint8)
    with served(mesh_page(red_person(), photograph, "ann")) as server:
        seen = screenshot(server, tmp_path)
    left, right = seen[:, : WIDTH // 2], seen[:, WIDTH // 2 :]
    assert ((left[..., 2] - left[..., 0]) > 100).mean() > 0.5, "the photograph"
    assert 0.03 < red_of(right).mean() < 0.6, "the mesh, in the colours of its texture"
    assert (right[5, 5] == BACKGROUND).all(), "the viewer is of the page's colour"
    rows = np.nonzero(red_of(right).any(axis=1))[0]
    assert rows[0] > 5 and rows[-1] < HEIGHT - 36 and np.ptp(rows) > HEIGHT / 2, "all of it"
    widths = [np.ptp(np.nonzero(red_of(canvas).any(axis=0))[0]) for canvas in server.canvases]
    assert max(widths) > 1.1 * min(widths), "it turns"
    assert set(server.asked) <= {"/page", "/shown", "/favicon.ico"}, "nothing else is fetched"
