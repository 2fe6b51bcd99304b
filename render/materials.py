"""MTL files and the textures that they name."""

from __future__ import annotations

import logging
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from render.errors import ScanError
from render.mesh import DEFAULT_GREY, Material

LOGGER = logging.getLogger(__name__)

KEPT_PIXELS = 8192**2
"""What a worker has room for: 200 MB, and as much again with mip maps on the GPU.

A view of 2048 pixels shows a person on 1800 rows, of which such an atlas has several texels each.
"""

MOST_PIXELS = 16384**2
"""The largest texture of real scans; a PNG of it takes 1.7 GB until it is reduced.

A file of a few kilobytes can claim any size, so that larger ones are refused by their header.
"""

PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "TGA")
"""What Pillow may take a picture for, whatever its name says: some others start programs."""


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
    if "\0" in name or os.path.commonpath([top, path]) != top:
        raise ScanError(f"{named_in}: expected files within {root}, got {name!r}")
    return Path(path)


def read_texture(path: Path, named_in: Path) -> NDArray[np.uint8]:
    """Decode an image file (see `decode_texture`).

    Raises:
        ScanError: the file is missing, too large or no whole image; the message names it.
    """
    if not path.is_file():
        raise ScanError(f"{named_in}: expected the texture {path}, found no such file")
    return decode_texture(path, str(path))


def given_material(texture: Path, path: Path, has_uvs: bool) -> Material:
    """Return the material of a scan whose texture is given instead of named in its file.

    Args:
        texture: the picture.
        path: the scan.
        has_uvs: whether the scan has texture coordinates.

    Raises:
        ScanError: it has none, or the picture cannot be used.
    """
    if not has_uvs:
        raise ScanError(f"{path}: expected texture coordinates to lay {texture.name} on, got none")
    return Material(texture.stem, np.full(3, DEFAULT_GREY), read_texture(texture, path))


def decode_texture(source: Path | BinaryIO, name: str) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG or other image.

    Args:
        source: a file, or its content.
        name: what messages call it.

    Returns:
        (H, W, 3) uint8 sRGB, row 0 at the top; an alpha channel is dropped. One of more than
        `KEPT_PIXELS` is reduced by halves, with a warning.

    Raises:
        ScanError: it has more than `MOST_PIXELS`, or is no whole image.
    """
    try:
        with _opened(source) as image:
            width, height = image.size
            size = f"{width} x {height}"
            if width * height > MOST_PIXELS:
                raise ScanError(f"{name}: expected a texture of 16384 x 16384 pixels, got {size}")
            factor = 1
            while width * height > KEPT_PIXELS * factor**2:
                factor *= 2
            if factor > 1:
                # JPEG is decoded at a half of its size with a quarter of the memory.
                image.draft("RGB", (width // factor, height // factor))
            pixels = image if image.mode == "RGB" else image.convert("RGB")
            if factor > 1:
                pixels = pixels.reduce(factor // round(width / image.width))
                LOGGER.warning(
                    "%s: a texture of %s pixels is reduced to %d x %d", name, size, *pixels.size
                )
            return np.array(pixels)
    except ScanError:
        raise
    except UnidentifiedImageError as error:
        raise ScanError(f"{name}: expected an image as texture, got something else") from error
    except (
        OSError, SyntaxError, EOFError, ValueError, struct.error, zlib.error,
        Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise ScanError(f"{name}: expected a whole image as texture, got: {error}") from error


def _opened(source: Path | BinaryIO) -> Image.Image:
    # Pillow's own limit, a variable of its module, is below what scan textures have; it is
    # lifted only while the header is read, and nothing is decoded by then.
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        return Image.open(source, formats=PICTURE_FORMATS)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


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
