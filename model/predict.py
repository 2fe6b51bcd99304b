"""A trained model turns an image and joints into two-sided maps."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dataset.augment import scale_colours
from model.checkpoint import LoadedModel
from model.encoding import camera_normals_from_encoded, decode_depth, encode_image
from model.meshing import MINIMUM_THICKNESS, DepthMaps, largest_component
from model.part_fitting import fit_parts, normalise_joints, stack_transforms
from model.samples import reduce_image, reduction_factor

LOGGER = logging.getLogger(__name__)


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
        loaded: the model.
        device: torch device.
    """

    def __init__(self, loaded: LoadedModel, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = loaded.network.to(self._device).eval()
        self._resolution = loaded.config.model.resolution
        self._rules = loaded.config.model.rules
        self._told: set[tuple[str, ...]] = set()

    @property
    def resolution(self) -> int:
        """Width and height of the predicted maps, pixels."""
        return self._resolution

    @torch.inference_mode()
    def predict(self, image: NDArray[np.uint8], joints_2d: NDArray[np.floating]) -> Prediction:
        """Predict both sides of the person in an image.

        Args:
            image: (S, S, 3) uint8 sRGB, S a whole multiple of the model's resolution.
            joints_2d: (31, 3) pixels of the image and confidence.

        Raises:
            ShardError: S is not a multiple of the model's resolution.
            ValueError: the image is not square or the predicted mask is empty.
        """
        if image.ndim != 3 or image.shape[0] != image.shape[1] or image.shape[2] != 3:
            raise ValueError(f"image: expected (S, S, 3), got {image.shape}")
        reduced = reduce_image(image, reduction_factor(image.shape[0], self._resolution))
        transforms = stack_transforms([fit_parts(normalise_joints(joints_2d, image.shape[0]))])
        (left_out,) = transforms.left_out()
        self._tell(left_out)
        start = time.perf_counter()
        colours = scale_colours(reduced, *(self._rules.colour,) * 3)
        pixels = torch.from_numpy(colours).permute(2, 0, 1)[None].to(self._device)
        _, full = self._network(encode_image(pixels), transforms)
        mask = largest_component(self._network.silhouette(full)[0, 0].cpu().numpy())
        distance = decode_depth(full.depth)[0].cpu()
        seconds = time.perf_counter() - start
        front = distance[0].numpy() * mask
        back = np.maximum(distance[1].numpy(), front + MINIMUM_THICKNESS) * mask
        normals = []
        for side, name in enumerate((front, back)):
            encoded = full.normal[:, 3 * side : 3 * side + 3].cpu()
            covered = (encoded.sum(1, keepdim=True) > 0) & torch.from_numpy(mask)
            decoded = camera_normals_from_encoded(
                encoded, torch.from_numpy(name)[None, None], self._resolution, back=side == 1
            )
            normals.append((decoded * covered)[0].permute(1, 2, 0).numpy())
        return Prediction(
            maps=DepthMaps(
                front.astype(np.float32), back.astype(np.float32), mask, self._rules.point_scale
            ),
            normal_front=normals[0],
            normal_back=normals[1],
            left_out=left_out,
            seconds=seconds,
        )

    def _tell(self, left_out: tuple[str, ...]) -> None:
        """Warn of parts that are left out, once of the same ones."""
        if left_out and left_out not in self._told:
            self._told.add(left_out)
            LOGGER.warning(
                "parts without detail, since their joints are missing, coincide or lie outside "
                "the image: %s",
                ", ".join(left_out),
            )
