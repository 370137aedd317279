"""From a picture file to grey or colour levels as the picture was meant to be seen."""

import importlib
import io
import math
import os
import re
import stat
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from digit_infer.errors import ImageError
from digit_infer.quiet import warnings_silenced

if TYPE_CHECKING:
    from PIL.Image import Image

try:
    from pyspng import c as spng  # what its `load` wraps, at a tenth of the whole cost
except ImportError:  # there is no wheel for 32-bit ARM
    spng = None
    importlib.import_module("PIL.Image")  # which every picture needs then: once, for all workers

Levels = NDArray[np.uint8]
LONGEST_SIDE = 1024  # pixels; larger pictures are reduced, by the decoder itself where it can (JPEG)
MAX_MEGAPIXELS = 178
ORIENTATION = 0x0112  # EXIF's tag
NEW_SUBFILE_TYPE, PREVIEW_OR_MASK = 0x00FE, 1 | 4  # TIFF's tag, and bits of it
BEHIND_FIRST = 8  # frames that are looked through for another page: reading on and on takes ever longer
MAGIC = (
    *(rb"\x89PNG\r\n", rb"\xff\xd8\xff", rb"GIF8[79]a", rb"BM.{4}\0{4}", rb"II\*\0", rb"MM\0\*", rb"RIFF.{4}WEBP"),
    rb".{4}ftypavi[fs]",
)
FIRST_BYTES = re.compile(b"|".join(MAGIC), re.DOTALL)  # of the commonest kinds of pictures, the first 12
NO_IMAGES = (
    (re.compile(rb".{4}ftyp(hei[cx]|m[is]f1)", re.DOTALL), "HEIC, which Pillow cannot read; save it as JPEG"),
    (re.compile(rb"%PDF"), "a PDF; save its pages as pictures"),
    (re.compile(rb"PK\x03\x04"), "a zip archive; name it on the command line, ending in .zip"),
    (re.compile(rb"\Z"), "an empty file"),
    (FIRST_BYTES, "a truncated or damaged picture"),
    (re.compile(rb""), "not an image"),
)
SMALL = 2**16  # bytes; larger files are left to Pillow, which reads them piece by piece
OPENED = os.O_RDONLY | os.O_NONBLOCK  # a named pipe at once instead of waiting for its writer
PNG_START = struct.Struct(">16xII5sI")  # behind signature and IHDR: width, height, kind and checksum
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
GREY, RGB = b"\x08\0\0\0\0", b"\x08\2\0\0\0"  # 8 bits, not interlaced
PLAIN_CHUNKS = {b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME"}  # none changes the pixels
CHUNK, CHECKSUM = struct.Struct(">I4s"), struct.Struct(">I")


def read_picture(path: str | Path) -> Levels:
    """Decode one picture by its content: (h, w) or (h, w, 3), uint8, upright, transparency composited, 1024 px at most.

    Of several frames the first is taken. Raises ImageError with a reason made for people, also for a TIFF of several
    pages.
    """
    try:
        descriptor = os.open(path, OPENED)
        try:
            start = os.read(descriptor, SMALL)
            if len(start) < SMALL and (picture := decode_plain_png(start)) is not None:
                return picture
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ImageError("not a regular file")
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                return decode(file)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ImageError((error.strerror or str(error)).lower()) from error


def decode_bytes(content: bytes) -> Levels:
    """As `read_picture`, for a file's content."""
    picture = decode_plain_png(content)
    return decode(io.BytesIO(content)) if picture is None else picture


def decode_plain_png(content: bytes) -> Levels | None:
    """Decode the commonest kind, grey or RGB without extras, 4 times as fast as Pillow; None for any other."""
    if spng is None or not content.startswith(PNG_SIGNATURE):
        return None
    try:
        width, height, kind, checksum = PNG_START.unpack_from(content)
        if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE) or kind not in (GREY, RGB):
            return None
        # spng itself does not mind a wrong checksum
        if zlib.crc32(content[12:29]) != checksum:
            return None
        place = PNG_START.size
        while content[place : place + 12] != PNG_END:
            length, chunk = CHUNK.unpack_from(content, place)
            end = place + 8 + length
            (checksum,) = CHECKSUM.unpack_from(content, end)
            if chunk not in PLAIN_CHUNKS or zlib.crc32(content[place + 4 : end]) != checksum:
                return None
            place = end + 4
        pixels = spng.spng_decode_image_bytes(content, spng.SPNG_FMT_AUTO)
    except (struct.error, RuntimeError, ValueError):
        return None  # Pillow knows what is wrong
    return pixels.reshape(height, width) if kind == GREY else without_colour(pixels)


def decode_array(levels: NDArray[Any]) -> Levels:
    """As `read_picture`, for one picture of an array: (h, w), (h, w, 1) or (h, w, 3), whole numbers or floats."""
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[..., 0]
    if levels.dtype.kind == "b":
        levels = levels * np.uint8(255)
    if levels.dtype != np.uint8:
        with np.errstate(over="ignore"):  # of floats that no picture has
            levels = levels.astype(np.float32 if levels.dtype.kind == "f" else np.int64)
        levels = to_eight_bits(levels)
    return without_colour(levels) if levels.ndim == 3 else levels


