"""A trained model turns an image and joints into two-sided maps."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.augment import scale_colours
from model.blocks import REFINER_HALO
from model.checkpoint import LoadedModel
from model.encoding import Window, camera_normals_from_encoded, decode_depth, encode_image
from model.folding import fold
from model.meshing import MINIMUM_THICKNESS, DepthMaps, largest_component
from model.networks import FullMaps
from model.part_fitting import PartTransforms, fit_parts, normalise_joints, stack_transforms
from model.parts import LOW_STEP
from model.precision import InferencePrecision, float32_region, inference_dtype
from model.tiles import cover, refine_tiles, shown_cells
from model.view_files import reduce_image, reduction_factor
from render.picture_box import bounds

LOGGER = logging.getLogger(__name__)

Floats = NDArray[np.float32]

PROCESSOR_TILE, DEVICE_TILE = 64, 512
"""Height of the refiner's tiles, pixels: caches of processors are small, other devices wide."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the networks say of one person.

    Attributes:
        maps: depth of both sides and the mask, at the model's resolution R.
        normal_front, normal_back: (R, R, 3) float32 unit normals of the part networks, camera
            frame, pointing out of the body; 0 where no part covers.
        left_out: names of the parts that are not seen closer, since their joints are missing or
            coincide, or their crop lies outside the image.
        seconds: time of the networks.
    """

    maps: DepthMaps
    normal_front: NDArray[np.float32]
    normal_back: NDArray[np.float32]
    left_out: tuple[str, ...]
    seconds: float


class Predictor:
    """Runs a loaded model.

    Args:
        loaded: the model; it is left as it is but for its device.
        device: torch device.
        precision: what convolutions are computed in, but for those that have to be float32.
        tile: height of the tiles in which depth is refined, pixels, a multiple of 8 from 24 on.
            Smaller ones need less memory and, where the outline is intricate, less work. None
            takes what suits the device.

    Raises:
        ValueError: unknown precision, or a tile of another size.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        device: str = "cpu",
        *,
        precision: InferencePrecision = "32",
        tile: int | None = None,
    ) -> None:
        self._device = torch.device(device)
        if tile is None:
            tile = PROCESSOR_TILE if self._device.type == "cpu" else DEVICE_TILE
        if tile % LOW_STEP or tile < REFINER_HALO:
            raise ValueError(f"tile: expected a multiple of 8 from {REFINER_HALO} on, got {tile}")
        self._dtype = inference_dtype(precision, self._device)
        self._network = fold(loaded.network.to(self._device).eval(), self._dtype)
        self._tile_cells = tile // LOW_STEP
        self._resolution = loaded.config.model.resolution
        self._rules = loaded.config.model.rules
        self._told: set[tuple[str, ...]] = set()

    @property
    def resolution(self) -> int:
        """Width and height of the predicted maps, pixels."""
        return self._resolution

    @property
    def dtype(self) -> torch.dtype:
        """What the convolutions are computed in."""
        return self._dtype

    @torch.inference_mode()
    @float32_region()
    def predict(
        self,
        image: NDArray[np.uint8],
        joints_2d: NDArray[np.floating],
        *,
        outline: NDArray[np.bool_] | None = None,
    ) -> Prediction:
        """Predict both sides of the person in an image.

        Args:
            image: (S, S, 3) uint8 sRGB, S a whole multiple of the model's resolution.
            joints_2d: (31, 3) pixels of the image and confidence.
            outline: (R, R) bool at the model's resolution, the pixels that may be the person;
                nothing else is refined, nor is in the mask. Without it all pixels are that the
                refiner could take for the person, which gives the mask of the whole frame.

        Raises:
            ShardError: S is not a multiple of the model's resolution.
            ValueError: the image is not square, or the outline of another size.
        """
        self._check(image, outline)
        reduced = reduce_image(image, reduction_factor(image.shape[0], self._resolution))
        transforms = stack_transforms([fit_parts(normalise_joints(joints_2d, image.shape[0]))])
        (left_out,) = transforms.left_out()
        self._tell(left_out)
        start = time.perf_counter()
        colours = scale_colours(reduced, *(self._rules.colour,) * 3)
        pixels = torch.from_numpy(colours).permute(2, 0, 1)[None].to(self._device)
        full = self.predict_maps(encode_image(pixels), transforms, outline)
        person = self._network.silhouette(full)[0, 0].cpu().numpy()
        mask = largest_component(person if outline is None else person & outline)
        seconds = time.perf_counter() - start
        front, back = _decode(full, mask)
        return Prediction(
            maps=DepthMaps(front[0], back[0], mask, self._rules.point_scale),
            normal_front=front[1],
            normal_back=back[1],
            left_out=left_out,
            seconds=seconds,
        )

    @torch.inference_mode()
    @float32_region()
    def predict_maps(
        self,
        image: Tensor,
        transforms: PartTransforms,
        outline: NDArray[np.bool_] | None = None,
    ) -> FullMaps:
        """Run the networks, and the refiner where the person may be.

        Args:
            image: (1, 3, R, R) float32 in -1..1, on the predictor's device.
            transforms: batch of one.
            outline: see `predict`.

        Returns:
            The full frame's maps. Pixels that were not refined have depth 0 and, as the mask's
            logit, minus infinity.
        """
        network = self._network
        low, normal = network.predict_first_phase(image, transforms)
        if outline is None:
            cells = shown_cells(network, low, normal)
        else:
            low_size = self._resolution // LOW_STEP
            blocks = outline.reshape(low_size, LOW_STEP, low_size, LOW_STEP)
            cells = torch.from_numpy(blocks.any((1, 3)))
        return refine_tiles(network, low, normal, cover(cells.cpu(), self._tile_cells))

    def _check(self, image: NDArray[np.uint8], outline: NDArray[np.bool_] | None) -> None:
        if image.ndim != 3 or image.shape[0] != image.shape[1] or image.shape[2] != 3:
            raise ValueError(f"image: expected (S, S, 3), got {image.shape}")
        size = (self._resolution, self._resolution)
        if outline is not None and (outline.shape != size or outline.dtype != np.bool_):
            raise ValueError(f"outline: expected {size} bool, got {outline.shape} {outline.dtype}")

    def _tell(self, left_out: tuple[str, ...]) -> None:
        """Warn of parts that are left out, once of the same ones."""
        if left_out and left_out not in self._told:
            self._told.add(left_out)
            LOGGER.warning(
                "parts without detail, since their joints are missing, coincide or lie outside "
                "the image: %s",
                ", ".join(left_out),
            )


