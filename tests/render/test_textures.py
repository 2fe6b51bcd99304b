from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from render.camera import Camera, camera_from_normalised
from render.errors import ScanError
from render.materials import decode_texture
from render.rasteriser import Rasteriser
from render.readers import read_mesh
from tests.render.shapes import draw


def _claiming(size: tuple[int, int]) -> bytes:
    """Return a PNG of a few bytes whose header tells of another size."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, format="PNG")
    data = file.getvalue()
    header = b"IHDR" + struct.pack(">II", *size) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_claiming((16384, 16385)))
    with pytest.raises(ScanError, match=r"bomb\.png: expected .* 16384 pixels, got 16384 x 16385"):
        decode_texture(path, str(path))
    # Within the bound it is decoded, and then the missing data are what is wrong.
    with pytest.raises(ScanError, match="expected a whole image"):
        decode_texture(io.BytesIO(_claiming((16384, 8))), "small.png")
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_picture_whose_comment_unpacks_to_too_much_is_one_sentence() -> None:
    file, comment = io.BytesIO(), PngInfo()
    comment.add_text("comment", "x" * (1 << 21), zip=True)
    Image.new("RGB", (2, 2)).save(file, format="PNG", pnginfo=comment)
    with pytest.raises(ScanError, match="skin: expected a whole image"):
        decode_texture(file, "skin")


def test_a_page_that_calls_itself_a_picture_is_not_given_to_a_program() -> None:
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(ScanError, match="skin.jpg: expected an image as texture, got something"):
        decode_texture(io.BytesIO(page), "skin.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_texture_of_100_megapixels_is_reduced_with_a_warning(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    file = io.BytesIO()
    picture = Image.new("L", (10000, 10001), 40)
    picture.paste(200, (0, 0, 5000, 10001))
    picture.save(file, format=kind, compress_level=1)
    with caplog.at_level(logging.WARNING):
        pixels = decode_texture(file, "skin")
    assert pixels.shape == (5001, 5000, 3)
    assert (pixels[::999, 2490] == 200).all() and (pixels[::999, 2510] == 40).all()
    assert "skin: a texture of 10000 x 10001 pixels is reduced to 5000 x 5001" in caplog.text


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pictures_of_any_mode_become_rgb(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (3, 2)).save(file, format="TIFF")
    file.seek(0)
    assert decode_texture(file, "skin.tif").shape == (2, 3, 3)


def test_texture_coordinates_outside_0_to_1_repeat_the_texture(
    tmp_path: Path, rasteriser: Rasteriser
) -> None:
    """A square of two by two repetitions, shifted by whole textures to negative coordinates."""
    colours = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 10]]], np.uint8)
    Image.fromarray(colours.repeat(16, axis=0).repeat(16, axis=1)).save(tmp_path / "four.png")
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd four.png\n")
    (tmp_path / "a.obj").write_text(
        "mtllib a.mtl\nusemtl m\nv -.4 -.4 0\nv .4 -.4 0\nv .4 .4 0\nv -.4 .4 0\n"
        "vt -3 5\nvt -1 5\nvt -1 7\nvt -3 7\nf 1/1 2/2 3/3 4/4\n"
    )
    mesh = read_mesh(tmp_path / "a.obj")
    camera = Camera(64)
    view = draw(rasteriser, mesh, camera, camera_from_normalised(0.0))
    rows, columns = np.nonzero(view.mask)
    top, left = rows.min(), columns.min()
    size = rows.max() + 1 - top
    centres = ((np.arange(4) + 0.5) * size / 4).astype(int)
    seen = view.front.albedo[top + centres[:, None], left + centres]
    np.testing.assert_allclose(seen.astype(int), np.tile(colours, (2, 2, 1)), atol=2)