def decode(file: BinaryIO) -> Levels:
    """Decode whatever Pillow knows."""
    with warnings_silenced():  # Pillow's, of sizes and tags: what matters becomes an error
        try:
            image = open_image(file)
            if image.format == "TIFF" and has_pages(file):
                raise ImageError("several pages; save each as a picture of its own")
            return to_levels(image)
        except MemoryError as error:
            raise ImageError("larger than the memory that is left") from error


def open_image(file: BinaryIO) -> "Image":
    """Open by content, not by extension; refuse what would not fit into memory before any pixel is decoded."""
    from PIL import Image  # 8 ms and 4 MB that plain PNG and arrays do without

    try:
        image = Image.open(file)
    except Image.DecompressionBombError as error:
        raise ImageError(f"larger than {MAX_MEGAPIXELS} MP") from error
    except MemoryError:
        raise
    except Exception as error:  # the parsers of 40 formats raise whatever they meet
        file.seek(0)
        start = file.read(12)
        raise ImageError(next(reason for kind, reason in NO_IMAGES if kind.match(start))) from error
    if image.width * image.height > MAX_MEGAPIXELS * 1e6:
        raise ImageError(f"larger than {MAX_MEGAPIXELS} MP")
    return image


def has_pages(file: BinaryIO) -> bool:
    """Whether another page follows the first in a TIFF file; a preview of it, marked or half as wide, and its mask are
    none.
    """
    from PIL import Image  # as above

    with suppress(Exception):  # whatever is wrong there, the first page may be whole
        image: Any = Image.open(file)
        width = image.width
        for frame in range(1, BEHIND_FIRST):
            image.seek(frame)
            if 2 * image.width > width and not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & PREVIEW_OR_MASK:
                return True
    return False


def to_levels(image: "Image") -> Levels:
    """Load the pixels and bring every mode to grey or RGB."""
    try:
        image.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
        image.load()
        if is_turned(image):  # it would copy what is upright
            from PIL import ImageOps  # slow to load, and few need it

            image = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(f"{'truncated' if 'truncated' in str(error) else 'damaged'} {image.format}") from error
    if image.mode.startswith(("I", "F")):
        return to_eight_bits(reduce(in_mode(image, "F" if image.mode == "F" else "I")))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return without_colour(composite(reduce(in_mode(image, "RGBA"))))
    if image.mode in ("1", "L"):
        return reduce(in_mode(image, "L"))
    return without_colour(reduce(in_mode(image, "RGB")))


def is_turned(image: "Image") -> bool:
    """Whether its EXIF tag says so; where that is damaged, the pixels may be whole."""
    with suppress(Exception):  # as above
        return bool(image.getexif().get(ORIENTATION, 1) != 1)
    return False


def in_mode(image: "Image", mode: str) -> "Image":
    """Converted where it has to be: Pillow would copy what has the mode already, and large pictures are large."""
    return image if image.mode == mode else image.convert(mode)


def without_colour(pixels: Levels) -> Levels:
    """(h, w, 3) to (h, w) where all pixels are grey: MNIST saved in colour is still MNIST."""
    return pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels


def reduce(image: "Image") -> NDArray[Any]:
    """Average whole blocks of pixels until the longest side fits."""
    factor = -(-max(image.size) // LONGEST_SIDE)
    return np.asarray(image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image)


def to_eight_bits(levels: NDArray[Any]) -> Levels:
    """Scale deep grey to 0-255: floats about 0-1 from there, others from the power of two above the brightest.

    Floats around 0 with a small span, -1 to 1 or standardised as for training, are stretched from end to end, as is
    deep grey that hardly any contrast would be left of.
    """
    if not np.isfinite(levels).all():
        raise ImageError("holds levels that are NaN, infinite or enormous")
    darkest, brightest = float(levels.min()), float(levels.max())
    span = brightest - darkest
    if levels.dtype.kind == "f" and darkest < -0.2 and 0 < span < 8:
        return np.rint((levels - darkest) * (255 / span)).astype(np.uint8)
    if levels.dtype.kind == "f" and darkest >= -0.5 and brightest <= 2:
        return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    bottom = min(darkest, 0.0)
    full = max(255.0, 2.0 ** math.ceil(math.log2(brightest - bottom + 1)) - 1)
    if full > 255 and 0 < span < full / 8:
        bottom, full = darkest, span
    return np.rint((levels - bottom) * (255 / full)).astype(np.uint8)


def composite(pixels: Levels) -> Levels:
    """Lay (h, w, 4) over white, or over black where only that shows what is drawn; returns (h, w, 3)."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    on_white, on_black = (pixels[..., :3] * alpha + ground * (1 - alpha) for ground in (255, 0))
    shows_more_on_black = on_black.std(axis=(0, 1)).max() > 2 * on_white.std(axis=(0, 1)).max()
    return np.rint(on_black if shows_more_on_black else on_white).astype(np.uint8)
