"""What others read of the same pictures: python -m benchmarks.others [DEV_FOLDER], with Debian's tesseract-ocr.

The usual script shrinks a picture to 28 x 28 and turns it light on dark by its mean; it has the same network here.
Tesseract gets each set in whichever of some sizes and page modes it reads most of. DEV_FOLDER is as for
`benchmarks.normaliser`. The table is Markdown.
"""

import csv
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmarks.normaliser import drawn_pages, read_or_blank, read_truth
from benchmarks.pages import Levels
from numpy.typing import NDArray
from PIL import Image, ImageOps

from digit_infer.reader import DigitReader
from digit_train.mnist import load_mnist

PAGE_MODES = 6, 10  # a block of text, a single character; 8 and 13, a word and a line, read fewer
SIZES = 28, 56, 200  # px of the longer side, at most
BORDER = 10  # px of white around it, as Tesseract's guide advises

Digits = list[int | None]
READER = DigitReader("base")


def digit_infer(pictures: list[Levels]) -> Digits:
    rows = [READER.read(picture) for picture in pictures]
    return [row.digit if row.status == "ok" else None for row in rows]


def usual_script(pictures: list[Levels]) -> Digits:
    small = [dark_on_light(picture).resize((28, 28)) for picture in pictures]
    pixels = np.stack([255 - np.asarray(image) for image in small])
    digits: Digits = READER.reader.classifier.classify(pixels).argmax(1).tolist()
    return digits


def dark_on_light(picture: Levels) -> Image.Image:
    grey = Image.fromarray(picture).convert("L")
    return grey if np.asarray(grey).mean() > 127 else ImageOps.invert(grey)


def tesseract(pictures: list[Levels], size: int, mode: int) -> Digits:
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.png" for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            image = dark_on_light(picture)
            image.thumbnail((size, size))
            ImageOps.expand(image, BORDER, 255).save(path)
        names = Path(folder, "names")
        names.write_text("\n".join(paths))
        options = ["--psm", str(mode), "-c", "tessedit_char_whitelist=0123456789", "tsv"]
        done = subprocess.run(["tesseract", names, "stdout", *options], check=True, capture_output=True, text=True)
    words = [""] * len(pictures)
    for row in csv.DictReader(io.StringIO(done.stdout), delimiter="\t", quoting=csv.QUOTE_NONE):
        words[int(row["page_num"]) - 1] += (row["text"] or "").strip()
    return [int(word) if len(word) == 1 else None for word in words]


def cell(digits: Digits, labels: NDArray[np.integer]) -> tuple[int, str]:
    """How many were read rightly, and as text the shares of those and of the wrong ones."""
    right = sum(digit == label for digit, label in zip(digits, labels.tolist(), strict=True))
    wrong = len(digits) - right - digits.count(None)
    return right, f"{right / len(digits):.1%} ({wrong / len(digits):.1%})"


def main(dev: str | None) -> None:
    mnist = load_mnist()
    sets: dict[str, tuple[list[Levels], NDArray[np.integer]]] = {
        "MNIST's test set": (list(mnist["x_test"]), mnist["y_test"]),
        "drawn pages": drawn_pages(),
    }
    if dev:
        truth = read_truth(Path(dev))
        sets[dev] = [read_or_blank(path) for path in truth.files], truth.labels
    print("| right (wrong) | `digit-infer` | the usual script | Tesseract |\n| --- | ---: | ---: | ---: |")
    for name, (pictures, labels) in sets.items():
        sides: list[Callable[[list[Levels]], Digits]] = [digit_infer, usual_script]
        cells = [cell(side(pictures), labels)[1] for side in sides]
        best = max(cell(tesseract(pictures, size, mode), labels) for size in SIZES for mode in PAGE_MODES)
        print(f"| {name} | {' | '.join([*cells, best[1]])} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
