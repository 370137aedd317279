"""No archive, whoever made it, writes anything anywhere, runs anything, or is taken at its word."""

import io
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from archive_files import PIXELS, found_in, idx, infer, npy, npz, tar_of, zip_of

from digit_infer import archives


def test_an_encrypted_member_says_so(png, tmp_path):
    content = bytearray(zip_of({"a.png": png, "b.png": png}))
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flags of the first member, in both headers
        content[content.index(mark) + place] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert found_in(tmp_path / "a.zip") == [("/a.png", "encrypted"), ("/b.png", "")]


LIES = {
    "none": (0, "damaged archive member"),
    "less": (100, "damaged archive member"),
    "more": (10**6, ""),
    "4 GB": (2**32 - 2, "larger than 64 MB"),
}


@pytest.mark.parametrize(("size", "reason"), LIES.values(), ids=LIES)
def test_a_size_that_is_a_lie_is_not_believed(size, reason, png, tmp_path):
    content = bytearray(zip_of({"a.png": png, "b.png": png}))
    for mark, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(mark) + place, size)
    (tmp_path / "a.zip").write_bytes(content)
    assert found_in(tmp_path / "a.zip") == [("/a.png", reason), ("/b.png", "")]


@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
def test_a_member_too_large_is_refused_and_never_held(make, png, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 2**20)
    path = tmp_path / ("a.zip" if make is zip_of else "a.tar")
    path.write_bytes(make({"a.png": png, "bomb.png": bytes(2**20 + 1), "just.png": bytes(2**20), "c.png": png}))
    assert found_in(path) == [
        ("/a.png", ""),
        ("/bomb.png", "larger than 1 MB"),
        ("/just.png", "not an image"),
        ("/c.png", ""),
    ]


def test_a_bomb_whose_size_is_a_lie_is_held_no_further_than_its_size(png, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 2**20)
    content = bytearray(zip_of({"bomb.png": bytes(2**24), "c.png": png}))
    for mark, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(mark) + place, 1000)
    (tmp_path / "a.zip").write_bytes(content)
    assert found_in(tmp_path / "a.zip") == [("/bomb.png", "damaged archive member"), ("/c.png", "")]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_a_long_name_is_read_and_one_without_end_is_not(format, png, tmp_path, monkeypatch):
    name = "n" * 300 + ".png"
    info = tarfile.TarInfo(name)
    info.size = len(png)
    with tarfile.open(tmp_path / "a.tar", "w", format=format) as archive:
        archive.addfile(info, io.BytesIO(png))
    assert found_in(tmp_path / "a.tar") == [(f"/{name}", "")]
    monkeypatch.setattr(archives, "LARGEST_NAME", 300)
    ((path, reason),) = found_in(tmp_path / "a.tar")
    assert (path, reason[:27]) == ("", "damaged archive: a name of ")


NAMES = [
    "../escaped.png",
    "/escaped.png",
    "../../../../../../../../tmp/escaped.png",
    "a/../../escaped.png",
    "\\..\\e.png",
]


