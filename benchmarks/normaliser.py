"""Time the normaliser and what each of its steps is worth: python -m benchmarks.normaliser [DEV_FOLDER].

DEV_FOLDER holds labels.csv with columns file, label and author, the pictures under images/, and usps.npz with x,
(n, 16, 16), and y. Drawn pages are those of the tests, with MNIST's test digits. The tables are Markdown.
"""

import csv
import io
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as digit-infer does

import numpy as np
from benchmarks.pages import VARIANTS
from numpy.typing import NDArray
from PIL import Image, ImageOps

from digit_infer import decode, ink, normalise, parameters
from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.errors import ImageError
from digit_infer.parameters import Parameters
from digit_train.mnist import load_mnist

EACH, BATCH, ROUNDS = 1024, 256, 5
ON_PAGES = 30  # digits that are drawn on every kind of page
MNIST_LIKE, SMALL, LARGE = 5.0, 120.0, 0.25  # aims: µs, µs, of the time of decoding
Levels = NDArray[np.uint8]


def main(dev: str | None) -> None:
    print("| pictures | decode, µs | normalise, µs | of decoding | aim | |\n| --- | ---: | ---: | ---: | ---: | --- |")
    random = np.random.default_rng(0)
    digits = load_mnist()["x_test"][:EACH]
    time_small("MNIST", digits, MNIST_LIKE)
    for side in (16, 32, 48, 64):
        pages = np.stack([255 - np.asarray(Image.fromarray(digit).resize((side, side))) for digit in digits])
        time_small(f"{side} px, clean", pages, SMALL)
        time_small(f"{side} px, shaded with grain", shaded(pages, random), SMALL)
        time_small(f"{side} px, coloured", coloured(pages, random), SMALL)
    time_large(digits[0], random)
    if dev:
        print(f"\n{steps_table(Path(dev))}")


def shaded(pages: Levels, random: np.random.Generator) -> Levels:
    """Dark on light, (n, h, w), under a shadow that falls to 60 % across, with grain of 4 levels."""
    light = np.linspace(1, 0.6, pages.shape[2])
    return np.clip(pages * light + random.normal(0, 4, pages.shape), 0, 255).astype(np.uint8)


def coloured(pages: Levels, random: np.random.Generator) -> Levels:
    """(n, h, w) to (n, h, w, 3): ink of one random colour on light paper of another."""
    ink, paper = random.uniform(0, 120, (len(pages), 1, 1, 3)), random.uniform(160, 255, (len(pages), 1, 1, 3))
    return (ink + (paper - ink) * (pages[..., None] / 255)).astype(np.uint8)


def fewest_seconds(work: Callable[[], object]) -> float:
    laps = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        laps.append(time.perf_counter() - start)
    return min(laps)


def time_small(name: str, pictures: Levels, aim: float) -> None:
    """A row of the table, per picture, normalised in batches as digit-infer does."""
    files = []
    for picture in pictures:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        files.append(stream.getvalue())
    decoded = [decode.decode_bytes(file) for file in files]
    batches = [decoded[i : i + BATCH] for i in range(0, len(decoded), BATCH)]
    reading = 1e6 * fewest_seconds(lambda: [decode.decode_bytes(file) for file in files]) / len(files)
    working = (
        1e6 * fewest_seconds(lambda: [normalise.normalise_all(batch, len(batch)) for batch in batches]) / len(files)
    )
    verdict = "reached" if working <= aim else "missed"
    print(f"| {name} | {reading:.1f} | {working:.1f} | {working / reading:.2f} | {aim:.0f} µs | {verdict} |")


