"""Inputs on their way to their rows: one by one, or side by side where that saves work."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from digit_infer.decode import Levels, decode_array, decode_bytes, read_picture
from digit_infer.errors import ImageError
from digit_infer.row import Row

Outcome = Levels | ImageError | Row  # of reading an input: its picture, why there is none, or its row from earlier


class Block(Protocol):
    """Inputs that were found side by side."""

    @property
    def size(self) -> int:
        """How many."""

    @property
    def weight(self) -> int:
        """Bytes that they hold."""

    def part(self, start: int, stop: int) -> "Block":
        """Some of them: 0 <= start < stop <= size."""

    def paths(self) -> list[str]:
        """As they go into the rows."""

    def outcomes(self) -> Iterator[Outcome]:
        """What reading each of them gives, in order."""

    def each(self) -> "Iterator[Found]":
        """One by one."""


class Found(NamedTuple):
    """One input: its path as it goes into the row, and where it is no file of its own, what it holds."""

    path: str
    content: bytes | NDArray[Any] | None = None
    fault: str = ""  # why it cannot be read
    done: Row | None = None  # its row, where an earlier run has read it

    def read(self) -> Levels:
        """The picture, (h, w) or (h, w, 3), uint8. Raises ImageError."""
        if self.fault:
            raise ImageError(self.fault)
        if self.content is None:
            return read_picture(self.path)
        return decode_bytes(self.content) if isinstance(self.content, bytes) else decode_array(self.content)

    @property
    def size(self) -> int:
        return 1

    @property
    def weight(self) -> int:
        return self.content.nbytes if isinstance(self.content, np.ndarray) else len(self.content or b"")

    def part(self, start: int, stop: int) -> "Found":
        return self

    def paths(self) -> list[str]:
        return [self.path]

    def outcomes(self) -> Iterator[Outcome]:
        try:
            yield self.done or self.read()
        except ImageError as error:
            yield error

    def each(self) -> "Iterator[Found]":
        yield self


class Files(NamedTuple):
    """Files by their paths."""

    names: list[str]

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def weight(self) -> int:
        return 0

    def part(self, start: int, stop: int) -> "Files":
        return Files(self.names[start:stop])

    def paths(self) -> list[str]:
        return self.names

    def outcomes(self) -> Iterator[Outcome]:
        return map(picture_or_fault, self.names)

    def each(self) -> Iterator[Found]:
        return map(Found, self.names)


def picture_or_fault(path: str) -> Levels | ImageError:
    try:
        return read_picture(path)
    except ImageError as error:
        return error


class Pictures(NamedTuple):
    """Pictures of an array, (n, h, w) or (n, h, w, channels), numbered from `first` on."""

    name: str
    first: int
    levels: NDArray[Any]

    @property
    def size(self) -> int:
        return len(self.levels)

    @property
    def weight(self) -> int:
        return self.levels.nbytes

    def part(self, start: int, stop: int) -> "Pictures":
        return Pictures(self.name, self.first + start, self.levels[start:stop])

    def paths(self) -> list[str]:
        return [f"{self.name}[{number}]" for number in range(self.first, self.first + self.size)]

    def of_mnists_size(self) -> bool:
        return self.levels.shape[1:] == (28, 28) and self.levels.dtype == np.uint8

    def outcomes(self) -> Iterator[Outcome]:
        if self.levels.ndim == 3 and self.levels.dtype == np.uint8:
            return iter(self.levels)
        return (outcome for found in self.each() for outcome in found.outcomes())

    def each(self) -> Iterator[Found]:
        return map(Found, self.paths(), self.levels)
