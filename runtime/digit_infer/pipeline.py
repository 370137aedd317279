"""The batch run: read, normalise, classify, one row for every input."""

import gc
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digit_infer.classifier import Classifier, Probabilities
from digit_infer.errors import ImageError
from digit_infer.found import Columns, Expected, Found, pack, unpack
from digit_infer.normalise import BLANK, Normalised, normalise_all
from digit_infer.pool import Pool
from digit_infer.report import Tally
from digit_infer.row import Row, Status

DECODED_AT_ONCE = 2**23  # pixels: what a worker holds of decoded pictures, whatever the size of the batch
Format = Callable[[list[Row]], str]


class Details(NamedTuple):
    """What the rows of a batch were made from."""

    batch: list[Found]
    rows: list[Row]
    pixels: NDArray[np.uint8]  # (n, 28, 28), what the network saw
    probabilities: Probabilities  # (n, 10)
    reference: Probabilities | None  # (n, 10), of the model compared with


class Answer(NamedTuple):
    """What a worker makes of a batch: the rows as text, their counts, and the details where asked for."""

    text: str
    tally: Tally
    details: Details | None = None


@dataclass(frozen=True)
class Reader:
    """Turns inputs into rows; what a worker works with."""

    classifier: Classifier
    min_confidence: float
    expected: Expected
    format: Format
    against: Classifier | None = None
    details: bool = False  # whether the answers hold them

    def __call__(self, batch: list[Found]) -> Answer:
        normalised, faults = read_all(batch)
        pixels = np.stack([one.pixels for one in normalised])
        probabilities = self.classifier.classify(pixels)
        rows = self.make_rows(batch, [one.reason for one in normalised], faults, probabilities)
        answer = Answer(self.format(rows), Tally.of(rows))
        if not self.details:
            return answer
        reference = self.against.classify(pixels) if self.against else None
        return answer._replace(details=Details(batch, rows, pixels, probabilities, reference))

    def make_rows(
        self, batch: list[Found], reasons: list[str], faults: dict[int, str], probabilities: Probabilities
    ) -> list[Row]:
        """Turn the probabilities, (n, 10), into rows; `reasons` are the normaliser's, `faults` the reader's."""
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
        chances = np.take_along_axis(probabilities, best, axis=1).astype(np.float64)
        confidence, second_confidence = np.round(chances.T, 4).tolist()
        margin = np.round(chances[:, 0] - chances[:, 1], 4).tolist()
        digits, seconds = best.T.tolist()
        statuses: list[Status] = ["ok"] * len(batch)
        # torn between two digits it is one of them; spread over all, as the network learnt of other things, none
        torn = chances.sum(1) > 0.5
        for i in np.flatnonzero(chances[:, 0] < self.min_confidence).tolist():
            reasons[i] = reasons[i] or ("low_confidence" if torn[i] else "not_a_digit")
        for i, reason in enumerate(reasons):
            if reason:
                statuses[i] = "rejected"
        paths = [found.path for found in batch]
        expected = [self.expected(path) for path in paths]
        guesses = digits, confidence, margin, seconds, second_confidence
        rows = list(map(Row, paths, statuses, *guesses, reasons, expected))
        for i, found in enumerate(batch):
            if found.done:
                rows[i] = found.done
            elif i in faults:
                rows[i] = Row(paths[i], "error", reason=faults[i], expected=expected[i])
            elif reasons[i] == BLANK.reason:
                rows[i] = Row(paths[i], "rejected", reason=BLANK.reason, expected=expected[i])
        return rows

    def give_up(self, found: Found, exit_code: int) -> Answer:
        """The answer for a picture that kills whoever reads it."""
        reason = f"killed its reader ({signal.Signals(-exit_code).name if exit_code < 0 else f'exit {exit_code}'})"
        return self([found._replace(fault=reason)])


def read_all(batch: list[Found]) -> tuple[list[Normalised], dict[int, str]]:
    """Decode and normalise; and what is wrong with those, by their places, that cannot be read."""
    results, faults = [BLANK] * len(batch), {}
    waiting: dict[int, NDArray[np.uint8]] = {}
    held = 0
    for i, found in enumerate(batch):
        if found.done:
            continue
        try:
            waiting[i] = found.read()
        except ImageError as error:
            faults[i] = str(error)
            continue
        held += waiting[i].size
        if held > DECODED_AT_ONCE:
            place(waiting, results)
            held = 0
    place(waiting, results)
    return results, faults


def place(waiting: dict[int, NDArray[np.uint8]], results: list[Normalised]) -> None:
    """Normalise the pictures waiting into their places."""
    for i, one in zip(waiting, normalise_all(list(waiting.values())), strict=True):
        results[i] = one
    waiting.clear()


def run(
    found: Iterator[Found], reader: Reader, workers: int, batch_size: int, write: Callable[[Answer], object]
) -> bool:
    """Run the whole way over all inputs: every input gets exactly one row, in order, handed to `write` by the batch.

    SIGINT and SIGTERM end it after the batches in flight; returns whether that happened.
    """
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    def work(columns: Columns) -> Answer:
        return reader(unpack(columns))

    def take(count: int) -> list[Found]:
        return [] if stopped else list(islice(found, count))

    gc.freeze()  # or the collector would write to what the workers share with this process, and part it
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for answer in Pool(work, reader.give_up, workers, batch_size, pack).map(take):
            write(answer)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return stopped
