"""Every kind of picture file that people have comes out as grey or colour levels, the right way up."""

import os

import numpy as np
import pytest
from PIL import Image

from digit_infer.decode import LONGEST_SIDE, read_picture

MASK = np.zeros((40, 30), bool)  # ink; not symmetrical, so that a turn or a mirror shows
MASK[8:24, 4:12] = True
GREY = np.where(MASK, 20, 240).astype(np.uint8)
RED, PAPER = (200, 10, 10), (250, 240, 230)
COLOUR = np.where(MASK[..., None], RED, PAPER).astype(np.uint8)
GREY_PAGE, COLOUR_PAGE = Image.fromarray(GREY), Image.fromarray(COLOUR)


def drawn_with_alpha(level):
    return Image.fromarray(np.dstack([np.full((40, 30, 3), level), MASK * 255]).astype(np.uint8))


def palette_with_transparent_paper():
    image = Image.fromarray(MASK.astype(np.uint8)).convert("P")
    image.putpalette([255, 0, 255, 20, 20, 20])
    image.info["transparency"] = 0
    return image


def other_page():
    return Image.new("RGB", (30, 40), (0, 255, 0))


# what is saved, and the levels that it must give, exactly
LOSSLESS = {
    "grey": ("a.png", GREY_PAGE, {}, GREY),
    "one bit": ("a.png", Image.fromarray(~MASK), {}, np.where(MASK, 0, 255)),
    "one bit, group 4 fax": ("a.tif", Image.fromarray(~MASK), {"compression": "group4"}, np.where(MASK, 0, 255)),
    "grey palette": ("a.png", GREY_PAGE.convert("P"), {}, GREY),
    "colour palette": ("a.png", COLOUR_PAGE.quantize(2), {}, COLOUR),
    "gif": ("a.gif", COLOUR_PAGE.quantize(2), {}, COLOUR),
    "rgb": ("a.png", COLOUR_PAGE, {}, COLOUR),
    "bmp": ("a.bmp", COLOUR_PAGE, {}, COLOUR),
    "ppm": ("a.ppm", COLOUR_PAGE, {}, COLOUR),
    "webp": ("a.webp", COLOUR_PAGE, {"lossless": True}, COLOUR),
    "opaque rgba": ("a.png", COLOUR_PAGE.convert("RGBA"), {}, COLOUR),
    "opaque grey with alpha": ("a.png", GREY_PAGE.convert("LA"), {}, GREY),
    "dark on transparent": ("a.png", drawn_with_alpha(20), {}, np.where(MASK, 20, 255)),
    "light on transparent": ("a.png", drawn_with_alpha(250), {}, np.where(MASK, 250, 0)),
    "grey on transparent": ("a.png", drawn_with_alpha(30).convert("LA"), {}, np.where(MASK, 30, 255)),
    "transparent palette": ("a.png", palette_with_transparent_paper(), {}, np.where(MASK, 20, 255)),
    "16 bits": ("a.png", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY),
    "16 bits, tiff": ("a.tif", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY),
    "16 bits, big-endian": ("a.tif", Image.fromarray(GREY.astype(">u2") * 257), {}, GREY),
    "12 bits in 16": ("a.png", Image.fromarray(np.where(MASK, 0, 4095).astype(np.uint16)), {}, np.where(MASK, 0, 255)),
    "32 bits": ("a.tif", Image.fromarray(np.where(MASK, 0, 2**31 - 1).astype(np.int32)), {}, np.where(MASK, 0, 255)),
    "float 0 to 1": ("a.tif", Image.fromarray(GREY.astype(np.float32) / 255), {}, GREY),
    "float 0 to 255": ("a.tif", Image.fromarray(np.where(MASK, 0, 255).astype(np.float32)), {}, np.where(MASK, 0, 255)),
    "first of many, gif": ("a.gif", COLOUR_PAGE, {"save_all": True, "append_images": [other_page()]}, COLOUR),
    "first of many, png": ("a.png", COLOUR_PAGE, {"save_all": True, "append_images": [other_page()]}, COLOUR),
    "jpg that is a png": ("a.jpg", GREY_PAGE, {"format": "PNG"}, GREY),
    "no suffix at all": ("a", GREY_PAGE, {"format": "PNG"}, GREY),
}
# what is saved, for formats that change levels a little
LOSSY = {
    "jpeg": ("a.jpg", COLOUR_PAGE, {"quality": 95}),
    "grey jpeg": ("a.jpg", GREY_PAGE, {}),
    "cmyk jpeg": ("a.jpg", COLOUR_PAGE.convert("CMYK"), {"quality": 95}),
    "cmyk tiff": ("a.tif", COLOUR_PAGE.convert("CMYK"), {}),
    "mpo": ("a.mpo", COLOUR_PAGE, {"save_all": True, "append_images": [other_page()], "quality": 95}),
    "webp": ("a.webp", COLOUR_PAGE, {"quality": 95}),
    "jpeg 2000": ("a.jp2", COLOUR_PAGE, {}),
    "16 bits, half used": ("a.png", Image.fromarray(GREY.astype(np.uint16) * 200), {}),
    "12 bits in 16": ("a.tif", Image.fromarray(GREY.astype(np.uint16) * 16), {}),
    "float with overshoot": ("a.tif", Image.fromarray(np.where(MASK, 0.0, 1.02).astype(np.float32)), {}),
    "float with undershoot": ("a.tif", Image.fromarray(np.where(MASK, -0.02, 1.0).astype(np.float32)), {}),
}
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def grey(pixels):
    return pixels if pixels.ndim == 2 else pixels.mean(axis=2)


