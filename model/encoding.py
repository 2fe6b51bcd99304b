"""Network units and back: images, depth and normals (their one home).

* image: v in 0..1 becomes (v - 0.5) / 0.5;
* depth: ray distance r becomes d = 2 + 2 (r - 1) / tan(fov / 2), which is the released
  "pixels / 512" at 2048 and the same at every resolution; the background is 0;
* normals: with h = d[i, j] - d[i, j+1], v = d[i-1, j] - d[i, j] and
  c = (1 / 255) (2048 / R) for the working resolution R, the vector (h, v, c) is scaled to
  unit length and stored as (n + 1) / 2; the background is 0 in all three channels.
  R is that of the full frame on both frames: the low-resolution frame, which is R / 8
  wide, therefore shows slopes eight times as steep, as in the released networks.

Sign of encoded normals: on the front map channel 0 grows towards the image's left,
channel 1 towards its top, channel 2 towards the camera. The back map uses the same
formula on the back depth, so that its vector is the outward normal turned round
(it faces the camera, the outward one faces away).

Encoded normals are not metric: tangents carry the gain 255 / 512 at full resolution.
`encoded_from_camera_normals` and `camera_normals_from_encoded` convert exactly, for the
perspective camera of `render.camera`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from render.camera import CAMERA_DISTANCE, FOV_DEG, Camera, ray_distance_from_z_depth

REFERENCE_RESOLUTION = 2048
NORMAL_STEP = 1.0 / 255.0
BACKGROUND_CUT_OFF = 0.2
"""Network depths below this are background: their encoded normals are 0."""

DEPTH_PER_RAY_DISTANCE = 2.0 / math.tan(math.radians(FOV_DEG) / 2.0)


def encode_image(image: Tensor) -> Tensor:
    """Map colours from 0..1 to the network's -1..1."""
    return (image - 0.5) / 0.5


def decode_image(image: Tensor) -> Tensor:
    """Map the network's -1..1 to colours in 0..1."""
    return image * 0.5 + 0.5


def encode_depth(ray_distance: Tensor) -> Tensor:
    """Convert ray distances (normalised units) to network units; 0 (background) stays 0."""
    depth = 2.0 + DEPTH_PER_RAY_DISTANCE * (ray_distance - 1.0)
    return torch.where(ray_distance > 0, depth, torch.zeros_like(depth))


def decode_depth(depth: Tensor) -> Tensor:
    """Convert network units to ray distances; 0 (background) stays 0."""
    ray_distance = 1.0 + (depth - 2.0) / DEPTH_PER_RAY_DISTANCE
    return torch.where(depth > 0, ray_distance, torch.zeros_like(depth))


def centre_plane_depth(resolution: int) -> Tensor:
    """Return the (H, H) float32 network depth of the plane z = 0 of the normalised frame.

    Rays to its corners are longer: seen as network depth the plane is a bowl, 15 cm deep
    between the waist and the head of a person.
    """
    camera = Camera(resolution)
    z_depth = np.full((resolution, resolution), CAMERA_DISTANCE)
    return encode_depth(torch.from_numpy(ray_distance_from_z_depth(z_depth, camera))).float()


def normal_step(resolution: int) -> float:
    """Return c = (1 / 255) (2048 / R), the third component before normalisation."""
    return NORMAL_STEP * REFERENCE_RESOLUTION / resolution


def normals_from_depth(depth: Tensor, resolution: int) -> Tensor:
    """Compute encoded normals of depth maps by finite differences (paper, section 5.1).

    Args:
        depth: (B, S, H, W) float32, S sides in network units, 0 = background.
        resolution: the working resolution R of the full frame, pixels.

    Returns:
        (B, 3 S, H, W) float32 in 0..1, three channels a side; 0 where the depth is below
        the cut-off. Pixels beside the background keep the step of their silhouette.
    """
    # The last column and the first row have no neighbour: their difference is 0.
    horizontal = functional.pad(-torch.diff(depth, dim=-1), (0, 1))
    vertical = functional.pad(-torch.diff(depth, dim=-2), (0, 0, 1, 0))
    step = normal_step(resolution)
    # Written out: `normalize` over a short dimension in the middle is ten times slower.
    scale = 0.5 * torch.rsqrt(horizontal**2 + vertical**2 + step**2)
    encoded = torch.stack([horizontal * scale, vertical * scale, step * scale], dim=2) + 0.5
    return (encoded * (depth >= BACKGROUND_CUT_OFF).unsqueeze(2)).flatten(1, 2)


def steeper(encoded: Tensor, factor: float) -> Tensor:
    """Return encoded normals as a frame with `factor` times larger pixels shows them.

    Args:
        encoded: (B, 3 S, H, W) float32 in 0..1, three channels a side, 0 = background.
        factor: 8 from the full to the low-resolution frame.
    """
    sides = encoded.unflatten(1, (-1, 3))
    vector = sides * 2.0 - 1.0
    scaled = torch.cat([vector[:, :, :2] * factor, vector[:, :, 2:]], dim=2)
    unit = functional.normalize(scaled, dim=2)
    return ((unit + 1.0) / 2.0 * (sides > 0).any(2, keepdim=True)).flatten(1, 2)