def _decode(full: FullMaps, mask: NDArray[np.bool_]) -> list[tuple[Floats, Floats]]:
    """Return ray distance (R, R) and normals (R, R, 3) of front and back, 0 off the mask.

    No more than the box around the mask is decoded, which is a fifth of most frames.
    """
    box = bounds(mask)
    person = torch.from_numpy(mask[box])
    front, back = decode_depth(full.depth[0][:, *box]).cpu()
    sides = []
    for side, distance in enumerate((front, torch.maximum(back, front + MINIMUM_THICKNESS))):
        encoded = full.normal[:, 3 * side : 3 * side + 3, *box].cpu()
        normal = camera_normals_from_encoded(
            encoded, distance[None, None], mask.shape[0], back=side == 1, window=box
        )
        normal *= (encoded.sum(1, keepdim=True) > 0) & person
        sides.append(
            (
                _placed(distance * person, box, mask.shape),
                _placed(normal[0].permute(1, 2, 0), box, mask.shape),
            )
        )
    return sides


def _placed(values: Tensor, box: Window, frame: tuple[int, ...]) -> Floats:
    """Return (R, R, ...) float32, values in a box of the frame and 0 around it."""
    placed = np.zeros((*frame, *values.shape[2:]), dtype=np.float32)
    placed[box] = values.numpy()
    return placed