@pytest.mark.parametrize(("name", "image", "options", "expected"), LOSSLESS.values(), ids=LOSSLESS)
def test_levels_come_out_as_the_picture_is_meant_to_be_seen(name, image, options, expected, tmp_path):
    image.save(tmp_path / name, **options)
    pixels = read_picture(tmp_path / name)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("name", "image", "options"), LOSSY.values(), ids=LOSSY)
def test_ink_stays_dark_and_paper_light(name, image, options, tmp_path):
    image.save(tmp_path / name, **options)
    pixels = grey(read_picture(tmp_path / name))
    assert pixels.shape == MASK.shape
    assert pixels[MASK].mean() < 100
    assert pixels[~MASK].mean() > 160
    assert np.mean((pixels < 130) == MASK) > 0.98


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_the_exif_tag_turns_the_picture_upright(orientation, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    stored = COLOUR_PAGE if turn is None else COLOUR_PAGE.transpose(turn)
    stored.save(tmp_path / f"a.{suffix}", exif=exif)
    np.testing.assert_array_equal(grey(read_picture(tmp_path / f"a.{suffix}"))[::4, ::4] < 130, MASK[::4, ::4])


def test_broken_exif_does_not_spoil_a_good_picture(tmp_path):
    GREY_PAGE.save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
    assert np.mean((read_picture(tmp_path / "a.jpg") < 130) == MASK) > 0.98


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize(("width", "height"), [(1025, 30), (3000, 2000), (700, 4100)])
def test_large_pictures_are_reduced(width, height, suffix, tmp_path):
    page = GREY_PAGE.resize((width, height), Image.Resampling.NEAREST)
    page.save(tmp_path / f"a.{suffix}")
    pixels = read_picture(tmp_path / f"a.{suffix}")
    assert LONGEST_SIDE / 2 <= max(pixels.shape) <= LONGEST_SIDE
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(width / height, rel=0.1)
    expected = np.asarray(page.resize(pixels.shape[::-1], Image.Resampling.BOX))
    assert np.mean((pixels < 130) == (expected < 130)) > 0.97


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_reading_a_picture_leaves_nothing_open(suffix, tmp_path):
    GREY_PAGE.save(tmp_path / f"a.{suffix}")
    before = os.listdir("/proc/self/fd")
    read_picture(tmp_path / f"a.{suffix}")
    assert os.listdir("/proc/self/fd") == before


def test_pictures_up_to_the_limit_stay_as_they_are(tmp_path):
    Image.new("L", (LONGEST_SIDE, 20), 99).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").shape == (20, LONGEST_SIDE)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)], ids=["1 x 1", "1 x 10000", "10000 x 1"])
@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "I;16", "P"])
def test_the_thinnest_pictures_are_read(mode, size, tmp_path):
    Image.new(mode, size).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png")
    assert pixels.shape[:2] == tuple(min(length, 1000) for length in reversed(size))


def test_a_picture_of_90_megapixels_is_read_without_a_warning(tmp_path):
    Image.new("1", (9500, 9500), 1).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").min() == 255


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1"])
def test_grey_saved_in_any_mode_comes_back_as_the_same_grey(mode, tmp_path):
    grey = Image.fromarray(np.where(np.arange(784).reshape(28, 28) % 5 > 2, 255, 0).astype(np.uint8))
    grey.convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.asarray(grey))
