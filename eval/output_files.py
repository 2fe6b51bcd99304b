"""Reads what users say of other methods: further conventions, and facts of predictions."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from eval.outputs import OutputConvention, OutputError, PredictionFacts


def read_conventions(path: Path, flag: str = "--method-table") -> dict[str, OutputConvention]:
    """Read further methods: a JSON list of objects with the fields of `OutputConvention`.

    Raises:
        OutputError: the file cannot be read, or a row is not usable.
    """
    rows = _read_json(path, flag)
    if not isinstance(rows, list):
        raise OutputError(f"{flag}: {path}: expected a list, got {type(rows).__name__}")
    found = [_from_json(OutputConvention, row, f"{flag}: {path}") for row in rows]
    return {row.name: row for row in found}


def read_prediction_facts(path: Path, flag: str = "--frames") -> dict[str, PredictionFacts]:
    """Read what is known of predictions: a JSON object, file name without suffix -> facts.

    Raises:
        OutputError: the file cannot be read, or an entry is not usable.
    """
    entries = _read_json(path, flag)
    if not isinstance(entries, dict):
        raise OutputError(f"{flag}: {path}: expected an object, got {type(entries).__name__}")
    return {
        name: _from_json(PredictionFacts, entry, f"{flag}: {path}: {name}")
        for name, entry in entries.items()
    }


def _read_json(path: Path, flag: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{flag}: expected a file, got {path} ({error.strerror})") from error
    except ValueError as error:
        raise OutputError(f"{flag}: {path}: expected JSON, got: {error}") from error


_SHAPES = {"offset": 3, "crop": 3, "image_size": 2, "origin_at": 3}
_ABOVE_ZERO = ("image_size", "units_per_scan_unit")
_NUMBERS = ("factor", "yaw_deg", "units_per_scan_unit", "seconds", "peak_bytes")


def _from_json(kind: Any, entry: Any, where: str) -> Any:
    known = {field.name for field in fields(kind)}
    if not isinstance(entry, dict) or not set(entry) <= known:
        extra = ", ".join(sorted(set(entry) - known)) if isinstance(entry, dict) else repr(entry)
        raise OutputError(
            f"{where}: expected fields out of {', '.join(sorted(known))}, got {extra}"
        )
    values: dict[str, Any] = {}
    for name, value in entry.items():
        try:
            values[name] = _checked(name, value)
        except (TypeError, ValueError) as error:
            raise OutputError(f"{where}: {name}: {error}") from error
    if kind is OutputConvention and not isinstance(values.get("name"), str):
        raise OutputError(f"{where}: expected a name in every row, got none")
    return kind(**values)


def _checked(name: str, value: Any) -> Any:
    if name in _SHAPES or name == "matrix":
        array = np.asarray(value, dtype=np.float64)
        shape = (4, 4) if name == "matrix" else (_SHAPES[name],)
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"expected {' x '.join(map(str, shape))} finite numbers, got {value}")
        if (name in _ABOVE_ZERO and array.min() <= 0) or (name == "crop" and array[2] <= 0):
            raise ValueError(f"expected sizes above 0, got {value}")
        rows = tuple(tuple(row) for row in array.tolist()) if name == "matrix" else None
        return rows if rows is not None else tuple(array.tolist())
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"expected a finite number, got {value!r}")
        if name in _ABOVE_ZERO and value <= 0:
            raise ValueError(f"expected a number above 0, got {value!r}")
        return value
    if name == "scan" and not isinstance(value, str):
        raise ValueError(f"expected the id of a scan, got {value!r}")
    if name == "patterns":
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise ValueError(f"expected a list of texts, got {value!r}")
        return tuple(value)
    return value
