"""Views are written while others are rendered: what becomes of errors there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dataset import scan_rendering
from dataset.shard_writer import ViewRecord
from dataset.view_rendering import render_view
from tests.dataset.small_sets import render


@pytest.mark.parametrize("view", [0, 2])
def test_a_view_that_cannot_be_written_is_an_error_of_its_scan_alone(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: int
) -> None:
    def spoilt(studio, scene, handles, number: int) -> ViewRecord:  # type: ignore[no-untyped-def]
        record = render_view(studio, scene, handles, number)
        is_bad = scene.people[0].scan.scan_id == "p1__person" and number == view
        return replace(record, pictures={}) if is_bad else record

    monkeypatch.setattr(scan_rendering, "render_view", spoilt)
    report = render(scans, tmp_path / "s")
    assert report.done == ("p0__person", "p2__person")
    assert f"expected in every view, missing in view {view}" in report.failed["p1__person"]
    assert {path.name for path in (tmp_path / "s" / "scans").iterdir()} == {
        "p0__person.h5",
        "p2__person.h5",
    }


def test_an_interruption_while_a_view_is_written_leaves_no_half_shard(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(studio, scene, handles, number: int) -> ViewRecord:  # type: ignore[no-untyped-def]
        if number == 1:
            raise KeyboardInterrupt
        return render_view(studio, scene, handles, number)

    monkeypatch.setattr(scan_rendering, "render_view", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render(scans, tmp_path / "s")
    assert not list((tmp_path / "s" / "scans").iterdir())
