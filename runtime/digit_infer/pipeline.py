"""The batch run: read, normalise, classify, one row for every input."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digit_infer.classifier import Classifier, Probabilities
from digit_infer.decode import read_picture
from digit_infer.errors import ImageError
from digit_infer.normalise import BLANK, normalise
from digit_infer.parity import Parity, compare
from digit_infer.report import Tally
from digit_infer.row import Row, Status
from digit_infer.settings import Options
from digit_infer.sources import Found


@dataclass(frozen=True)
class Picture:
    """One input as it was read; with status `error` the pixels, (28, 28), uint8, mean nothing."""

    found: Found
    pixels: NDArray[np.uint8]
    status: Status = "ok"
    reason: str = ""


def read(found: Found) -> Picture:
    """Decode and normalise one input; what goes wrong becomes its status."""
    try:
        normalised = normalise(read_picture(Path(found.path)))
    except ImageError as error:
        return Picture(found, BLANK.pixels, "error", str(error))
    return Picture(found, normalised.pixels, "rejected" if normalised.reason else "ok", normalised.reason)


def make_row(picture: Picture, probabilities: Probabilities, min_confidence: float, labelled: bool) -> Row:
    """Turn the probabilities of one picture, (10,), into its row; with `labelled` its folder's name is the truth."""
    path, expected = picture.found.path, picture.found.digit_of_folder() if labelled else None
    status, reason = picture.status, picture.reason
    if status == "error" or reason == BLANK.reason:
        return Row(path, status, reason=reason, expected=expected)
    digit, second = (int(label) for label in np.argsort(-probabilities, kind="stable")[:2])
    confidence, second_confidence = float(probabilities[digit]), float(probabilities[second])
    if status == "ok" and confidence < min_confidence:
        status, reason = "rejected", "low_confidence"
    return Row(
        path,
        status,
        digit=digit,
        confidence=round(confidence, 4),
        margin=round(confidence - second_confidence, 4),
        second=second,
        second_confidence=round(second_confidence, 4),
        reason=reason,
        expected=expected,
    )


def run(
    found: Iterable[Found],
    classifier: Classifier,
    take: Callable[[Picture, Row], object],
    options: Options,
    tally: Tally,
    against: Classifier | None = None,
) -> Parity | None:
    """Run the whole way over all inputs, a batch at a time: every input gets exactly one row, in order.

    Each picture and its row go to `take`, the row into `tally`. `against` classifies the same pictures; returned is
    the comparison over all that could be read, None where there is none.
    """
    min_confidence = classifier.bundle.min_confidence if options.min_confidence is None else options.min_confidence
    pairs, stream = Pairs(), iter(found)
    while pictures := [read(member) for member in islice(stream, options.batch_size)]:
        pixels = np.stack([picture.pixels for picture in pictures])
        probabilities = classifier.classify(pixels)
        rows = [
            make_row(picture, answer, min_confidence, options.labelled)
            for picture, answer in zip(pictures, probabilities, strict=True)
        ]
        for picture, row in zip(pictures, rows, strict=True):
            take(picture, row)
            tally.add(row)
        if against:
            pairs.add(rows, against.classify(pixels), probabilities)
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

    def compare(self) -> Parity | None:
        if not self.rows:
            return None
        expected = [row.expected for row in self.rows]
        labels = None if None in expected else np.array(expected, np.int64)
        names = [row.path for row in self.rows]
        return compare(np.concatenate(self.reference), np.concatenate(self.candidate), labels, names)
