from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from render.number_text import PADDING, decimal_numbers, text_numbers, words


def _read(texts: list[str]) -> NDArray[np.float64]:
    text = np.frombuffer((" " * PADDING + " ".join(texts) + "\n").encode(), dtype=np.uint8)
    return decimal_numbers(text, *words(text))


def _random_texts(kind: str) -> list[str]:
    rng = np.random.default_rng(3)
    values = rng.normal(size=3000) * 10.0 ** rng.integers(-9, 9, 3000)
    if kind == "repr":
        return [repr(float(value)) for value in values]
    if kind == "any number of digits":
        return [f"{value:.{digits}f}" for value, digits in zip(values, rng.integers(0, 20, 3000))]
    return [kind % value for value in values]


@pytest.mark.parametrize("kind", ["%.6f", "%g", "%.12e", "repr", "any number of digits"])
def test_numbers_are_those_of_float_to_the_last_bit(kind: str) -> None:
    texts = _random_texts(kind)
    expected = np.array([float(text) for text in texts])
    assert _read(texts).tobytes() == expected.tobytes()


def test_signs_bare_points_and_the_edges_of_exact_mantissas_are_read() -> None:
    texts = "-0 +1.5 -.5 5. 0 -0.000 12345678 123456789 1234567890123456 9007199254740993 "
    texts += "9007199254740992 0.9007199254740993 99999999999999999999 0.0000000000000001 inf nan"
    expected = np.array([float(text) for text in texts.split()])
    assert _read(texts.split()).tobytes() == expected.tobytes()


@pytest.mark.parametrize("text", ["1.2.3", "one", "1_0", "--1", ".", "-", "1-2", "1/2", "0x1"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"expected numbers, got '{re.escape(text)}'"):
        _read(["1.0", text, "2.0"])


def test_a_text_of_numbers_is_read_over_the_edges_of_blocks() -> None:
    values = np.random.default_rng(0).normal(size=40_000).round(3)
    text = "\t\n".join(repr(float(value)) for value in values)
    np.testing.assert_array_equal(text_numbers(text.encode()), values)
    assert text_numbers(b"").shape == (0,)
