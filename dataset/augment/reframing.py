"""Another framing of the same view: mirrored, enlarged, moved, turned in the picture.

A similarity of the picture, p' = s Q (p - c) + c + t around the middle c of the frame, is what
a slightly different crop of the same photograph would be. The networks see every frame through
one fixed camera, so depth has to follow:

* turn (Q) and shift (t): the z-depth of every surface point stays. A plane that faces the camera
  goes on facing it; the ray distance changes, because the rays through its pixels do.
* size (s): the z-depth relative to the middle of the scan is multiplied by s,
  z' = D + s (z - D), D = 1. A person enlarged by s is as much thicker, and a slope, a change of
  depth from pixel to pixel, stays what it was: so do normals computed from depth.

Seen through the fixed camera the result is the scan, s times as large and moved, but for a
distortion of second order that any crop of a perspective picture has: a point 0.1 in front of
the middle, 0.3 off the axis, lies 0.003 too far inwards after enlarging by 10 %.

Normals follow the same surface exactly. With q = (x, y, -1) the point of a pixel's ray on the
plane z = -1, a tangent plane has the slopes n_xy z / (n . q) over that plane; they are turned by
Q and belong to the depth z' afterwards: n'_xy = Q n_xy and n' . q' = (z' / z) n . q.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.augment.arrays import Geometry, Window
from dataset.joints import MIRRORED_JOINTS
from render.camera import CAMERA_DISTANCE, Camera

MIRRORED_NORMAL = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
"""What a mirror does to the components of a normal in the camera frame."""

LARGEST_STEP_PX = 3.0
"""Depths further apart than this from pixel to pixel, in pixels, are two surfaces, which
interpolation must not join."""

NORMAL_OF_GRAZING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """A change of framing.

    Attributes:
        scale: s; above 1 enlarges.
        turn_deg: counter-clockwise in the picture.
        shift: t, share of the frame's width to the right and downwards.
    """

    scale: float = 1.0
    turn_deg: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(2, 2) Q of x to the right and y up."""
        angle = np.radians(self.turn_deg)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def matrix(self, resolution: int) -> NDArray[np.float64]:
        """Return the (2, 3) map of pixel coordinates (centres at + 0.5) of a frame."""
        linear = self.scale * self.rotation.T  # y is downwards there
        middle = np.full(2, resolution / 2.0)
        moved = middle - linear @ middle + np.array(self.shift) * resolution
        return np.hstack([linear, moved[:, None]])


def draw_similarity(
    scale: float, shift: float, roll_deg: float, rng: np.random.Generator
) -> Similarity:
    """Draw a change of framing, each part evenly between its two limits.

    Args:
        scale: largest change of size, a share.
        shift: largest shift to each side, a share of the frame's width.
        roll_deg: largest turn to each side, degrees.
        rng: draws it.
    """
    size, turn, across, down = rng.uniform(-1.0, 1.0, 4)
    return Similarity(
        scale=1.0 + scale * float(size),
        turn_deg=roll_deg * float(turn),
        shift=(shift * float(across), shift * float(down)),
    )


def _between_indices(
    matrix: NDArray[np.float64], source: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float64]:
    """Return a map of pixel coordinates as one of indices of arrays that begin elsewhere.

    Args:
        matrix: (2, 3), centres at + 0.5.
        source, target: first column and row of the two arrays in the frame.
    """
    shift = matrix[:, 2] + matrix[:, :2] @ (np.array(source) + 0.5) - 0.5 - np.array(target)
    return np.hstack([matrix[:, :2], shift[:, None]])


def reframe_image(image: NDArray[np.uint8], change: Similarity) -> NDArray[np.uint8]:
    """Return a picture in another framing; what it did not show is mirrored at its border.

    Args:
        image: (R, R, 3) uint8.
        change: of the framing.
    """
    size = image.shape[0]
    matrix = _between_indices(change.matrix(size), (0, 0), (0, 0))
    reflected = cv2.BORDER_REFLECT_101
    warped = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=reflected
    )
    return np.asarray(warped, dtype=np.uint8)


def _moved_window(window: Window, matrix: NDArray[np.float64], size: int) -> Window:
    """Return the part of the frame that a window is moved to, not empty."""
    corners = np.array(
        [
            [x, y]
            for x in (window[1].start, window[1].stop)
            for y in (window[0].start, window[0].stop)
        ]
    )
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    low = np.clip(np.floor(moved.min(axis=0)), 0, size - 1).astype(int)
    high = np.clip(np.ceil(moved.max(axis=0)), low + 1, size).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


