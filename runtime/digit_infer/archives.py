"""Pictures inside zip and tar archives and arrays inside .npy, .npz and IDX files, read as streams.

Nothing is unpacked to disk, so no name in an archive can point anywhere; every size is bounded before it is read.
"""

import gzip
import io
import lzma
import math
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from digit_infer.decode import FIRST_BYTES
from digit_infer.errors import InputError
from digit_infer.found import Block, Found, Pictures
from digit_infer.sources import IDX, OnSkip, found_file, known_suffix, no_formula
from digit_infer.stream import HEAVIEST

LARGEST = 64 * 2**20  # bytes of one picture in an archive
LARGEST_BY_COLUMNS = 2**29  # bytes of an array that is held as a whole
LARGEST_NAME = 2**16  # bytes of a name in a tar
HIDDEN = re.compile(r"(^|/)\.(?!\.?/)")  # a member, or a folder that it lies in; not those of ./ and ../
LARGEST_SIDE = 4096  # px of one picture in an array
AT_ONCE = 256  # pictures of an array that are read together
NAMES = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE
DAMAGE = (
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_archive(path: str, on_skip: OnSkip) -> Iterator[Block]:
    """What an archive or array file holds, as `path/member` or `path[number]`; where it is damaged, a row says so."""
    name = path.lower()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError("not a regular file")  # a pipe would be waited for
        if name.endswith(".zip"):
            yield from read_zip(path, on_skip)
        elif name.endswith(".npz"):
            yield from read_npz(path)
        elif name.endswith(".npy"):
            with open(path, "rb") as file:
                yield from read_npy(file, path)
        elif IDX.search(path):
            with open(path, "rb") as file, gzip.open(file) if name.endswith(".gz") else file as stream:
                yield from read_idx(cast("IO[bytes]", stream), path, on_skip)
        else:
            yield from read_tar(path, on_skip)
    except (InputError, *DAMAGE) as error:
        yield damaged(path, error)


def damaged(path: str, error: Exception) -> Found:
    """The row for an archive, or an array in it, that cannot be read on."""
    own, system = isinstance(error, InputError), getattr(error, "strerror", None)
    reason = str(error) if own else (system or str(error) or "ends too early").lower().splitlines()[0]
    return found_file(path)._replace(fault=reason if own or system else f"damaged archive: {reason}")


def read_zip(path: str, on_skip: OnSkip) -> Iterator[Found]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            inner = found_file(f"{path}/{member.filename}")
            if member.flag_bits & 1:
                yield inner._replace(fault="encrypted")
                continue
            try:
                with archive.open(member) as stream:
                    found = read_member(inner, member.filename, member.file_size, stream)
            except NotImplementedError as error:  # its compression
                found = inner._replace(fault=str(error).lower())
            except DAMAGE:
                found = inner._replace(fault="damaged archive member")
            if found is None:
                on_skip(inner.path)
            else:
                yield found


def read_tar(path: str, on_skip: OnSkip) -> Iterator[Found]:
    with open(path, "rb") as file:
        zipped = file.peek(2).startswith(b"\x1f\x8b")
        with (
            gzip.open(file) if zipped else file as stream,
            tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|" if zipped else "r|*", tarinfo=Header) as archive,
        ):
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                inner = found_file(f"{path}/{member.name}")
                if link := member.islnk() or member.issym():  # to what a stream has passed, or lies elsewhere
                    content = io.BytesIO()
                found = read_member(inner, member.name, member.size, content) if content else None
                if found:
                    yield found._replace(fault="a link to another file") if link else found
                elif not member.isdir():
                    on_skip(inner.path)
            while zipped and stream.read(2**20):
                pass  # at its end gzip compares the checksum, which tarfile itself does not


class Header(tarfile.TarInfo):
    """A member's header. One that is torn or damaged, tarfile takes for the end, and some it reads at any size."""

    @classmethod
    def frombuf(cls, content: bytes | bytearray, encoding: str, errors: str) -> "Header":
        header = super().frombuf(content, encoding, errors)
        if header.type in NAMES and header.size > LARGEST_NAME:
            raise tarfile.ReadError(f"a name of {header.size} bytes")
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise header.sparse_file()
        return header

    def _proc_gnusparse_10(self, *_: object) -> NoReturn:
        raise self.sparse_file()

    def sparse_file(self) -> tarfile.ReadError:
        """Its list of holes tarfile reads at any length."""
        return tarfile.ReadError("a sparse file; pack it again without --sparse")

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "Header":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end as it should be
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def read_member(inner: Found, name: str, size: int, stream: IO[bytes]) -> Found | None:
    """One picture of an archive; None for what is none. What its header says of its size is not believed."""
    if HIDDEN.search(name):
        return None
    start = stream.read(12)
    if not (known_suffix(name) or FIRST_BYTES.match(start)):
        return None
    if size <= LARGEST:
        content = start + stream.read(LARGEST + 1 - len(start))
        if len(content) <= LARGEST:
            return inner._replace(content=content)
    return inner._replace(fault=f"larger than {LARGEST // 2**20} MB")


def read_npz(path: str) -> Iterator[Block]:
    """The arrays that are pictures; labels are passed over, and what is wrong with an array is its own row."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = f"{path}/{member.filename.removesuffix('.npy')}"
            try:
                with archive.open(member) as stream:
                    yield from read_npy(stream, name, labels=True)
            except (InputError, ValueError) as error:
                yield damaged(name, error)


def read_npy(stream: IO[bytes], name: str, *, labels: bool = False) -> Iterator[Pictures]:
    """Raises InputError for an array that does not hold pictures, pickled objects first of all, ValueError for damage.

    labels: whether arrays with one axis, or with as many columns as there are digits or one, are passed over.
    """
    if np.lib.format.read_magic(stream) != (1, 0):  # later ones are for long headers, which numpy reads at any length
        raise InputError("not pictures")
    try:
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # it is Python source, whose parser raises whatever it meets
        raise ValueError("not the header of an array") from error
    if labels and (len(shape) < 2 or shape[1:] in ((1,), (10,))):
        return iter(())
    if dtype.kind not in "uifb":
        raise InputError(f"pictures are rows of numbers, this holds {dtype}")
    if column_major:  # as pandas keeps tables
        stream = by_rows(stream, shape, dtype)
    return read_rows(stream, shape, dtype, name)


def by_rows(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
    """An array's bytes in the usual order. Raises InputError or EOFError."""
    size = math.prod(shape) * dtype.itemsize
    if size > LARGEST_BY_COLUMNS:
        raise InputError(f"stored by columns, and larger than {LARGEST_BY_COLUMNS // 2**20} MB; save it with order='C'")
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return io.BytesIO(np.frombuffer(content, dtype).reshape(shape, order="F").tobytes())


def read_idx(stream: IO[bytes], name: str, on_skip: OnSkip) -> Iterator[Pictures]:
    """MNIST's own format; its labels are passed over."""
    zero, kind, axes = struct.unpack(">HBB", stream.read(4))
    if zero or kind != 8 or axes not in (1, 2, 3, 4):
        raise ValueError("not an IDX file of pictures in bytes")
    if axes == 1:
        on_skip(name)
        return
    yield from read_rows(stream, struct.unpack(f">{axes}I", stream.read(4 * axes)), np.dtype(np.uint8), name)
    stream.read(1)  # at its end gzip compares the checksum


def read_rows(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Iterator[Pictures]:
    """Pictures, (n, h, w), (n, h, w, 1 or 3), (n, 1, h, w), (n, 784) or one, (h, w, 1 or 3), some at a time; levels, or
    a mask.

    Raises InputError or EOFError.
    """
    if len(shape) == 3 and shape[2] in (1, 3):
        shape = (1, *shape)
    elif len(shape) == 4 and shape[1] == 1:  # as PyTorch has them
        shape = (shape[0], *shape[2:])
    one = (28, 28) if shape[1:] == (784,) else shape[1:]
    if (len(one) == 3 and one[2] not in (1, 3)) or len(one) not in (2, 3):
        known = "(n, h, w), (n, h, w, 3), (n, 784) or one of (h, w, 1)"
        raise InputError(f"pictures are {known}, this is {shape}")
    if not all(0 < side <= LARGEST_SIDE for side in one):
        raise InputError(f"pictures are 1 to {LARGEST_SIDE} px wide and high, these are {one}")
    size = math.prod(one) * dtype.itemsize
    if size > LARGEST:
        raise InputError(f"pictures are at most {LARGEST // 2**20} MB, these have {size // 2**20}")
    together = max(1, min(AT_ONCE, HEAVIEST // size))
    for start in range(0, shape[0], together):
        count = min(together, shape[0] - start)
        content = stream.read(count * size)
        if len(content) < count * size:
            raise EOFError
        levels = np.frombuffer(content, dtype).reshape(count, *one)
        if dtype.kind in "ui":
            levels = whole_range(levels)
        yield Pictures(no_formula(name), start, levels)


def whole_range(levels: NDArray[np.integer]) -> NDArray[np.integer]:
    """The same pictures, (n, ...), those that are masks of 0 and 1 as ones of 0 and 255."""
    masks = levels.reshape(len(levels), -1).max(1) == 1
    if masks.any():
        levels = levels.astype(np.result_type(levels, np.uint8))
        levels[masks] *= 255
    return levels
