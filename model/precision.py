"""What the networks are computed in, and what stays float32 when that is half precision.

Warps, blending, losses and the low-resolution depth stay: bf16 steps near depth 2.0 are 1 cm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import torch

InferencePrecision = Literal["auto", "32", "bf16", "16"]
"""Of predictions; `auto` is bf16 where the device has instructions for it, else float32."""

BF16_FLAGS = ("avx512_bf16", "amx_bf16")
"""What processors with bf16 instructions say of themselves."""

_DEVICE_TYPES = ("cpu", "cuda", "mps")


@contextmanager
def float32_region() -> Iterator[None]:
    """Switch autocast and TF32 off, as a decorator or in a `with`; the body widens its inputs.

    TF32, which CUDA devices take for float32 convolutions, has no more digits than fp16. What
    the body computes is meant, and not the gradients that are later led back through it.
    """
    kinds = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    with ExitStack() as stack:
        for device_type in _DEVICE_TYPES:
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        try:
            for kind in kinds:
                kind.fp32_precision = "ieee"
            yield
        finally:
            for kind, precision in zip(kinds, before, strict=True):
                kind.fp32_precision = precision


def processor_flags() -> set[str]:
    """Return what the processor says it can do (Linux; empty elsewhere)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {
        flag for line in lines if line.startswith("flags") for flag in line.split(":")[1].split()
    }


def has_bf16(device: torch.device) -> bool:
    """Return whether a device has instructions for bf16, instead of imitating them."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not processor_flags().isdisjoint(BF16_FLAGS)


def inference_dtype(precision: InferencePrecision, device: torch.device) -> torch.dtype:
    """Return what the convolutions of a prediction are computed in.

    Raises:
        ValueError: unknown precision.
    """
    if precision == "auto":
        return torch.bfloat16 if has_bf16(device) else torch.float32
    kinds = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
    if precision not in kinds:
        raise ValueError(f"precision: expected auto, 32, bf16 or 16, got {precision!r}")
    return kinds[precision]
