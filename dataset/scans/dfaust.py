"""DFAUST: registrations in HDF5 files, and scans as PLY, both in metres with y up.

Sources: the README of the download; AutoAvatar `data/DFaust_generate.py`; users' readers. A
frame's scan is preferred to its registration. Scans hold pieces of the floor.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dataset.scans.layout import Layout, Meshes
from render.errors import ScanError


def _frames(path: Path) -> Iterable[dict[str, str]]:
    """Yield the frames of a file: its datasets "SUBJECT_SEQUENCE" are (6890, 3, T)."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            lengths = {name: file[name].shape for name in file if name != "faces"}
    except (OSError, AttributeError) as error:
        raise ScanError(f"{path}: expected an HDF5 file of sequences, got: {error}") from error
    for name, shape in lengths.items():
        subject, _, sequence = name.partition("_")
        for frame in range(shape[-1] if len(shape) == 3 else 0):
            yield {
                "subject": subject,
                "sequence": sequence,
                "frame": f"{frame:06d}",
                "item": f"{name}/{frame}",
            }


_SCAN = r"(?P<subject>50\d{3})/(?P<sequence>[^/]+)/(?P=sequence)\.(?P<frame>\d+)\.ply"

LAYOUT = Layout(
    name="dfaust",
    looks_like="registrations_m.hdf5 or 50NNN/SEQUENCE/SEQUENCE.FRAME.ply",
    meshes=(
        Meshes(path=_SCAN),
        Meshes(path=r"registrations_(?P<gender>[mf])\.hdf5", kind="dfaust", items=_frames),
    ),
    scan_id="{subject}/{sequence}/{frame}",
    subject="{subject}",
    unit="m",
    facing_known=False,
    has_fragments=True,
)
