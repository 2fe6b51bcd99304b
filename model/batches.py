"""Samples stacked for the networks: whole frames, or what phase 1 looks at alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.augment import Geometry
from model.crop_sampling import encoded_normals_of_depth, sample_normals, sample_picture
from model.encoding import (
    encode_depth,
    encode_image,
    encoded_from_camera_normals,
)
from model.part_fitting import PartTransforms, fit_parts, normalise_joints, stack_transforms
from model.parts import LOW_STEP, PARTS_OF_NETWORK, Resolution

Key = tuple[int, int]


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
    keys: tuple[Key, ...] = ()
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


@dataclass(frozen=True)
class PartBatch:
    """The low-resolution frames of samples and the crops of their parts: all of phase 1.

    At 2048 pixels a fifth of the pixels of whole frames.

    Attributes:
        low_image: (B, 3, R / 8, R / 8) float32 in -1..1, as the networks reduce an image.
        low_depth: (B, 2, R / 8, R / 8) float32 network units, 0 = background.
        low_reliable: (B, 1, R / 8, R / 8) bool.
        low_normal: (B, 6, R / 8, R / 8) float32, every eighth pixel of the encoded rendered
            normals; None where they are to come from the depth.
        images: of each network (B, P, 3, h, w) float32 in -1..1, as `crop_parts` cuts them.
        normals: of each network (B, P, 6, h, w) float32, the encoded normals of the same crops.
        transforms: similarities of the parts, batched.
        keys: as in `Batch`.
    """

    low_image: Tensor
    low_depth: Tensor
    low_reliable: Tensor
    low_normal: Tensor | None
    images: dict[str, Tensor]
    normals: dict[str, Tensor]
    transforms: PartTransforms
    keys: tuple[Key, ...] = ()


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return a (H, W, 3) picture as (3, H, W) float32 in -1..1."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
    return encode_image(planes.float() / 255.0)


def _encoded_normals(geometry: Geometry) -> NDArray[np.float32]:
    """Return the (h, w, 6) encoded normals of a window: rendered ones if read, else of depth."""
    resolution = geometry.resolution
    if geometry.normals is None:
        return encoded_normals_of_depth(geometry.ray_distance, resolution)
    distance = _distance(geometry)
    normals = torch.from_numpy(np.ascontiguousarray(geometry.normals)).permute(0, 3, 1, 2)
    sides = [
        encoded_from_camera_normals(
            normals[side : side + 1],
            distance[:, side : side + 1],
            resolution,
            back=side == 1,
            window=geometry.window,
        )[0]
        for side in (0, 1)
    ]
    return torch.cat(sides).permute(1, 2, 0).contiguous().numpy()


def _planes(values: NDArray) -> Tensor:
    """Return (C, h, w) of (h, w, C), not copied."""
    return torch.from_numpy(values).permute(2, 0, 1)


def _reliable(geometry: Geometry) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(geometry.reliable))[None]


def _framed(part: Tensor, geometry: Geometry) -> Tensor:
    """Return the (C, R, R) frame of a window's (C, h, w), 0 around it."""
    frame = part.new_zeros(part.shape[0], geometry.resolution, geometry.resolution)
    frame[(slice(None), *geometry.window)] = part
    return frame


def _distance(geometry: Geometry) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(geometry.ray_distance))[None]


def _transforms(geometry: Geometry) -> PartTransforms:
    return fit_parts(normalise_joints(geometry.joints, geometry.resolution))


def to_batch(samples: list[tuple[Geometry, NDArray[np.uint8]]], keys: tuple[Key, ...]) -> Batch:
    """Stack views and their pictures into whole frames."""
    depths, reliable, normals = [], [], []
    for geometry, _ in samples:
        distance = _distance(geometry)
        depths.append(_framed(encode_depth(distance)[0], geometry))
        reliable.append(_framed(_reliable(geometry), geometry))
        if geometry.normals is not None:
            normals.append(_framed(_planes(_encoded_normals(geometry)), geometry))
    return Batch(
        torch.stack([image_tensor(image) for _, image in samples]),
        torch.stack(depths),
        torch.stack(reliable),
        stack_transforms([_transforms(geometry) for geometry, _ in samples]),
        keys,
        torch.stack(normals) if normals else None,
    )


