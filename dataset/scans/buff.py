"""BUFF: sequences of scans in millimetres with coloured vertices.

Sources: users' readers; facing from CAPE's parameters of the same frames is not known to be in
a copy, so +z is taken.
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
    unit="mm",
)
