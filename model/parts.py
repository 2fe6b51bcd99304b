"""Body parts: where the twelve crops lie, how they are cut out and blended back.

Coordinates are normalised to -1..1 over the frame with pixel edges at -1 and 1 (torch's
`align_corners=False`), x right and y down. A part's similarity M maps the image to the
canonical frame, in which the part is upright at a fixed place around the origin; the crop
is the centre of that frame. Normals keep the image's axes: they are not turned with the crop.

Paper: section 4.1, equations 2, 4 and 5; anchors and crop sizes as in the released method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dataset.joints import JOINT_COUNT, JOINT_INDEX
from model.encoding import REFERENCE_RESOLUTION
from model.precision import float32_region

CROP_MULTIPLE = 8
"""Crops are rounded up to this, since the part networks halve them three times."""

DISTINCT_POINTS = 1e-6
"""Joints closer than this (normalised units) do not fix a direction."""


@dataclass(frozen=True)
class Anchor:
    """Where one point of a part lies in the canonical frame.

    Attributes:
        joints: names of the joints whose mean (of those present) is the point.
        position: (x, y), canonical frame.
        substitute: joint taken when none of `joints` is present.
    """

    joints: tuple[str, ...]
    position: tuple[float, float]
    substitute: str | None = None


@dataclass(frozen=True)
class Part:
    """One of the twelve parts.

    Attributes:
        name: the person's own side first.
        network: which of the five part networks predicts it.
        anchors: the points that place it.
        limb: indices of the two anchors whose distance caps the scale: the crop is never
            magnified (the short-limb rule); None for no cap.
        required: how many anchors have to be present.
    """

    name: str
    network: str
    anchors: tuple[Anchor, ...]
    limb: tuple[int, int] | None
    required: int


def _arm(side: str) -> tuple[Part, Part]:
    upper = (
        Anchor((f"{side}_shoulder",), (0.0, -3 / 16)),
        Anchor((f"{side}_elbow",), (0.0, 1 / 16)),
    )
    fingers = tuple(f"{side}_{finger}" for finger in ("index", "middle", "ring", "pinky"))
    lower = (
        Anchor((f"{side}_elbow",), (0.0, -2 / 9)),
        Anchor((f"{side}_wrist",), (0.0, 0.0)),
        Anchor(fingers, (0.0, 1 / 18)),
    )
    return (
        Part(f"{side}_upper_arm", "arm", upper, (0, 1), 2),
        Part(f"{side}_lower_arm", "arm", lower, (0, 2), 2),
    )


def _leg(side: str) -> tuple[Part, Part]:
    x = -3 / 128 if side == "left" else 3 / 128
    upper = (
        Anchor((f"{side}_hip",), (x, -5 / 32)),
        Anchor((f"{side}_knee",), (x, 3 / 32)),
    )
    lower = (
        Anchor((f"{side}_knee",), (x, -9 / 64)),
        Anchor((f"{side}_ankle",), (x, 9 / 64)),
    )
    return (
        Part(f"{side}_upper_leg", "leg", upper, (0, 1), 2),
        Part(f"{side}_lower_leg", "leg", lower, (0, 1), 2),
    )


def _foot(side: str) -> Part:
    anchors = (
        Anchor((f"{side}_big_toe",), (0.0, 1 / 24)),
        Anchor((f"{side}_small_toe",), (0.0, 1 / 24)),
        Anchor((f"{side}_heel",), (0.0, -1 / 24)),
        Anchor((f"{side}_ankle",), (0.0, -1 / 24)),
    )
    return Part(f"{side}_foot", "foot", anchors, None, 2)


_FACE = Part(
    "face",
    "face",
    (
        Anchor(("right_ear",), (-1 / 12, 1 / 24), "right_eye"),
        Anchor(("left_ear",), (1 / 12, 1 / 24), "left_eye"),
    ),
    (0, 1),
    2,
)
_UPPER_BODY = Part(
    "upper_body",
    "upper",
    (
        Anchor(("right_shoulder",), (-1 / 9, -1 / 6)),
        Anchor(("left_shoulder",), (1 / 9, -1 / 6)),
        Anchor(("left_hip",), (1 / 12, 1 / 6)),
        Anchor(("right_hip",), (-1 / 12, 1 / 6)),
    ),
    None,
    2,
)

PARTS: tuple[Part, ...] = (
    _FACE,
    _UPPER_BODY,
    *_arm("left"),
    *_arm("right"),
    *_leg("left"),
    *_leg("right"),
    _foot("left"),
    _foot("right"),
)
"""The twelve parts, in the order of the released networks."""

PART_NETWORKS: tuple[str, ...] = ("face", "upper", "arm", "leg", "foot")
CROP_SIZES_2048: dict[str, tuple[int, int]] = {
    "face": (368, 320),
    "upper": (528, 336),
    "arm": (352, 224),
    "leg": (272, 256),
    "foot": (176, 128),
}
"""(height, width) of each network's crop at 2048, pixels."""

