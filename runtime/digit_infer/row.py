"""The row: one input, one row, always."""

from typing import Literal, NamedTuple

Status = Literal["ok", "rejected", "error"]


class Row(NamedTuple):
    """What is known about one input; probabilities are 0-1, rounded to 4 places.

    `rejected` keeps the best guess and says why not to trust it; `error` has no digit.
    """

    path: str
    status: Status
    digit: int | None = None
    confidence: float | None = None
    margin: float | None = None  # confidence minus second_confidence
    second: int | None = None
    second_confidence: float | None = None
    reason: str = ""
    expected: int | None = None


def printable(path: str) -> str:
    """A name without the control characters that could drive a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in path)
