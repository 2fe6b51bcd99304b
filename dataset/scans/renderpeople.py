"""RenderPeople posed scans: the OBJ and Maya packs, the free sample, PaMIR's repacked one.

Sources: 2K2K `render/render.py`; PIFu `apps/render_data.py` and issue 110; PaMIR's example. The
MTL files are not to be trusted (one names a picture of 2 x 2 pixels), so textures are taken by
name, the largest first.
"""

from __future__ import annotations

from dataset.scans.layout import LONE, Layout, Meshes

_ID = r"(?P<id>(?P<person>rp_[^/]+)_posed_\d{3})"

LAYOUT = Layout(
    name="renderpeople",
    looks_like="rp_NAME_posed_NNN_OBJ/rp_NAME_posed_NNN_100k.obj",
    meshes=(
        Meshes(path=rf"{_ID}_OBJ/(?P=id)_100k\.obj", unit="cm"),
        Meshes(path=rf"{_ID}_100k\.obj", unit="cm"),
        Meshes(path=rf"{_ID}_OBJ/(?P=id)_200k\.obj", unit="cm"),
        Meshes(path=rf"{_ID}_200k\.obj", unit="cm"),
        Meshes(path=rf"{_ID}/(?P=id)\.obj"),
    ),
    subject="{person}",
    textures=(
        "tex/{id}_dif_8k.jpg",
        "tex/{id}_dif.jpg",
        "tex/{id}_dif_2k.jpg",
        "../sourceimages/{id}_dif_8k.jpg",
        "../sourceimages/{id}/{id}_dif_8k.jpg",
        "../sourceimages/{id}_dif_2k.jpg",
        "../sourceimages/{id}/{id}_dif_2k.jpg",
        LONE,
    ),
    joints=(r"Joint3D/RP/(?P<id>rp_[^/]+_posed_\d{3})\.json",),
    facts=("renderpeople.csv",),
)