def interior(mask: Tensor) -> Tensor:
    """Return where `normals_from_depth` sees the person alone.

    Args:
        mask: (B, 1, H, W) bool, True = person.

    Returns:
        (B, 1, H, W) bool: the pixel and the two neighbours it is compared with are person.
    """
    right = functional.pad(mask[..., 1:], (0, 1), value=True)
    above = functional.pad(mask[..., :-1, :], (0, 0, 1, 0), value=True)
    return mask & right & above


Window = tuple[slice, slice]
"""Rows and columns of a frame."""


def _slopes(normal: Tensor, resolution: int, window: Window | None) -> tuple[Tensor, Tensor, float]:
    """Return x (1, W) and y (H, 1) of pixels on the plane at distance 1, and the focal length.

    Args:
        normal: (..., H, W), a map of these pixels.
        resolution: of the frame that a window is of.
        window: see `encoded_from_camera_normals`.
    """
    camera = Camera(normal.shape[-1] if window is None else resolution)
    rows, columns = (slice(None), slice(None)) if window is None else window
    steps = (torch.arange(camera.resolution) + 0.5 - camera.resolution / 2.0) / camera.focal_px
    x, y = steps[columns].float()[None, :], -steps[rows].float()[:, None]
    return x.to(normal.device), y.to(normal.device), float(camera.focal_px)


def encoded_from_camera_normals(
    normal: Tensor,
    ray_distance: Tensor,
    resolution: int,
    back: bool,
    window: Window | None = None,
) -> Tensor:
    """Encode rendered normals as `normals_from_depth` would encode the same surface.

    Args:
        normal: (B, 3, H, W) float32 unit, camera frame, pointing out of the body.
        ray_distance: (B, 1, H, W) float32, normalised units, 0 = background.
        resolution: the working resolution R of the full frame, pixels.
        back: True for the back side, whose outward normals face away.
        window: rows and columns of a full frame that the maps are of; None for all of a frame,
            full or low-resolution.

    Returns:
        (B, 3, H, W) float32 in 0..1, 0 on the background.
    """
    x, y, focal_px = _slopes(normal, resolution, window)
    facing = -normal if back else normal
    # With q = (x, y, -1) and the ray q / |q|, on the plane n . P = const along the ray
    # dr/dx = r (x / |q|^2 - n_x / (n . q)).
    squared = 1.0 + x**2 + y**2
    towards = facing[:, 0] * x + facing[:, 1] * y - facing[:, 2]
    inverse = 1.0 / torch.minimum(towards, -1e-4 * squared.sqrt())
    gain = (DEPTH_PER_RAY_DISTANCE / focal_px) * ray_distance[:, 0]
    horizontal = gain * (facing[:, 0] * inverse - x / squared)
    vertical = gain * (y / squared - facing[:, 1] * inverse)
    step = normal_step(resolution)
    scale = 0.5 * torch.rsqrt(horizontal**2 + vertical**2 + step**2)
    encoded = torch.stack([horizontal * scale, vertical * scale, step * scale], dim=1) + 0.5
    return encoded * (ray_distance > 0)


def camera_normals_from_encoded(
    encoded: Tensor,
    ray_distance: Tensor,
    resolution: int,
    back: bool,
    window: Window | None = None,
) -> Tensor:
    """Invert `encoded_from_camera_normals`.

    Args:
        encoded: (B, 3, H, W) float32 in 0..1; blended normals need not have unit length.
        ray_distance: (B, 1, H, W) float32, normalised units, 0 = background.
        resolution: the working resolution R of the full frame, pixels.
        back: True for the back side.
        window: rows and columns of a full frame that the maps are of; None for all of a frame.

    Returns:
        (B, 3, H, W) float32 unit normals, camera frame, out of the body; 0 on the background.
    """
    x, y, focal_px = _slopes(encoded, resolution, window)
    vector = encoded * 2.0 - 1.0
    # Beyond this slope (89 degrees at 2048) the step of the silhouette is all there is.
    scale = normal_step(resolution) / vector[:, 2].clamp(min=1e-2)
    # What the encoder computes, solved for n / (n . q), whose product with q is 1; all times gain.
    gain = (DEPTH_PER_RAY_DISTANCE / focal_px) * ray_distance[:, 0]
    share = gain / (1.0 + x**2 + y**2)
    across, up = share * x + vector[:, 0] * scale, share * y - vector[:, 1] * scale
    normal = torch.stack([across, up, across * x + up * y - gain], dim=1)
    # Written out: `normalize` over a short dimension in the middle is ten times slower.
    length = (normal[:, 0] ** 2 + normal[:, 1] ** 2 + normal[:, 2] ** 2).sqrt()
    # Outwards is towards the camera in front, where n . q is below 0.
    inverse = (ray_distance[:, 0] > 0) / (length if back else -length)
    return normal * torch.nan_to_num(inverse)[:, None]
