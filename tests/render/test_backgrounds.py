from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from render.backgrounds import BackgroundError, BackgroundSource, image_names
from render.compositing import composite, premultiply, resize_cover_crop
from render.context import OffscreenContext
from render.room_light import Window, draw_sun
from render.room_shading import RoomLights, sun_cosine


def _folder(root: Path) -> Path:
    for index, (category, size) in enumerate([("bar", (80, 60)), ("attic", (40, 90))]):
        (root / category).mkdir(parents=True)
        pixels = np.random.default_rng(index).integers(0, 255, (size[1], size[0], 3))
        Image.fromarray(pixels.astype(np.uint8)).save(root / category / "a.png")
    return root


def test_composition_is_the_rounded_mix_of_person_and_background() -> None:
    rng = np.random.default_rng(0)
    lit, background = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    coverage = rng.integers(0, 256, (32, 32)).astype(np.uint8)
    alpha = coverage[..., None] / 255.0
    expected = np.rint(lit * alpha) + np.rint(background * (1.0 - alpha))
    made = composite(premultiply(lit, coverage), coverage, background)
    np.testing.assert_array_equal(made, expected)


def test_full_and_no_coverage_give_the_person_and_the_background_unchanged() -> None:
    lit, background = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    full, none = np.full((8, 8), 255, np.uint8), np.zeros((8, 8), np.uint8)
    np.testing.assert_array_equal(composite(premultiply(lit, full), full, background), lit)
    np.testing.assert_array_equal(composite(premultiply(lit, none), none, background), background)


def test_white_on_white_stays_white_at_every_coverage() -> None:
    white = np.full((1, 256, 3), 255, np.uint8)
    coverage = np.arange(256, dtype=np.uint8)[None]
    assert (composite(premultiply(white, coverage), coverage, white) == 255).all()


