"""Of a damaged archive what is whole is read, a row tells of the damage, and nothing else ever happens."""

import gzip
import os
import zipfile

import numpy as np
import pytest
from archive_files import PIXELS, found_in, idx, infer, npy, npz, tar_of, zip_of

from digit_infer.sources import find_images


@pytest.fixture(scope="module")
def jpg(samples):
    return next((samples / "harder").rglob("*.jpg")).read_bytes()


@pytest.fixture(scope="module")
def kinds(png, jpg):
    """A small one of every kind, by file name."""
    members = {f"{i}.{kind}": content for i in range(3) for kind, content in (("png", png), ("jpg", jpg))}
    return {
        "a.zip": zip_of(members),
        "stored.zip": zip_of(members, zipfile.ZIP_STORED),
        "a.tar": tar_of(members),
        "a.tar.gz": tar_of(members, "w:gz"),
        "a.tar.bz2": tar_of(members, "w:bz2"),
        "a.tar.xz": tar_of(members, "w:xz"),
        "a.npy": npy(PIXELS),
        "a.npz": npz(x=PIXELS, y=np.arange(12)),
        "a-idx3-ubyte": idx(PIXELS),
        "a-idx3-ubyte.gz": gzip.compress(idx(PIXELS)),
    }


KINDS = [
    *("a.zip", "stored.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"),
    *("a.npy", "a.npz", "a-idx3-ubyte", "a-idx3-ubyte.gz"),
]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.8, 0.95])
def test_of_an_archive_cut_short_the_rest_is_kept_and_a_row_says_so(share, name, kinds, tmp_path):
    (tmp_path / name).write_bytes(kinds[name])
    whole = found_in(tmp_path / name)
    assert {reason for _, reason in whole} == {""}
    end = len(kinds[name].rstrip(b"\0"))  # what follows in a tar may be missing
    (tmp_path / name).write_bytes(kinds[name][: int(end * share)])
    *kept, last = found_in(tmp_path / name)
    assert kept == whole[: len(kept)]
    assert last[0] == ""
    assert last[1].startswith("damaged archive: ")
    result = infer(tmp_path / name)
    assert result.exit_code == 3
    assert "Traceback" not in result.stderr
    assert f"{len(kept)} ok" in result.stderr or name[2:5] in ("npy", "npz", "idx")
    assert f"{len(kept) + 1} pictures: " in result.stderr
    assert ", 1 errors; " in result.stderr


def test_a_tar_cut_short_between_two_members_is_noticed_too(kinds, tmp_path):
    content = kinds["a.tar"]
    (tmp_path / "a.tar").write_bytes(content)
    whole = found_in(tmp_path / "a.tar")
    starts = [place for place in range(0, len(content), 512) if content[place + 257 : place + 262] == b"ustar"]
    assert len(starts) == len(whole) == 6
    for number, place in enumerate(starts[1:], 1):
        for cut in (place, place + 1, place + 511):
            (tmp_path / "a.tar").write_bytes(content[:cut])
            *kept, (_, reason) = found_in(tmp_path / "a.tar")
            assert kept == whole[:number]
            assert reason.startswith("damaged archive: ")


def test_a_damaged_header_in_the_middle_of_a_tar_is_noticed(kinds, tmp_path):
    content = bytearray(kinds["a.tar"])
    content[content.index(b"2.png\0") + 100] ^= 0xFF  # of its mode, so that the sum is wrong
    (tmp_path / "a.tar").write_bytes(content)
    *kept, (_, reason) = found_in(tmp_path / "a.tar")
    assert [path for path, _ in kept] == ["/0.png", "/0.jpg", "/1.png", "/1.jpg"]
    assert reason.startswith("damaged archive: ")


def test_a_pixel_spoilt_in_a_compressed_array_is_noticed(tmp_path):
    content = bytearray(gzip.compress(idx(PIXELS), 0))
    content[2000] ^= 1
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(content)
    *kept, (_, reason) = found_in(tmp_path / "a-idx3-ubyte.gz")
    assert len(kept) == 12
    assert reason.startswith("damaged archive: crc check failed")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [b"", b"no archive", bytes(3000), b"\xff" * 999], ids=["empty", "text", "0", "255"])
def test_what_is_named_like_an_archive_and_is_none_gets_one_row(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    found = found_in(tmp_path / name)
    if ".tar" in name and content == bytes(3000):
        assert found == []  # a tar without members looks just so
    else:
        ((path, reason),) = found
        assert (path, reason[:17]) == ("", "damaged archive: ")


NAMES = ["a.zip", "a.tar", "a.npy", "a.npz", "a-idx3-ubyte"]


@pytest.mark.parametrize("name", NAMES)
def test_a_named_pipe_is_refused_instead_of_waited_for(name, tmp_path, time_limit):
    os.mkfifo(tmp_path / name)
    with time_limit(3):
        assert found_in(tmp_path / name) == [("", "not a regular file")]


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_that_is_not_there_any_more_gets_its_row(name, kinds, tmp_path):
    (tmp_path / name).write_bytes(kinds[name])
    found = find_images([str(tmp_path / name)])
    (tmp_path / name).unlink()
    (only,) = found
    assert (only.path, only.fault) == (str(tmp_path / name), "no such file or directory")


def test_a_wrong_checksum_at_the_end_of_a_compressed_tar_is_noticed(kinds, tmp_path):
    content = bytearray(kinds["a.tar.gz"])
    content[-8] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(content)
    *kept, (_, reason) = found_in(tmp_path / "a.tar.gz")
    assert len(kept) == 6
    assert reason.startswith("damaged archive: crc check failed")


@pytest.mark.parametrize("name", KINDS)
def test_spoilt_bytes_never_give_anything_but_rows(name, kinds, tmp_path):
    good, rng = kinds[name], np.random.default_rng(len(name))
    for number in range(120):
        content = bytearray(good)
        start = int(rng.integers(min(len(content), 400) if number % 2 else len(content)))
        end = start + int(rng.integers(1, 9))
        if number % 3:
            content[start:end] = rng.bytes(len(content[start:end]))
        else:
            content[start:end] = rng.bytes(int(rng.integers(5)))
        (tmp_path / name).write_bytes(content)
        assert len(found_in(tmp_path / name)) <= 60


@pytest.mark.parametrize("place", [20, 100, 200])
def test_a_damaged_member_of_a_zip_gets_its_row_and_the_others_theirs(place, png, tmp_path):
    content = bytearray(zip_of({"a.png": png, "b.png": png, "c.png": png}, zipfile.ZIP_STORED))
    start = content.index(b"b.png") + 5
    content[start + place] ^= 0x55
    (tmp_path / "a.zip").write_bytes(content)
    assert found_in(tmp_path / "a.zip") == [("/a.png", ""), ("/b.png", "damaged archive member"), ("/c.png", "")]
