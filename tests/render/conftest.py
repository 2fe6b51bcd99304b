"""One context and one rasteriser for all render tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from render.context import OffscreenContext
from render.rasteriser import Rasteriser


@pytest.fixture(scope="package")
def context() -> Iterator[OffscreenContext]:
    with OffscreenContext() as opened:
        yield opened


@pytest.fixture(scope="package")
def rasteriser(context: OffscreenContext) -> Iterator[Rasteriser]:
    with Rasteriser(context) as made:
        yield made
