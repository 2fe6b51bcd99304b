"""Two-sided depth maps become a closed triangle mesh.

`stitch` triangulates the front and the back pixel grid over the same mask and joins them
along the silhouette, so that the mesh is watertight by construction. Every vertex lies on
the ray of a pixel centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import ndimage

from render.camera import CAMERA_DISTANCE, Camera, project, transform_points

MINIMUM_THICKNESS = 1e-3
"""Smallest distance between front and back along a ray, normalised units (about 3 mm)."""

_ORIGIN = np.array([0.0, 0.0, -CAMERA_DISTANCE])
"""Of the normalised frame, in the camera frame."""


@dataclass(frozen=True)
class DepthMaps:
    """Both surfaces of a person on the pixel grid of one camera.

    Attributes:
        front: (R, R) float32 ray distance of the nearest surface, normalised units, 0 = background.
        back: (R, R) float32 ray distance of the farthest surface, likewise.
        mask: (R, R) bool, True = person.
        point_scale: factor of the points about the origin of the normalised frame, which lies
            `CAMERA_DISTANCE` before the camera; 1 unless the networks need it
            (`model.conventions`).
    """

    front: NDArray[np.float32]
    back: NDArray[np.float32]
    mask: NDArray[np.bool_]
    point_scale: float = 1.0

    def __post_init__(self) -> None:
        shape = self.mask.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"mask: expected (R, R), got {shape}")
        if self.front.shape != shape or self.back.shape != shape:
            raise ValueError(
                f"front, back: expected {shape}, got {self.front.shape} and {self.back.shape}"
            )

    @property
    def resolution(self) -> int:
        """Width and height, pixels."""
        return self.mask.shape[0]


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest 4-connected component of a mask (an empty mask stays empty)."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def person_cells(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (R-1, R-1) bool: the four pixel centres around a grid cell are all person."""
    return mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]


def _cell_corners(cells: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the corner vertices of each cell and the pixel of each vertex.

    Two cells that touch in one corner alone get a vertex each there: one shared vertex
    would give its wall edge four faces.

    Returns:
        (C, 4) vertex indices (top left, top right, bottom left, bottom right) and
        (V, 2) row and column of each vertex.
    """
    padded = np.pad(cells, 1)
    top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
    bottom_left, bottom_right = padded[1:, :-1], padded[1:, 1:]
    used = top_left | top_right | bottom_left | bottom_right
    pinched = (top_left & bottom_right & ~top_right & ~bottom_left) | (
        top_right & bottom_left & ~top_left & ~bottom_right
    )
    index = np.full(used.shape, -1, dtype=np.int64)
    index[used] = np.arange(used.sum())
    # The cell below a pinched vertex takes the copy, the cell above keeps the first.
    index_below = index.copy()
    index_below[pinched] = used.sum() + np.arange(pinched.sum())
    corners = np.stack(
        [
            index_below[:-1, :-1][cells],
            index_below[:-1, 1:][cells],
            index[1:, :-1][cells],
            index[1:, 1:][cells],
        ],
        axis=1,
    )
    pixels = np.concatenate([np.argwhere(used), np.argwhere(pinched)])
    return corners, pixels


def front_faces(
    corners: NDArray[np.int64], turned: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return the (2C, 3) faces of (C, 4) cells, towards the camera.

    Args:
        corners: vertices of each cell.
        turned: (C,) bool, cells whose diagonal runs from the top left, not from the top right.
    """
    if turned is not None:
        corners = np.where(turned[:, None], corners[:, [1, 3, 0, 2]], corners)
    top_left, top_right, bottom_left, bottom_right = corners.T
    return np.concatenate(
        [
            np.stack([top_left, bottom_left, top_right], axis=1),
            np.stack([top_right, bottom_left, bottom_right], axis=1),
        ]
    )


@dataclass(frozen=True)
class PixelGrid:
    """The person cells of a mask: squares whose four corners are pixel centres of the person.

    Attributes:
        cells: (R-1, R-1) bool.
        corners: (C, 4) int64 vertices of each cell.
        pixels: (V, 2) int64 row and column of each vertex of the front; those of the back
            follow in the same order.
    """

    cells: NDArray[np.bool_]
    corners: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], *, whole: bool = False) -> PixelGrid:
        """Return the grid of a (R, R) mask.

        Args:
            mask: True = person.
            whole: keep the largest component of the cells alone.

        Raises:
            ValueError: the mask has no cell.
        """
        cells = person_cells(mask)
        if not cells.any():
            raise ValueError("mask: expected a person of 2x2 pixels or more, got none")
        if whole:
            cells = largest_component(cells)
        return cls(cells, *_cell_corners(cells))

    @property
    def back_corners(self) -> NDArray[np.int64]:
        """(C, 4) int64 vertices of each cell on the back."""
        return self.corners + len(self.pixels)

    def closed_faces(
        self,
        front: NDArray[np.int64],
        back: NDArray[np.int64],
        chosen: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Return the (F, 3) faces of both sides and of the walls along the silhouette.

        Args:
            front, back: (C, 4) vertices of each cell on either side.
            chosen: (C,) bool, cells whose faces are wanted; None for all.
        """
        if chosen is None:
            chosen = np.ones(len(front), dtype=bool)
        start, end = self._outline(front, chosen).T
        start_behind, end_behind = self._outline(back, chosen).T
        return np.concatenate(
            [
                front_faces(front[chosen]),
                front_faces(back[chosen])[:, ::-1],
                np.stack([end, start, start_behind], axis=1),
                np.stack([end, start_behind, end_behind], axis=1),
            ]
        )

    def _outline(self, corners: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the (E, 2) directed edges of the cells' outline, the cells to the left of them."""
        padded = np.pad(self.cells, 1)
        neighbours_and_edges = (
            (padded[1:-1, :-2], (0, 2)),
            (padded[2:, 1:-1], (2, 3)),
            (padded[1:-1, 2:], (3, 1)),
            (padded[:-2, 1:-1], (1, 0)),
        )
        return np.concatenate(
            [
                corners[chosen & ~neighbour[self.cells]][:, edge]
                for neighbour, edge in neighbours_and_edges
            ]
        )

    def points(self, maps: DepthMaps, camera: Camera) -> NDArray[np.float64]:
        """Return the (2V, 3) vertices of front and back, camera frame, normalised units.

        Raises:
            ValueError: resolutions differ, or depths are not positive and finite in the mask.
        """
        if camera.resolution != maps.resolution:
            raise ValueError(
                f"camera: expected resolution {maps.resolution}, got {camera.resolution}"
            )
        rows, columns = self.pixels.T
        front, back = (side[rows, columns].astype(np.float64) for side in (maps.front, maps.back))
        used = np.stack([front, back])
        if not np.isfinite(used).all() or (used <= 0).any():
            raise ValueError("front, back: expected positive finite depths inside the mask")
        depths = np.stack([front, np.maximum(back, front + MINIMUM_THICKNESS)])
        return points_on_rays(self.pixels, depths, camera, maps.point_scale).reshape(-1, 3)


def points_on_rays(
    pixels: NDArray[np.int64], depths: NDArray[np.float64], camera: Camera, point_scale: float
) -> NDArray[np.float64]:
    """Return the (..., V, 3) points at (..., V) depths on the rays of (V, 2) pixels.

    Args:
        pixels: row and column.
        depths: ray distance, normalised units.
        camera: the camera of the pixels.
        point_scale: of `DepthMaps`.
    """
    rows, columns = pixels.T
    # Rays of the person's box alone: those of the whole picture take longer than the rest.
    top, left = int(rows.min()), int(columns.min())
    box = slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)
    rays = camera.rays(*box)
    starts = np.broadcast_to(camera.ray_origins(*box), rays.shape)
    place = rows - top, columns - left
    points = depths[..., None] * rays[place] + starts[place]
    return np.asarray(_ORIGIN + point_scale * (points - _ORIGIN))


