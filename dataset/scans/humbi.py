"""HUMBI: fitted SMPL bodies with a texture; it has no scans.

Sources: the HUMBI README, `config.m` and `hello_smpl_for_humbi.py`. The faces are those of
`text_uv_coor_smpl.obj`, which comes with its code and has to stand above the subjects.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

_FRAME = r"(?P<subject>subject_\d+)/body/(?P<frame>\d{8})/reconstruction"

LAYOUT = Layout(
    name="humbi",
    looks_like="subject_N/body/FRAME/reconstruction/smpl_vertex.txt",
    meshes=(Meshes(path=rf"{_FRAME}/smpl_vertex\.txt", kind="humbi"),),
    scan_id="{subject}/{frame}",
    subject="{subject}",
    textures=("../appearance/median_map.png", "../appearance/mean_map.png"),
    body=(rf"{_FRAME}/smpl_parameter\.txt",),
    body_kind="humbi",
    unit_rule="height",
    up=None,
    facing_known=False,
)
