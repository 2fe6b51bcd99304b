"""What several tests of the data share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.smplx_models import write_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SMPL-X models; tests that ask for it are skipped without the package."""
    pytest.importorskip("smplx")
    return write_models(tmp_path_factory.mktemp("models"))