class _Warp:
    """Arrays of one window are sampled in another; the person's values alone are mixed.

    Args:
        matrix: (2, 3) map of array indices.
        shape: (h, w) of the target.
        person: (h', w') bool of the source.
    """

    def __init__(
        self, matrix: NDArray[np.float64], shape: tuple[int, int], person: NDArray[np.bool_]
    ) -> None:
        self._matrix, self._size = matrix, (shape[1], shape[0])
        self._inside = person.astype(np.float32)[..., None]
        self.person: NDArray[np.bool_] = self._linear(self._inside.repeat(3, axis=2))[..., 2] >= 0.5

    def _linear(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        warped = cv2.warpAffine(values, self._matrix, self._size, flags=cv2.INTER_LINEAR)
        return np.asarray(warped, dtype=np.float32)

    def _sampled(self, values: NDArray) -> NDArray:
        return np.asarray(cv2.warpAffine(values, self._matrix, self._size, flags=cv2.INTER_NEAREST))

    def nearest(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask at the nearest pixels."""
        return self._sampled(mask.astype(np.uint8)) > 0

    def mixed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (h, w, C) means of the person's pixels around each position, 0 off the person.

        C is up to 3.
        """
        # OpenCV samples three and four channels exactly, two at steps of 1/32 pixel.
        packed = np.concatenate([values * self._inside, self._inside], axis=2)
        warped = self._linear(packed)
        share = self.person / np.maximum(warped[..., -1], np.float32(0.25))
        return np.asarray(warped[..., :-1] * share[..., None], dtype=np.float32)

    def single(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return (h, w, C) values of the nearest pixels, and where those are the person's."""
        # Which pixel is nearest, OpenCV rounds otherwise for other numbers of channels.
        warped = self._sampled(np.concatenate([values, self._inside], axis=2))
        return warped[..., :-1], np.asarray((warped[..., -1] > 0.0) & self.person)


def _grid(camera: Camera, window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y of a window's rays on the plane z = -1, (1, w) and (h, 1) float32."""
    steps = (np.arange(camera.resolution) + 0.5 - camera.resolution / 2.0) / camera.focal_px
    steps = steps.astype(np.float32)
    return steps[None, window[1]], -steps[window[0], None]


def reframe_geometry(geometry: Geometry, change: Similarity) -> Geometry:
    """Return where the person is in another framing; see the head of this module.

    Args:
        geometry: in the fixed camera of `render.camera`.
        change: of the framing.
    """
    size, camera = geometry.resolution, Camera(geometry.resolution)
    matrix = change.matrix(size)
    window = _moved_window(geometry.window, matrix, size)
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    source, target = ((part[1].start, part[0].start) for part in (geometry.window, window))
    warp = _Warp(_between_indices(matrix, source, target), shape, geometry.ray_distance[0] > 0.0)
    x, y = _grid(camera, geometry.window)
    relief = np.moveaxis(geometry.ray_distance / np.sqrt(1.0 + x**2 + y**2), 0, -1)
    relief = np.ascontiguousarray(relief) - np.float32(CAMERA_DISTANCE)
    mixed, (single, known) = warp.mixed(relief), warp.single(relief)
    step = LARGEST_STEP_PX / float(camera.focal_px)
    torn = (np.abs(mixed - single) > step).any(axis=-1) & known
    mixed[torn] = single[torn]
    x, y = _grid(camera, window)
    z_depth = np.float32(CAMERA_DISTANCE) + np.float32(change.scale) * mixed
    distance = np.moveaxis(z_depth, -1, 0) * (np.sqrt(1.0 + x**2 + y**2) * warp.person)
    joints = geometry.joints.copy()
    found = joints[:, 2] > 0.0
    joints[found, :2] = joints[found, :2] @ matrix[:, :2].T + matrix[:, 2]
    normals = None
    if geometry.normals is not None:
        growth = z_depth / (np.float32(CAMERA_DISTANCE) + mixed)
        sides = []
        for side, normal in enumerate(geometry.normals):
            moved = warp.mixed(normal)
            single, known = warp.single(normal)
            moved[torn & known] = single[torn & known]
            sides.append(_turned(moved, growth[..., side], (x, y), change, warp.person))
        normals = np.stack(sides)
    return Geometry(
        resolution=size,
        window=window,
        ray_distance=distance.astype(np.float32),
        reliable=warp.nearest(geometry.reliable) & warp.person,
        joints=joints.astype(np.float32),
        normals=normals,
    )


def _turned(
    normal: NDArray[np.float32],
    growth: NDArray[np.float32],
    grid: tuple[NDArray[np.float32], NDArray[np.float32]],
    change: Similarity,
    person: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return unit normals of the reframed surface, 0 off the person.

    Args:
        normal: (h, w, 3) before, at the pixels where they are wanted.
        growth: (h, w) z' / z.
        grid: x and y of those pixels on the plane z = -1.
        change: of the framing.
        person: (h, w) bool.
    """
    x, y = grid
    turn = change.rotation.astype(np.float32)
    # The plane z = -1 is 2 tan(fov / 2) wide, as many as the frame's width.
    width = np.float32(1.0 / Camera(1).focal_px)
    right, up = x - np.float32(change.shift[0]) * width, y + np.float32(change.shift[1]) * width
    across, upwards = normal[..., 0], normal[..., 1]
    new_x = turn[0, 0] * across + turn[0, 1] * upwards
    new_y = turn[1, 0] * across + turn[1, 1] * upwards
    # q before the change is Q^T (q' - t) / s, and Q^T drops out of the product with n.
    towards = (new_x * right + new_y * up) / np.float32(change.scale) - normal[..., 2]
    new_z = new_x * x + new_y * y - growth * towards
    turned = np.stack([new_x, new_y, new_z], axis=-1)
    length = np.sqrt(np.einsum("ijk,ijk->ij", turned, turned))
    turned *= (person / np.maximum(length, NORMAL_OF_GRAZING))[..., None]
    return turned


def mirror_geometry(geometry: Geometry) -> Geometry:
    """Return where the person of the left-right mirrored view is; the camera's axis is the mirror.

    The joints of the left and of the right side change places.
    """
    size, (rows, columns) = geometry.resolution, geometry.window
    joints = geometry.joints[list(MIRRORED_JOINTS)]
    known = joints[:, 2] > 0
    joints[known, 0] = size - joints[known, 0]
    normals = geometry.normals
    return replace(
        geometry,
        window=(rows, slice(size - columns.stop, size - columns.start)),
        ray_distance=geometry.ray_distance[:, :, ::-1],
        reliable=geometry.reliable[:, ::-1],
        joints=joints,
        normals=None if normals is None else normals[:, :, ::-1] * MIRRORED_NORMAL,
    )
