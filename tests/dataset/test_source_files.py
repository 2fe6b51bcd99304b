"""A digest says whether the files of a scan are still the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset.scans import Scan
from dataset.source_files import BLOCK_BYTES, BLOCKS, source_digest


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    (tmp_path / "person.obj").write_text("mtllib person.mtl\nv 0 0 0\n")
    (tmp_path / "person.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    (tmp_path / "skin.png").write_bytes(b"pixels")
    return Scan(scan_id="person", subject="person", mesh_path=tmp_path / "person.obj")


@pytest.mark.parametrize("name", ["person.obj", "person.mtl", "skin.png"])
def test_every_file_that_a_mesh_is_read_from_counts(scan: Scan, tmp_path: Path, name: str) -> None:
    before = source_digest(scan)
    assert source_digest(scan) == before
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content + b"\n")
    longer = source_digest(scan)
    (tmp_path / name).unlink()
    missing = source_digest(scan)
    (tmp_path / name).mkdir()  # cannot be read, which is said where the scan is
    assert len({before, longer, missing}) == 3 and source_digest(scan) == missing
    (tmp_path / name).rmdir()
    (tmp_path / name).write_bytes(content)
    assert source_digest(scan) == before


def test_of_a_large_file_first_last_and_spread_blocks_count(tmp_path: Path) -> None:
    path, size = tmp_path / "person.ply", 4 * BLOCKS * BLOCK_BYTES
    scan = Scan(scan_id="person", subject="person", mesh_path=path)

    def digest(changed: int | None = None) -> str:
        content = bytearray(size)
        if changed is not None:
            content[changed] = 1
        path.write_bytes(content)
        return source_digest(scan)

    seventh = 7 * (size - BLOCK_BYTES) // (BLOCKS - 1)
    assert len({digest(), digest(0), digest(size - 1), digest(seventh)}) == 4
    assert digest(BLOCK_BYTES + 5) == digest(), "between two blocks"
