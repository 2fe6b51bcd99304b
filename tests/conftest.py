"""Settings of the whole test run, made before torch is loaded."""

from __future__ import annotations

import os

# Test tensors are tiny: waking a second thread costs more than it computes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