def stitch(maps: DepthMaps, camera: Camera) -> trimesh.Trimesh:
    """Triangulate both pixel grids and join them along the silhouette.

    Where depth jumps inside the silhouette, both sides of the edge are joined by a wall along
    the rays; `model.carving` opens a gap there.

    Args:
        maps: depth maps of one person; where the back is not behind the front by
            `MINIMUM_THICKNESS` it is moved there.
        camera: the camera of the maps, of the same resolution.

    Returns:
        A watertight mesh in the camera frame, normalised units, faces outwards. The first
        half of its vertices is the front, the second half the back, in the same order.

    Raises:
        ValueError: resolutions differ, depths are not positive and finite inside the mask,
            or the mask has no cell of 2x2 pixels.
    """
    grid = PixelGrid.of(maps.mask)
    return trimesh.Trimesh(
        vertices=grid.points(maps, camera),
        faces=grid.closed_faces(grid.corners, grid.back_corners),
        process=False,
    )


def pixels_of_points(
    points: NDArray[np.floating], maps: DepthMaps, camera: Camera
) -> NDArray[np.float64]:
    """Return where the maps show points of a mesh that was made of them.

    Args:
        points: (N, 3) camera frame, normalised units.
        maps: for their `point_scale`.
        camera: the camera of the maps.

    Returns:
        (N, 2) pixel coordinates.
    """
    return np.asarray(project(_ORIGIN + (points - _ORIGIN) / maps.point_scale, camera))


def mesh_in_scan_frame(
    mesh: trimesh.Trimesh,
    camera_from_normalised: NDArray[np.floating],
    normalised_from_scan: NDArray[np.floating],
) -> trimesh.Trimesh:
    """Return a camera-frame mesh in the frame and unit of its scan, the turn undone.

    Args:
        mesh: vertices in the camera frame, normalised units.
        camera_from_normalised: (4, 4) pose of the view, yaw included.
        normalised_from_scan: (4, 4) similarity of the scan.
    """
    scan_from_camera = np.linalg.inv(camera_from_normalised @ normalised_from_scan)
    vertices = transform_points(scan_from_camera, np.asarray(mesh.vertices))
    return trimesh.Trimesh(vertices=vertices, faces=np.asarray(mesh.faces), process=False)
