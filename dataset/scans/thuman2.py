"""THuman2.0 and 2.1: scans of any size and yaw, with SMPL-X parameters that say both.

Sources: the THuman2.0-Dataset README and its fits of 2022-03-25, all opened; for 2.1 users'
readers. The fits lie in folders of many names, so they are searched for. Its first 526 scans
are THuman2.0.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

LAYOUT = Layout(
    name="thuman2",
    looks_like="NNNN/NNNN.obj with material0.jpeg or smplx_param.pkl",
    meshes=(Meshes(path=r"(?P<id>\d{4})/(?P=id)\.obj"),),
    textures=("material0.jpeg", "material0.jpg"),
    body=(r"(?P<id>\d{4})/smplx_param\.pkl",),
    joints=(r"Joint3D/THuman2/(?P<id>\d{4})\.json",),
    unit_rule="height",
    facing_known=False,
    has_fragments=True,
    facts=("thuman2.csv",),
    marks=r"\d{4}/(material0\.(jpeg|jpg|mtl)|smplx_param\.pkl)",
)
