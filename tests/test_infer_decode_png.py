"""The short way for plain PNG gives what Pillow gives, to the pixel and to the reason, and takes nothing else on."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from digit_infer import decode
from digit_infer.decode import decode_bytes, decode_plain_png
from digit_infer.errors import ImageError

pytest.importorskip("pyspng")
RNG = np.random.default_rng(0)
SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (28, 28), (57, 31), (200, 150), (1024, 2), (2, 1024)]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(height, width, bits=8, colour=0, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))


def saved(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def with_chunks(content, *chunks):
    """The same with more chunks behind the header."""
    return content[:33] + b"".join(chunks) + content[33:]


def by_pillow(content):
    return decode.decode(io.BytesIO(content))


def pattern(height, width, channels=None):
    """Levels with slopes and noise, so that every filter has something to do."""
    shape = (height, width, channels) if channels else (height, width)
    slope = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)
    return (slope.reshape(height, width, *[1] * bool(channels)) + RNG.integers(0, 60, shape)).astype(np.uint8)


@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("level", [0, 1, 9], ids=["stored", "fast", "best"])
def test_a_plain_png_has_the_pixels_that_were_saved(level, size, channels):
    pixels = pattern(*size, channels)
    content = saved(pixels, compress_level=level)
    ours = decode_plain_png(content)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(
        ours, pixels if channels is None or (pixels != pixels[..., :1]).any() else pixels[..., 0]
    )
    np.testing.assert_array_equal(ours, by_pillow(content))


def test_grey_saved_as_rgb_comes_out_grey():
    content = saved(np.dstack([pattern(20, 30)] * 3))
    assert decode_plain_png(content).shape == (20, 30)
    np.testing.assert_array_equal(decode_plain_png(content), by_pillow(content))


def paeth(left, up, corner):
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))


def filtered(pixels, kinds):
    """The rows of (h, w, channels) as PNG stores them, each by its kind of filter, 0 to 4."""
    height, width, channels = pixels.shape
    rows = np.pad(pixels.astype(int).reshape(height, -1), ((1, 0), (channels, 0)))
    stored = bytearray()
    for y, kind in zip(range(1, height + 1), kinds, strict=True):
        stored.append(kind)
        for x in range(channels, channels * (width + 1)):
            left, up, corner = rows[y, x - channels], rows[y - 1, x], rows[y - 1, x - channels]
            guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
            stored.append((rows[y, x] - guess) % 256)
    return bytes(stored)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0]], ids=str)
def test_every_filter_is_undone(kinds, channels):
    pixels = pattern(20, 13, channels)
    data = zlib.compress(filtered(pixels, kinds * (20 // len(kinds))))
    # in several pieces, as encoders of streams write it
    pieces = [chunk(b"IDAT", data[start : start + 50]) for start in range(0, len(data), 50)]
    content = SIGNATURE + header(20, 13, colour=0 if channels == 1 else 2) + b"".join(pieces) + chunk(b"IEND")
    ours = decode_plain_png(content)
    np.testing.assert_array_equal(ours, pixels[..., 0] if channels == 1 else pixels)
    np.testing.assert_array_equal(ours, by_pillow(content))


HARMLESS = {
    "gamma": chunk(b"gAMA", struct.pack(">I", 45455)),
    "gamma of 1": chunk(b"gAMA", struct.pack(">I", 100_000)),
    "primaries": chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    "srgb": chunk(b"sRGB", b"\0"),
    "300 dpi": chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
    "time": chunk(b"tIME", struct.pack(">HBBBBB", 2024, 2, 29, 12, 0, 0)),
}


@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("extra", HARMLESS.values(), ids=HARMLESS)
def test_chunks_that_change_no_pixel_are_taken_on(extra, channels):
    content = with_chunks(saved(pattern(12, 15, channels)), extra)
    ours = decode_plain_png(content)
    assert ours is not None
    np.testing.assert_array_equal(ours, by_pillow(content))


def text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a scan")
    return {"pnginfo": info}


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


def palette():
    file = io.BytesIO()
    Image.fromarray(pattern(9, 8)).convert("P").save(file, "PNG")
    return file.getvalue()


def jpeg():
    file = io.BytesIO()
    Image.fromarray(pattern(9, 8)).save(file, "JPEG")
    return file.getvalue()


def interlaced():
    """One pixel: the first pass of seven holds it."""
    return SIGNATURE + header(1, 1, interlace=1) + chunk(b"IDAT", zlib.compress(b"\0\x63")) + chunk(b"IEND")


FOR_PILLOW = {
    "transparent grey": lambda: with_chunks(saved(pattern(9, 8)), chunk(b"tRNS", b"\0\5")),
    "transparent colour": lambda: with_chunks(saved(pattern(9, 8, 3)), chunk(b"tRNS", bytes(6))),
    "turned by exif": lambda: saved(pattern(9, 8), **turned()),
    "with text": lambda: saved(pattern(9, 8), **text()),
    "with a profile": lambda: saved(pattern(9, 8, 3), icc_profile=b"profile" * 9),
    "grey with alpha": lambda: saved(pattern(9, 8, 2)),
    "rgba": lambda: saved(pattern(9, 8, 4)),
    "one bit": lambda: saved(pattern(9, 8) > 40),
    "16 bits": lambda: saved(pattern(9, 8).astype(np.uint16) * 257),
    "palette": palette,
    "animated": lambda: saved(pattern(9, 8), save_all=True, append_images=[Image.new("L", (8, 9))]),
    "wider than is kept": lambda: saved(pattern(2, 1025)),
    "higher than is kept": lambda: saved(pattern(1025, 2)),
    "interlaced": interlaced,
    "jpeg": jpeg,
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("make", FOR_PILLOW.values(), ids=FOR_PILLOW)
def test_what_is_not_plain_is_left_to_pillow(make):
    assert decode_plain_png(make()) is None


def outcome(content):
    """The pixels as (shape, bytes), or the reason why there are none."""
    try:
        pixels = decode_bytes(content)
    except ImageError as error:
        return str(error)
    return pixels.shape, pixels.tobytes()


def spoilt(content, number):
    """A byte or some changed, lost, or too many; by its number always the same."""
    rng = np.random.default_rng(number)
    content, place = bytearray(content), int(rng.integers(len(content)))
    if number % 5 == 0:
        content[place] ^= 1 << int(rng.integers(8))
    elif number % 5 == 1:
        content[place] = int(rng.integers(256))
    elif number % 5 == 2:
        del content[place:]
    elif number % 5 == 3:
        del content[place : place + int(rng.integers(1, 20))]
    else:
        content[place:place] = rng.bytes(int(rng.integers(1, 20)))
    return bytes(content)


@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("noise", [False, True], ids=["flat", "noise"])
def test_whatever_is_spoilt_both_ways_come_to_the_same_end(noise, channels, monkeypatch):
    pixels = pattern(11, 14, channels) if noise else np.full((11, 14, 3)[: 2 + bool(channels)], 77, np.uint8)
    contents = [spoilt(saved(pixels), number) for number in range(800)]
    ours = list(map(outcome, contents))
    monkeypatch.setattr(decode, "spng", None)
    others = list(map(outcome, contents))
    assert [number for number in range(800) if ours[number] != others[number]] == []
    assert {isinstance(one, str) for one in ours} == {True, False}


def test_bytes_behind_the_end_change_nothing():
    content = saved(pattern(9, 8))
    assert outcome(content + b"more") == outcome(content)


def test_without_the_fast_decoder_everything_is_read_all_the_same(sample_files, monkeypatch):
    contents = [path.read_bytes() for path in sample_files[::5]]
    ours = list(map(outcome, contents))
    monkeypatch.setattr(decode, "spng", None)
    assert [decode_plain_png(content) for content in contents] == [None] * 20
    assert list(map(outcome, contents)) == ours
