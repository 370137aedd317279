"""From a picture file to grey or colour levels as the picture was meant to be seen."""

import math
import os
import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from digit_infer.errors import ImageError

LONGEST_SIDE = 1024  # pixels; larger pictures are reduced, by the decoder itself where it can (JPEG)
MAX_MEGAPIXELS = 178


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode one picture by its content: (h, w) or (h, w, 3), uint8, upright, transparency composited, 1024 px at most.

    Of several frames the first is taken. Raises ImageError with a reason made for people.
    """
    try:
        with warnings.catch_warnings(), open(path, "rb", opener=open_without_waiting) as file:
            warnings.simplefilter("ignore")  # Pillow's, of sizes and tags: what matters becomes an error
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError("not a regular file")
            return decode(open_image(file))
    except OSError as error:
        raise ImageError((error.strerror or str(error)).lower()) from error


def open_without_waiting(path: str, flags: int) -> int:
    """Open a named pipe at once instead of waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_image(file: object) -> Image.Image:
    """Open by content, not by extension; refuse what would not fit into memory before any pixel is decoded."""
    try:
        image = Image.open(file)  # type: ignore[arg-type]
    except Image.DecompressionBombError as error:
        raise ImageError(f"larger than {MAX_MEGAPIXELS} MP") from error
    except Exception as error:  # the parsers of 40 formats raise whatever they meet
        raise ImageError("not an image") from error
    if image.width * image.height > MAX_MEGAPIXELS * 1e6:
        raise ImageError(f"larger than {MAX_MEGAPIXELS} MP")
    return image


def decode(image: Image.Image) -> NDArray[np.uint8]:
    """Load the pixels and bring every mode to grey or RGB."""
    try:
        image.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
        image.load()
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # as above
        raise ImageError(f"{'truncated' if 'truncated' in str(error) else 'damaged'} {image.format}") from error
    if image.mode.startswith(("I", "F")):
        return to_eight_bits(reduce(image if image.mode == "F" else image.convert("I")))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return without_colour(composite(reduce(image.convert("RGBA"))))
    if image.mode in ("1", "L"):
        return reduce(image.convert("L"))
    return without_colour(reduce(image.convert("RGB")))


def without_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) to (h, w) where all pixels are grey: MNIST saved in colour is still MNIST."""
    return pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels


def reduce(image: Image.Image) -> NDArray[Any]:
    """Average whole blocks of pixels until the longest side fits."""
    factor = -(-max(image.size) // LONGEST_SIDE)
    return np.asarray(image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image)


def to_eight_bits(levels: NDArray[np.int32] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale deep grey to 0-255: floats about 0-1 from there, others from the power of two above the brightest."""
    if not np.isfinite(levels).all():
        raise ImageError("holds NaN or infinite levels")
    darkest, brightest = float(levels.min()), float(levels.max())
    if levels.dtype.kind == "f" and darkest >= -0.5 and brightest <= 2:
        return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    bottom = min(darkest, 0.0)
    full = max(255.0, 2.0 ** math.ceil(math.log2(brightest - bottom + 1)) - 1)
    return np.rint((levels - bottom) * (255 / full)).astype(np.uint8)


def composite(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay (h, w, 4) over white, or over black where only that shows what is drawn; returns (h, w, 3)."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    on_white, on_black = (pixels[..., :3] * alpha + ground * (1 - alpha) for ground in (255, 0))
    shows_more_on_black = on_black.std(axis=(0, 1)).max() > 2 * on_white.std(axis=(0, 1)).max()
    return np.rint(on_black if shows_more_on_black else on_white).astype(np.uint8)
