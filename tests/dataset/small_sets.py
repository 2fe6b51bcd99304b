"""Rendering small shard sets, and comparing all that is in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dataset.scans import find_scans
from dataset.synthesis import Synthesis, SynthesisReport, scan_set_lists, synthesise
from dataset.synthesis_config import SynthesisConfig

CONFIG = SynthesisConfig(resolution=128, yaws_deg=(-20.0, 0.0, 20.0), seed=3)


def render(
    scans: Path, out: Path, config: SynthesisConfig = CONFIG, **more: object
) -> SynthesisReport:
    lists = scan_set_lists(scans)
    run = Synthesis(scans=find_scans(scans, joints="sidecar"), config=config, out=out, lists=lists)
    return synthesise(replace(run, **more))  # type: ignore[arg-type]


def render_all(scans: Path, out: Path) -> Path:
    assert not render(scans, out).failed
    return out


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
