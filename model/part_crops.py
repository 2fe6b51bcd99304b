"""Crops of the body parts are cut out of frames, and blended back into them.

Crops are sampled straight at crop size: no frame is warped for a part, and blending touches
only the pixels that a part can cover. Normals keep the image's axes: they are not turned with
the crop. Paper: section 4.1, equations 2, 4 and 5. Frames and transforms: `model.part_fitting`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.part_fitting import PartTransforms, invert
from model.parts import PARTS_OF_NETWORK, Resolution
from model.precision import float32_region


def _pixel_grid(rows: range, columns: range, size: int, device: torch.device) -> Tensor:
    """Return the (h, w, 3) normalised (x, y, 1) of pixel centres of a frame `size` wide."""
    # Rounded as torch's `affine_grid` does it.
    centres = torch.linspace(-1.0, 1.0, size, device=device) * ((size - 1) / size)
    y, x = centres[rows.start : rows.stop], centres[columns.start : columns.stop]
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y, torch.ones_like(grid_x)], dim=-1)


def _crop_ranges(height: int, width: int, size: int) -> tuple[range, range]:
    top, left = size // 2 - height // 2, size // 2 - width // 2
    return range(top, top + height), range(left, left + width)


def _crop_grid(transforms: PartTransforms, network: str, resolution: Resolution) -> Tensor:
    """Return (B, P, h, w, 2): where in the image each pixel of a network's crops lies."""
    theta = transforms.canonical_to_image[:, list(PARTS_OF_NETWORK[network])]
    rows, columns = _crop_ranges(*resolution.crop_size(network), resolution.full)
    canonical = _pixel_grid(rows, columns, resolution.full, theta.device)
    return torch.einsum("hwk,bpjk->bphwj", canonical, theta)


def _inside_image(grid: Tensor, size: int) -> Tensor:
    """Return what bilinear sampling of a frame of ones would, zeros around it.

    Args:
        grid: (B, P, h, w, 2) normalised positions.
        size: width of the frame, pixels.

    Returns:
        (B, P, 1, h, w) float32 in 0..1.
    """
    # Half a pixel beyond the border's pixel centres the weight has fallen to a half.
    overlap = ((1.0 - grid.abs()) * size / 2.0 + 0.5).clamp(0.0, 1.0)
    return overlap.prod(-1).unsqueeze(2)


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
    grid = _crop_grid(transforms, network, resolution).to(frame.device)
    batch, count, height, width = grid.shape[:4]
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
    height, width = resolution.crop_size(network)
    inside = _inside_image(_crop_grid(transforms, network, resolution), resolution.full)
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


def part_boxes(
    transforms: PartTransforms, resolution: Resolution
) -> list[tuple[int, int, int, int]]:
    """Return the boxes of the frame that one person's crops touch.

    Args:
        transforms: of one person, (12, ...).
        resolution: the working resolution.

    Returns:
        Rows row0 to row1 - 1 and columns col0 to col1 - 1 of each part, network by network,
        without parts that are left out.
    """
    windows = [
        _covered_window(
            transforms.canonical_to_image[part], *resolution.crop_size(network), resolution.full
        )
        for network, parts in PARTS_OF_NETWORK.items()
        for part in parts
        if transforms.present[part]
    ]
    return [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in windows]


def _positions_on_canvas(
    rows: range,
    columns: range,
    canonical_to_image: Tensor,
    crop: tuple[int, int],
    canvas: int,
    size: int,
) -> Tensor:
    """Return where pixels of the image lie on a crop's canvas, (h, w, 2) in -1..1.

    Whether a pixel just misses a part's outermost weight is a matter of rounding, and the refiner
    answers otherwise where nothing covers. Positions are therefore rounded as in the released
    networks, which sample each crop on a canvas of the image's size: by the inverse of how the
    crop was cut out, in pixels of the image. What follows is exact in float32.

    Args:
        rows, columns: the pixels.
        canonical_to_image: (2, 3) float32.
        crop: height and width of the crop, which lies in the canvas' top left corner, pixels.
        canvas: its width, a power of two, pixels.
        size: width of the image, pixels.
    """
    device = canonical_to_image.device
    canonical = _pixel_grid(rows, columns, size, device) @ invert(canonical_to_image).T
    top, left = (each.start for each in _crop_ranges(*crop, size))
    pixels = ((canonical + 1.0) * size - 1.0) / 2.0 - torch.tensor([left, top], device=device)
    return (2.0 * pixels + 1.0) / canvas - 1.0


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
        canvas = 1 << (max(height, width) - 1).bit_length()
        packed = functional.pad(
            torch.cat([normals.float(), weights], dim=2), (0, canvas - width, 0, canvas - height)
        )
        for slot, part in enumerate(PARTS_OF_NETWORK[network]):
            for item in range(batch):
                if not transforms.present[item, part]:
                    continue
                matrix = transforms.canonical_to_image[item, part].to(device)
                rows, columns = _covered_window(matrix, height, width, size)
                if not rows or not columns:
                    continue
                grid = _positions_on_canvas(rows, columns, matrix, (height, width), canvas, size)
                sampled = _sample(packed[item : item + 1, slot], grid[None])[0]
                weight = sampled[6:]
                total[item, :, rows.start : rows.stop, columns.start : columns.stop] += torch.cat(
                    [sampled[:6] * weight, weight]
                )
    weight_sum = total[:, 6:]
    covered = weight_sum > 0
    normals = total[:, :6] / torch.where(covered, weight_sum, torch.ones_like(weight_sum))
    return normals, covered.float()