def test_composition_of_different_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        premultiply(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_a_crop_covers_the_square_from_within_the_picture() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[..., 0] = np.arange(100)
    for seed in range(10):
        cut = resize_cover_crop(image, 32, np.random.default_rng(seed))
        left, top, width, height = cut.crop
        assert cut.pixels.shape == (32, 32, 3)
        assert width == height and 40 / 1.4 - 1 <= width <= 40
        assert 0 <= left <= 100 - width and 0 <= top <= 40 - height
        assert cut.pixels[:, 16, 0].mean() == pytest.approx(left + width / 2, abs=1.0)


def test_the_same_seed_draws_the_same_picture_with_its_name_and_crop(tmp_path: Path) -> None:
    root = _folder(tmp_path / "images")
    one = BackgroundSource(root).draw(np.random.default_rng(4), 24)
    two = BackgroundSource(root).draw(np.random.default_rng(4), 24)
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert one.id == two.id and one.id in ("bar/a.png", "attic/a.png")
    np.testing.assert_array_equal(one.crop, two.crop)
    ids = {BackgroundSource(root).draw(np.random.default_rng(s), 24).id for s in range(12)}
    assert ids == {"bar/a.png", "attic/a.png"}


def test_links_are_followed_and_what_macos_leaves_behind_is_passed_over(tmp_path: Path) -> None:
    store = _folder(tmp_path / "store")
    (store / "bar" / "._a.png").write_bytes(b"not a picture")
    root = tmp_path / "images"
    root.mkdir()
    (root / "linked").symlink_to(store / "bar", target_is_directory=True)
    assert image_names(root) == ["linked/a.png"]


def test_the_crop_of_a_picture_decoded_at_a_part_of_its_size_is_that_of_the_whole(
    tmp_path: Path,
) -> None:
    ramp = np.zeros((480, 800, 3), np.uint8)
    ramp[..., 1] = np.linspace(0, 255, 800)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    for seed in range(4):
        drawn = BackgroundSource(tmp_path).draw(np.random.default_rng(seed), 32)
        left, top, width, height = drawn.crop
        assert width == height and 480 / 1.4 - 8 <= width <= 480
        assert 0 <= left <= 800 - width and 0 <= top <= 480 - height
        middle = drawn.pixels[..., 1].mean() / 255 * 799
        assert middle == pytest.approx(left + width / 2, abs=8)


def test_pictures_that_cannot_be_decoded_are_skipped_and_counted(tmp_path: Path) -> None:
    root = _folder(tmp_path / "images")
    (root / "broken.jpg").write_bytes(b"not a picture")
    whole = (root / "bar" / "a.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    source = BackgroundSource(root)
    ids = {source.draw(np.random.default_rng(seed), 16).id for seed in range(40)}
    assert ids == {"bar/a.png", "attic/a.png"}
    assert source.skipped == {"broken.jpg", "cut.png"}


def test_a_grey_picture_and_one_with_alpha_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        folder = tmp_path / mode
        folder.mkdir()
        Image.new(mode, (20, 20), 120 if mode != "RGBA" else (1, 2, 3, 9)).save(folder / "a.png")
        drawn = BackgroundSource(folder).draw(np.random.default_rng(0), 8)
        assert drawn.pixels.shape == (8, 8, 3) and drawn.pixels.dtype == np.uint8


def test_a_picture_of_too_many_pixels_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("render.backgrounds.LARGEST_PIXELS", 50 * 50)
    source = BackgroundSource(_folder(tmp_path / "images"))
    with pytest.raises(BackgroundError, match="decoded"):
        source.draw(np.random.default_rng(0), 16)
    assert len(source.skipped) == 2


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackgroundError, match="gone"):
        BackgroundSource(tmp_path / "gone")
    with pytest.raises(BackgroundError, match="found none"):
        BackgroundSource(tmp_path)


def test_rooms_depend_on_the_seed_alone_and_fill_the_picture(context: OffscreenContext) -> None:
    with BackgroundSource(None, context) as source:
        one, other = (source.draw(np.random.default_rng(seed), 96) for seed in (1, 2))
        again = source.draw(np.random.default_rng(1), 96)
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert one.id == again.id != other.id
    for room in (one, other):
        assert room.pixels.shape == (96, 96, 3)
        # Nothing of the clear colour shows: the room is closed.
        assert (room.pixels.max(axis=-1) > 0).mean() > 0.999


def test_fifty_rooms_look_different_side_by_side(context: OffscreenContext) -> None:
    with BackgroundSource(None, context) as source:
        rooms = [source.draw(np.random.default_rng(seed), 32).pixels for seed in range(50)]
    pictures = np.stack(rooms).astype(float)
    means, spreads = pictures.mean(axis=(1, 2, 3)), pictures.std(axis=(1, 2, 3))
    assert 30 < means.min() and means.max() < 190 and np.ptp(means) > 50
    assert spreads.min() > 8
    apart = np.abs(pictures[:, None] - pictures[None]).mean(axis=(2, 3, 4))
    pairs = apart[np.triu_indices(50, 1)]
    assert pairs.mean() > 40.0 and pairs.min() > 12.0


def test_sun_falls_through_the_window_and_not_through_furniture() -> None:
    # The window is in the wall z = -2; the sun comes through it and down.
    half, up = np.array([0.5, 0.0, 0.0]), np.array([0.0, 0.5, 0.0])
    window = Window(np.array([0.0, 1.5, -2.0]), half, up, np.array([0.0, 0.0, 1.0]))
    towards_sun = draw_sun(window, np.random.default_rng(0)).astype(np.float32)
    places = np.array([window.middle, half, up, window.inwards], dtype=np.float32)
    none = np.zeros((0, 3), dtype=np.float32)
    size = np.array([2.0, 3.0, 8.0], dtype=np.float32)
    x, z = np.linspace(-1.9, 1.9, 39), np.linspace(-1.9, 6.0, 80)

    def lit(facing: float, solids: NDArray[np.float32]) -> NDArray[np.bool_]:
        normal = np.array([0.0, facing, 0.0], dtype=np.float32)
        lights = RoomLights(
            positions=none, colours=none, reaches=none[0:0, 0], ambient=size, sky=size, half=size,
            solids=solids, window=places, towards_sun=towards_sun, sun=size, pane=np.float32(1.0),
        )  # fmt: skip
        points = [np.array([across, 0.0, along], dtype=np.float32) for along in z for across in x]
        cosines = [sun_cosine(point, normal, lights) for point in points]
        return np.reshape(cosines, (len(z), len(x))) > 0.0

    empty = np.zeros((0, 2, 3), dtype=np.float32)
    floor = lit(1.0, empty)
    # A window of 1 m x 1 m throws a patch of 1 m across, as long as the sun stands low.
    widths = floor.sum(axis=1)
    assert 9 <= widths.max() <= 11 and (widths[widths > 0] >= 9).all()
    assert not floor[z < -1.9 + 0.5].any()
    board = np.array([[[-2.0, 0.1, -1.9], [2.0, 3.0, -1.8]]], dtype=np.float32)
    assert not lit(1.0, board).any()
    assert not lit(-1.0, empty).any()


def test_jitter_changes_colours_as_much_as_asked(tmp_path: Path) -> None:
    root = _folder(tmp_path / "images")
    plain = BackgroundSource(root).draw(np.random.default_rng(4), 24)
    strengths = []
    for amount in (0.1, 1.0):
        drawn = [
            BackgroundSource(root, jitter=amount).draw(np.random.default_rng(4), 24)
            for _ in range(2)
        ]
        np.testing.assert_array_equal(drawn[0].pixels, drawn[1].pixels)
        assert drawn[0].id == plain.id
        strengths.append(np.abs(drawn[0].pixels.astype(int) - plain.pixels).mean())
    assert 0 < strengths[0] < 0.3 * strengths[1]


def test_a_layout_of_category_folders_is_drawn_from_evenly(tmp_path: Path) -> None:
    for number in range(67):
        folder = tmp_path / "Images" / f"category_{number:02d}"
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 8), (number, 0, 0)).save(folder / "a.png")
        (folder / "annotation.xml").write_text("<a/>")
    source = BackgroundSource(tmp_path)
    drawn = [source.draw(np.random.default_rng(seed), 8) for seed in range(300)]
    assert len({background.id for background in drawn}) > 60
    assert all((b.pixels == [int(b.id.split("_")[1][:2]), 0, 0]).all() for b in drawn)
