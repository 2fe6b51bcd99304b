"""What stays float32 when the networks run in half precision.

Warps, blending, losses and the low-resolution depth do: bf16 steps near depth 2.0 are 1 cm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_DEVICE_TYPES = ("cpu", "cuda", "mps")


@contextmanager
def float32_region() -> Iterator[None]:
    """Switch autocast off, as a decorator or in a `with`; inputs are for the body to widen."""
    with ExitStack() as stack:
        for kind in _DEVICE_TYPES:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
