"""Arrays become pictures: normals, depth, shaded meshes, cropped to the person.

All pictures are (H, W, 3) uint8 sRGB on one light background, so that a report looks the
same in a light and in a dark browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from eval.heat import shaded_heat
from eval.scorer import SurfaceViews

Picture = NDArray[np.uint8]

BACKGROUND = (240, 241, 243)
INK = (40, 44, 52)
MAP_TITLES = ("normals, front", "normals, back", "depth, front", "depth, back")
TURN_TITLES = ("mesh 0°", "mesh 90°", "mesh 180°", "mesh 270°")
FIGURE_TITLES = ("figure front", "figure side", "face")
HEAT_TITLES = ("error 0°", "error 90°", "error 180°", "error 270°")
OVERVIEW_TITLES = ("input", *MAP_TITLES, *TURN_TITLES)
CROP_MARGIN = 0.08
JPEG_QUALITY = 86
_LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])
_AMBIENT, _DIFFUSE, _SPECULAR, _SHININESS = 0.22, 0.68, 0.12, 24


@dataclass(frozen=True)
class Crop:
    """A square part of a square picture, as fractions of its width, so that it fits any size."""

    left: float
    top: float
    size: float


@dataclass(frozen=True)
class SidePictures:
    """The pictures of one reconstruction, or of the scan, in one sample.

    Attributes:
        name: the method, or "Scan".
        cells: caption -> picture, in the order in which they are shown. Captions are those of
            `MAP_TITLES`, `TURN_TITLES`, `FIGURE_TITLES` and `HEAT_TITLES`.
    """

    name: str
    cells: dict[str, Picture]


@dataclass(frozen=True)
class SamplePictures:
    """All pictures of one sample.

    Attributes:
        image: the input image, whole; None where there is none.
        scan: pictures of the scan.
        methods: pictures of the reconstructions.
        depth_range_cm: what the ends of the depth colours mean, cm behind the body's centre;
            None without depth.
    """

    image: Picture | None
    scan: SidePictures
    methods: tuple[SidePictures, ...]
    depth_range_cm: tuple[float, float] | None


def crop_around(masks: NDArray[np.bool_], margin: float = CROP_MARGIN) -> Crop:
    """Return the square around everything that is True in any of the (..., R, R) masks.

    An empty mask gives the whole picture; at the border the square is moved inside.
    """
    size = masks.shape[-1]
    flat: NDArray[np.bool_] = np.asarray(masks).reshape(-1, size, size).max(axis=0)
    if not flat.any():
        return Crop(0.0, 0.0, 1.0)
    rows, columns = np.nonzero(flat.any(axis=1))[0], np.nonzero(flat.any(axis=0))[0]
    low = np.array([columns[0], rows[0]]) / size
    high = np.array([columns[-1] + 1, rows[-1] + 1]) / size
    side = float(min(1.0, (high - low).max() * (1 + 2 * margin)))
    left, top = np.clip((low + high) / 2 - side / 2, 0.0, 1.0 - side)
    return Crop(float(left), float(top), side)


def cropped(picture: Picture, crop: Crop, cell: int) -> Picture:
    """Return the (cell, cell, 3) part of a square picture that the crop names."""
    size = picture.shape[0]
    x0, y0 = round(crop.left * size), round(crop.top * size)
    side = max(1, min(round(crop.size * size), size - x0, size - y0))
    part = np.ascontiguousarray(picture[y0 : y0 + side, x0 : x0 + side])
    shape = cv2.INTER_AREA if side > cell else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (cell, cell), interpolation=shape), dtype=np.uint8)


def normals_picture(
    normals: NDArray[np.floating], mask: NDArray[np.bool_], is_back: bool = False
) -> Picture:
    """Colour unit normals: red right, green up, blue out of the body.

    Args:
        normals: (R, R, 3), camera frame, out of the body.
        mask: (R, R) bool.
        is_back: the normals point away from the camera; z is turned, so that both sides
            share one palette.
    """
    signs = np.array([1.0, 1.0, -1.0 if is_back else 1.0])
    colours = np.clip((np.nan_to_num(normals) * signs + 1.0) / 2.0 * 255.0, 0, 255)
    return _on_background(colours, mask)


def shaded_picture(normals: NDArray[np.floating], mask: NDArray[np.bool_]) -> Picture:
    """Shade a grey surface by its (R, R, 3) camera-frame normals, with Phong's formula."""
    facing = np.clip(normals @ _LIGHT, 0.0, 1.0)
    mirrored = 2.0 * facing[..., None] * normals - _LIGHT
    shine = np.clip(mirrored[..., 2], 0.0, 1.0) ** _SHININESS * (facing > 0)
    grey = (_AMBIENT + _DIFFUSE * facing + _SPECULAR * shine) * 255.0
    return _on_background(np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2), mask)


