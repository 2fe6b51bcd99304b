"""Photographs come out upright and opaque, and what is none is one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.photographs import PhotographError, find_inputs, read_outline, read_photograph


def stripes(width: int = 60, height: int = 40) -> Image.Image:
    """Red on the left half, blue on the right."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".heic"])
def test_pictures_of_every_format_are_decoded(tmp_path: Path, suffix: str) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / f"photo{suffix}"
    stripes().save(path, quality=95)
    photograph = read_photograph(path)
    assert photograph.pixels.shape == (40, 60, 3) and photograph.alpha is None
    assert photograph.pixels[20, 10].argmax() == 0 and photograph.pixels[20, 50].argmax() == 2


def test_sixteen_bits_of_grey_become_eight(tmp_path: Path) -> None:
    grey = np.full((40, 50), 128 * 257, dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_photograph(tmp_path / "grey.png").pixels == 128).all()


def test_the_turn_that_a_camera_noted_is_undone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the right side of the scene is the bottom row of the file
    stripes().save(tmp_path / "turned.png", exif=exif)
    pixels = read_photograph(tmp_path / "turned.png").pixels
    # Turned clockwise by 90 degrees, what was left is on top.
    assert pixels.shape == (60, 40, 3)
    assert pixels[10, 20].argmax() == 0 and pixels[50, 20].argmax() == 2


def test_transparency_is_kept_apart_and_opaque_alpha_is_none(tmp_path: Path) -> None:
    picture = stripes().convert("RGBA")
    picture.save(tmp_path / "opaque.png")
    assert read_photograph(tmp_path / "opaque.png").alpha is None
    picture.putalpha(Image.fromarray(np.tile(np.uint8([0, 255]), (40, 30))))
    picture.save(tmp_path / "clear.png")
    alpha = read_photograph(tmp_path / "clear.png").alpha
    assert alpha is not None and alpha[0, :4].tolist() == [0, 255, 0, 255]


def huge_png(path: Path, width: int, height: int) -> None:
    """Write the head of a PNG file of this size, which is all that may be read of it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b""))
    )


def test_what_is_no_photograph_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture\n")
    with pytest.raises(PhotographError, match="text.jpg: expected a JPEG.*is none or is damaged"):
        read_photograph(text)
    stripes(1, 1).save(tmp_path / "dot.png")
    with pytest.raises(PhotographError, match="expected a photograph of 32 pixels.*found 1 x 1"):
        read_photograph(tmp_path / "dot.png")
    for width, found in ((16000, "more than 178"), (10000, r"125 \(10000 x 12500\)")):
        huge_png(tmp_path / "huge.png", width, 12500)
        with pytest.raises(PhotographError, match=f"at most 100 megapixels, found .*{found}"):
            read_photograph(tmp_path / "huge.png")
    stripes().save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    with pytest.raises(PhotographError, match="cut.png: .*is damaged"):
        read_photograph(tmp_path / "cut.png")


def test_masks_are_of_the_size_of_the_photograph_and_not_black(tmp_path: Path) -> None:
    stripes().save(tmp_path / "mask.png")
    assert (read_outline(tmp_path / "mask.png", (40, 60)) == 255).all()
    with pytest.raises(PhotographError, match="photograph's 50 x 40 pixels, found 60 x 40"):
        read_outline(tmp_path / "mask.png", (40, 50))
    Image.new("L", (60, 40)).save(tmp_path / "black.png")
    with pytest.raises(PhotographError, match="bright somewhere"):
        read_outline(tmp_path / "black.png", (40, 60))


def test_folders_give_their_photographs_and_videos_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.mp4", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).write_bytes(b"")
    found = find_inputs([tmp_path, tmp_path / "b.jpg"])
    assert [path.name for path in found] == ["a.PNG", "b.jpg", "c.mp4"]
    with pytest.raises(PhotographError, match="found no such file"):
        find_inputs([tmp_path / "missing.jpg"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotographError, match="photographs or videos in the folder, found none"):
        find_inputs([tmp_path / "empty"])
