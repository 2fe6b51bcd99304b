"""Unpickling without trust: arrays and plain containers, nothing that runs code.

A pickle is a program that may call any function it can name. This one may name what NumPy
arrays are rebuilt with, and gets stand-ins that hold numbers and text alone: NumPy's own would
take bytes of the file for the addresses of objects.
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

_PLAIN_KINDS = "biufcSU"


class _RefusedError(pickle.UnpicklingError):
    """The pickle names something that is not allowed."""


class _Kind:
    """Stands in for `numpy.dtype`."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or np.dtype(name).kind not in _PLAIN_KINDS:
            raise _RefusedError(f"numpy.dtype({name!r})")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for `numpy.ndarray` and for what makes an empty one."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, data = state
        flat = np.ndarray(int(np.prod(shape, dtype=np.int64)), kind.dtype, data)
        self.values = flat.reshape(shape, order="F" if is_fortran else "C").copy()


ALLOWED: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    # The same function before and after NumPy 2 moved it.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    # trimesh's array that notices changes; its content is that of a plain array.
    ("trimesh.caching", "TrackedArray"): _Array,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = ALLOWED.get((module, name))
        if allowed is None:
            raise _RefusedError(f"{module}.{name}")
        return allowed


def _plain(value: Any) -> Any:
    """Return what was read with arrays in the place of their stand-ins."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry) for entry in value)
    return value


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
        return _plain(_Unpickler(io.BytesIO(path.read_bytes())).load())
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
