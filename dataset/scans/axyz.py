"""AXYZ: bought people, in centimetres with y up; one mesh a folder, its picture beside it.

No layout of theirs is published, so it has to be asked for.
"""

from __future__ import annotations

from dataset.scans.layout import LONE, Layout, Meshes

LAYOUT = Layout(
    name="axyz",
    looks_like="NAME/FILE.obj",
    meshes=(Meshes(path=r"(?P<id>[^/]+)/[^/]+\.obj"),),
    textures=(LONE,),
    unit="cm",
    facing_known=False,
    marks=None,
)
