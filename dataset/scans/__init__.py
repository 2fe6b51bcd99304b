"""Scan sets: what is in a folder of scans, and one scan read from it.

One module per layout, most of them a table. The scan frame that everything after this uses is
right-handed, x to the person's left, y up, the person facing +z.
"""

from __future__ import annotations

from dataset.scans.finding import LAYOUT_NAMES, find_scans
from dataset.scans.loading import LoadedScan, load_scan, scan_unit_cm, used_vertices
from dataset.scans.scan import Scan

__all__ = [
    "LAYOUT_NAMES",
    "LoadedScan",
    "Scan",
    "find_scans",
    "load_scan",
    "scan_unit_cm",
    "used_vertices",
]
