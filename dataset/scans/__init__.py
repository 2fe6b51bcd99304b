"""Scan sets: what is in a folder of scans, and one scan read from it.

One module per layout. The scan frame that everything after this uses is right-handed, x to
the person's left, y up, the person facing +z.
"""

from __future__ import annotations

from dataset.scans.loading import find_scans, load_scan, scan_unit_cm, used_vertices
from dataset.scans.scan import Scan

__all__ = ["Scan", "find_scans", "load_scan", "scan_unit_cm", "used_vertices"]
