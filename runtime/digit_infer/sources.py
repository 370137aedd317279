"""Find the pictures that the command line names."""

import glob
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from digit_infer.errors import InputError

SUFFIXES = (
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
MAGIC = (rb"\x89PNG\r\n", rb"\xff\xd8\xff", rb"GIF8[79]a", rb"BM.{4}\0{4}", rb"II\*\0", rb"MM\0\*", rb"RIFF.{4}WEBP")
FIRST_BYTES = re.compile(b"|".join(MAGIC), re.DOTALL)  # of pictures whose name has no known suffix


@dataclass(frozen=True)
class Found:
    """One input: its path as it goes into the row."""

    path: str

    def digit_of_folder(self) -> int | None:
        """What a folder named 0 to 9 says about the pictures in it."""
        name = Path(self.path).absolute().parent.name
        return int(name) if len(name) == 1 and name in "0123456789" else None


def find_images(inputs: Iterable[str], on_skip: Callable[[str], object] = lambda path: None) -> Iterator[Found]:
    """Yield every picture in folders (recursive, sorted, hidden files left out), files and globs, in the order given.

    `on_skip` hears of the files in folders that are not pictures. A file named by itself is always yielded, and so is
    a folder that cannot be listed, for its row to say so. Raises InputError for what does not exist, at once.
    """
    expanded = [path for given in inputs for path in expand(given)]
    return chain.from_iterable(walk(path, on_skip) if os.path.isdir(path) else [Found(path)] for path in expanded)


def expand(given: str) -> list[str]:
    """A path as it is, or what a glob pattern stands for."""
    if os.path.lexists(given):
        return [given]
    if matches := sorted(glob.glob(given, recursive=True)):
        return matches
    raise InputError(f"{given}: no such file or folder")


def at_least_one(found: Iterator[Found]) -> Iterator[Found]:
    """The same pictures. Raises InputError, at once, where there is none."""
    for first in found:
        return chain([first], found)
    raise InputError("no pictures there; name a folder with pictures, or the files themselves")


def walk(folder: str, on_skip: Callable[[str], object]) -> Iterator[Found]:
    """The pictures of one folder and, after them, of its sub-folders; links to folders are not followed."""
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)
            if not name.startswith(".") and looks_like_image(path):
                yield Found(path)
            else:
                on_skip(path)
    for error in unreadable:
        yield Found(error.filename)


def looks_like_image(path: str) -> bool:
    """By suffix, or where that says nothing by the first bytes."""
    known = os.path.splitext(path)[1].lower() in SUFFIXES
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a named pipe would wait for ever
            return False
        if known:
            return True
        with open(path, "rb") as file:
            return FIRST_BYTES.match(file.read(12)) is not None
    except OSError:
        return known  # a broken link: its row will say so
