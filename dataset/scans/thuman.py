"""THuman (DeepHuman): coloured vertices, y down; the parameters say where people face.

Sources: the THUmanDataset README with its sample, DeepHuman's `ObjIO.py` and `config.py`. The
last letter of a sequence is the person's sex.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

LAYOUT = Layout(
    name="thuman",
    looks_like="results_NAME_DATE_CLOTHES_N_F/FRAME/mesh.obj",
    meshes=(
        Meshes(path=r"(?P<sequence>results_[^/]+_(?P<gender>[FM]))/(?P<frame>[^/]+)/mesh\.obj"),
    ),
    scan_id="{sequence}/{frame}",
    subject="{sequence}",
    body=(r"(?P<sequence>results_[^/]+_[FM])/(?P<frame>[^/]+)/smpl_params\.txt",),
    body_kind="thuman",
    unit="m",
    up="-y",
    facing_known=False,
)
