"""What digitize shows of a person: joints and parts, turned meshes, all of it at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_INDEX, JOINT_NAMES
from eval.pictures import (
    BACKGROUND,
    Picture,
    depth_picture,
    normals_picture,
    picture_table,
    shaded_picture,
)
from model.digitizer import Reconstruction
from model.encoding import REFERENCE_RESOLUTION
from model.part_fitting import fit_parts, normalise_joints
from model.parts import CROP_SIZES_2048, PARTS
from render.camera import NORMALISATION_DIVISOR, Camera, camera_from_normalised
from render.closing import Closing
from render.compositing import composite, premultiply
from render.context import OffscreenContext
from render.mesh import Mesh
from render.picture_box import bounds
from render.rasteriser import GBuffer, Rasteriser

OVERLAY_SIZE = 1024
TURNS_DEG = tuple(45.0 * step for step in range(8))
TURN_SIZE = 480
_LEFT, _RIGHT, _MIDDLE = (255, 122, 24), (30, 160, 255), (250, 220, 40)
_PART_COLOURS = {
    "face": (250, 220, 40),
    "upper": (120, 220, 90),
    "arm": (255, 122, 24),
    "leg": (30, 160, 255),
    "foot": (220, 90, 220),
}
_BONES = (
    *(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")),
    *(("ankle", "heel"), ("heel", "big_toe"), ("big_toe", "small_toe"), ("shoulder", "hip")),
    *(("wrist", finger) for finger in ("index", "middle", "ring", "pinky")),
    *(("ear", "eye"),),
)
_ACROSS = (("shoulder", "shoulder"), ("hip", "hip"))
_FILL_LIGHT = 0.55


def overlay_picture(made: Reconstruction, size: int = OVERLAY_SIZE) -> Picture:
    """Draw the parts that are seen closer, the joints and the outline over the frame.

    The person's left is orange, the right blue; joints that were filled from a neighbour are
    hollow. The thin line is the predicted silhouette.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    resolution = made.image.shape[0]
    scale = size / resolution
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.asarray(cv2.resize(made.image, (size, size), interpolation=shrink))
    mask = cv2.resize(made.prediction.maps.mask.astype(np.uint8), (size, size))
    edges, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    width = max(1, size // 512)
    for corners, network in _part_boxes(made.joints, resolution):
        points = np.round(corners * scale).astype(np.int32)
        cv2.polylines(canvas, [points], True, _PART_COLOURS[network], width, cv2.LINE_AA)
    for start, end in _bones():
        ends = made.joints[[start, end]]
        if (ends[:, 2] > 0).all():
            a, b = (tuple(int(v) for v in point) for point in np.floor(ends[:, :2] * scale))
            cv2.line(canvas, a, b, (255, 255, 255), width, cv2.LINE_AA)
    for row, name in zip(made.joints, JOINT_NAMES, strict=True):
        if row[2] > 0:
            x, y = (int(value) for value in np.floor(row[:2] * scale))
            side = name.partition("_")[0]
            colour = {"left": _LEFT, "right": _RIGHT}.get(side, _MIDDLE)
            is_found = row[2] > 0.3
            cv2.circle(canvas, (x, y), 2 * width + 1, colour, -1 if is_found else 1, cv2.LINE_AA)
    return np.asarray(canvas, dtype=np.uint8)


def _bones() -> list[tuple[int, int]]:
    along = [
        (JOINT_INDEX[f"{side}_{a}"], JOINT_INDEX[f"{side}_{b}"])
        for side in ("left", "right")
        for a, b in _BONES
    ]
    return along + [(JOINT_INDEX[f"left_{a}"], JOINT_INDEX[f"right_{b}"]) for a, b in _ACROSS]


def _part_boxes(
    joints: NDArray[np.floating], resolution: int
) -> list[tuple[NDArray[np.float64], str]]:
    """Return the (4, 2) corners of each part's crop, pixels, and the name of its network."""
    transforms = fit_parts(normalise_joints(joints, resolution))
    boxes = []
    for index, part in enumerate(PARTS):
        if not bool(transforms.present[index]):
            continue
        height, width = CROP_SIZES_2048[part.network]
        half = np.array([width, height]) / REFERENCE_RESOLUTION
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        matrix = transforms.canonical_to_image[index].numpy().astype(np.float64)
        normalised = corners @ matrix[:, :2].T + matrix[:, 2]
        boxes.append(((normalised + 1.0) / 2.0 * resolution, part.network))
    return boxes


class MeshPictures(Closing):
    """Draws a digitised mesh from any side, the whole of it in a square picture."""

    def __init__(self) -> None:
        self._context = OffscreenContext()
        self._rasteriser = Rasteriser(self._context)

    def views(self, mesh: Mesh, yaws_deg: Sequence[float], size: int) -> list[GBuffer]:
        """Return what is seen of a mesh that was turned by each of these, size x size pixels."""
        handle = self._rasteriser.upload(mesh)
        placed = fitted(mesh)
        try:
            return [
                self._rasteriser.render(
                    handle, Camera(size), camera_from_normalised(yaw) @ placed, sides="front"
                )
                for yaw in yaws_deg
            ]
        finally:
            self._rasteriser.release(handle)

    def close(self) -> None:
        """Give the GL context back."""
        self._rasteriser.close()
        self._context.close()


def coloured(seen: GBuffer) -> Picture:
    """Return the picture of a mesh in its own colours, lit from the camera."""
    light = _FILL_LIGHT + (1.0 - _FILL_LIGHT) * np.clip(seen.front.normal[..., 2:], 0.0, 1.0)
    lit = np.where(seen.mask[..., None] > 0, light, 1.0) * seen.front.albedo
    colours = np.round(lit).astype(np.uint8)
    behind = np.full_like(colours, BACKGROUND)
    return composite(premultiply(colours, seen.coverage), seen.coverage, behind)


def shaded(seen: GBuffer) -> Picture:
    """Return the picture of a mesh in grey, which shows its shape alone."""
    return shaded_picture(seen.front.normal, seen.mask > 0)


def fitted(mesh: Mesh) -> NDArray[np.float64]:
    """Return the (4, 4) matrix that brings a mesh to where training views have their scans."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    reach = float((high - low).max()) / 2.0
    matrix = np.eye(4) / (NORMALISATION_DIVISOR * reach)
    matrix[:3, 3] = -(low + high) / 2.0 * matrix[0, 0]
    matrix[3, 3] = 1.0
    return matrix


def turntable(views: Sequence[GBuffer]) -> Picture:
    """Return a strip of a turning mesh, in grey above and in colour below.

    Args:
        views: of the mesh, of equal size; what is empty in all of them is cut off.
    """
    cells = np.array([[draw(seen) for seen in views] for draw in (shaded, coloured)])
    rows, columns = bounds((cells != np.array(BACKGROUND)).any(axis=(0, 1, 4)))
    margin = cells.shape[2] // 24
    down = slice(max(0, rows.start - margin), rows.stop + margin)
    across = slice(max(0, columns.start - margin), columns.stop + margin)
    return np.concatenate([np.concatenate(list(row[:, down, across]), axis=1) for row in cells])


def preview_picture(made: Reconstruction, views: Sequence[GBuffer], size: int = 320) -> Picture:
    """Return one row: input, joints and parts, normals and depth of both sides, and the mesh.

    Args:
        made: what was digitised.
        views: of its mesh, turned by `TURNS_DEG`.
        size: of each picture, pixels.
    """
    maps, prediction = made.prediction.maps, made.prediction
    near, far = float(maps.front[maps.mask].min()), float(maps.back[maps.mask].max())
    cells = {
        "input": made.image,
        "joints and parts": overlay_picture(made, 2 * size),
        "normals, front": normals_picture(prediction.normal_front, maps.mask),
        "normals, back": normals_picture(prediction.normal_back, maps.mask, is_back=True),
        "depth, front": depth_picture(maps.front, maps.mask, near, far),
        "depth, back": depth_picture(maps.back, maps.mask, near, far),
        "shape 0°": shaded(views[0]),
        **{
            f"mesh {turn:g}°": coloured(views[TURNS_DEG.index(turn)]) for turn in (0.0, 45.0, 180.0)
        },
    }
    return picture_table(list(cells), [list(cells.values())], size)