def _crop_map(matrix: NDArray, crop: tuple[int, int], size: int) -> NDArray[np.float64]:
    """Return the (2, 3) map from pixel indices of a crop to those of the frame.

    Args:
        matrix: (2, 3) canonical frame to image, both -1..1.
        crop: height and width of the crop, in the middle of the canonical frame.
        size: R of the frame, pixels.
    """
    start = np.array([size // 2 - crop[1] // 2, size // 2 - crop[0] // 2])
    linear, shift = matrix[:, :2].astype(np.float64), matrix[:, 2].astype(np.float64)
    middle = size / 2.0
    moved = linear @ (start + 0.5 - middle) + shift * middle + middle - 0.5
    return np.hstack([linear, moved[:, None]])


def _low_image(image: NDArray[np.uint8]) -> Tensor:
    """Return (3, R / 8, R / 8) in -1..1: what bilinear reduction by 8 makes of a picture."""
    middle = LOW_STEP // 2 - 1
    total = sum(
        image[row::LOW_STEP, column::LOW_STEP].astype(np.float32)
        for row in (middle, middle + 1)
        for column in (middle, middle + 1)
    )
    return encode_image(torch.from_numpy(np.asarray(total)).permute(2, 0, 1) / (4.0 * 255.0))


def _low(part: Tensor, geometry: Geometry) -> Tensor:
    """Return every eighth pixel, from the fourth, of the frame of a window's (C, h, w)."""
    first = LOW_STEP // 2 - 1
    size = geometry.resolution // LOW_STEP
    frame = part.new_zeros(part.shape[0], size, size)
    offsets = [(first - side.start) % LOW_STEP for side in geometry.window]
    picked = part[:, offsets[0] :: LOW_STEP, offsets[1] :: LOW_STEP]
    row, column = (
        (side.start + offset - first) // LOW_STEP
        for side, offset in zip(geometry.window, offsets, strict=True)
    )
    frame[:, row : row + picked.shape[1], column : column + picked.shape[2]] = picked
    return frame


def _cut_crops(
    image: NDArray[np.uint8],
    encoded: NDArray[np.float32],
    geometry: Geometry,
    transforms: PartTransforms,
    crops: dict[str, tuple[Tensor, Tensor]],
) -> None:
    """Write the crops of one person into zeros.

    Args:
        image: (R, R, 3) uint8.
        encoded: (h, w, 6) float32 encoded normals of the window.
        geometry: whose window it is.
        transforms: of the person.
        crops: of each network (P, 3, h, w) for the pictures and (P, 6, h, w) for the normals.
    """
    resolution = Resolution(geometry.resolution)
    corner = np.array([[0.0, 0.0, side.start] for side in reversed(geometry.window)])
    for network, (pictures, normals) in crops.items():
        size = resolution.crop_size(network)
        for place, part in enumerate(PARTS_OF_NETWORK[network]):
            matrix = transforms.canonical_to_image[part].numpy()
            to_frame = _crop_map(matrix, size, resolution.full)
            sample_picture(image, to_frame, pictures[place].numpy())
            sample_normals(encoded, to_frame - corner, normals[place].numpy())


def to_part_batch(
    samples: list[tuple[Geometry, NDArray[np.uint8]]], keys: tuple[Key, ...]
) -> PartBatch:
    """Stack what phase 1 needs of views and their pictures; no whole frame is made."""
    resolution = Resolution(samples[0][0].resolution)
    crops = {
        network: tuple(
            torch.zeros(len(samples), len(parts), channels, *resolution.crop_size(network))
            for channels in (3, 6)
        )
        for network, parts in PARTS_OF_NETWORK.items()
    }
    low_depth, low_reliable, low_normal, transforms = [], [], [], []
    for number, (geometry, image) in enumerate(samples):
        encoded = _encoded_normals(geometry)
        low_depth.append(encode_depth(_low(_distance(geometry)[0], geometry)))
        low_reliable.append(_low(_reliable(geometry), geometry))
        if geometry.normals is not None:
            low_normal.append(_low(_planes(encoded), geometry))
        transforms.append(_transforms(geometry))
        own = {name: (image[number], normal[number]) for name, (image, normal) in crops.items()}
        _cut_crops(image, encoded, geometry, transforms[-1], own)
    return PartBatch(
        low_image=torch.stack([_low_image(image) for _, image in samples]),
        low_depth=torch.stack(low_depth),
        low_reliable=torch.stack(low_reliable),
        low_normal=torch.stack(low_normal) if low_normal else None,
        images={name: images for name, (images, _) in crops.items()},
        normals={name: normals for name, (_, normals) in crops.items()},
        transforms=stack_transforms(transforms),
        keys=keys,
    )
