"""A page that turns a mesh beside its photograph: one HTML file that loads nothing else.

The viewer is three.js (MIT), which trimesh carries in a page of its own.
"""

from __future__ import annotations

import base64
from importlib import resources

import jinja2
import trimesh
from trimesh.viewer.notebook import scene_to_html

from eval.pictures import BACKGROUND, Picture, jpeg_bytes
from model.mesh_files import textured_trimesh
from render.mesh import Mesh, transformed
from tools.digitize_pictures import fitted

PHOTOGRAPH_WIDTH = 900
TURN_SECONDS = 12
FIELD_DEG = 35
CAMERA_DISTANCE = 1.5
"""`fitted` meshes reach 0.36 from the origin: turning, they leave a margin of 7 %."""

_MOTION = """<script>
// scene, camera, controls, renderer, tracklight and render are the globals of the viewer.
renderer.outputEncoding = THREE.sRGBEncoding;
scene.background = new THREE.Color(COLOUR);
scene.add(new THREE.AmbientLight(0xffffff, 0.65));
tracklight.intensity = 0.45;
(function turn(now, last) {
  requestAnimationFrame((next) => turn(next, now));
  if (!camera || !controls) return;
  // All of the mesh in narrow windows too.
  camera.fov = FIELD * Math.max(1, 1 / camera.aspect);
  camera.updateProjectionMatrix();
  if (!window.held && last) {
    // The meshes alone: the camera is a child of what holds them.
    scene.traverse((item) => {
      if (item.isMesh) item.rotation.y += (now - last) / 1000 * 2 * Math.PI / SECONDS;
    });
  }
  render();
})(0, 0);
addEventListener("pointerdown", () => { window.held = true; });
addEventListener("pointerup", () => { window.held = false; });
</script>"""


def mesh_page(mesh: Mesh, photograph: Picture, title: str) -> str:
    """Return the page; it holds a copy of mesh and photograph.

    Args:
        mesh: y up, facing +z, any unit.
        photograph: (H, W, 3) uint8 sRGB.
        title: of the page.
    """
    # Around the origin, about which the page turns it, whatever its unit.
    placed = textured_trimesh(transformed(mesh, fitted(mesh)))
    scene = trimesh.Scene([placed])
    scene.set_camera(distance=CAMERA_DISTANCE, center=(0, 0, 0), fov=(FIELD_DEG, FIELD_DEG))
    viewer = scene_to_html(scene)
    colour = "".join(f"{value:02x}" for value in BACKGROUND)
    values = {"COLOUR": f"0x{colour}", "SECONDS": TURN_SECONDS, "FIELD": FIELD_DEG}
    motion = _MOTION
    for name, value in values.items():
        motion = motion.replace(name, str(value))
    head, end, tail = viewer.rpartition("</body>")
    picture = base64.b64encode(jpeg_bytes(photograph, PHOTOGRAPH_WIDTH)).decode("ascii")
    source = (resources.files("tools") / "templates" / "mesh.html").read_text(encoding="utf-8")
    template = jinja2.Template(source, autoescape=True, undefined=jinja2.StrictUndefined)
    return template.render(title=title, picture=picture, viewer=head + motion + end + tail)
