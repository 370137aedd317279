"""Pictures of any size, colour and polarity become what the network was trained on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageFilter

from digit_infer.decode import read_picture
from digit_infer.normalise import MIDDLE, normalise, normalise_all, stroke_width

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
SIZES = st.one_of(SHAPES, SHAPES.map(lambda shape: (*shape, 3)))


def ink(digit, size=140, page=(200, 200), at=(30, 30)):
    """How much ink is where, 0-1, (height, width): the digit smoothly enlarged on a larger page."""
    canvas = Image.new("L", page)
    canvas.paste(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), at)
    return np.asarray(canvas, np.float32) / 255


def mixed(ink, colour, paper):
    """Ink of one colour on paper of another, (h, w) for grey levels and (h, w, 3) for colours."""
    ink = ink if np.ndim(colour) == 0 else ink[..., None]
    return np.clip(np.rint(np.asarray(paper) * (1 - ink) + np.asarray(colour) * ink), 0, 255).astype(np.uint8)


def stroke(digit, filter):
    return np.asarray(Image.fromarray(np.rint(ink(digit) * 255).astype(np.uint8)).filter(filter), np.float32) / 255


def shade(height=200, width=200):
    """Paper that falls off to half its light from one corner to the other."""
    return 240 - np.add.outer(np.linspace(0, 60, height), np.linspace(0, 60, width))


def noisy(picture):
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def speckled(picture):
    """Twelve dots of dirt around the digit of `ink`."""
    for place in range(20, 180, 14):
        picture[30:33, place : place + 3] = 40
    return picture


VARIANTS = {
    "inverted in place": lambda digit: 255 - digit,
    "as rgb in place": lambda digit: np.dstack([digit] * 3),
    "framed by more dark": lambda digit: np.pad(digit, 20),
    "dark on light": lambda digit: mixed(ink(digit), 20, 245),
    "light on dark": lambda digit: mixed(ink(digit), 235, 15),
    "pencil": lambda digit: mixed(ink(digit), 150, 220),
    "blue on yellow": lambda digit: mixed(ink(digit), (30, 60, 170), (250, 225, 90)),
    "grey on orange": lambda digit: mixed(ink(digit), (140, 140, 140), (220, 120, 30)),
    "yellow on blue": lambda digit: mixed(ink(digit), (250, 225, 90), (30, 60, 170)),
    "red on white": lambda digit: mixed(ink(digit), (220, 20, 20), (255, 255, 255)),
    "larger": lambda digit: mixed(ink(digit, 800, (900, 1000), (50, 100)), 20, 245),
    "smaller": lambda digit: mixed(ink(digit, 20, (24, 24), (2, 2)), 20, 245),
    "fills the page": lambda digit: mixed(ink(digit, 100, (90, 100), (-5, 0)), 20, 245),
    "top left corner": lambda digit: mixed(ink(digit, 80, (300, 240), (4, 4)), 20, 245),
    "bottom right corner": lambda digit: mixed(ink(digit, 80, (300, 240), (216, 156)), 20, 245),
    "wide page": lambda digit: mixed(ink(digit, 80, (600, 100), (400, 10)), 20, 245),
    "shaded paper": lambda digit: mixed(ink(digit), 50, shade()),
    "shaded and noisy paper": lambda digit: noisy(mixed(ink(digit), 50, shade())),
    "thick stroke": lambda digit: mixed(stroke(digit, ImageFilter.MaxFilter(7)), 20, 245),
    "thin stroke": lambda digit: mixed(stroke(digit, ImageFilter.MinFilter(5)), 20, 245),
    "blurred": lambda digit: mixed(stroke(digit, ImageFilter.GaussianBlur(4)), 20, 245),
    "dark edge of a scan": lambda digit: np.hstack([np.full((240, 14), 30, np.uint8), small_in_the_middle(digit)]),
    "a neighbour's stroke": lambda digit: np.hstack([small_in_the_middle(digit), np.full((240, 9), 30, np.uint8)]),
    "in a printed box": lambda digit: boxed(mixed(ink(digit), 20, 245), (12, 12, 187, 187), 3),
    "in a bold box": lambda digit: boxed(mixed(ink(digit), 20, 245), (12, 12, 187, 187), 9),
    "cut out along its box": lambda digit: boxed(mixed(ink(digit), 20, 245), (0, 0, 199, 199), 4),
    "between ruled lines": lambda digit: boxed(mixed(ink(digit), 20, 245), (-9, 12, 209, 187), 2),
    "on a line that ends before the rim": lambda digit: lined(mixed(ink(digit), 20, 245), [(8, 184, 192, 184)]),
    "between lines that end before the rim": lambda digit: lined(
        mixed(ink(digit), 20, 245), [(8, 14, 192, 14), (8, 182, 192, 186)]
    ),
    "in a form's comb": lambda digit: lined(mixed(ink(digit), 20, 245), [(12, 100, 12, 188, 188, 188, 188, 100)]),
    "scan with two dark edges": lambda digit: np.pad(mixed(ink(digit), 20, 245), ((0, 14), (0, 20))),
    "on a coloured table": lambda digit: np.dstack(
        [np.pad(mixed(ink(digit), 20, 245), ((30, 0), (30, 0)), constant_values=wood) for wood in (90, 60, 40)]
    ),
    "photographed across the edge of a deep shadow": lambda digit: shadowed(
        mixed(ink(digit), (40, 40, 60), (225, 222, 215)), 0.3
    ),
    "on blue lines": lambda digit: mixed(ink(digit), (20, 20, 60), blue_lines()),
    "thin and small in a wide picture": lambda digit: mixed(ink(digit, 60, (800, 700), (350, 300)), 20, 245),
    "specks of dirt": lambda digit: speckled(mixed(ink(digit), 20, 245)),
}
BLANK_PAGES = {
    "white": np.full((50, 60), 255, np.uint8),
    "black": np.zeros((28, 28), np.uint8),
    "orange": np.full((50, 60, 3), (240, 140, 20), np.uint8),
    "one pixel": np.full((1, 1), 9, np.uint8),
    "a line of paper": np.full((1, 300), 200, np.uint8),
    "faint noise": np.random.default_rng(0).integers(230, 236, (200, 300)).astype(np.uint8),
    "faint colour noise": np.random.default_rng(0).integers(230, 235, (200, 300, 3)).astype(np.uint8),
    "grain of a scanner": np.random.default_rng(0).normal(235, 1.5, (200, 300)).astype(np.uint8),
    "grain of a camera": np.random.default_rng(0).normal(235, 3, (300, 400)).astype(np.uint8),
    "grain and a few specks": speckled(np.random.default_rng(0).normal(235, 3, (700, 800)).astype(np.uint8)),
    "shaded paper": shade(300, 400).astype(np.uint8),
    "shaded and grainy paper": (shade(300, 400) + np.random.default_rng(0).normal(0, 3, (300, 400))).astype(np.uint8),
}


def small_in_the_middle(digit):
    return mixed(ink(digit, 90, (160, 240), (35, 75)), 20, 245)


def boxed(picture, corners, width):
    page = Image.fromarray(picture)
    ImageDraw.Draw(page).rectangle(corners, outline=60, width=width)
    return np.asarray(page)


def shadowed(picture, light):
    """The left part in the dark, with an edge a few pixels wide."""
    falls = np.interp(np.arange(picture.shape[1]), [88, 96], [light, 1])
    return (picture * falls.reshape(1, -1, *[1] * (picture.ndim - 2))).astype(np.uint8)


def blue_lines():
    page = np.full((200, 200, 3), 255, np.uint8)
    page[10::45] = page[11::45] = (170, 190, 230)
    return page


def lined(picture, lines):
    page = Image.fromarray(picture)
    for line in lines:
        ImageDraw.Draw(page).line(line, fill=60, width=3)
    return np.asarray(page)


@pytest.fixture(scope="module")
def ten_digits(sample_pixels, classifier):
    """One sample of each class, (10, 28, 28)."""
    digits = sample_pixels[4::10]
    assert classifier.classify(digits).argmax(1).tolist() == list(range(10))
    return digits


def test_what_is_like_mnist_passes_bit_for_bit(sample_pixels):
    for pixels in sample_pixels:
        normalised = normalise(pixels)
        assert normalised.reason == ""
        np.testing.assert_array_equal(normalised.pixels, pixels)


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_the_digit_is_read_however_it_is_drawn(change, ten_digits, classifier):
    normalised = [normalise(change(digit)) for digit in ten_digits]
    assert [one.reason for one in normalised] == [""] * 10
    read = classifier.classify(np.stack([one.pixels for one in normalised]))
    assert read.argmax(1).tolist() == list(range(10))


@pytest.mark.parametrize("change", ["dark on light", "light on dark", "pencil", "thick stroke", "bottom right corner"])
def test_the_digit_lies_in_its_box_with_its_mass_in_the_middle(change, sample_pixels):
    for digit in sample_pixels:
        pixels = normalise(VARIANTS[change](digit)).pixels
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        for sums in (pixels.sum(1), pixels.sum(0)):
            assert abs(sums @ np.arange(28) / sums.sum() - MIDDLE) <= 1


def test_ink_is_light_and_full_on_a_ground_of_zero(sample_pixels):
    for digit in sample_pixels:
        pixels = normalise(VARIANTS["pencil"](digit)).pixels
        assert pixels.max() >= 250
        assert (pixels == 0).mean() > 0.5


def test_polarity_changes_nothing_but_rounding(sample_pixels):
    for digit in sample_pixels[::3]:
        dark, light = (normalise(mixed(ink(digit), *levels)).pixels for levels in ((15, 240), (240, 15)))
        assert np.abs(dark.astype(int) - light).max() <= 16


def test_dirt_around_the_digit_changes_nothing(sample_pixels):
    for digit in sample_pixels[20:90:10]:  # with ink that stays clear of the dots
        clean, dirty = (normalise(VARIANTS[name](digit)).pixels for name in ("dark on light", "specks of dirt"))
        assert np.abs(clean.astype(int) - dirty).max() <= 24


@pytest.mark.parametrize("width", [1, 2, 4])
def test_thin_strokes_are_thickened(width, classifier):
    page = Image.new("L", (150, 200), 240)
    ImageDraw.Draw(page).line([(40, 40), (110, 40), (70, 160)], fill=20, width=width)
    pixels = normalise(np.asarray(page)).pixels
    assert 1.7 <= stroke_width(pixels) <= 3.5
    assert classifier.classify(pixels[None]).argmax() == 7


def test_a_result_depends_on_its_own_picture_alone(sample_pixels):
    pages = [change(digit) for change in VARIANTS.values() for digit in sample_pixels[:3]] + list(BLANK_PAGES.values())
    pages += list(sample_pixels[:3])
    together = normalise_all(pages[::-1], len(pages))
    for page, pixels, reason in zip(pages[::-1], *together, strict=True):
        alone = normalise(page)
        assert alone.reason == reason
        np.testing.assert_array_equal(alone.pixels, pixels)


def test_an_array_of_pictures_gives_what_they_give_one_by_one(sample_pixels):
    array = np.concatenate([sample_pixels[:3], 255 - sample_pixels[:3], np.zeros((1, 28, 28), np.uint8)])
    together, one_by_one = normalise_all(array, len(array)), normalise_all(iter(array), len(array))
    np.testing.assert_array_equal(together.pixels, one_by_one.pixels)
    assert together.reasons == one_by_one.reasons == [""] * 6 + ["blank"]


def test_the_picture_given_is_left_alone(sample_pixels):
    picture = VARIANTS["dark on light"](sample_pixels[0])
    before = picture.copy()
    picture.flags.writeable = False
    normalise(picture)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("page", BLANK_PAGES.values(), ids=BLANK_PAGES)
def test_a_blank_page_is_rejected_without_a_digit(page):
    normalised = normalise(page)
    assert normalised.reason == "blank"
    assert not normalised.pixels.any()


def test_a_fully_transparent_picture_is_blank(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 4)).astype(np.uint8)
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert normalise(read_picture(tmp_path / "a.png")).reason == "blank"


@settings(max_examples=400, deadline=None)
@given(arrays(np.uint8, SIZES))
def test_any_picture_gives_28_by_28_bytes(picture):
    normalised = normalise(picture)
    assert normalised.pixels.shape == (28, 28)
    assert normalised.pixels.dtype == np.uint8
    assert normalised.reason in ("", "blank", "several_digits", "not_a_digit")


@settings(max_examples=200, deadline=None)
@given(SIZES, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_any_two_levels_in_any_pattern_give_28_by_28_bytes(shape, ink, paper, seed, share):
    mask = np.random.default_rng(seed).random(shape[:2]) < share
    picture = np.where(mask, ink, paper).astype(np.uint8)
    picture = np.dstack([picture, picture, 255 - picture]) if len(shape) == 3 else picture
    assert normalise(picture).pixels.shape == (28, 28)


@pytest.mark.parametrize("shape", [(1, 1024), (1024, 1), (1024, 1024, 3), (2, 1000, 3), (500, 3)], ids=str)
def test_large_and_thin_pictures_are_normalised_too(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert normalise(picture).pixels.shape == (28, 28)


@pytest.mark.parametrize("gap", [1, 4, 12])
@pytest.mark.parametrize("count", [2, 3])
def test_digits_side_by_side_are_several(gap, count, sample_pixels):
    pages = []
    for start in range(0, 96, count):
        cut = [pixels[:, np.flatnonzero(pixels.any(0))] for pixels in sample_pixels[start : start + count]]
        spaced = [np.pad(pixels, ((0, 0), (gap, 0))) for pixels in cut]
        pages.append(255 - np.pad(np.concatenate(spaced, axis=1), 8))
    reasons = [normalise(page).reason for page in pages]
    assert reasons.count("several_digits") >= 0.97 * len(pages)


def test_single_digits_broken_or_not_are_never_several(sample_pixels):
    for pixels in sample_pixels:
        page = np.asarray(Image.fromarray(255 - pixels).resize((90, 90), Image.Resampling.BICUBIC))
        assert normalise(page).reason == ""


@pytest.mark.parametrize("lines", [[(10, 150, 230, 154)], [(10, 80, 230, 80), (10, 150, 230, 150)]], ids=["one", "two"])
def test_lines_alone_are_not_a_digit(lines):
    page = lined(np.full((200, 240), 245, np.uint8), lines)
    assert normalise(page).reason == "not_a_digit"


def test_a_slashed_zero_is_no_frame_around_its_slash(classifier):
    page = Image.new("L", (200, 200), 240)
    ImageDraw.Draw(page).ellipse((50, 20, 150, 180), outline=20, width=9)
    ImageDraw.Draw(page).line((85, 120, 115, 80), fill=20, width=9)
    assert classifier.classify(normalise(np.asarray(page)).pixels[None]).argmax() == 0


@pytest.mark.parametrize("fineness", [6, 8])
def test_ink_all_over_the_place_is_not_a_digit(fineness):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8))
    clouds = np.asarray(noise.filter(ImageFilter.GaussianBlur(fineness)), float)
    levels = (255 * (clouds - clouds.min()) / np.ptp(clouds)).astype(np.uint8)
    assert normalise(levels).reason in ("not_a_digit", "several_digits")
