"""Pictures to stand in front of: a folder of images, or rooms made up by the computer."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from render.closing import Closing
from render.colour import vary_camera_colours
from render.compositing import resize_cover_crop
from render.context import OffscreenContext
from render.errors import UserInputError
from render.folders import folder_tree, is_junk
from render.materials import PICTURE_FORMATS
from render.rasteriser import Rasteriser
from render.rooms import draw_room

LOGGER = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LARGEST_PIXELS = 64_000_000
_TRIES = 50


class BackgroundError(UserInputError):
    """A folder of background images cannot be used."""


@dataclass(frozen=True)
class Background:
    """One picture of the size of a view.

    Attributes:
        pixels: (R, R, 3) uint8 sRGB.
        id: path of the image below the folder, or "room-" and the number it was drawn from.
        crop: (4,) float32, left, top, width, height of the part used, in pixels of the source
            as it is shown, whatever size it was decoded at.
    """

    pixels: NDArray[np.uint8]
    id: str
    crop: NDArray[np.float32]


class BackgroundSource(Closing):
    """Draws backgrounds; `close` (or `with`) gives the GPU memory of rooms back.

    Args:
        root: a folder of images at any depth; None for procedural indoor rooms.
        context: where rooms are rendered; None to open one when the first room is drawn. It
            stays the caller's.
        jitter: how strongly the colours of every picture are changed, 0 (not at all) to 1.

    Attributes:
        skipped: ids of images that were drawn but could not be decoded.

    Raises:
        BackgroundError: the folder is missing or holds no image.
    """

    def __init__(
        self, root: Path | None, context: OffscreenContext | None = None, jitter: float = 0.0
    ) -> None:
        self._root = root
        self._jitter = jitter
        self._names = [] if root is None else image_names(root)
        self._context = context
        self._own_context: OffscreenContext | None = None
        self._rasteriser: Rasteriser | None = None
        self.skipped: set[str] = set()

    def draw(self, rng: np.random.Generator, resolution: int) -> Background:
        """Draw a background; it depends on `rng`, the resolution and the folder's content alone.

        Raises:
            BackgroundError: fifty images one after the other could not be decoded.
            ContextError: a room needs an OpenGL context and none can be made.
        """
        if self._root is None:
            drawn = self._draw_room(rng, resolution)
        else:
            drawn = self._draw_picture(self._root, rng, resolution)
        if self._jitter > 0.0:
            drawn = replace(drawn, pixels=vary_camera_colours(drawn.pixels, self._jitter, rng))
        return drawn

    def close(self) -> None:
        """Give the rasteriser, and a context of our own, back."""
        if self._rasteriser is not None:
            self._rasteriser.close()
            self._rasteriser = None
        if self._own_context is not None:
            self._own_context.close()
            self._own_context = None

    def _draw_picture(self, root: Path, rng: np.random.Generator, resolution: int) -> Background:
        for _ in range(_TRIES):
            name = self._names[int(rng.integers(len(self._names)))]
            if name in self.skipped:
                continue
            decoded = _decode(root / name, resolution)
            if decoded is None:
                self.skipped.add(name)
                LOGGER.warning("%s: cannot be decoded and is skipped", root / name)
                continue
            image, reduction = decoded
            cut = resize_cover_crop(image, resolution, rng)
            return Background(pixels=cut.pixels, id=name, crop=cut.crop * np.float32(reduction))
        raise BackgroundError(
            f"{root}: expected images that can be decoded, got {len(self.skipped)} that cannot"
        )

    def _draw_room(self, rng: np.random.Generator, resolution: int) -> Background:
        if self._rasteriser is None:
            if self._context is None:
                self._own_context = OffscreenContext()
            context = self._context or self._own_context
            assert context is not None
            self._rasteriser = Rasteriser(context)
        number = int(rng.integers(2**32))
        pixels = draw_room(np.random.default_rng(number), resolution, self._rasteriser)
        crop = np.array([0, 0, resolution, resolution], dtype=np.float32)
        return Background(pixels=pixels, id=f"room-{number:08x}", crop=crop)


def image_names(root: Path) -> list[str]:
    """Return the paths below root of all images, with forward slashes, sorted, without junk.

    Raises:
        BackgroundError: the folder is missing or holds no image.
    """
    if not root.is_dir():
        raise BackgroundError(f"{root}: expected a folder of background images, found none")
    names = [
        path.relative_to(root).as_posix()
        for folder in folder_tree(root)
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_junk(path)
    ]
    if not names:
        raise BackgroundError(
            f"{root}: expected images ({', '.join(IMAGE_SUFFIXES)}) at any depth, found none"
        )
    return sorted(names)


def _decode(path: Path, resolution: int) -> tuple[NDArray[np.uint8], float] | None:
    """Return (H, W, 3) uint8, and how many times larger the picture is in its file.

    None where there is no whole image of bounded size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                full_width = image.width
                # JPEG decodes at a half, quarter or eighth of its size at a fraction of the time.
                image.draft("RGB", (2 * resolution, 2 * resolution))
                if image.width * image.height > LARGEST_PIXELS:
                    return None
                reduction = full_width / image.width
                return np.array(ImageOps.exif_transpose(image).convert("RGB")), reduction
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        LOGGER.debug("%s: %s", path, error)
        return None
