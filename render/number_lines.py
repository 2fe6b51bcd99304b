"""Rows of numbers become lines of text, as OBJ files want them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

_BLOCK = 65536
"""Rows at a time: Python's numbers of all would take much memory."""


def number_lines(line: str, values: NDArray[np.generic]) -> bytes:
    """Return one line of ASCII for each row.

    Args:
        line: %-format of a row, with its line end.
        values: (N, K).
    """
    out = io.BytesIO()
    for start in range(0, len(values), _BLOCK):
        rows = values[start : start + _BLOCK]
        out.write(((line * len(rows)) % tuple(rows.ravel().tolist())).encode("ascii"))
    return out.getvalue()


def decimal_lines(key: str, values: NDArray[np.floating]) -> bytes:
    """Return a line of a key and six decimals for each of (N, K) rows; never minus zero."""
    rounded = np.round(values, 6) + 0.0  # + 0.0 turns -0.0 into 0.0
    return number_lines(key + " %.6f" * values.shape[1] + "\n", rounded)
