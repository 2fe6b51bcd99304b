"""CAPE: registrations in metres (npz), and raw scans of the same frames in millimetres (PLY).

Sources: cape_utils; CAPE `lib/prep_data.py`. A frame's raw scan is preferred to its
registration. Damaged frames are known, and fail when they are read.
"""

from __future__ import annotations

from dataset.scans.layout import Layout, Meshes

_SEQUENCE = r"(?P<subject>\d{5})/(?P<sequence>[^/]+)"
_NPZ = rf"sequences/{_SEQUENCE}/(?:(?P=sequence)\.)?(?P<frame>\d+)\.npz"

LAYOUT = Layout(
    name="cape",
    looks_like="sequences/NNNNN/CLOTH_MOTION/CLOTH_MOTION.FRAME.npz",
    meshes=(
        Meshes(path=rf"raw_scans/{_SEQUENCE}/(?:(?P=sequence)\.)?(?P<frame>\d+)\.ply", unit="mm"),
        Meshes(path=_NPZ, kind="cape", unit="m"),
    ),
    scan_id="{subject}/{sequence}/{frame}",
    subject="{subject}",
    body=(_NPZ,),
    body_kind="smpl arrays",
    facing_known=False,
    has_fragments=True,
)