@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
def test_names_that_point_elsewhere_get_their_rows_and_nothing_is_written(make, png, tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = tmp_path / "a" / "b" / ("a.zip" if make is zip_of else "a.tar")
    path.write_bytes(make(dict.fromkeys(NAMES, png)))
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # other programs write to /tmp meanwhile

    def written():
        return {*tmp_path.rglob("*"), *map(str, os.scandir("/")), *Path("/tmp").glob("*escaped*")}

    before = written()
    result = infer(path)
    assert result.exit_code == 0
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == [f"{path}/{name}" for name in NAMES]
    assert written() == before


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(("name", "member"), [("a.npy", ""), ("a.npz", "/x")])
def test_pickled_objects_are_never_loaded(name, member, tmp_path):
    array = np.full((3, 28, 28), None, object)
    array[0, 0, 0] = Bomb(tmp_path / "loaded")
    (tmp_path / name).write_bytes(npy(array, allow_pickle=True) if name == "a.npy" else npz(x=array))
    assert found_in(tmp_path / name) == [(member, "pictures are rows of numbers, this holds object")]
    assert not (tmp_path / "loaded").exists()
    pickle.loads(pickle.dumps(Bomb(tmp_path / "loaded"))).close()
    assert (tmp_path / "loaded").exists()  # the bomb was a real one


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((), np.uint8),
        np.zeros(784, np.uint8),
        np.zeros((3, 783), np.uint8),
        np.zeros((3, 28, 28, 4), np.uint8),
        np.zeros((3, 28, 28, 1, 1), np.uint8),
        np.zeros((3, 0, 28), np.uint8),
        np.zeros((1, 5000, 2), np.uint8),
        np.zeros((3, 28, 28), complex),
        np.zeros((3, 28, 28), "U3"),
        np.zeros((3, 28, 28), "M8[s]"),
        np.zeros((3, 28, 28), [("level", "u1")]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_an_array_that_holds_no_pictures_gets_one_row(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    ((path, reason),) = found_in(tmp_path / "a.npy")
    assert (path, reason[:13]) == ("", "pictures are ")
    assert infer(tmp_path / "a.npy").exit_code == 3


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a-idx3-ubyte"])
def test_an_empty_array_is_no_picture(name, tmp_path):
    empty = PIXELS[:0]
    (tmp_path / name).write_bytes({"a.npy": npy, "a.npz": lambda x: npz(x=x), "a-idx3-ubyte": idx}[name](empty))
    assert found_in(tmp_path / name) == []
    result = infer(tmp_path / name)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no pictures there" in result.stderr


def test_a_float_picture_that_is_not_finite_is_an_error_and_the_others_are_read(tmp_path):
    array = PIXELS.astype(np.float32) / 255
    array[3, 4, 5], array[7, 0, 0] = np.nan, np.inf
    np.save(tmp_path / "a.npy", array)
    reasons = [reason for _, reason in found_in(tmp_path / "a.npy")]
    assert [i for i, reason in enumerate(reasons) if reason] == [3, 7]
    assert reasons[3] == reasons[7] == "holds levels that are NaN, infinite or enormous"
    assert infer(tmp_path / "a.npy").exit_code == 3


def test_a_header_without_end_is_never_held(tmp_path):
    version_2 = b"\x93NUMPY\2\0" + struct.pack("<I", 2**31 - 1)
    (tmp_path / "a.npy").write_bytes(version_2 + b" " * 1000)
    assert found_in(tmp_path / "a.npy") == [("", "not pictures")]


def test_a_picture_of_an_array_larger_than_the_limit_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1, 4096, 4096)})
    assert found_in(tmp_path / "a.npy") == [("", "pictures are at most 64 MB, these have 128")]


def test_an_array_by_columns_that_is_too_large_to_hold_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": True, "shape": (10**6, 784)})
    ((_, reason),) = found_in(tmp_path / "a.npy")
    assert reason == "stored by columns, and larger than 512 MB; save it with order='C'"


SPARSE = {
    "gnu": lambda info: setattr(info, "type", tarfile.GNUTYPE_SPARSE),
    "pax": lambda info: info.pax_headers.update({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
}


@pytest.mark.parametrize("make_sparse", SPARSE.values(), ids=SPARSE)
def test_a_list_of_holes_without_end_is_never_read(make_sparse, tmp_path):
    info = tarfile.TarInfo("a.png")
    info.size = 2**16
    make_sparse(info)
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"9" * 2**16))
    assert found_in(tmp_path / "a.tar") == [("", "damaged archive: a sparse file; pack it again without --sparse")]


def test_a_compression_that_is_not_known_is_named(png, tmp_path):
    content = bytearray(zip_of({"a.png": png, "b.png": png}))
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.index(mark) + place] = 9  # Deflate64
    (tmp_path / "a.zip").write_bytes(content)
    assert found_in(tmp_path / "a.zip") == [("/a.png", "that compression method is not supported"), ("/b.png", "")]