PARTS_OF_NETWORK: dict[str, tuple[int, ...]] = {
    network: tuple(i for i, part in enumerate(PARTS) if part.network == network)
    for network in PART_NETWORKS
}

_FINGER_EXTENSION = 0.25
"""Canonical wrist-to-finger over elbow-to-wrist: stands in for fingers that are missing."""


@dataclass(frozen=True)
class Resolution:
    """The resolution table: every size that follows from the working resolution R.

    Attributes:
        full: R, the full frame, pixels; a multiple of 128, at most 2048.
    """

    full: int

    def __post_init__(self) -> None:
        if self.full % 128 or not 128 <= self.full <= REFERENCE_RESOLUTION:
            raise ValueError(
                f"resolution: expected a multiple of 128 up to {REFERENCE_RESOLUTION}, "
                f"got {self.full}"
            )

    @property
    def low(self) -> int:
        """Width of the low-resolution frame, R / 8 pixels."""
        return self.full // 8

    def crop_size(self, network: str) -> tuple[int, int]:
        """Return (height, width) of a network's crop, multiples of 8 pixels."""
        height, width = CROP_SIZES_2048[network]
        scale = self.full / REFERENCE_RESOLUTION / CROP_MULTIPLE
        return (
            math.ceil(height * scale) * CROP_MULTIPLE,
            math.ceil(width * scale) * CROP_MULTIPLE,
        )

    @property
    def blur_radius(self) -> int:
        """Radius of the Gaussian of equation 5: 7 pixels (15 x 15) at 2048."""
        return max(1, 7 * self.full // REFERENCE_RESOLUTION)

    @property
    def blur_sigma(self) -> float:
        """Sigma of that Gaussian: 5 pixels at 2048 (paper, section 5)."""
        return 5.0 * self.full / REFERENCE_RESOLUTION

    @property
    def erosion(self) -> int:
        """How far the weights keep from the crop's border: the blur ends one pixel inside it."""
        return self.blur_radius + 1


@dataclass(frozen=True)
class PartTransforms:
    """Similarities of the twelve parts.

    Attributes:
        image_to_canonical: (..., 12, 2, 3) float32, M of equation 2.
        canonical_to_image: (..., 12, 2, 3) float32, its inverse.
        present: (..., 12) bool; parts whose joints are missing or coincide are left out
            and carry identities.
    """

    image_to_canonical: Tensor
    canonical_to_image: Tensor
    present: Tensor

    def item(self, index: int) -> PartTransforms:
        """Return one person's transforms as a batch of one."""
        chosen = slice(index, index + 1)
        return PartTransforms(
            self.image_to_canonical[chosen], self.canonical_to_image[chosen], self.present[chosen]
        )


def normalise_joints(joints: NDArray[np.floating], resolution: int) -> NDArray[np.float64]:
    """Return (31, 3) joints with x and y in -1..1 instead of pixels; confidence unchanged."""
    normalised = np.array(joints, dtype=np.float64)
    normalised[:, :2] = 2.0 * normalised[:, :2] / resolution - 1.0
    return normalised


def _part_points(part: Part, joints: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return the (2,) point of each anchor whose joints are known, by anchor number."""
    points: dict[int, NDArray[np.float64]] = {}
    for index, anchor in enumerate(part.anchors):
        rows = [JOINT_INDEX[name] for name in anchor.joints]
        found = [joints[row, :2] for row in rows if joints[row, 2] > 0]
        if not found and anchor.substitute is not None:
            row = JOINT_INDEX[anchor.substitute]
            found = [joints[row, :2]] if joints[row, 2] > 0 else []
        if found:
            points[index] = np.mean(found, axis=0)
    if part.name.endswith("lower_arm") and 2 not in points and {0, 1} <= set(points):
        points[2] = points[1] + _FINGER_EXTENSION * (points[1] - points[0])
    return points


def fit_similarity(
    points: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (2, 3) rotation + scale + shift that best maps points to targets.

    Args:
        points: (K, 2), at least two of them distinct.
        targets: (K, 2).
    """
    rows = np.zeros((2 * len(points), 4))
    x, y = points.T
    rows[0::2] = np.stack([x, -y, np.ones_like(x), np.zeros_like(x)], axis=1)
    rows[1::2] = np.stack([y, x, np.zeros_like(x), np.ones_like(x)], axis=1)
    a, b, shift_x, shift_y = np.linalg.pinv(rows) @ targets.reshape(-1)
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def fit_part(part: Part, joints: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return M of one part, or None when its joints do not fix it.

    Args:
        part: the part.
        joints: (31, 3) normalised x, y and confidence; confidence 0 = missing.
    """
    points = _part_points(part, joints)
    if len(points) < part.required:
        return None
    located = np.stack(list(points.values()))
    targets = np.array([part.anchors[index].position for index in points])
    if part.limb is not None:
        if not set(part.limb) <= set(points):
            return None
        length = float(np.linalg.norm(points[part.limb[1]] - points[part.limb[0]]))
        anchors = np.array([part.anchors[index].position for index in part.limb])
        threshold = float(np.linalg.norm(anchors[1] - anchors[0]))
        targets = targets * min(1.0, length / threshold)
    matrix = fit_similarity(located, targets)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    spread = np.abs(located - located.mean(axis=0)).max()
    if spread < DISTINCT_POINTS or scale < DISTINCT_POINTS or not np.isfinite(matrix).all():
        return None
    return matrix


def fit_parts(joints: NDArray[np.floating]) -> PartTransforms:
    """Fit the similarities of all parts of one person.

    Args:
        joints: (31, 3) normalised x, y in -1..1 and confidence; see `normalise_joints`.

    Returns:
        Transforms without a batch dimension: (12, 2, 3), (12, 2, 3), (12,).

    Raises:
        ValueError: joints of another shape.
    """
    if joints.shape != (JOINT_COUNT, 3):
        raise ValueError(f"joints: expected ({JOINT_COUNT}, 3), got {joints.shape}")
    forward = np.tile(np.eye(3), (len(PARTS), 1, 1))
    present = np.zeros(len(PARTS), dtype=bool)
    for index, part in enumerate(PARTS):
        matrix = fit_part(part, np.asarray(joints, dtype=np.float64))
        if matrix is not None:
            forward[index, :2] = matrix
            present[index] = True
    inverse = np.linalg.inv(forward)
    return PartTransforms(
        torch.from_numpy(forward[:, :2]).float(),
        torch.from_numpy(inverse[:, :2]).float(),
        torch.from_numpy(present),
    )


def stack_transforms(transforms: list[PartTransforms]) -> PartTransforms:
    """Join the transforms of several people along a new first dimension."""
    return PartTransforms(
        torch.stack([item.image_to_canonical for item in transforms]),
        torch.stack([item.canonical_to_image for item in transforms]),
        torch.stack([item.present for item in transforms]),
    )


def _pixel_grid(rows: range, columns: range, size: int, device: torch.device) -> Tensor:
    """Return the (h, w, 3) normalised (x, y, 1) of pixel centres of a frame `size` wide."""
    y = (torch.arange(rows.start, rows.stop, device=device) + 0.5) * 2.0 / size - 1.0
    x = (torch.arange(columns.start, columns.stop, device=device) + 0.5) * 2.0 / size - 1.0
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y, torch.ones_like(grid_x)], dim=-1)


def _crop_ranges(height: int, width: int, size: int) -> tuple[range, range]:
    top, left = size // 2 - height // 2, size // 2 - width // 2
    return range(top, top + height), range(left, left + width)


def _sample(source: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(
        source, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


@float32_region()
def crop_parts(
    frame: Tensor,
    transforms: PartTransforms,
    network: str,
    resolution: Resolution,
) -> Tensor:
    """Cut the crops of one network straight out of a frame, at crop size.

    Args:
        frame: (B, C, H, H) float32; any H (a low-resolution frame is magnified bilinearly).
        transforms: batched, (B, 12, ...).
        network: one of `PART_NETWORKS`.
        resolution: the working resolution.

    Returns:
        (B, P, C, h, w) float32, P parts of the network in the order of `PARTS`; zero
        outside the frame.
    """
    parts = list(PARTS_OF_NETWORK[network])
    height, width = resolution.crop_size(network)
    rows, columns = _crop_ranges(height, width, resolution.full)
    canonical = _pixel_grid(rows, columns, resolution.full, frame.device)
    theta = transforms.canonical_to_image[:, parts].to(frame.device)
    grid = torch.einsum("hwk,bpjk->bphwj", canonical, theta)
    batch, count = grid.shape[:2]
    # One tall grid a person samples all its crops without copying the frame for each.
    crops = _sample(frame.float(), grid.reshape(batch, count * height, width, 2))
    return crops.reshape(batch, -1, count, height, width).transpose(1, 2)


def _gaussian_taps(radius: int, sigma: float, device: torch.device) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    taps = torch.exp(-(offsets**2) / (2.0 * sigma**2))
    return taps / taps.sum()


@float32_region()
def crop_weights(transforms: PartTransforms, network: str, resolution: Resolution) -> Tensor:
    """Return G * phi of equation 5 in the crops, before dividing by the sum over parts.

    phi is 1 in the crop, away from its border by `erosion`, where the crop shows the photo.

    Returns:
        (B, P, 1, h, w) float32; 0 for parts that are left out.
    """
    device = transforms.canonical_to_image.device
    batch = transforms.canonical_to_image.shape[0]
    ones = torch.ones(batch, 1, resolution.full, resolution.full, device=device)
    inside = crop_parts(ones, transforms, network, resolution)
    height, width = inside.shape[-2:]
    border = resolution.erosion
    eroded = torch.zeros_like(inside)
    eroded[..., border : height - border, border : width - border] = inside[
        ..., border : height - border, border : width - border
    ]
    taps = _gaussian_taps(resolution.blur_radius, resolution.blur_sigma, device)
    flat = eroded.reshape(-1, 1, height, width)
    flat = functional.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, resolution.blur_radius))
    flat = functional.conv2d(flat, taps.view(1, 1, -1, 1), padding=(resolution.blur_radius, 0))
    present = transforms.present[:, list(PARTS_OF_NETWORK[network])].to(device)
    return flat.reshape_as(eroded) * present[..., None, None, None]


def _covered_window(
    canonical_to_image: Tensor, height: int, width: int, size: int
) -> tuple[range, range]:
    """Return the rows and columns of the image that a crop can touch."""
    half = torch.tensor([(width + 2) / size, (height + 2) / size], dtype=torch.float64)
    signs = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    matrix = canonical_to_image.detach().cpu().double()
    corners = (signs * half) @ matrix[:, :2].T + matrix[:, 2]
    pixels = (corners + 1.0) * size / 2.0
    low = pixels.min(0).values.floor().clamp(0, size).int().tolist()
    high = pixels.max(0).values.ceil().clamp(0, size).int().tolist()
    return range(low[1], high[1]), range(low[0], high[0])


@float32_region()
def blend_parts(
    crops: dict[str, Tensor], transforms: PartTransforms, resolution: Resolution
) -> tuple[Tensor, Tensor]:
    """Warp part normals back and blend them (equations 4 and 5).

    Args:
        crops: per network (B, P, 6, h, w) float32 encoded normals, front then back.
        transforms: batched.
        resolution: the working resolution.

    Returns:
        Normals (B, 6, R, R) float32, 0 where no part covers, and the coverage
        (B, 1, R, R): the sum of the blending weights, 1 where any part covers, else 0.
    """
    first = next(iter(crops.values()))
    batch, size, device = first.shape[0], resolution.full, first.device
    total = torch.zeros(batch, 7, size, size, device=device)
    for network, normals in crops.items():
        weights = crop_weights(transforms, network, resolution).to(device)
        height, width = normals.shape[-2:]
        stretch = torch.tensor([size / width, size / height], device=device)
        packed = torch.cat([normals.float(), weights], dim=2)
        for slot, part in enumerate(PARTS_OF_NETWORK[network]):
            for item in range(batch):
                if not transforms.present[item, part]:
                    continue
                rows, columns = _covered_window(
                    transforms.canonical_to_image[item, part], height, width, size
                )
                if not rows or not columns:
                    continue
                pixels = _pixel_grid(rows, columns, size, device)
                matrix = transforms.image_to_canonical[item, part].to(device)
                grid = (pixels @ matrix.T) * stretch
                sampled = _sample(packed[item : item + 1, slot], grid[None])[0]
                weight = sampled[6:]
                total[item, :, rows.start : rows.stop, columns.start : columns.stop] += torch.cat(
                    [sampled[:6] * weight, weight]
                )
    weight_sum = total[:, 6:]
    covered = weight_sum > 0
    normals = total[:, :6] / torch.where(covered, weight_sum, torch.ones_like(weight_sum))
    return normals, covered.float()
