"""BUFF: sequences of scans in millimetres with coloured vertices.

Sources: users' readers. People face anywhere: CAPE has parameters of the same frames, which say
where, if they are put beside the scans (then --layout has to say that it is BUFF).
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

_SEQUENCE = r"(?<!raw_scans/)(?P<subject>0\d{4})/(?P<sequence>[a-z]+_[^/]+)"

LAYOUT = Layout(
    name="buff",
    looks_like="sequences/NNNNN/CLOTH_MOTION/CLOTH_MOTION.FRAME.ply",
    meshes=(Meshes(path=rf"{_SEQUENCE}/(?P=sequence)\.(?P<frame>\d+)\.ply"),),
    scan_id="{subject}/{sequence}/{frame}",
    subject="{subject}",
    body=(rf"{_SEQUENCE}/(?P=sequence)\.(?P<frame>\d+)\.npz",),
    body_kind="smpl arrays",
    unit="mm",
    facing_known=False,
    has_fragments=True,
)
