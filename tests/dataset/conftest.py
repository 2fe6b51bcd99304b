"""What several tests of the data share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.small_sets import render
from tests.dataset.smplx_models import write_models
from tests.scenes import write_person


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SMPL-X models; tests that ask for it are skipped without the package."""
    pytest.importorskip("smplx")
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people in m, cm and mm, the last without joints."""
    root = tmp_path_factory.mktemp("scans")
    for index, unit in enumerate((1.0, 100.0, 1000.0)):
        write_person(root / f"p{index}", seed=index, unit=unit, joints=index != 2)
    return root


@pytest.fixture(scope="session")
def baked(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shard set of these people."""
    out = tmp_path_factory.mktemp("baked") / "shards"
    report = render(scans, out)
    assert report.done == ("p0__person", "p1__person", "p2__person") and not report.failed
    assert report.without_joints == ("p2__person",)
    return out
