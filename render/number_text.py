"""Numbers in text, parsed many at a time with NumPy.

Eight digits are put together with three multiplications of one 64-bit word instead of one step
a digit. The result is that of `float` to the last bit: a mantissa below 2^53 and a power of ten
up to 10^22 are both exact in float64, so that their quotient is rounded once (Clinger, "How to
read floating point numbers accurately", 1990). Words of other forms are given to `float`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PADDING = 16
"""Bytes that must lie before the first number of a text."""

LONGEST_INTEGER = 16
"""Digits of the longest whole number that `whole_numbers` reads."""

_WORDS = 1 << 15
"""Words at a time: what is made of them stays in the cache of a core."""

_BLANK, _DOT, _MINUS, _PLUS = 32, ord("."), ord("-"), ord("+")
_ASCII_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_POWERS = 10.0 ** np.arange(LONGEST_INTEGER + 1)
_EXACT = np.uint64(2**53)
# 10 digit + digit of neighbouring bytes, then 100 pair + pair, then 10000 four + four.
_JOINS = (
    (np.uint64(10 << 8 | 1), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(100 << 16 | 1), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(10000 << 32 | 1), np.uint64(32), np.uint64(0x00000000FFFFFFFF)),
)


def words(text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where words start, and where they end (one after the last byte).

    Args:
        text: (N,) uint8; begins and ends with white space.
    """
    return runs(text > _BLANK)


def runs(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and ends of the runs of True in an array that begins and ends with False."""
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    return edges[0::2], edges[1::2]


def whole_numbers(
    text: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the whole numbers that end before `ends`, and whether each is of digits alone.

    Args:
        text: (N,) uint8, contiguous, with `PADDING` bytes before the first number.
        ends: (M,) int64.
        lengths: (M,) int64, at most `LONGEST_INTEGER`; a number of length 0 is 0.
    """
    values, are_digits = _eight_digits(text, ends, np.minimum(lengths, 8))
    if len(lengths) and lengths.max() > 8:
        longer = np.flatnonzero(lengths > 8)
        heads, heads_are_digits = _eight_digits(text, ends[longer] - 8, lengths[longer] - 8)
        values[longer] += heads * np.uint64(10**8)
        are_digits[longer] &= heads_are_digits
    return values, are_digits


def decimal_numbers(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the (M,) float64 numbers that the given words are, each as `float` reads it.

    Args:
        text: (N,) uint8, contiguous, with `PADDING` bytes before the first number.
        starts, ends: (M,) int64, of words in ascending order.

    Raises:
        ValueError: a word is no number.
    """
    first = text[starts]
    is_negative = first == _MINUS
    digits_from = starts + (is_negative | (first == _PLUS))
    points = _points(text, starts, ends)
    whole_lengths = points - digits_from
    part_lengths = np.maximum(ends - points - 1, 0)
    digit_counts = whole_lengths + part_lengths
    is_plain = (digit_counts > 0) & (digit_counts <= LONGEST_INTEGER)
    part_lengths = np.where(is_plain, part_lengths, 0)
    wholes, are_digits = whole_numbers(text, points, np.where(is_plain, whole_lengths, 0))
    is_plain &= are_digits
    parts, are_digits = whole_numbers(text, ends, part_lengths)
    is_plain &= are_digits
    scales = _POWERS[part_lengths]
    mantissas = wholes * scales.astype(np.uint64) + parts
    is_plain &= mantissas <= _EXACT
    numbers = mantissas.astype(np.float64) / scales
    np.negative(numbers, out=numbers, where=is_negative)
    others = np.flatnonzero(~is_plain)
    if len(others):
        numbers[others] = _by_float(text, starts[others], ends[others])
    return numbers


def text_numbers(data: bytes) -> NDArray[np.float64]:
    """Return all numbers of a text that holds nothing else.

    Raises:
        ValueError: a word is no number.
    """
    text = np.frombuffer(b" " * PADDING + data + b" ", dtype=np.uint8)
    starts, ends = words(text)
    numbers = np.empty(len(starts))
    for first in range(0, len(starts), _WORDS):
        part = slice(first, first + _WORDS)
        begin, end = starts[first] - PADDING, ends[part][-1]
        numbers[part] = decimal_numbers(text[begin:end], starts[part] - begin, ends[part] - begin)
    return numbers


def _points(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return where the decimal point of every word is, or its end where it has none."""
    dots = np.flatnonzero(text == _DOT)
    if len(dots) == len(starts) and (dots >= starts).all() and (dots < ends).all():
        return dots
    following = np.append(dots, len(text))[np.searchsorted(dots, starts)]
    return np.minimum(following, ends)


def _eight_digits(
    text: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    windows: NDArray[np.uint64] = np.ndarray((len(text) - 7,), "<u8", text, 0, (1,))
    digits = windows[ends - 8]
    digits ^= _ASCII_ZEROS
    # The bytes before the number are the low ones; they are shifted out.
    surplus = (64 - 8 * lengths).view(np.uint64)
    digits >>= surplus
    digits <<= surplus
    are_digits = ((digits + _ABOVE_NINE) | digits) & _HIGH_BITS == 0
    for factor, shift, mask in _JOINS:
        digits *= factor
        digits >>= shift
        digits &= mask
    return digits, are_digits


def _by_float(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> list[float]:
    data, numbers = text.tobytes(), []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        word = data[start:end]
        try:
            if b"_" in word:  # `float` takes it for a separator of thousands
                raise ValueError
            numbers.append(float(word))
        except ValueError as error:
            text_found = word.decode("utf-8", errors="replace")
            raise ValueError(f"expected numbers, got {text_found!r}") from error
    return numbers
