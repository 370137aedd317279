"""Pages with a digit on them, or without one, as people write, scan and photograph them.

digit: (28, 28), uint8, light on dark. Pages are (h, w) or (h, w, 3), uint8.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

Levels = NDArray[np.uint8]
Ink = NDArray[np.floating[Any]]  # how much is where, 0-1


def ink(digit: Levels, size: int = 140, page: tuple[int, int] = (200, 200), at: tuple[int, int] = (30, 30)) -> Ink:
    """How much ink is where, 0-1, (height, width): the digit smoothly enlarged on a larger page."""
    canvas = Image.new("L", page)
    canvas.paste(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), at)
    return np.asarray(canvas, np.float32) / 255


def mixed(ink: Ink, colour: ArrayLike, paper: ArrayLike) -> Levels:
    """Ink of one colour on paper of another, (h, w) for grey levels and (h, w, 3) for colours."""
    ink = ink if np.ndim(colour) == 0 else ink[..., None]
    return np.clip(np.rint(np.asarray(paper) * (1 - ink) + np.asarray(colour) * ink), 0, 255).astype(np.uint8)


def stroke(digit: Levels, filter: ImageFilter.Filter) -> Ink:
    return np.asarray(Image.fromarray(np.rint(ink(digit) * 255).astype(np.uint8)).filter(filter), np.float32) / 255


def shade(height: int = 200, width: int = 200) -> NDArray[np.float64]:
    """Paper that falls off to half its light from one corner to the other."""
    return 240 - np.add.outer(np.linspace(0, 60, height), np.linspace(0, 60, width))


def speckled(picture: Levels) -> Levels:
    """Twelve dots of dirt around the digit of `ink`."""
    for place in range(20, 180, 14):
        picture[30:33, place : place + 3] = 40
    return picture


def small_in_the_middle(digit: Levels) -> Levels:
    return mixed(ink(digit, 90, (160, 240), (35, 75)), 20, 245)


def boxed(picture: Levels, corners: tuple[int, int, int, int], width: int) -> Levels:
    page = Image.fromarray(picture)
    ImageDraw.Draw(page).rectangle(corners, outline=60, width=width)
    return np.asarray(page)


def shadowed(picture: Levels, light: float) -> Levels:
    """The left part in the dark, with an edge a few pixels wide."""
    falls = np.interp(np.arange(picture.shape[1]), [88, 96], [light, 1])
    return (picture * falls.reshape(1, -1, *[1] * (picture.ndim - 2))).astype(np.uint8)


def lit(picture: Levels, darkest: float) -> Levels:
    """Light that falls off from the middle to the corners, as of a lamp or a lens."""
    away = np.hypot(*np.meshgrid(*(np.linspace(-1, 1, length) for length in picture.shape), indexing="ij"))
    return (picture * np.interp(away, [0.3, 1.2], [1, darkest])).astype(np.uint8)


def blue_lines() -> Levels:
    page = np.full((200, 200, 3), 255, np.uint8)
    page[10::45] = page[11::45] = (170, 190, 230)
    return page


def lined(picture: Levels, lines: list[tuple[int, ...]]) -> Levels:
    page = Image.fromarray(picture)
    for line in lines:
        ImageDraw.Draw(page).line(line, fill=60, width=3)
    return np.asarray(page)


def ruled(digit: Levels, squared: bool, turned: float = 0.0) -> Levels:
    """Blue ink on paper with blue lines, or squares, that it touches."""
    page = Image.new("RGB", (400, 400), (240, 238, 230))
    for place in range(10, 400, 40):
        ImageDraw.Draw(page).line((0, place, 400, place), fill=(140, 170, 215), width=2)
        if squared:
            ImageDraw.Draw(page).line((place, 0, place, 400), fill=(140, 170, 215), width=2)
    page = page.rotate(turned, Image.Resampling.BICUBIC).crop((60, 60, 340, 340))
    return mixed(ink(digit, 200, (280, 280), (40, 40)), (40, 50, 140), np.asarray(page))


def on_a_desk(digit: Levels, desk: int, paper: int, colour: int, turned: float = 0.0, aside: int = 0) -> Levels:
    """A note, or a canvas, in the middle of something else, or so far from there."""
    note = Image.fromarray(mixed(ink(digit, 150, (200, 200), (25, 25)), colour, paper))
    page = Image.new("L", (300 + 2 * aside, 300), desk)
    mask = Image.new("L", note.size, 255).rotate(turned, Image.Resampling.BICUBIC, expand=True)
    note = note.rotate(turned, Image.Resampling.BICUBIC, expand=True)
    page.paste(note, ((300 - note.width) // 2, (300 - note.height) // 2), mask)
    return np.asarray(page)


def beside_another(digit: Levels) -> Levels:
    """A page of an open book, the next one beyond the dark fold."""
    light = np.interp(np.arange(300), [0, 30, 60, 70, 100], [1, 0.9, 0.1, 0.1, 1])
    return (light * mixed(ink(digit, page=(300, 200), at=(130, 30)), 40, 240)).astype(np.uint8)


def printed(picture: Levels) -> Levels:
    """Rows of small print above the digit of `ink`."""
    page = Image.fromarray(np.pad(picture, ((120, 0), (0, 0)), mode="edge"))
    for row in range(8, 120, 14):
        ImageDraw.Draw(page).text((8, row), "Mathematics 3, worksheet 12, name", fill=40)
    return np.asarray(page)


def faxed(picture: Levels) -> Levels:
    """Black and white, one pixel in twelve the other way."""
    flipped = np.random.default_rng(0).random(picture.shape) < 0.08
    return np.where((picture > 127) ^ flipped, 255, 0).astype(np.uint8)


def circled(picture: Levels) -> Levels:
    page = Image.fromarray(picture)
    ImageDraw.Draw(page).ellipse((8, 10, 192, 192), outline=60, width=4)
    return np.asarray(page)


def grainy(picture: Levels, deviation: float) -> Levels:
    return np.clip(picture + np.random.default_rng(0).normal(0, deviation, picture.shape), 0, 255).astype(np.uint8)


VARIANTS: dict[str, Callable[[Levels], Levels]] = {
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
    "shaded and noisy paper": lambda digit: grainy(mixed(ink(digit), 50, shade()), 4),
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
    "darker towards the corners": lambda digit: lit(mixed(ink(digit, 100, at=(50, 50)), 40, 245), 0.4),
    "in the light of a lamp": lambda digit: lit(mixed(ink(digit, 100, at=(50, 50)), 40, 245), 0.15),
    "on blue lines": lambda digit: mixed(ink(digit), (20, 20, 60), blue_lines()),
    "thin and small in a wide picture": lambda digit: mixed(ink(digit, 60, (800, 700), (350, 300)), 20, 245),
    "specks of dirt": lambda digit: speckled(mixed(ink(digit), 20, 245)),
    "on strong lines": lambda digit: ruled(digit, squared=False),
    "on squared paper": lambda digit: ruled(digit, squared=True),
    "on squared paper, askew": lambda digit: ruled(digit, squared=True, turned=1.5),
    "on a note on a dark desk": lambda digit: on_a_desk(digit, 60, 230, 40),
    "on a note that lies askew": lambda digit: on_a_desk(digit, 60, 230, 40, turned=6),
    "on a note at the side of a dark desk": lambda digit: on_a_desk(digit, 60, 230, 40, turned=15, aside=90),
    "at the edge of a table": lambda digit: np.pad(mixed(ink(digit), 20, 245), ((0, 0), (70, 0)), constant_values=70),
    "at the corner of a table": lambda digit: np.pad(
        mixed(ink(digit), 20, 245), ((60, 0), (70, 0)), constant_values=70
    ),
    "on a page beside another": beside_another,
    "in a plot's margins": lambda digit: np.pad(
        np.pad(mixed(ink(digit), 220, 30), 2, constant_values=0), ((40, 55), (75, 50)), constant_values=255
    ),
    "below small print": lambda digit: printed(mixed(ink(digit), 20, 245)),
    "faxed": lambda digit: faxed(mixed(ink(digit), 20, 245)),
    "in a long strip": lambda digit: mixed(ink(digit, 56, (1000, 60), (700, 2)), 20, 245),
    "on a black canvas in a white page": lambda digit: on_a_desk(digit, 255, 0, 255),
    "in a circle": lambda digit: circled(mixed(ink(digit, 110, at=(45, 45)), 20, 245)),
    "grainy": lambda digit: grainy(mixed(ink(digit), 60, 200), 20),
    "pencil with grain": lambda digit: grainy(mixed(ink(digit), 160, 190), 6),
}
BLANK_PAGES: dict[str, Levels] = {
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
