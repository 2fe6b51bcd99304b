"""2K2K in all its releases: PLY files with coloured vertices, y up, facing +z.

Sources: the README of both repositories and their history; users' readers for the copies from
Hugging Face, whose own tree was not seen. Of one scan in several sizes the largest is taken.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

_ITEM = r"(?P<id>\d{5})/(?P=id)\.ply"

LAYOUT = Layout(
    name="2k2k",
    looks_like="train/NNNNN/NNNNN.ply or train/1M/NNNNN/NNNNN.ply",
    meshes=(
        Meshes(path=rf"(?P<split>train|test)/1M/{_ITEM}"),
        Meshes(path=rf"(?P<split>train|test)/100K/{_ITEM}"),
        Meshes(path=rf"(?P<split>train|test)/50K/{_ITEM}"),
        Meshes(path=rf"(?P<split>train|test)/{_ITEM}"),
        Meshes(path=_ITEM),
    ),
    body=(
        r"[^/]*smpl[^/]*/(?:[^/]+/)*(?P<id>\d{5})\.json",
        r"(?P<id>\d{5})/[^/]*smpl[^/]*\.json",
    ),
    joints=(r"(?P<id>\d{5})/kp3ds\.json", r"(?P<id>\d{5})/(?P=id)_kp3ds\.json"),
    unit_rule="size or height",
)
