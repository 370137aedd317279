"""Pictures of any size, colour and polarity become what the network was trained on."""

import numpy as np
import pytest
from benchmarks.pages import BLANK_PAGES, VARIANTS, ink, lined, mixed, on_a_desk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageFilter

from digit_infer.decode import read_picture
from digit_infer.ink import stroke_width
from digit_infer.normalise import MIDDLE, normalise, normalise_all
from digit_infer.parameters import PARAMETERS
from digit_infer.sheets import lift_sheet

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
SIZES = st.one_of(SHAPES, SHAPES.map(lambda shape: (*shape, 3)))


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


def smaller(pixels):
    sheet = Image.new("L", (28, 28))
    sheet.paste(Image.fromarray(pixels).resize((22, 22)), (3, 3))
    return np.asarray(sheet)


UNLIKE = {
    "by 2 px off the middle": lambda pixels: np.roll(pixels, 2, 1),
    "by 3 px": lambda pixels: np.roll(pixels, 3, 1),
    "pale": lambda pixels: pixels // 2,
    "smaller": smaller,
}


@pytest.mark.parametrize("change", UNLIKE.values(), ids=UNLIKE)
def test_what_has_but_the_size_of_mnist_is_normalised(change, sample_pixels):
    for digit in sample_pixels[::10]:
        pixels = normalise(change(digit)).pixels
        assert (pixels != change(digit)).any()
        assert pixels.max() == 255
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert abs(pixels.sum(0) @ np.arange(28) / pixels.sum() - MIDDLE) <= 0.6


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
    assert 1.7 <= stroke_width(pixels > 127) <= 3.5
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


LINES = {
    "one": [(10, 150, 230, 154)],
    "two": [(10, 80, 230, 80), (10, 150, 230, 150)],
    "a cell's side": [(6, -9, 6, 209)],
    "both its sides": [(6, -9, 6, 209), (233, -9, 233, 209)],
    "a fold": [(100, -9, 102, 209)],
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_lines_alone_are_not_a_digit(lines):
    page = lined(np.full((200, 240), 245, np.uint8), lines)
    assert normalise(page).reason == "not_a_digit"


def test_a_slashed_zero_is_no_frame_around_its_slash(classifier):
    page = Image.new("L", (200, 200), 240)
    ImageDraw.Draw(page).ellipse((50, 20, 150, 180), outline=20, width=9)
    ImageDraw.Draw(page).line((85, 120, 115, 80), fill=20, width=9)
    assert classifier.classify(normalise(np.asarray(page)).pixels[None]).argmax() == 0


def test_the_margin_around_a_thick_zero_is_no_frame(classifier):
    page = Image.new("L", (200, 200), 240)
    ImageDraw.Draw(page).ellipse((35, 28, 175, 172), outline=20, width=38)
    normalised = normalise(np.asarray(page))
    assert normalised.reason == ""
    assert classifier.classify(normalised.pixels[None]).argmax() == 0


@pytest.mark.parametrize("fineness", [6, 8])
def test_ink_all_over_the_place_is_not_a_digit(fineness):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8))
    clouds = np.asarray(noise.filter(ImageFilter.GaussianBlur(fineness)), float)
    levels = (255 * (clouds - clouds.min()) / np.ptp(clouds)).astype(np.uint8)
    assert normalise(levels).reason in ("not_a_digit", "several_digits")


def cut_tight(digit):
    rows, columns = np.flatnonzero((digit > 60).any(1)), np.flatnonzero((digit > 60).any(0))
    return 255 - digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize(
    ("cut", "method"),
    [(cut_tight, "BICUBIC"), (lambda digit: digit, "BICUBIC"), (lambda digit: digit, "NEAREST")],
    ids=["cut tight", "smooth", "in blocks"],
)
def test_no_stroke_and_no_paper_between_strokes_is_a_sheet(cut, method, sample_pixels):
    for digit in sample_pixels:
        height, width = cut(digit).shape
        enlarged = Image.fromarray(cut(digit)).resize((200 * width // height, 200), Image.Resampling[method])
        assert lift_sheet(np.asarray(enlarged), PARAMETERS) is None


@pytest.mark.parametrize("turned", range(0, 90, 10))
def test_a_sheet_is_lifted_off_what_lies_around_it_at_any_angle(turned, sample_pixels):
    scene = on_a_desk(sample_pixels[42], 60, 230, 40, turned=turned, aside=20)
    sheet = lift_sheet(scene, PARAMETERS)
    assert (sheet == 60).sum() < 30  # of the desk
    assert abs(int((sheet == 40).sum()) - int((scene == 40).sum())) <= 10  # all of the digit
    assert np.median(sheet[[0, -1]]) == 230
