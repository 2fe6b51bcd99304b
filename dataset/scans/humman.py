"""HuMMan v1.0 Recon: textured meshes in metres, in the frame of the first camera (y down).

Sources: humman_toolbox `humman_recon/README.md` and its viewer. A mesh has several pictures, so
its MTL file counts.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

_SEQUENCE = r"(?P<subject>p\d{6})_(?P<action>a\d{6})"

LAYOUT = Layout(
    name="humman",
    looks_like="pNNNNNN_aNNNNNN/textured_meshes/FRAME.obj",
    meshes=(Meshes(path=rf"{_SEQUENCE}/textured_meshes/(?P<frame>\d{{6}})\.obj"),),
    scan_id="{subject}_{action}/{frame}",
    subject="{subject}",
    body=(rf"{_SEQUENCE}/smpl_params/(?P<frame>\d{{6}})\.npz",),
    body_kind="smpl arrays",
    unit="m",
    up="-y",
    facing_known=False,
)