def time_large(digit: Levels, random: np.random.Generator) -> None:
    """A row for a photograph of 12 megapixels: a digit on grainy paper in a shadow."""
    ink = np.asarray(Image.fromarray(np.pad(digit, ((4, 4), (10, 10)))).resize((4000, 3000), Image.Resampling.BICUBIC))
    light = np.linspace(230, 120, 4000, dtype=np.float32) * (1 - ink.astype(np.float32) / 320)
    photo = np.clip(light + random.normal(0, 5, ink.shape), 0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        Image.fromarray(np.stack([photo, photo, photo * 0.9], axis=-1).astype(np.uint8)).save(path, quality=90)
        picture = decode.read_picture(path)
        reading = fewest_seconds(lambda: decode.read_picture(path))
    working = fewest_seconds(lambda: normalise.normalise_all([picture], 1))
    row = f"| JPEG of 12 MP | {1e6 * reading:,.0f} | {1e6 * working:,.0f} | {working / reading:.2f} | {LARGE:.2f} |"
    print(f"{row} {'reached' if working / reading <= LARGE else 'missed'} |")


class Truth(NamedTuple):
    """What is measured on: files with their digits and authors, USPS, and drawn pages."""

    files: list[Path]
    labels: NDArray[np.int64]
    authors: list[str]
    usps: Levels
    usps_labels: NDArray[np.int64]
    pages: list[Levels]
    page_labels: NDArray[np.int64]


def read_truth(dev: Path) -> Truth:
    with (dev / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(dev / "usps.npz") as usps:
        x, y = usps["x"], usps["y"]
    labels = np.array([int(row["label"]) for row in rows])
    files, authors = [dev / "images" / row["file"] for row in rows], [row["author"] for row in rows]
    return Truth(files, labels, authors, x, y, *drawn_pages())


def drawn_pages() -> tuple[list[Levels], NDArray[np.int64]]:
    """Every kind of page with the same digits, and their labels."""
    mnist = load_mnist()
    pages = [draw(digit) for draw in VARIANTS.values() for digit in mnist["x_test"][:ON_PAGES]]
    return pages, np.tile(mnist["y_test"][:ON_PAGES], len(VARIANTS))


def steps_table(dev: Path) -> str:
    """Accuracies with everything, and how many points go with each step."""
    truth, classifier = read_truth(dev), Classifier(read_bundle("base"), find_engine())
    whole = accuracies(truth, classifier)
    lines = ["| | single pictures | mean of authors | USPS | drawn pages |", "| --- | ---: | ---: | ---: | ---: |"]
    lines.append(f"| everything | {' | '.join(f'{share:.2%}' for share in whole)} |")
    for name, module, changes in steps():
        with patch.multiple(module, **changes):
            left = accuracies(truth, classifier)
        lost = " | ".join(f"{100 * (a - b):+.2f}" for a, b in zip(left, whole, strict=True))
        lines.append(f"| {name} | {lost} |")
    return "\n".join(lines)


def accuracies(truth: Truth, classifier: Classifier) -> list[float]:
    """Share of pictures, mean of the authors' shares, share of USPS, of pages; what is rejected counts as wrong."""
    right = read_right([read_or_blank(path) for path in truth.files], truth.labels, classifier)
    by_author = defaultdict(list)
    for author, hit in zip(truth.authors, right, strict=True):
        by_author[author].append(hit)
    usps = read_right(list(truth.usps), truth.usps_labels, classifier)
    pages = read_right(truth.pages, truth.page_labels, classifier)
    mean_of_authors = np.mean([np.mean(hits) for hits in by_author.values()])
    return [float(share) for share in (right.mean(), mean_of_authors, usps.mean(), pages.mean())]


def read_or_blank(path: Path) -> Levels:
    try:
        return decode.read_picture(path)
    except ImageError:
        return np.zeros((28, 28), np.uint8)


def read_right(pictures: list[Levels], labels: NDArray[np.int64], classifier: Classifier) -> NDArray[np.bool_]:
    """Which are read, and rightly: (n,)."""
    normalised = normalise.normalise_all(pictures, len(pictures), parameters.PARAMETERS)
    chances = classifier.classify(normalised.pixels)
    trusted = np.array([not reason for reason in normalised.reasons])
    trusted &= chances.max(1) >= classifier.bundle.min_confidence
    return trusted & (chances.argmax(1) == labels)


def steps() -> list[tuple[str, Any, dict[str, Any]]]:
    """Each step with the module that holds it, and what replaces it there."""
    find_ink = ink.find_ink

    def luminance(picture: Levels, p: Parameters) -> Levels:
        return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))

    def one_level(levels: Levels, paper_level: Levels, p: Parameters) -> Levels:
        return np.zeros_like(levels) + paper_level[:, None, None]

    def polarity_by_mean(greys: Levels, p: Parameters) -> Levels:
        # a rim that is white or black outright leaves find_ink no choice
        with patch.multiple(ink, rim=lambda greys: np.uint8(255) * (greys.mean((1, 2)) > 127.5)[:, None]):
            return find_ink(greys, p)

    def nearest(picture: Levels, side: int) -> Levels:
        scale = side / max(picture.shape[:2])
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.NEAREST))

    def box_centre(boxed: Levels) -> Levels:
        pixels = np.zeros((28, 28), np.uint8)
        top, left = ((28 - length) // 2 for length in boxed.shape)
        pixels[top : top + boxed.shape[0], left : left + boxed.shape[1]] = boxed
        return pixels

    def shrunk(picture: Levels, side: int) -> Levels:
        return nearest(picture, side) if max(picture.shape) > side else picture

    def using(**values: Any) -> dict[str, Any]:
        return {"PARAMETERS": replace(parameters.PARAMETERS, **values)}

    return [
        ("luminance for colours", normalise, {"to_grey": luminance}),
        ("ink at the rim taken for paper", parameters, using(jump=np.inf)),
        ("paper of one level", ink, {"estimate_paper": one_level}),
        ("spots of light taken for ink", parameters, using(spot=np.inf)),
        ("polarity by the mean", normalise, {"find_ink": polarity_by_mean}),
        ("frame at the rim kept", parameters, using(frame=0)),
        ("wide frame at the rim kept, and grain", parameters, using(roomy=np.inf)),
        ("surroundings of the sheet kept", normalise, {"may_lie_on_a_sheet": lambda *_: False}),
        ("frame around the digit kept", parameters, using(enclosed=np.inf)),
        ("squared paper kept", parameters, using(ruling=1)),
        ("lines kept", parameters, using(flat=np.inf)),
        ("ink in the shadow as pale as it is", parameters, using(shaded=0)),
        ("specks kept", parameters, using(speck=0)),
        ("small print as loud as large", parameters, using(loud=0)),
        ("pieces far off kept", parameters, using(near=np.inf)),
        ("pieces at the rim as good as others", parameters, using(rim_weight=1)),
        ("thin strokes left thin", parameters, using(thinnest=0)),
        ("nearest pixel for averages", normalise, {"resize": nearest, "shrink": shrunk}),
        ("the same, for the paper's", ink, {"shrink": shrunk}),
        ("centre of the box for that of mass", normalise, {"centre": box_centre}),
        ("EXIF orientation left out", ImageOps, {"exif_transpose": lambda image: image}),
        ("transparency left out", decode, {"composite": lambda pixels: pixels[..., :3]}),
    ]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
