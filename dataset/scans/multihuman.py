"""MultiHuman: the single people of its scenes, as DeepMultiCap reads them.

Sources: the MultiHuman-Dataset README; DeepMultiCap's dataset code and sample. Whole scenes
(`obj_all`) and raw scans are no single people in a known frame, and are left out.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

LAYOUT = Layout(
    name="multihuman",
    looks_like="obj/SCENE_PERSON/SCENE_PERSON.obj",
    meshes=(Meshes(path=r"obj/(?P<id>\d+_\d+)/(?P=id)\.obj"),),
    textures=("../../tex/{id}.jpg", "../../tex/{id}.png"),
    unit_rule="size or height",
    facing_known=False,
    left_out=(r"(obj_all|raw)/.*",),
)
