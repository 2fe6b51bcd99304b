"""Samples that a method did not get through: what is caught, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from eval.results import Failure

LOGGER = logging.getLogger(__name__)

ALL_METHODS = "all"
"""Stands for the method where the scan itself is at fault."""

SAMPLE_ERRORS = (ValueError, RuntimeError, OSError, ArithmeticError)
"""What one bad sample may raise: unusable input and shapes, a network or a file that fails.
Anything else is listed too, but with the place in the program that it came from."""


def failure_of(method: str, scan_id: str, view: int, error: Exception) -> Failure:
    """Return the entry of a sample that failed; what may be a bug of ours is logged whole."""
    if isinstance(error, SAMPLE_ERRORS):
        return Failure(method, scan_id, view, str(error) or type(error).__name__)
    LOGGER.error("%s view %d", scan_id, view, exc_info=error)
    return Failure(method, scan_id, view, f"{type(error).__name__}: {error}")


@contextmanager
def pictures_may_fail(scan_id: str, view: int) -> Iterator[None]:
    """Go on without the pictures of a view that cannot be drawn: its scores stand."""
    try:
        yield
    except Exception as error:
        LOGGER.warning("%s view %d: no pictures: %s", scan_id, view, error, exc_info=error)
