"""What cannot be read gets a reason made for people, and never anything but ImageError."""

import contextlib
import os
import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from digit_infer.decode import read_picture
from digit_infer.errors import ImageError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8))


def reason(path):
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    return str(caught.value)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7\n" + b"\0" * 300, "a PDF; save its pages as pictures"),
        (b"PK\3\4" + b"\0" * 300, "a zip archive; name it on the command line, ending in .zip"),
        (b"digits,and,commas\n" * 20, "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "a truncated or damaged picture"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 300, "a truncated or damaged picture"),
        (b"RIFF\x42\1\0\0WEBPVP8L" + b"\0" * 99, "a truncated or damaged picture"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 300, "a truncated or damaged picture"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 300, "HEIC, which Pillow cannot read; save it as JPEG"),
        (png_claiming(50_000, 50_000), "larger than 178 MP"),
        (png_claiming(13_350, 13_350), "larger than 178 MP"),
        (png_claiming(100, 100), "truncated PNG"),
    ],
    ids=[
        "empty",
        "pdf",
        "zip",
        "text",
        "svg",
        "png name only",
        "jpeg name only",
        "webp name only",
        "avif name only",
        "heic",
        "2500 MP",
        "178.2 MP",
        "no pixels",
    ],
)
def test_the_reason_says_what_is_wrong(content, expected, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    assert reason(tmp_path / "a.png") == expected


def save_pages(path, count, **options):
    with TiffImagePlugin.AppendingTiffWriter(path, new=True) as file:
        for page in range(count):
            NOISE.save(file, "TIFF", **(options if page else {}))
            file.newFrame()


def test_the_pages_of_a_scan_are_not_passed_over_in_silence(tmp_path):
    save_pages(tmp_path / "scan.tif", 3)
    assert reason(tmp_path / "scan.tif") == "several pages; save each as a picture of its own"


@pytest.mark.parametrize("kind", [1, 4, 5], ids=["preview", "mask", "mask of a preview"])
def test_a_preview_or_a_mask_is_no_page(kind, tmp_path):
    save_pages(tmp_path / "photo.tif", 2, tiffinfo={254: kind})
    np.testing.assert_array_equal(read_picture(tmp_path / "photo.tif"), np.asarray(NOISE))


def test_neither_is_what_is_half_as_wide(tmp_path):
    NOISE.save(tmp_path / "photo.tif", save_all=True, append_images=[NOISE.resize((30, 30))])
    np.testing.assert_array_equal(read_picture(tmp_path / "photo.tif"), np.asarray(NOISE))


def test_a_first_page_is_read_whatever_is_wrong_behind_it(tmp_path):
    path = tmp_path / "scan.tif"
    save_pages(path, 1)
    whole = path.read_bytes()
    save_pages(path, 2)
    path.write_bytes(path.read_bytes()[: len(whole) + 40])
    np.testing.assert_array_equal(read_picture(path), np.asarray(NOISE))


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_a_file_that_ends_too_early_is_called_truncated(kind, share, tmp_path):
    path = tmp_path / "a"
    NOISE.save(path, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason(path) == f"truncated {kind}"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_damage_in_what_is_told_of_a_picture_is_none_of_its_pixels(kind, tmp_path):
    Image.new("L", (30, 20), 77).save(tmp_path / "a.png", kind, exif=b"Exif\0\0garbage", quality=100)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), np.full((20, 30), 77), atol=1)


def test_a_file_spoilt_in_the_middle_is_called_damaged(tmp_path):
    path = tmp_path / "a.png"
    NOISE.save(path)
    content = bytearray(path.read_bytes())
    content[1000:1100] = bytes(100)
    path.write_bytes(content)
    assert reason(path) == "damaged PNG"


@pytest.mark.parametrize("level", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "-inf"])
def test_a_float_picture_must_be_finite(level, tmp_path):
    levels = np.full((20, 20), 0.5, np.float32)
    levels[3, 4] = level
    Image.fromarray(levels).save(tmp_path / "a.tif")
    assert reason(tmp_path / "a.tif") == "holds levels that are NaN, infinite or enormous"


def test_a_missing_file_is_named_as_such(tmp_path):
    assert reason(tmp_path / "a.png") == "no such file or directory"


def test_a_folder_is_not_a_picture(tmp_path):
    assert reason(tmp_path) == "is a directory"


@pytest.fixture
def locked_picture(tmp_path):
    NOISE.save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    return tmp_path / "a.png"


@pytest.fixture
def ordinary_user(locked_picture):
    """Root may read everything, so the test goes on as nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_file_without_permission_says_so(locked_picture, ordinary_user):
    assert reason(locked_picture) == "permission denied"


def test_a_named_pipe_is_refused_instead_of_waited_for(tmp_path, time_limit):
    os.mkfifo(tmp_path / "a.png")
    with time_limit(3):
        assert reason(tmp_path / "a.png") == "not a regular file"


@pytest.mark.filterwarnings("ignore")  # Pillow's; what counts here is the exception
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_no_flipped_byte_gets_past_as_anything_but_an_image_error(kind, tmp_path):
    path = tmp_path / "a"
    Image.fromarray(np.asarray(NOISE)[:12, :12]).save(path, kind)
    good = path.read_bytes()
    for place in range(min(len(good), 300)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        with contextlib.suppress(ImageError):
            assert read_picture(path).dtype == np.uint8


def test_a_picture_larger_than_the_memory_that_is_left_says_so(tmp_path, run_cli):
    def little():
        resource.setrlimit(resource.RLIMIT_AS, (500_000_000, 500_000_000))

    picture = Image.new("P", (9000, 9000), 1)
    picture.save(tmp_path / "a.png", transparency=0, compress_level=1)
    done = run_cli(str(tmp_path / "a.png"), "--workers", "1", preexec_fn=little)
    assert done.returncode == 3
    assert b",error,,,,,,larger than the memory that is left," in done.stdout
