"""Loops over faces and pixels, compiled to machine code at their first call (numba).

Floats are neither reordered nor contracted, so that results are the same on every processor.
Nothing here starts threads but `in_bands`, whose work is cut where no result depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import cv2
import numba

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

LEAST_BAND = 32
"""Rows of pixels that are worth a thread."""


def compiled(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Return a function that is compiled when it is called first, and runs without the GIL.

    The machine code is kept in a `__pycache__` beside the source, or in the user's cache folder
    where that cannot be written, or not at all.
    """
    # Nothing written in C calls these: an entry for it would be a tenth more to compile.
    make = partial(numba.njit, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
    try:
        made: Callable[_Parameters, _Result] = make(cache=True)(function)
    except RuntimeError:  # no folder can be written
        made = make()(function)
    return made


def in_bands(work: Callable[[int, int], object], first: int, end: int) -> None:
    """Call `work` with first and end of bands of rows, on as many threads as OpenCV may use.

    Args:
        work: releases the GIL, and writes what belongs to its rows alone.
        first: first row of all.
        end: one after the last row.
    """
    count = max(1, min(cv2.getNumThreads(), (end - first) // LEAST_BAND))
    if count == 1:
        work(first, end)
        return
    limits = [first + (end - first) * step // count for step in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, limits[:-1], limits[1:]))
