"""Find the pictures that the command line names."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from digit_infer.errors import InputError

SUFFIXES = (
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")  # for names without a known suffix


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

    `on_skip` hears of the files in folders that are not pictures. A file named by itself is always yielded.
    Raises InputError for what does not exist, at the start, before any picture is read.
    """
    expanded = [path for given in inputs for path in expand(given)]
    for path in expanded:
        if os.path.isdir(path):
            yield from walk(path, on_skip)
        else:
            yield Found(path)


def expand(given: str) -> list[str]:
    """A path as it is, or what a glob pattern stands for."""
    if os.path.lexists(given):
        return [given]
    if matches := sorted(glob.glob(given, recursive=True)):
        return matches
    raise InputError(f"{given}: no such file or folder")


def walk(folder: str, on_skip: Callable[[str], object]) -> Iterator[Found]:
    """The pictures of one folder and, after them, of its sub-folders; links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(parent, name)
            if not name.startswith(".") and looks_like_image(path):
                yield Found(path)
            else:
                on_skip(path)


def looks_like_image(path: str) -> bool:
    """By suffix, or where that says nothing by the first bytes."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(MAGIC)
    except OSError:
        return False
