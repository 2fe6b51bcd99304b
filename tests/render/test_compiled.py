from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

import render
from render.compiled import compiled, in_bands

MODULES = [module.name for module in pkgutil.iter_modules(render.__path__)]


def _add(one: float, other: float) -> float:
    return one + other


def test_a_compiled_function_answers_as_the_function_does() -> None:
    assert compiled(_add)(1.5, 2.0) == 3.5


def test_without_a_folder_to_write_a_function_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of code from nowhere, as of code in a folder that nobody may write, nothing can be kept.
    code = compile("def double(value):\n    return 2 * value\n", "nowhere.py", "exec")
    names: dict[str, object] = {}
    exec(code, names)
    double = names["double"]
    assert callable(double) and compiled(double)(21) == 42


def test_bands_hold_every_row_once() -> None:
    rows = np.zeros(203, dtype=int)

    def work(first: int, end: int) -> None:
        rows[first:end] += 1

    in_bands(work, 3, 203)
    np.testing.assert_array_equal(rows, np.arange(203) >= 3)


@pytest.mark.parametrize("name", MODULES)
def test_compiled_functions_use_those_of_their_own_file_alone(name: str) -> None:
    # Kept machine code is made anew when its own file changes, and only then.
    module = importlib.import_module(f"render.{name}")
    for value in vars(module).values():
        if not isinstance(value, CPUDispatcher) or value.__module__ != module.__name__:
            continue
        function = value.py_func
        for used in function.__code__.co_names:
            other = function.__globals__.get(used)
            if isinstance(other, CPUDispatcher):
                assert Path(other.py_func.__code__.co_filename).stem == name, (value, used)
            assert not isinstance(other, np.ndarray), (value, used)
