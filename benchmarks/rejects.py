"""What is refused of pictures that hold no digit: pip install '.[benchmarks]'; python benchmarks/rejects.py [MODEL].

None of these fonts, photos and codes is used in training; the digits in pairs and threes are MNIST's test digits.
"""

import string
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import segno
import skimage.io
from font_amatic_sc import AmaticSC
from font_caladea import Caladea
from font_intuitive import Intuitive
from font_roboto import Roboto
from font_source_serif_pro import SourceSerifPro
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.found import Found
from digit_infer.labels import read_labels
from digit_infer.pipeline import Reader
from digit_infer.row import Row
from digit_infer.sinks import csv_text
from digit_infer.stream import Batch
from digit_train.mnist import load_mnist

EACH = 300  # pictures of each kind
FONTS = (AmaticSC, Caladea, Intuitive, Roboto, SourceSerifPro)
PHOTOS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "ihc", "page", "text")
LOOKALIKES = "OoQDIl|/\\()[]'`,ZzSsbBgqyG"  # as shapes these are digits: O 0, l 1, Z 2, y 4, S 5, b G 6, B 8, g q 9
Level = NDArray[np.uint8]
Random = np.random.Generator


def pages(random: Random) -> Iterator[Level]:
    """Blank and nearly blank: even, shaded, grainy, with a few specks."""
    while True:
        side = int(random.integers(28, 400))
        shade = np.linspace(0, random.uniform(0, 60), side) + np.zeros((side, 1))
        levels = random.uniform(60, 195) + shade + random.normal(0, random.choice([0, 1, 4, 8]), (side, side))
        for _ in range(random.integers(0, 3)):
            y, x = random.integers(0, side, 2)
            levels[y, x] -= 50
        yield np.clip(levels, 0, 255).astype(np.uint8)


def noise(random: Random) -> Iterator[Level]:
    """Even, normal, and salt and pepper."""
    while True:
        shape = tuple(random.integers(28, 300, 2))
        kinds = random.integers(0, 256, shape), random.normal(128, 30, shape), 255 * (random.random(shape) < 0.1)
        yield np.clip(kinds[random.integers(3)], 0, 255).astype(np.uint8)


def textures(random: Random) -> Iterator[Level]:
    """Stripes, rings and clouds."""
    while True:
        side = int(random.integers(64, 300))
        y, x = np.indices((side, side)) / side - random.uniform(0, 1, (2, 1, 1))
        waves = random.uniform(4, 20) * 2 * np.pi
        clouds = Image.fromarray(random.integers(0, 256, (side, side), np.uint8))
        kinds = (
            np.sin(waves * (x + random.uniform(-1, 1) * y)),
            np.sin(waves * np.hypot(x, y)),
            np.asarray(clouds.filter(ImageFilter.GaussianBlur(random.uniform(2, 12))), float),
        )
        levels = kinds[random.integers(3)]
        yield (255 * (levels - levels.min()) / np.ptp(levels)).astype(np.uint8)


def several(random: Random, count: int, apart: tuple[int, int]) -> Iterator[Level]:
    """MNIST digits beside each other, `apart` pixels from outline to outline, enlarged up to eight times."""
    digits = load_mnist()["x_test"]
    while True:
        sheet, right = np.zeros((28, 28 * count + 40), np.uint8), 8
        for digit in digits[random.integers(0, len(digits), count)]:
            columns = np.flatnonzero(digit.any(0))
            width = columns[-1] + 1 - columns[0]
            place = sheet[:, right : right + width]
            np.maximum(place, digit[:, columns[0] : columns[-1] + 1], out=place)
            right += int(width + random.integers(*apart))
        scale = int(random.integers(1, 9))
        image = Image.fromarray(np.pad(sheet[:, : right + 8], 4))
        yield np.asarray(image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC))


def signs(random: Random, characters: str) -> Iterator[Level]:
    """Characters in five fonts, dark on light."""
    while True:
        font = ImageFont.truetype(FONTS[random.integers(len(FONTS))], int(random.integers(40, 120)))
        image = Image.new("L", (160, 160), 255)
        character = characters[random.integers(len(characters))]
        ImageDraw.Draw(image).text((80, 80), character, 0, font, "mm")
        yield np.asarray(image)


def codes(random: Random) -> Iterator[Level]:
    """QR codes of 21 to 40 modules a side."""
    while True:
        text = "".join(random.choice(list(string.ascii_letters), int(random.integers(1, 60))))
        modules = np.array([list(row) for row in segno.make_qr(text).matrix_iter(border=2)], np.uint8)
        yield np.kron(255 * (1 - modules), np.ones((random.integers(2, 8),) * 2, np.uint8)).astype(np.uint8)


def photos(random: Random) -> Iterator[Level]:
    """Pieces of photographs and of printed pages."""
    folder = Path(skimage.__file__).parent / "data"
    images = [skimage.io.imread(folder / f"{name}.png") for name in PHOTOS]
    while True:
        image = images[random.integers(len(images))]
        side = int(random.integers(48, min(256, *image.shape[:2])))
        top, left = (int(random.integers(0, length - side + 1)) for length in image.shape[:2])
        yield np.ascontiguousarray(image[top : top + side, left : left + side])


def kinds(random: Random) -> dict[str, Iterator[Level]]:
    others = "".join(c for c in string.ascii_letters + string.punctuation if c not in LOOKALIKES)
    return {
        "blank and nearly blank pages": pages(random),
        "noise": noise(random),
        "textures": textures(random),
        "two digits, apart": several(random, 2, (2, 12)),
        "two digits, touching": several(random, 2, (-2, 1)),
        "three digits": several(random, 3, (-1, 8)),
        "letters and punctuation": signs(random, others),
        "QR codes": codes(random),
        "pieces of photos": photos(random),
        f"not counted, look-alikes {LOOKALIKES}": signs(random, LOOKALIKES),
    }


def main(model: str) -> None:
    bundle = read_bundle(model)
    reader = Reader(Classifier(bundle, find_engine()), bundle.min_confidence, read_labels(None), csv_text, details=True)

    def read(pictures: Iterable[Level]) -> list[Row]:
        details = reader(Batch([Found("", content=picture) for picture in pictures])).details
        assert details
        return details.rows

    print("| pictures | rejected | why |\n| --- | ---: | --- |")
    shares = []
    for name, pictures in kinds(np.random.default_rng(0)).items():
        reasons = Counter(row.reason for row in read(islice(pictures, EACH)) if row.status == "rejected")
        shares.append(reasons.total() / EACH)
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        print(f"| {name} | {shares[-1]:.1%} | {why} |")
    print(f"| **all but the last** | **{np.mean(shares[:-1]):.1%}** | |")
    mnist = load_mnist()
    rows = zip(read(mnist["x_test"]), mnist["y_test"], strict=True)
    wrong = [row.digit != digit for row, digit in rows if row.status == "rejected"]
    print(f"\nOf MNIST's 10,000 test digits {len(wrong)} are rejected, {sum(wrong)} of which are read wrongly.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "base")
