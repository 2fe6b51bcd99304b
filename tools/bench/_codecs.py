"""The codecs and tiles that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from dataset.shard_codec import PICTURES, ArraySpec
from dataset.shard_storage import BLOSC2_ZSTD, BYTE_DIFFERENCE, filters, stored_dtype

Filters = Callable[[ArraySpec], dict[str, Any]]

SHARDS = "as shards are"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to keep arrays in HDF5.

    Attributes:
        label: its name in the table.
        filters: of an array; None for what shards have.
        one_element: whether the three numbers of a normal are one element of the array.
        tile: edge of the chunks, pixels.
    """

    label: str
    filters: Filters | None = None
    one_element: bool = False
    tile: int = 256


def candidates() -> list[Candidate]:
    """Return what is compared, what shards have last."""

    def with_shuffle(spec: ArraySpec, **options: Any) -> dict[str, Any]:
        return {"shuffle": spec.codec != "raw", **options}

    def blosc2(
        spec: ArraySpec, codec: Literal["lz4", "zstd"], level: int, own_filter: int
    ) -> dict[str, Any]:
        return dict(hdf5plugin.Blosc2(cname=codec, clevel=level, filters=own_filter))

    def difference(spec: ArraySpec, level: int) -> dict[str, Any]:
        options = (0, 0, 0, 0, level, BYTE_DIFFERENCE, BLOSC2_ZSTD)
        return with_shuffle(spec, compression=hdf5plugin.BLOSC2_ID, compression_opts=options)

    def zstd(spec: ArraySpec, level: int) -> dict[str, Any]:
        return with_shuffle(spec, **hdf5plugin.Zstd(clevel=level))

    shuffle, bits = hdf5plugin.Blosc2.SHUFFLE, hdf5plugin.Blosc2.BITSHUFFLE
    variants: tuple[tuple[Literal["lz4", "zstd"], int, str, int], ...] = (
        ("lz4", 5, "shuffle", shuffle),
        ("zstd", 2, "shuffle", shuffle),
        ("zstd", 5, "shuffle", shuffle),
        ("zstd", 5, "bitshuffle", bits),
    )
    return [
        Candidate(
            label="gzip 4", filters=partial(with_shuffle, compression="gzip", compression_opts=4)
        ),
        Candidate(label="lzf", filters=partial(with_shuffle, compression="lzf")),
        Candidate(label="zstd 3", filters=partial(zstd, level=3)),
        Candidate(label="zstd 9", filters=partial(zstd, level=9)),
        *(
            Candidate(
                label=f"blosc2 {codec} {level} {name}",
                filters=partial(blosc2, codec=codec, level=level, own_filter=own),
            )
            for codec, level, name, own in variants
        ),
        Candidate(label="zstd 3, normals apart", filters=partial(zstd, level=3), one_element=True),
        Candidate(
            label="blosc2 zstd 3 difference, all",
            filters=partial(difference, level=3),
            one_element=True,
        ),
        *(Candidate(label=SHARDS, tile=tile) for tile in (64, 128, 512, 256)),
    ]


def create_table(
    candidate: Candidate, file: h5py.File, name: str, views: int, code: NDArray[Any]
) -> h5py.Dataset:
    """Make the empty array of a picture as a candidate keeps it.

    Args:
        candidate: the way to keep it.
        file: open for writing.
        name: one of `PICTURES`.
        views: how many it takes.
        code: one of them, as stored.
    """
    spec, tile = PICTURES[name], min(candidate.tile, len(code))
    own = candidate.filters is None or candidate.one_element
    dtype = stored_dtype(spec) if own else np.dtype(spec.dtype)
    inner = () if dtype.subdtype else code.shape[2:]
    return file.create_dataset(
        name,
        shape=(views, *code.shape[:2], *inner),
        dtype=dtype,
        chunks=(1, tile, tile, *inner),
        track_times=False,
        **(candidate.filters or filters)(spec),
    )
