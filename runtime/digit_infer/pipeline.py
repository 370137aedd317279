"""The batch run: read, normalise, classify, one row for every input."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digit_infer.classifier import Classifier, Probabilities
from digit_infer.decode import read_picture
from digit_infer.errors import ImageError, InputError
from digit_infer.normalise import BLANK, Normalised, normalise
from digit_infer.parity import Parity, compare
from digit_infer.report import Tally
from digit_infer.row import Row
from digit_infer.sources import Found


@dataclass(frozen=True)
class Options:
    """How a run answers; the defaults feed the command line's options."""

    batch_size: int = 256
    min_confidence: float | None = None  # None for the model's own
    labelled: bool = False  # the folder's name, 0 to 9, is the truth


@dataclass(frozen=True)
class Batch:
    """Pictures read together; errors[i] is a reason or '', and then pixels[i] means nothing."""

    found: list[Found]
    pixels: NDArray[np.uint8]  # (n, 28, 28), light on dark
    errors: list[str]
    rejects: list[str]


def read_batches(found: Iterable[Found], size: int) -> Iterator[Batch]:
    """Read and normalise up to `size` pictures at a time, in order."""
    stream = iter(found)
    while members := list(islice(stream, size)):
        read = [read_one(member) for member in members]
        yield Batch(
            members,
            np.stack([normalised.pixels for normalised, _ in read]),
            errors=[error for _, error in read],
            rejects=[normalised.reason for normalised, _ in read],
        )


def read_one(found: Found) -> tuple[Normalised, str]:
    """The normalised picture, or a blank and why it cannot be read."""
    try:
        return normalise(read_picture(Path(found.path))), ""
    except ImageError as error:
        return BLANK, str(error)


def make_rows(batch: Batch, probabilities: Probabilities, min_confidence: float, labelled: bool) -> Iterator[Row]:
    """Turn (n, 10) probabilities into rows; with `labelled` the name of the folder is what is expected."""
    for i, found in enumerate(batch.found):
        expected = found.digit_of_folder() if labelled else None
        if batch.errors[i]:
            yield Row(found.path, "error", reason=batch.errors[i], expected=expected)
            continue
        if batch.rejects[i] == BLANK.reason:  # there is no guess to keep
            yield Row(found.path, "rejected", reason=BLANK.reason, expected=expected)
            continue
        digit, second = (int(label) for label in np.argsort(-probabilities[i], kind="stable")[:2])
        best, next_best = float(probabilities[i, digit]), float(probabilities[i, second])
        reason = batch.rejects[i] or ("low_confidence" if best < min_confidence else "")
        yield Row(
            path=found.path,
            status="rejected" if reason else "ok",
            digit=digit,
            confidence=round(best, 4),
            margin=round(best - next_best, 4),
            second=second,
            second_confidence=round(next_best, 4),
            reason=reason,
            expected=expected,
        )


def run(
    found: Iterable[Found],
    classifier: Classifier,
    write: Callable[[Row], object],
    options: Options,
    tally: Tally,
    against: Classifier | None = None,
) -> Parity | None:
    """Run the whole way over all inputs, a batch at a time: every input gets exactly one row, in order.

    Rows go to `write` and into `tally`. `against` classifies the same pictures; returned is the comparison over all
    that could be read.
    Raises InputError when there is nothing to read.
    """
    min_confidence = classifier.bundle.min_confidence if options.min_confidence is None else options.min_confidence
    pairs = Pairs()
    for batch in read_batches(found, options.batch_size):
        probabilities = classifier.classify(batch.pixels)
        rows = list(make_rows(batch, probabilities, min_confidence, options.labelled))
        for row in rows:
            write(row)
            tally.add(row)
        if against:
            pairs.add(rows, against.classify(batch.pixels), probabilities)
    if not tally.pictures:
        raise InputError("no pictures there; name a folder with pictures, or the files themselves")
    return pairs.compare() if against else None


class Pairs:
    """Both models' probabilities for the pictures that could be read, kept until they are compared."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.reference: list[Probabilities] = []
        self.candidate: list[Probabilities] = []

    def add(self, rows: list[Row], reference: Probabilities, candidate: Probabilities) -> None:
        readable = [i for i, row in enumerate(rows) if row.digit is not None]
        self.rows += [rows[i] for i in readable]
        self.reference.append(reference[readable])
        self.candidate.append(candidate[readable])

    def compare(self) -> Parity:
        if not self.rows:
            raise InputError("no picture could be read, so there is nothing to compare")
        expected = [row.expected for row in self.rows]
        labels = None if None in expected else np.array(expected, np.int64)
        names = [row.path for row in self.rows]
        return compare(np.concatenate(self.reference), np.concatenate(self.candidate), labels, names)
