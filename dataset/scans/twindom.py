"""Twindom: OBJ or PLY, one mesh a folder, its picture beside it; unit and axis are guessed.

No layout of theirs is published, so it has to be asked for.
"""

from __future__ import annotations

from dataset.scans.layout import LONE, Layout, Meshes

LAYOUT = Layout(
    name="twindom",
    looks_like="NAME/FILE.obj or NAME/FILE.ply",
    meshes=(
        Meshes(path=r"(?P<id>[^/]+)/[^/]+\.obj"),
        Meshes(path=r"(?P<id>[^/]+)/[^/]+\.ply"),
    ),
    textures=(LONE,),
    up=None,
    facing_known=False,
    marks=None,
)
