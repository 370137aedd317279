"""Digits that MNIST hardly holds: printed ones, and ways of writing, drawn with a pen.

Those are flagged and footed 1, crossed 7, slashed 0, open 4, 8 of two rings and curled 9. Every picture goes through
the normaliser that ships, so that the network sees what it will see in use.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digit_infer.normalise import normalise
from digit_train.fonts import Fonts

PRINTED = 0.4  # of the pictures; without them, what is printed would be a mark of letters and so of no digit
SIDE = 120  # px of the sheet that a digit is drawn on
Random = np.random.Generator
Stroke = NDArray[np.float64]  # (n, 2), x and y in units of the digit's height, y down


def draw_styles(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw `count` pictures: images (count, 28, 28), uint8, light on dark; labels (count,), uint8."""
    random = np.random.default_rng([seed, count])
    fonts = Fonts("0123456789")
    drawn = [fonts.draw(random) if random.random() < PRINTED else write(random) for _ in range(count)]
    images = np.stack([normalise(sheet).pixels for _, sheet in drawn])
    return images, np.array([int(digit) for digit, _ in drawn], np.uint8)


def write(random: Random) -> tuple[int, NDArray[np.uint8]]:
    """A digit and how it looks in one way of writing it: (SIDE, SIDE), uint8."""
    digit, strokes, _ = WRITERS[random.choice(len(WRITERS), p=[weight for _, _, weight in WRITERS])]
    return digit, draw(strokes(random), random)


def draw(strokes: list[Stroke], random: Random) -> NDArray[np.uint8]:
    """Draw strokes with a round pen of random width and slant, light on dark: (SIDE, SIDE), uint8."""
    sheet = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(sheet)
    width = int(random.integers(5, 18))
    slant = random.normal(0, 0.08)
    for stroke in strokes:
        shaky = stroke + random.normal(0, 0.012, stroke.shape)
        x = 60 + 70 * (shaky[:, 0] - slant * shaky[:, 1])
        y = 60 + 70 * shaky[:, 1]
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255, width=width, joint="curve")
        for end in (0, -1):
            pen.circle((x[end], y[end]), width / 2, fill=255)
    return np.asarray(sheet)


def line(*points: tuple[float, float]) -> Stroke:
    return np.array(points)


def arc(centre: tuple[float, float], radius: tuple[float, float], start: float, end: float) -> Stroke:
    """A piece of an ellipse; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return np.stack([centre[0] + radius[0] * np.cos(angles), centre[1] + radius[1] * np.sin(angles)], axis=1)


def one(random: Random) -> list[Stroke]:
    """A stem with a flag that falls steeply to the left, and often a foot."""
    angle, length = np.radians(random.uniform(32, 68)), random.uniform(0.2, 0.65)
    strokes = [line((-length * np.cos(angle), -0.5 + length * np.sin(angle)), (0, -0.5), (0, 0.5))]
    if random.random() < 0.4:
        left, right = random.uniform(0.15, 0.4, 2)
        strokes.append(line((-left, 0.5), (right, 0.5)))
    return strokes


def seven(random: Random) -> list[Stroke]:
    """A bar, flat or nearly so, and a leaning stem, mostly crossed; what a flagged 1 must be told from."""
    wide, foot = random.uniform(0.25, 0.7), random.uniform(-0.15, 0.1)
    tilt = wide * np.tan(np.radians(random.uniform(-8, 20)))
    strokes = [line((-wide / 2, -0.5 + tilt), (wide / 2, -0.5), (foot, 0.5))]
    if random.random() < 0.3:
        strokes.append(line((-wide / 2, -0.5 + tilt), (-wide / 2, -0.5 + tilt + random.uniform(0.06, 0.15))))
    if random.random() < 0.5:
        middle, half = (wide / 2 + foot) / 2, random.uniform(0.12, 0.25)
        strokes.append(line((middle - half, random.uniform(-0.06, 0.1)), (middle + half, random.uniform(-0.1, 0.06))))
    return strokes


def zero(random: Random) -> list[Stroke]:
    """An oval with a slash."""
    radius = random.uniform(0.25, 0.42)
    reach = random.uniform(0.7, 1.25)
    x, y = 0.7 * radius * reach, 0.36 * reach
    return [arc((0, 0), (radius, 0.5), -90, 270), line((-x, y), (x, -y))]


def four(random: Random) -> list[Stroke]:
    """Open at the top, or a closed triangle as in print."""
    bar, stem = random.uniform(0.05, 0.25), random.uniform(0.05, 0.2)
    left, right = random.uniform(-0.45, -0.25), random.uniform(0.25, 0.45)
    top = stem if random.random() < 0.4 else left + random.uniform(0, 0.15)
    return [line((top, -0.5), (left, bar), (right, bar)), line((stem, -0.5 if top == stem else -0.3), (stem, 0.5))]


def eight(random: Random) -> list[Stroke]:
    """Two rings, one on top of the other."""
    waist = random.uniform(-0.12, 0.05)
    rings = ((-0.5 + waist) / 2, (0.5 + waist) / 2)
    return [arc((0, middle), (random.uniform(0.14, 0.3), abs(middle - waist)), -90, 270) for middle in rings]


def nine(random: Random) -> list[Stroke]:
    """A loop whose stem curls back to the left at its foot."""
    radius, height = random.uniform(0.2, 0.32), random.uniform(0.2, 0.3)
    loop = arc((0, -0.5 + height), (radius, height), 0, -360)
    bottom = random.uniform(0.15, 0.3)
    foot = arc((0, 0.5 - bottom), (radius, bottom), 0, random.uniform(90, 190))
    return [np.concatenate([loop, foot])]


# label, how it is drawn, how often; the 1 and the 7 are what is most often mistaken
WRITERS: tuple[tuple[int, Callable[[Random], list[Stroke]], float], ...] = (
    (1, one, 0.3),
    (7, seven, 0.25),
    (0, zero, 0.1),
    (4, four, 0.12),
    (8, eight, 0.11),
    (9, nine, 0.12),
)
