"""Views of a shard set become training samples.

Order and augmentation are a function of (seed, position in the run) alone: a run that is
stopped and resumed, or read by more worker processes, sees the same samples.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dataset.augment import UNCHANGED, AugmentConfig, Layers, ViewArrays, augment_view
from dataset.shards import ShardError, ShardReader, ShardSet, ViewRef, require_standard_views
from model.encoding import encode_depth, encode_image, encoded_from_camera_normals
from model.part_fitting import PartTransforms, fit_parts, normalise_joints, stack_transforms
from render.compositing import composite, fill_smoothly

RELIABLE_PERSON = 1
"""Mask value of a person pixel whose surfaces are both reliable."""


@dataclass(frozen=True)
class Batch:
    """Samples stacked for the networks.

    Attributes:
        image: (B, 3, R, R) float32 in -1..1.
        depth: (B, 2, R, R) float32 network units, front and back, 0 = background.
        reliable: (B, 1, R, R) bool, person pixels that losses may use.
        transforms: similarities of the parts, batched.
        keys: (augmentation, view number) of each sample; equal keys are equal samples.
        normal: (B, 6, R, R) float32 rendered normals, encoded as `normals_from_depth` would,
            front then back; None where they are to come from the depth.
    """

    image: Tensor
    depth: Tensor
    reliable: Tensor
    transforms: PartTransforms
    keys: tuple[tuple[int, int], ...] = ()
    normal: Tensor | None = None

    def item(self, index: int) -> Batch:
        """Return one sample as a batch of one."""
        chosen = slice(index, index + 1)
        return Batch(
            self.image[chosen],
            self.depth[chosen],
            self.reliable[chosen],
            self.transforms.item(index),
            self.keys[chosen],
            None if self.normal is None else self.normal[chosen],
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        transforms = [moved(getattr(self.transforms, f.name)) for f in fields(PartTransforms)]
        image, depth, reliable = moved(self.image), moved(self.depth), moved(self.reliable)
        normal = None if self.normal is None else moved(self.normal)
        return Batch(image, depth, reliable, PartTransforms(*transforms), self.keys, normal)


def reduction_factor(shard_resolution: int, resolution: int) -> int:
    """Return by how much shards are reduced on read.

    Raises:
        ShardError: the shards are smaller, or not a whole multiple.
    """
    factor, rest = divmod(shard_resolution, resolution)
    if rest or factor < 1:
        raise ShardError(
            f"--resolution: expected a whole fraction of the shards' {shard_resolution} pixels, "
            f"got {resolution}"
        )
    return factor


def reduce_image(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) averaged over blocks of factor x factor pixels."""
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    blocks = image.reshape(height, factor, width, factor, -1)
    total = blocks.sum(axis=(1, 3), dtype=np.uint32)
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def picked_pixels(factor: int) -> slice:
    """Return which rows and columns stand for blocks of factor x factor pixels."""
    return slice(max(factor // 2 - 1, 0), None, factor)


def _read_image(
    reader: ShardReader, view: int, factor: int, layered: bool
) -> tuple[NDArray[np.uint8], Layers | None]:
    """Return the reduced image, and on request its layers."""
    on_read = reader.composite == "on-read"
    if not layered:
        return reduce_image(reader.read("image/front", view), factor), None
    person, coverage, picture = (
        reader.read(name, view)
        for name in ("person/front", "coverage", "background/pixels" if on_read else "image/front")
    )
    image = composite(person, coverage, picture) if on_read else picture
    image, picture = reduce_image(image, factor), reduce_image(picture, factor)
    reduced = reduce_image(coverage[..., None], factor)[..., 0]
    # Nobody knows what is behind the person of a baked image.
    background = picture if on_read else fill_smoothly(picture, reduced > 0)
    return image, Layers(
        person=reduce_image(person, factor), coverage=reduced, background=background
    )


def read_view(
    shards: ShardSet,
    view: ViewRef,
    resolution: int,
    *,
    with_layers: bool = False,
    with_normals: bool = False,
) -> ViewArrays:
    """Read one view at the working resolution.

    Depth, mask and normals are never averaged: one pixel of each block is taken.
    """
    factor = reduction_factor(shards.resolution, resolution)
    pick = picked_pixels(factor)
    with shards.open(view.scan_id) as reader:
        image, layers = _read_image(reader, view.view, factor, with_layers)
        depth = np.stack(
            [reader.read(f"depth/{side}", view.view)[pick, pick] for side in ("front", "back")]
        )
        mask = reader.read("mask", view.view)[pick, pick]
        normals = None
        if with_normals:
            sides = [reader.read(f"normal/{side}", view.view) for side in ("front", "back")]
            normals = np.stack([side[pick, pick] for side in sides])
        joints = np.array(reader.read("joints/2d", view.view), dtype=np.float32)
    joints[:, :2] /= factor
    return ViewArrays(
        image=image,
        ray_distance=depth,
        reliable=mask == RELIABLE_PERSON,
        joints=joints,
        layers=layers,
        normals=normals,
    )


def _encoded_normals(samples: list[ViewArrays], distance: Tensor) -> Tensor | None:
    """Return the rendered normals of views as (B, 6, R, R) targets, where they were read."""
    arrays = [sample.normals for sample in samples if sample.normals is not None]
    if not arrays:
        return None
    normals = torch.from_numpy(np.stack(arrays)).permute(1, 0, 4, 2, 3)
    resolution = distance.shape[-1]
    return torch.cat(
        [
            encoded_from_camera_normals(
                normals[side], distance[:, side : side + 1], resolution, back=side == 1
            )
            for side in (0, 1)
        ],
        dim=1,
    )


def to_batch(
    samples: list[ViewArrays],
    images: list[NDArray[np.float32]],
    keys: tuple[tuple[int, int], ...],
) -> Batch:
    """Stack views, their images in 0..1 and their keys into encoded tensors."""
    resolution = samples[0].image.shape[0]
    image = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    distance = torch.from_numpy(np.stack([sample.ray_distance for sample in samples]))
    reliable = torch.from_numpy(np.stack([sample.reliable for sample in samples]))[:, None]
    transforms = [fit_parts(normalise_joints(sample.joints, resolution)) for sample in samples]
    return Batch(
        encode_image(image),
        encode_depth(distance),
        reliable,
        stack_transforms(transforms),
        keys,
        _encoded_normals(samples, distance),
    )


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
        reduction_factor(self._shards.resolution, resolution)
        self._resolution = resolution
        self._augment = augment or UNCHANGED
        self._seed = seed
        self._with_normals = with_normals
        self._variants: int | None = None
        self._cache: dict[int, ViewArrays] = {}
        pixel_bytes = 3 + 2 * 4 + 1 + 3 + 1 + 3 + (2 * 3 * 4 if with_normals else 0)
        view_bytes = resolution * resolution * pixel_bytes
        self._cache_limit = cache_bytes // view_bytes

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
        other._cache_limit = self._cache_limit // processes
        return other

    def view(self, index: int) -> ViewArrays:
        """Return one view as it is in the shard, at the working resolution."""
        if index in self._cache:
            return self._cache[index]
        arrays = read_view(
            self._shards,
            self._views[index],
            self._resolution,
            with_layers=self._augment.background > 0.0,
            with_normals=self._with_normals,
        )
        if len(self._cache) < self._cache_limit:
            self._cache[index] = arrays
        return arrays

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

    def __getitem__(self, draws: list[tuple[int, int]]) -> Batch:
        """Return the batch of the given (pass, view number) pairs."""
        if self._variants is not None:
            draws = [(number % self._variants, index) for number, index in draws]
        samples, images = [], []
        for number, index in draws:
            arrays, image = augment_view(
                self.view(index),
                self._augment,
                np.random.default_rng([self._seed, number, index]),
                lambda rng: self.view(int(rng.integers(len(self)))),
            )
            samples.append(arrays)
            images.append(image)
        return to_batch(samples, images, tuple(draws))


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


def make_loader(
    dataset: ViewDataset, schedule: DrawSchedule, *, workers: int = 0
) -> DataLoader[Batch]:
    """Return a loader of whole batches; workers = 0 reads in this process and caches."""
    if workers > 0:
        dataset = dataset.for_workers(workers)
    return DataLoader(dataset, sampler=schedule, batch_size=None, num_workers=workers)
