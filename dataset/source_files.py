"""Whether the files of a scan are still those that a shard was made from.

A digest is kept in the shard and compared when a set is resumed. Reading two thousand scans of 150
MB would take minutes every time, so it covers the sizes of the files and evenly spread blocks of
them: a file that was exported, edited or converted again differs in these, and the digest depends
on nothing but content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from dataset.scans import Scan
from render.errors import ScanError
from render.materials import inside, read_mtl

BLOCKS, BLOCK_BYTES = 16, 1 << 16

_NAMED_IN_HEAD = {
    ".obj": re.compile(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", re.MULTILINE),
    ".ply": re.compile(rb"^comment TextureFile[ \t]+(.+?)[ \t\r]*$", re.MULTILINE),
    ".gltf": re.compile(rb'"uri"[ \t\r\n]*:[ \t\r\n]*"([^":]+)"'),
}
"""How files name others in their first block; data URIs have a colon."""


def source_digest(scan: Scan) -> str:
    """Return a hexadecimal digest of the files that a scan is read from."""
    digest = hashlib.sha256()
    for path in _files(scan):
        size, blocks = _sample(path)
        digest.update(json.dumps([path.suffix.lower(), size]).encode("ascii"))
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()


def _files(scan: Scan) -> Iterator[Path]:
    yield scan.mesh_path
    if scan.texture_path is None:
        yield from _named_files(scan.mesh_path)
    for path in (scan.texture_path, scan.joints_path, scan.body.path):
        if path is not None:
            yield path


def _named_files(path: Path) -> Iterator[Path]:
    """Yield the materials and textures that a mesh file names, in its order."""
    pattern = _NAMED_IN_HEAD.get(path.suffix.lower())
    if pattern is None:
        return
    try:
        with path.open("rb") as file:
            names = pattern.findall(file.read(BLOCK_BYTES))
    except OSError:  # said where the scan is read
        return
    for name in dict.fromkeys(names):
        try:
            named = inside(path.parent, path.parent, name.decode("utf-8", "replace"), path)
            yield named
            if named.suffix.lower() == ".mtl":
                textures = {lines.texture for lines in read_mtl(named, path.parent).values()}
                yield from sorted(texture for texture in textures if texture is not None)
        except ScanError:  # said where the scan is read
            continue


def _sample(path: Path) -> tuple[int, list[bytes]]:
    """Return the size and some blocks of a file; -1 and none where it cannot be read."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= BLOCKS * BLOCK_BYTES:
                return size, [file.read()]
            blocks = []
            for number in range(BLOCKS):
                file.seek(number * (size - BLOCK_BYTES) // (BLOCKS - 1))
                blocks.append(file.read(BLOCK_BYTES))
    except OSError:  # said where the scan is read
        return -1, []
    return size, blocks
