"""How the arrays of a shard lie in the file: chunks and filters (their one home).

`tools/bench/shards.py` compares what was chosen here with other codecs and tiles:

- colours and masks: zstd. Differences of neighbours gain nothing on textures.
- depth and normals: HDF5's shuffle, then Blosc2's difference of neighbouring bytes, then zstd.
  On smooth surfaces this takes a third less than zstd alone, and less than PNG. The three
  components of a normal are one element of the array, so that shuffling parts them: each
  stands beside its own neighbours in the file, and beside the other two in memory.

Both are decoded by hdf5plugin; nobody who reads has to know of it.
"""

from __future__ import annotations

from typing import Any

import h5py
import hdf5plugin
import numpy as np

from dataset.shard_codec import TILE, ArraySpec

ZSTD_LEVEL = 3
BYTE_DIFFERENCE = 35
"""Number of "bytedelta" among c-blosc2's filters, which hdf5plugin has no name for."""

BLOSC2_LEVEL, BLOSC2_ZSTD = 1, 5
TABLE_CHUNK_BYTES = 1 << 20


def stored_dtype(spec: ArraySpec) -> np.dtype:
    """Return the dtype of the elements in the file: three numbers for a normal."""
    if spec.codec == "normal":
        return np.dtype((np.dtype(spec.dtype), (spec.channels,)))
    return np.dtype(spec.dtype)


def filters(spec: ArraySpec) -> dict[str, Any]:
    """Return what `h5py.Group.create_dataset` takes for the filters of an array."""
    if spec.codec == "raw":
        return dict(hdf5plugin.Zstd(clevel=ZSTD_LEVEL))
    return {
        "shuffle": True,
        "compression": hdf5plugin.BLOSC2_ID,
        "compression_opts": (0, 0, 0, 0, BLOSC2_LEVEL, BYTE_DIFFERENCE, BLOSC2_ZSTD),
    }


def create_picture(
    file: h5py.File, name: str, spec: ArraySpec, views: int, resolution: int
) -> h5py.Dataset:
    """Make the empty array of a picture; one view and one tile are a chunk."""
    dtype, tile = stored_dtype(spec), min(TILE, resolution)
    rank = 3 if dtype.subdtype else len(spec.shape(views, resolution))
    return file.create_dataset(
        name,
        shape=spec.shape(views, resolution)[:rank],
        dtype=dtype,
        chunks=(1, *spec.shape(1, tile)[1:rank]),
        track_times=False,
        **filters(spec),
    )


def packed_rows(rows: int, width: int, itemsize: int) -> dict[str, Any]:
    """Return what `create_dataset` takes for the chunks and filters of a long table."""
    chunk = min(rows, max(1, TABLE_CHUNK_BYTES // (width * itemsize)))
    return {"chunks": (chunk, width), "shuffle": True, **hdf5plugin.Zstd(clevel=ZSTD_LEVEL)}
