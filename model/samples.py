"""Views of a shard set become training samples.

Order and augmentation are a function of (seed, position in the run) alone: a run that is
stopped and resumed, or read by more worker processes, sees the same samples.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from dataset.augment import UNCHANGED, AugmentConfig, Geometry, ViewSource, augment_view
from dataset.shards import ShardError, ShardSet, require_standard_views
from model.batches import Batch, PartBatch, to_batch, to_part_batch
from model.part_fitting import fit_parts, normalise_joints
from model.view_files import ViewFiles
from render.errors import UserInputError

__all__ = [
    "Batch",
    "DrawSchedule",
    "Loader",
    "PartBatch",
    "PartDataset",
    "ViewDataset",
    "make_loader",
]

Sample = tuple[Geometry, NDArray[np.uint8]]
"""Where the person of a view is, and its picture."""


class ViewDataset(Dataset[Batch]):
    """Augmented batches of a split.

    Indexed by lists of (pass, view number): the pass chooses the augmentation.

    Args:
        root: the shard set.
        split: "train" or "val".
        resolution: working resolution R.
        augment: changes, or None for none.
        seed: of the augmentation.
        with_normals: read the rendered normals too.
        cache_bytes: decoded views kept in memory, at most this much.

    Raises:
        ShardError: no shard set, one of cameras that the networks do not know or of several
            people an image, or a split without views.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        resolution: int,
        *,
        augment: AugmentConfig | None,
        seed: int,
        with_normals: bool = False,
        cache_bytes: int = 4 << 30,
    ) -> None:
        self._shards = ShardSet(root)
        require_standard_views(self._shards)
        self._views = self._shards.views(split)
        if not self._views:
            raise ShardError(f"{root}: expected views in the {split} split, got none")
        self.files = ViewFiles(
            self._shards,
            self._views,
            resolution,
            with_normals=with_normals,
            cache_bytes=cache_bytes,
        )
        self._augment = augment or UNCHANGED
        self._seed = seed
        self._variants: int | None = None

    def __len__(self) -> int:
        return len(self._views)

    def with_variants(self, variants: int) -> ViewDataset:
        """Return the same views, each with this many augmentations instead of one a pass."""
        other = copy.copy(self)  # The decoded views are shared.
        other._variants = variants
        return other

    def for_workers(self, processes: int) -> ViewDataset:
        """Return the same views for processes that share the memory of one."""
        other = copy.copy(self)
        other.files = self.files.with_memory(processes)
        return other

    def present_parts(self) -> NDArray[np.bool_]:
        """Return which parts the joints of each view fix, (N, 12) bool."""
        rows = []
        for scan_id, views in itertools.groupby(self._views, lambda view: view.scan_id):
            with self._shards.open(scan_id) as reader:
                for view in views:
                    joints = reader.read("joints/2d", view.view)
                    fitted = fit_parts(normalise_joints(joints, self._shards.resolution))
                    rows.append(fitted.present.numpy())
        return np.stack(rows)

    def describe(self, index: int) -> str:
        """Return the scan and the view of a view number, for messages."""
        view = self._views[index]
        return f"{view.scan_id} view {view.view}"

    def _sample(self, number: int, index: int) -> Sample:
        files = self.files

        def other_background(rng: np.random.Generator) -> NDArray[np.uint8]:
            return files.background(int(rng.integers(len(self))))

        source = ViewSource(
            geometry=files.geometry(index),
            image=lambda: files.image(index),
            person=lambda: files.person(index),
            painted=lambda: files.painted(index),
            background=lambda: files.background(index),
            other_background=other_background,
        )
        rng = np.random.default_rng([self._seed, number, index])
        return augment_view(source, self._augment, rng)

    def _samples(self, draws: list[tuple[int, int]]) -> tuple[list[Sample], list[tuple[int, int]]]:
        if self._variants is not None:
            draws = [(number % self._variants, index) for number, index in draws]
        return [self._sample(number, index) for number, index in draws], draws

    def __getitem__(self, draws: list[tuple[int, int]]) -> Batch:
        """Return the batch of the given (pass, view number) pairs."""
        samples, keys = self._samples(draws)
        return to_batch(samples, tuple(keys))

    def parts(self, draws: list[tuple[int, int]]) -> PartBatch:
        """Return what phase 1 looks at of the same batch: low-resolution frames and crops."""
        samples, keys = self._samples(draws)
        return to_part_batch(samples, tuple(keys))


class PartDataset(Dataset[PartBatch]):
    """What phase 1 looks at of the batches of a `ViewDataset`, which whole frames are not of."""

    def __init__(self, views: ViewDataset) -> None:
        self._views = views

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, draws: list[tuple[int, int]]) -> PartBatch:
        """Return the part batch of the given (pass, view number) pairs."""
        return self._views.parts(draws)

    def for_workers(self, processes: int) -> PartDataset:
        """Return the same views for processes that share the memory of one."""
        return PartDataset(self._views.for_workers(processes))


class DrawSchedule(Sampler[list[tuple[int, int]]]):
    """The run's stream of draws: every view once a pass, in an order of its own.

    Args:
        count: number of views.
        batch_size: views a step and process.
        steps: the steps of the run to cover, such as range(100, 300) when resuming at 100.
        seed: of the order.
        rank, world: this process and the number of processes.
    """

    def __init__(
        self, count: int, batch_size: int, steps: range, *, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._count, self._batch_size, self._steps = count, batch_size, steps
        self._seed, self._rank, self._world = seed, rank, world

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        current, order = -1, np.zeros(0, dtype=np.int64)
        for step in self._steps:
            draws = []
            start = (step * self._world + self._rank) * self._batch_size
            for position in range(start, start + self._batch_size):
                number, place = divmod(position, self._count)
                if number != current:
                    current = number
                    order = np.random.default_rng([self._seed, number]).permutation(self._count)
                draws.append((number, int(order[place])))
            yield draws


Data = TypeVar("Data", ViewDataset, PartDataset)


class _Fallible(Dataset[Any]):
    """Hands an unreadable shard back as a value: raised, it would come with a traceback."""

    def __init__(self, data: ViewDataset | PartDataset) -> None:
        self._data = data

    def __getitem__(self, draws: list[tuple[int, int]]) -> Any:
        try:
            return self._data[draws]
        except UserInputError as error:
            return error


def _one_thread(worker: int) -> None:
    """Keep a worker to one thread, as torch does for itself."""
    cv2.setNumThreads(1)


class Loader(Generic[Data]):
    """Batches of a schedule, in its order, read here or by other processes.

    Args:
        data: what to read.
        schedule: in which order.
        workers: processes that read; 0 reads in this one and caches.
    """

    def __init__(self, data: Data, schedule: DrawSchedule, workers: int) -> None:
        self.data: Data = data.for_workers(workers) if workers > 0 else data
        self._loader: DataLoader[Any] = DataLoader(
            _Fallible(self.data),
            sampler=schedule,
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_one_thread,
        )

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches.

        Raises:
            UserInputError: a view cannot be read.
        """
        for batch in self._started():
            if isinstance(batch, UserInputError):
                raise batch
            yield batch

    def _started(self) -> Iterator[Any]:
        # OpenCV's threads are lost to a process that is forked, which would wait for them forever.
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return iter(self._loader)
        finally:
            cv2.setNumThreads(threads)


def make_loader(data: ViewDataset, schedule: DrawSchedule, *, workers: int = 0) -> Iterable[Batch]:
    """Return whole batches; workers = 0 reads in this process and caches."""
    return Loader(data, schedule, workers)
