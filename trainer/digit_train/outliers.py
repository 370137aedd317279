"""Pictures that hold no single digit, for the network to tell from digits: letters, joined digits, textures.

They are an eleventh class (outlier exposure, Hendrycks et al. 2019, "Deep Anomaly Detection with Outlier Exposure")
whose logit is fixed, so that the network keeps ten: what is no digit gets low ones. To train towards equal
probabilities of the ten, as published, adds a fifth to the loss on digits of a network of Dense layers, this nothing.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digit_infer.normalise import normalise
from digit_train.fonts import Fonts

SIDE = 96  # px of the sheet that an outlier is drawn on
Random = np.random.Generator
Picture = NDArray[np.uint8]

LETTERS = "".join(
    [
        'ACDEFGHJKLMNPRTUVWXacdefhikmnprtuvwx!"#$%&*+-.:;<=>?@_{}~^',
        "ΓΔΛΞΠΣΦΨΩαηκλμνπχψω",
        "ДЖИКЛПУФЦШЩЫЮЯжилпфшщыюя",
        "¥©®±¶ßÆæđłŋ‡•…‰€№™←↑→↓↔∆∏∑√∞∩∫≈≠≡≤≥■▲△▼▽◆◇★☆☎☑☒☠☢☮☯☺♂♠♣♥♦♪♫♭♯⚓⚙⚡✂✈✉✌✎✓✔✗✘❄❤➔➤",
    ]
)  # without those that a hand writes like a digit, such as O, I, l, Z, S, b, B, g, q and y


def draw_outliers(count: int, digits: Picture, labels: NDArray[np.uint8], seed: int) -> Picture:
    """Draw `count` pictures, normalised as in use: (count, 28, 28), uint8, light on dark.

    digits: (n, 28, 28), uint8, light on dark, and their labels, (n,): what joined and turned digits are made from.
    What the normaliser itself rejects is not among them.
    """
    if not count:
        return np.zeros((0, 28, 28), np.uint8)
    random = np.random.default_rng([seed, count])
    letters = Fonts(LETTERS)
    kinds: list[Callable[[], Picture]] = [
        *[lambda: letters.draw(random)[1]] * 6,
        *[lambda: joined(digits, random)] * 3,
        lambda: turned(digits, labels, random),
        lambda: texture(random),
        lambda: blocks(random),
        lambda: scribble(random),
    ]
    drawn: list[Picture] = []
    while len(drawn) < count:
        normalised = normalise(kinds[random.integers(len(kinds))]())
        if not normalised.reason:
            drawn.append(normalised.pixels)
    return np.stack(drawn)


def joined(digits: Picture, random: Random) -> Picture:
    """Two or three digits side by side that touch: (28, up to 84), uint8."""
    sheet = np.zeros((28, 84), np.uint8)
    right = 0
    for _ in range(random.choice([2, 3], p=[0.75, 0.25])):
        digit = digits[random.integers(len(digits))]
        columns = np.flatnonzero(digit.any(0))
        if not len(columns):
            continue  # blank
        digit = np.roll(digit[:, columns[0] : columns[-1] + 1], random.integers(-2, 3), axis=0)
        left = max(0, right - int(random.integers(0, 3)))
        place = sheet[:, left : left + digit.shape[1]]
        np.maximum(place, digit, out=place)
        right = left + digit.shape[1]
    return np.pad(sheet[:, :right], 4)


def turned(digits: Picture, labels: NDArray[np.uint8], random: Random) -> Picture:
    """A digit lying on its side, of the classes that are no digit then: (28, 28), uint8."""
    while True:
        chosen = random.integers(len(digits))
        if labels[chosen] in (3, 4, 5, 7):
            return np.rot90(digits[chosen], random.choice([1, 3]))


def texture(random: Random) -> Picture:
    """Clouds or checks of random fineness, some in two tones: (SIDE, SIDE), uint8."""
    if random.random() < 0.6:
        noise = Image.fromarray(random.integers(0, 256, (SIDE, SIDE), np.uint8))
        levels = np.asarray(noise.filter(ImageFilter.GaussianBlur(random.uniform(1, 12))), np.float64)
    else:
        angle, wave = random.uniform(0, np.pi), random.uniform(5, 50)
        y, x = np.indices((SIDE, SIDE)) * (2 * np.pi / wave)
        levels = np.sin(x * np.cos(angle) + y * np.sin(angle)) * np.sin(y * np.cos(angle) - x * np.sin(angle))
    levels = (levels - levels.min()) / np.ptp(levels)
    if random.random() < 0.5:
        levels = levels > random.uniform(0.3, 0.7)
    return (levels * 255).astype(np.uint8)


def blocks(random: Random) -> Picture:
    """Random black and white squares, as in a QR code: (SIDE, SIDE), uint8."""
    modules = int(random.integers(8, 30))
    code = Image.fromarray((random.random((modules, modules)) < random.uniform(0.35, 0.65)).astype(np.uint8) * 255)
    sheet = Image.new("L", (SIDE, SIDE), 0)
    side = int(random.integers(SIDE // 2, SIDE + 1))
    sheet.paste(code.resize((side, side), Image.Resampling.NEAREST), ((SIDE - side) // 2, (SIDE - side) // 2))
    return np.asarray(sheet)


def scribble(random: Random) -> Picture:
    """A pen that wanders to and fro: (SIDE, SIDE), uint8."""
    sheet = Image.new("L", (SIDE, SIDE))
    points = random.uniform(10, SIDE - 10, (int(random.integers(6, 16)), 2))
    ImageDraw.Draw(sheet).line([tuple(point) for point in points.tolist()], 255, int(random.integers(2, 7)), "curve")
    return np.asarray(sheet)
