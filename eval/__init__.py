"""Meshes and maps are compared with their scans; reports.

`eval` is also a Python builtin: write `from eval.metrics import ...`, never `import eval`.
"""
