"""Make the pictures in samples/ from MNIST test digits: python samples/make_samples.py (needs the train extra)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digit_train.mnist import load_mnist

HERE = Path(__file__).resolve().parent
Pixels = NDArray[np.uint8]


def main() -> None:
    mnist = load_mnist()
    members = [np.flatnonzero(mnist["y_test"] == digit) for digit in range(10)]
    for digit in range(10):
        for i in members[digit][:10]:
            save(Image.fromarray(mnist["x_test"][i]), HERE / "digits" / str(digit) / f"{i:05}.png")
    for number, make in enumerate(MAKERS):
        for digit in (number, (number + 3) % 10, (number + 7) % 10):
            i = members[digit][20 + number]
            image, suffix, options = make(mnist["x_test"][i], np.random.default_rng(i))
            save(image, HERE / "harder" / str(digit) / f"{make.__name__}-{i:05}.{suffix}", **options)


def save(image: Image.Image, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)  # type: ignore[arg-type]


Made = tuple[Image.Image, str, dict[str, object]]


def drawn(digit: Pixels, size: int, width: int, height: int, left: int, top: int) -> NDArray[np.float32]:
    """How much ink is where, 0-1, (height, width): the digit smoothly enlarged to `size` on a larger page."""
    page = Image.new("L", (width, height))
    page.paste(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC), (left, top))
    return np.asarray(page, np.float32) / np.float32(255)


def mix(ink: NDArray[np.float32], colour: tuple[int, ...], paper: NDArray[np.float32] | tuple[int, ...]) -> Image.Image:
    """Lay ink of one colour on paper: a colour or (h, w, 3)."""
    pixels = np.asarray(paper, np.float32) * (1 - ink[..., None]) + np.asarray(colour, np.float32) * ink[..., None]
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def paper(digit: Pixels, random: np.random.Generator) -> Made:
    """Pencil on a photographed page: uneven light and grain."""
    ink = drawn(digit, 240, 400, 300, 70, 30) * 0.8
    light = np.linspace(1.0, 0.7, 400)[None, :, None] * np.linspace(1.0, 0.9, 300)[:, None, None]
    page = np.array([236, 230, 214]) * light + random.normal(0, 3, (300, 400, 1))
    return mix(ink, (60, 60, 70), page.astype(np.float32)), "jpg", {"quality": 85}


def blue_on_yellow(digit: Pixels, random: np.random.Generator) -> Made:
    return mix(drawn(digit, 90, 120, 100, 15, 5), (30, 60, 170), (250, 225, 90)), "png", {}


def grey_on_orange(digit: Pixels, random: np.random.Generator) -> Made:
    """Nearly the same luminance: only the colours differ."""
    return mix(drawn(digit, 90, 110, 100, 10, 5), (140, 140, 140), (220, 120, 30)), "png", {}


def small_in_corner(digit: Pixels, random: np.random.Generator) -> Made:
    return mix(drawn(digit, 80, 480, 320, 380, 220), (20, 20, 20), (255, 255, 255)), "png", {}


def dark_on_transparent(digit: Pixels, random: np.random.Generator) -> Made:
    return on_transparent(digit, 0)


def light_on_transparent(digit: Pixels, random: np.random.Generator) -> Made:
    return on_transparent(digit, 255)


def on_transparent(digit: Pixels, level: int) -> Made:
    alpha = np.rint(drawn(digit, 100, 120, 120, 10, 10) * 255).astype(np.uint8)
    return Image.fromarray(np.dstack([np.full((120, 120, 3), level, np.uint8), alpha])), "png", {}


def turned_by_exif(digit: Pixels, random: np.random.Generator) -> Made:
    """Stored on its side, as cameras do, with the tag that says so."""
    image = mix(drawn(digit, 160, 200, 260, 20, 50), (10, 40, 90), (245, 245, 240))
    exif = Image.Exif()
    exif[0x0112] = 6
    return image.transpose(Image.Transpose.ROTATE_90), "jpg", {"quality": 90, "exif": exif}


def sixteen_bit(digit: Pixels, random: np.random.Generator) -> Made:
    levels = 60000 - drawn(digit, 60, 64, 64, 2, 2) * 50000
    return Image.fromarray(levels.astype(np.uint16)), "png", {}


def palette(digit: Pixels, random: np.random.Generator) -> Made:
    return mix(drawn(digit, 60, 80, 64, 10, 2), (180, 20, 30), (255, 255, 255)).quantize(16), "gif", {}


def thick_marker(digit: Pixels, random: np.random.Generator) -> Made:
    ink = np.clip(drawn(digit, 150, 160, 160, 5, 5) * 3, 0, 1)
    return mix(ink, (0, 0, 0), (255, 255, 255)), "webp", {"lossless": True}


MAKERS: tuple[Callable[[Pixels, np.random.Generator], Made], ...] = (
    paper,
    blue_on_yellow,
    grey_on_orange,
    small_in_corner,
    dark_on_transparent,
    light_on_transparent,
    turned_by_exif,
    sixteen_bit,
    palette,
    thick_marker,
)

if __name__ == "__main__":
    main()
