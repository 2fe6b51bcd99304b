"""Scan sets: which files make a scan, in which unit, which way up and facing where."""
