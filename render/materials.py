"""MTL files and the textures that they name."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from render.errors import ScanError
from render.mesh import DEFAULT_GREY


@dataclass(frozen=True)
class MaterialLines:
    """One newmtl block.

    Attributes:
        colour: (3,) float64, Kd as sRGB 0..1.
        texture: path of map_Kd, or None.
    """

    colour: NDArray[np.float64]
    texture: Path | None


def read_mtl(path: Path, root: Path) -> dict[str, MaterialLines]:
    """Read the diffuse colour and texture of every material.

    Args:
        path: the MTL file.
        root: the folder that textures must lie in, at any depth.

    Raises:
        ScanError: the file is missing, a number is not one, or a texture lies outside `root`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ScanError(f"{path}: expected a readable MTL file, got {error.strerror}") from error
    materials: dict[str, MaterialLines] = {}
    name = ""
    for line in text.splitlines():
        keyword, _, argument = line.strip().replace("\t", " ").partition(" ")
        keyword, argument = keyword.lower(), argument.strip()
        if keyword == "newmtl":
            name = argument
            materials[name] = MaterialLines(np.full(3, DEFAULT_GREY), None)
        elif keyword == "kd" and name in materials:
            colour = _colour(argument, path)
            materials[name] = MaterialLines(colour, materials[name].texture)
        elif keyword == "map_kd" and name in materials:
            texture = inside(root, path.parent, _file_name(argument), path)
            materials[name] = MaterialLines(materials[name].colour, texture)
    return materials


def inside(root: Path, folder: Path, name: str, named_in: Path) -> Path:
    """Return folder / name if it lies in the folder tree of `root`.

    The comparison is of the written paths, without following links: data sets are often
    folders of links into a store, which are the user's own, while "..", and absolute paths
    come from whoever wrote the scan.

    Raises:
        ScanError: it does not.
    """
    top = os.path.abspath(root)
    path = os.path.abspath(folder / name.replace("\\", "/"))
    if os.path.commonpath([top, path]) != top:
        raise ScanError(f"{named_in}: expected files within {root}, got {name!r}")
    return Path(path)


def read_texture(path: Path, named_in: Path) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG or other image.

    Returns:
        (H, W, 3) uint8 sRGB, row 0 at the top; an alpha channel is dropped.

    Raises:
        ScanError: the file is missing or is no whole image; the message names both files.
    """
    if not path.is_file():
        raise ScanError(f"{named_in}: expected the texture {path}, found no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return np.array(image.convert("RGB"))
    except Image.DecompressionBombError:
        # Scan textures of 16384 x 16384 are real; OpenCV's own limit is 2^30 pixels.
        return _read_huge(path)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ScanError(f"{path}: expected an image as texture, got: {error}") from error


def _read_huge(path: Path) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ScanError(f"{path}: expected an image below 2^30 pixels, got a larger one") from error
    if pixels is None:
        raise ScanError(f"{path}: expected an image as texture, got undecodable data")
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.uint8, copy=False)


def _colour(argument: str, path: Path) -> NDArray[np.float64]:
    try:
        values = np.array([float(word) for word in argument.split()[:3]])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (3,) or not np.isfinite(values).all():
        raise ScanError(f"{path}: expected three numbers after Kd, got {argument!r}")
    return np.clip(values, 0.0, 1.0)


def _file_name(argument: str) -> str:
    """Return the file name of a map line, blanks and all, without options such as `-s 1 1 1`."""
    words = argument.split()
    while len(words) > 1 and words[0].startswith("-"):
        words = words[1:]
        while len(words) > 1 and _is_option_value(words[0]):
            words = words[1:]
        # A name of digits alone would look like an option's value; the last word is the file.
        argument = " ".join(words)
    return argument


def _is_option_value(word: str) -> bool:
    if word in ("on", "off"):
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True
