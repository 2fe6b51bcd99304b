"""The mark of tests that run the real pose detector."""

from __future__ import annotations

import pytest

from dataset.detectors.mediapipe_setup import bundle_path

NEEDS_DETECTOR = pytest.mark.skipif(
    not bundle_path().is_file(), reason="the pose detector is not set up (make setup)"
)
