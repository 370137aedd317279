"""Reading and writing files whole or not at all."""

import errno
import fcntl
import json
import os
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digit_infer.errors import InputError, OutputError

STREAMS = "/dev/fd/", "/dev/std", "/proc/"  # files by these names are open already, and not to be replaced
# what zipfile, json and numpy raise for bytes that are not what they should be
DAMAGE = (
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what goes wrong in the body as an OutputError about `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, renamed on success and removed on any failure.

    A link stays, what it points to is replaced. Raises OutputError where the folder cannot be written or the disk is
    full.
    """
    if os.path.islink(path):
        path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")  # Keras insists on its suffix
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):  # it is gone, or its folder never was one
            temporary.unlink()


@contextmanager
def locked(output: Path, command: str = "digit-infer", option: str = "-o") -> Iterator[None]:
    """Keep other processes from an output, by a hidden file beside it. Raises OutputError where one writes it.

    Not by flock(2): that lock would last as long as the workers of a run that was killed.
    """
    path = output.with_name(f".{output.name}.lock")
    with writing(output):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # else the run before removed it just now, and a third one may have made it anew
            free = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):
            free = False
        except OSError:
            free = True  # the file system has no locks
        if not free:
            raise OutputError(f"another {command} is writing {output}; wait for it, or name another {option}")
        try:
            yield
        finally:
            with suppress(OSError):  # the file system has become read-only
                path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a value of plain types for people and programs to read, as `write_out` does."""
    write_out(path, json.dumps(value, indent=1).encode() + b"\n")


def write_out(path: Path, content: bytes) -> None:
    """Write a file whole, or on to a pipe, a device or an open stream. Raises OutputError."""
    if not goes_on(path):
        with written_whole(path) as temporary:
            temporary.write_bytes(content)
        return
    with writing(path):
        sys.stdout.flush()  # perhaps the same
        with path.open("ab") as file:
            file.write(content)


def goes_on(path: Path) -> bool:
    """Whether a path is of a pipe, a device or an open stream, which is not replaced."""
    with writing(path):
        return str(path).startswith(STREAMS) or (path.exists() and not path.is_file())


def check_place(path: Path) -> None:
    """Raises OutputError where a file could not be written, which long work should not end with."""
    if goes_on(path):
        with writing(path):
            path.stat()
        return
    folder = Path(os.path.realpath(path)).parent
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, f"{folder} may not be written to")


def check_is_summary(path: Path) -> None:
    """Raises OutputError for a file that --summary has not written and would replace, or that it could not write."""
    check_place(path)
    if goes_on(path) or not path.is_file() or not path.stat().st_size:
        return
    with writing(path), path.open("rb") as file:
        content = file.read(2**20)
    try:
        keys = set(json.loads(content))
    except (TypeError, ValueError):
        keys = set()
    if not ("steps" in keys or ("parity" in keys and "options" not in keys)):  # a run record has both
        raise OutputError(f"{path} is no summary; give --summary another name")


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz, in the order they were saved in; pickled objects are refused. Raises InputError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: np.asarray(array) for name, array in arrays.items()}  # a member that is no .npy is bytes
    except (OSError, *DAMAGE) as error:
        raise InputError(f"{path} is not a readable .npz ({error})") from error
