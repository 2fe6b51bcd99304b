"""Unpickling without trust: arrays and plain containers, nothing that runs code.

A pickle is a program that may call any function it can name. This one may name what NumPy
arrays are rebuilt with, and nothing else.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from render.errors import ScanError

LARGEST_BYTES = 1 << 20
"""Body parameters take a few kB; a larger file is something else."""

_RECONSTRUCT = np.zeros(0).__reduce__()[0]

ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # The same function before and after NumPy 2 moved it.
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    # trimesh's array that notices changes; its content is that of a plain array.
    ("trimesh.caching", "TrackedArray"): np.ndarray,
}


class _RefusedError(pickle.UnpicklingError):
    """The pickle names something that is not allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = ALLOWED.get((module, name))
        if allowed is None:
            raise _RefusedError(f"{module}.{name}")
        return allowed


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays, numbers, text and plain containers.

    Raises:
        ScanError: the file cannot be read, is no pickle, or names anything else; then nothing
            of it was run.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise ScanError(f"{path}: expected at most {LARGEST_BYTES} bytes, got {size}")
        return _Unpickler(io.BytesIO(path.read_bytes())).load()
    except ScanError:
        raise
    except OSError as error:
        raise ScanError(f"{path}: expected a readable file, got: {error.strerror}") from error
    except _RefusedError as error:
        raise ScanError(
            f"{path}: expected arrays and plain containers, got a pickle that calls {error}, "
            "which was refused"
        ) from error
    except Exception as error:  # damaged pickles raise errors of many types
        raise ScanError(
            f"{path}: expected a pickle, got {type(error).__name__}: {error}"
        ) from error
