"""Find the pictures that the command line names, one after the other: never a full list of them."""

import os
import re
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BufferedIOBase, UnsupportedOperation
from itertools import chain, islice
from operator import attrgetter
from pathlib import PurePath
from typing import cast

from digit_infer.decode import FIRST_BYTES
from digit_infer.errors import InputError
from digit_infer.found import Block, Files, Found

SUFFIXES = {
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
TOGETHER = 1000  # files of a folder that are found before the first of them is read
BOM = b"\xef\xbb\xbf"  # in front of a list that was written on Windows
LISTED = 100_000  # entries of a folder that are read in order of name; a larger one as the file system lists it
LIST_PART = 2**16  # bytes of a list that are read together, at most
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".npz", ".npy")
IDX = re.compile(r"idx[123]-ubyte(\.gz)?$")
OnSkip = Callable[[str], object]


def find_images(inputs: Iterable[str], on_skip: OnSkip = lambda path: None) -> Iterator[Found]:
    """As `find_blocks`, one by one."""
    return chain.from_iterable(block.each() for block in find_blocks(inputs, on_skip))


def find_blocks(inputs: Iterable[str], on_skip: OnSkip = lambda path: None) -> Iterator[Block]:
    """Yield every picture in folders (recursive, sorted, hidden files left out), files, globs, archives, arrays and,
    for `-`, in the list on stdin, in the order given.

    `on_skip` hears of the files in folders and archives that are not pictures. A file named by itself is always
    yielded, and so is what cannot be listed, for its row to say so. Raises InputError for what does not exist, at once.
    """
    expanded = [path for given in inputs for path in expand(given)]
    return chain.from_iterable(open_input(path, on_skip) for path in expanded)


def expand(given: str) -> list[str]:
    """A path as it is, or what a glob pattern stands for."""
    try:
        if given != "-":
            os.lstat(given)
        return [given]
    except (OSError, ValueError) as error:
        denied = isinstance(error, PermissionError)
    import glob  # seldom needed, since shells do it, and slow to load

    matches = sorted(glob.glob(given, recursive=True))
    folders = {os.path.normpath(match) for match in matches if os.path.isdir(match)}
    # what ** gives beside the folder that it lies in would be read twice
    if outermost := [match for match in matches if not folders.intersection(map(str, PurePath(match).parents))]:
        return outermost
    raise InputError(f"{given}: {'permission denied' if denied else 'no such file or folder'}")


def open_input(path: str, on_skip: OnSkip) -> Iterator[Block]:
    """What one input holds."""
    if path == "-":
        listed = parts_listed(cast("BufferedIOBase", sys.stdin.buffer))
        return (Files([no_formula(os.fsdecode(name)) for name in names if name]) for names in listed)
    if os.path.isdir(path):
        return walk(no_formula(path), on_skip)
    if is_archive(path):
        from digit_infer.archives import read_archive  # few need it, and it loads slowly

        return read_archive(path, on_skip)
    return iter([found_file(path)])


def parts_listed(stream: BufferedIOBase) -> Iterator[list[bytes]]:
    """The names in a list as they come, none where the next have to be waited for.

    A line each, or where the list begins with a NUL among them, as of `find -print0`, up to a NUL.
    """
    rest = b""
    end: re.Pattern[bytes] | None = None
    while True:
        if must_wait(stream):
            yield []
            select.select([stream], [], [])  # or a pipe that does not block would seem to have ended
        part = stream.read1(LIST_PART)
        if not end:
            if b"\0" in part and FIRST_BYTES.match(part):
                raise InputError("- stands for a list of paths, and this is a picture; save it to a file and name that")
            end = re.compile(rb"\0" if b"\0" in part else rb"\r*\n|\0")
            part = part.removeprefix(BOM)
        *names, rest = end.split(rest + part)
        yield names
        if not part:
            yield [rest]
            return


def must_wait(stream: BufferedIOBase) -> bool:
    try:
        return not select.select([stream], [], [], 0)[0]
    except UnsupportedOperation:  # it is no file, where another program calls the command
        return False


def is_archive(path: str) -> bool:
    """Whether a file holds many pictures, by its name."""
    return path.lower().endswith(ARCHIVES) or IDX.search(path) is not None


def found_file(path: str) -> Found:
    """A file by its path."""
    return Found(no_formula(path))


def no_formula(path: str) -> str:
    """A path that no spreadsheet takes for a formula, and that means the same."""
    return f"./{path}" if path[0] in "=+-@\t\r" else path


def at_least_one(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same pictures. Raises InputError, at once, where there is none."""
    for first in blocks:
        if first.size:
            return chain([first], blocks)
    raise InputError("no pictures there; name a folder with pictures, or the files themselves")


def walk(folder: str, on_skip: OnSkip) -> Iterator[Block]:
    """The pictures of one folder and, after them, of its sub-folders; links to folders are not followed."""
    waiting = [folder]
    while waiting:
        folder, subfolders = waiting.pop(), list[str]()
        try:
            with os.scandir(folder) as entries:
                first = list(islice(entries, LISTED + 1))
                if len(first) <= LISTED:
                    first.sort(key=attrgetter("name"))
                listed = chain(first, entries)
                while part := list(islice(listed, TOGETHER)):
                    if names := list(choose(part, subfolders, on_skip)):
                        yield Files(names)
        except OSError:
            yield found_file(folder)
        waiting += sorted(subfolders, reverse=True)


def choose(entries: list[os.DirEntry[str]], subfolders: list[str], on_skip: OnSkip) -> Iterator[str]:
    """The paths of the pictures among the entries of a folder; its sub-folders go to `subfolders`."""
    for entry in entries:
        hidden = entry.name.startswith(".")
        if entry.is_dir(follow_symlinks=False):
            if not hidden:
                subfolders.append(entry.path)
        elif not hidden and looks_like_image(entry):
            yield entry.path
        else:
            on_skip(entry.path)


def known_suffix(name: str) -> bool:
    return name[name.rfind(".") :].lower() in SUFFIXES


def looks_like_image(entry: os.DirEntry[str]) -> bool:
    """By suffix, or where that says nothing by the first bytes."""
    known = known_suffix(entry.name)
    try:
        if known:  # a named pipe would wait for ever; a broken link is to have its row
            return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
        if not stat.S_ISREG(entry.stat().st_mode):
            return False
        with open(entry.path, "rb") as file:
            return FIRST_BYTES.match(file.read(12)) is not None
    except OSError:
        return known