def depth_picture(
    values: NDArray[np.floating], mask: NDArray[np.bool_], low: float, high: float
) -> Picture:
    """Colour a (R, R) map with viridis turned round: bright at `low` (near), dark at `high`."""
    level = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-9), 0.0, 1.0)
    grey = np.round(255.0 * (1.0 - level)).astype(np.uint8)
    colours = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return _on_background(colours.astype(np.float64), mask)


def depth_bar(width: int = 256, height: int = 12) -> Picture:
    """Return the colours of `depth_picture` from near (left) to far (right)."""
    ramp = np.tile(np.linspace(0.0, 1.0, width), (height, 1))
    return depth_picture(ramp, np.ones((height, width), dtype=bool), 0.0, 1.0)


def surface_pictures(views: SurfaceViews, crop: Crop, cell: int) -> dict[str, Picture]:
    """Return the pictures of one surface from four sides, by caption, all with the same crop."""
    sides = views.sides
    pairs = list(zip(sides.normals, sides.masks, strict=True))
    cells = {
        title: cropped(shaded_picture(normals, mask), crop, cell)
        for title, (normals, mask) in zip(TURN_TITLES, pairs, strict=True)
    }
    for title, turn in zip(FIGURE_TITLES[:2], (0, 1), strict=True):
        cells[title] = cropped(normals_picture(*pairs[turn]), crop, cell)
    whole = Crop(0.0, 0.0, 1.0)
    face = normals_picture(views.face.normals[0], views.face.masks[0])
    cells[FIGURE_TITLES[2]] = cropped(face, whole, cell)
    if views.heat is not None:
        painted = zip(HEAT_TITLES, views.heat.colours, pairs, strict=True)
        for title, colours, (normals, mask) in painted:
            cells[title] = cropped(_on_background(shaded_heat(colours, normals), mask), crop, cell)
    return cells


def jpeg_bytes(picture: Picture, cell: int | None = None) -> bytes:
    """Return a picture as JPEG, reduced to `cell` pixels in width where it is wider."""
    if cell is not None and picture.shape[1] > cell:
        height = max(1, round(picture.shape[0] * cell / picture.shape[1]))
        small = cv2.resize(picture, (cell, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(small, dtype=np.uint8)
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"picture: expected (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
    return bytes(data)


def overview_picture(
    samples: list[tuple[str, SamplePictures]], method: str, cell: int = 256
) -> Picture:
    """Return one wide picture: a row per sample of input, normals, depth and mesh renders.

    Args:
        samples: label and pictures of each row, at least one.
        method: whose reconstruction is shown.
        cell: width of a column, pixels.

    Raises:
        ValueError: no samples, or a sample without that method.
    """
    if not samples:
        raise ValueError("samples: expected at least one, got none")
    rows = []
    for _, pictures in samples:
        side = next((entry for entry in pictures.methods if entry.name == method), None)
        if side is None:
            raise ValueError(f"method: expected {method!r} in every sample, missing in one")
        if pictures.image is None:
            raise ValueError("samples: expected an input image in every sample, missing in one")
        rows.append((pictures.image, *(side.cells[title] for title in OVERVIEW_TITLES[1:])))
    return picture_table(OVERVIEW_TITLES, rows, cell)


def picture_table(titles: Sequence[str], rows: Sequence[Sequence[Picture]], cell: int) -> Picture:
    """Return square pictures in rows under column titles.

    Args:
        titles: one a column.
        rows: pictures of any size, as many a row as there are titles.
        cell: width of a column, pixels.
    """
    gap, head = max(2, cell // 40), max(16, cell // 8)
    width = len(titles) * (cell + gap) + gap
    height = head + len(rows) * (cell + gap)
    canvas = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(9, round(head * 0.5)))
    for column, title in enumerate(titles):
        centre = gap + column * (cell + gap) + cell / 2
        draw.text((centre, head / 2), title, fill=INK, font=font, anchor="mm")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            small = cropped(picture, Crop(0.0, 0.0, 1.0), cell)
            place = (gap + column * (cell + gap), head + row * (cell + gap))
            canvas.paste(Image.fromarray(small), place)
    return np.asarray(canvas)


def _on_background(colours: NDArray[np.floating], mask: NDArray[np.bool_]) -> Picture:
    picture = np.where(mask[..., None], colours, np.array(BACKGROUND, dtype=np.float64))
    return np.round(picture).astype(np.uint8)
