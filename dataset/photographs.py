"""Photographs as people have them, decoded: upright, sRGB bytes, the alpha channel apart."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from render.backgrounds import IMAGE_SUFFIXES
from render.errors import UserInputError
from render.folders import is_junk
from render.materials import PICTURE_FORMATS

HEIC_SUFFIXES = (".heic", ".heif")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
PHOTOGRAPH_SUFFIXES = (*IMAGE_SUFFIXES, *HEIC_SUFFIXES)

MOST_PIXELS = 100_000_000
"""Decoded, a picture of this size takes 0.3 GB; more is of no use to networks of 2048 pixels."""

FEWEST_PIXELS = 32
"""Width and height below which no person can be made out."""


TRANSPARENT_GREY = 128
"""What is seen through transparent pixels."""


class PhotographError(UserInputError):
    """A file is no photograph that can be used."""


@dataclass(frozen=True)
class Photograph:
    """A decoded picture.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, upright whatever its EXIF orientation was.
        alpha: (H, W) uint8, 255 = opaque; None where the file has no transparency.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None

    def opaque(self) -> NDArray[np.uint8]:
        """Return the pixels before `TRANSPARENT_GREY`, since hidden colours mean nothing."""
        if self.alpha is None:
            return self.pixels
        share = self.alpha[..., None].astype(np.float32) / 255.0
        mixed = self.pixels * share + TRANSPARENT_GREY * (1.0 - share)
        return np.round(mixed).astype(np.uint8)


def read_photograph(path: Path) -> Photograph:
    """Decode a JPEG, PNG, WebP, BMP, TIFF or, with pillow-heif installed, HEIC picture.

    Raises:
        PhotographError: there is no such file, it is no picture, is damaged, or has too many or
            too few pixels.
    """
    with _opened(path) as image:
        _check_size(path, *image.size)
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut at 255
                upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
            if upright.has_transparency_data:
                rgba = np.asarray(upright.convert("RGBA"))
                # Few files with an alpha channel are transparent anywhere.
                alpha = rgba[..., 3] if rgba[..., 3].min() < 255 else None
                return Photograph(np.ascontiguousarray(rgba[..., :3]), alpha)
            return Photograph(np.array(upright.convert("RGB")))
        except (OSError, SyntaxError, ValueError) as error:
            raise _no_picture(path) from error


def read_outline(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a picture that is bright, or opaque, where the person is.

    Args:
        path: of the picture.
        shape: (H, W) of the photograph that it belongs to.

    Returns:
        (H, W) uint8, 255 = person.

    Raises:
        PhotographError: it is no picture, of another size, or shows nothing.
    """
    mask = read_photograph(path)
    values = mask.pixels.max(axis=2) if mask.alpha is None else mask.alpha
    if values.shape != shape:
        raise PhotographError(
            f"{path}: expected a mask of the photograph's {shape[1]} x {shape[0]} pixels, "
            f"found {values.shape[1]} x {values.shape[0]}"
        )
    if not values.any():
        raise PhotographError(f"{path}: expected a mask that is bright somewhere, found it black")
    return values


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """Return photographs and videos: files as given, of folders those directly inside, sorted.

    Raises:
        PhotographError: a path does not exist, or a folder holds neither.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                item
                for item in path.iterdir()
                if item.suffix.lower() in (*PHOTOGRAPH_SUFFIXES, *VIDEO_SUFFIXES)
                and not is_junk(item)
            )
            if not inside:
                raise PhotographError(
                    f"{path}: expected photographs or videos in the folder, found none"
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise PhotographError(f"{path}: expected a photograph, found no such file")
    return list(dict.fromkeys(found))


def _opened(path: Path) -> Image.Image:
    formats: tuple[str, ...] = PICTURE_FORMATS
    if path.suffix.lower() in HEIC_SUFFIXES:
        if importlib.util.find_spec("pillow_heif") is None:
            raise PhotographError(
                f"{path}: expected pillow-heif to be installed to read HEIC "
                "(pip install pillow-heif), found it missing"
            )
        importlib.import_module("pillow_heif").register_heif_opener()
        formats = (*formats, "HEIF")
    try:
        with warnings.catch_warnings():
            # The size is checked before anything is decoded, with a sentence of our own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=formats)
    except Image.DecompressionBombError as error:
        raise PhotographError(
            f"{path}: expected at most {MOST_PIXELS // 1_000_000} megapixels, found more than "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000}"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _no_picture(path) from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise PhotographError(
            f"{path}: expected at most {MOST_PIXELS // 1_000_000} megapixels, "
            f"found {width * height / 1e6:.0f} ({width} x {height})"
        )
    if min(width, height) < FEWEST_PIXELS:
        raise PhotographError(
            f"{path}: expected a photograph of {FEWEST_PIXELS} pixels or more each way, "
            f"found {width} x {height}"
        )


def _no_picture(path: Path) -> PhotographError:
    return PhotographError(
        f"{path}: expected a JPEG, PNG, WebP, TIFF, BMP or HEIC picture, "
        "found a file that is none or is damaged"
    )
