"""The batch run: read, normalise, classify, one row for every input."""

import gc
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from digit_infer.classifier import Classifier, Probabilities
from digit_infer.decode import Levels
from digit_infer.errors import ImageError
from digit_infer.labels import Expected
from digit_infer.normalise import BLANK, normalise_all
from digit_infer.pool import Pool
from digit_infer.report import Tally
from digit_infer.row import Row, Status
from digit_infer.stream import Batch, Stream

Format = Callable[[list[Row]], str]


class Read(NamedTuple):
    """What came of reading a batch."""

    pixels: Levels  # (n, 28, 28), normalised
    reasons: list[str]  # (n), the normaliser's
    others: dict[int, ImageError | Row]  # by their places, those that are no picture


class Details(NamedTuple):
    """What the rows of a batch were made from."""

    batch: Batch
    rows: list[Row]
    pixels: Levels  # (n, 28, 28), what the network saw
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

    def __call__(self, batch: Batch) -> Answer:
        details = self.read(batch)
        answer = Answer(self.format(details.rows), Tally.of(details.rows))
        return answer._replace(details=details) if self.details else answer

    def read(self, batch: Batch) -> Details:
        """A batch's rows, and what they were made from."""
        read = read_all(batch)
        probabilities = self.classifier.classify(read.pixels)
        rows = self.make_rows(batch.paths(), read, probabilities)
        reference = self.against.classify(read.pixels) if self.against else None
        return Details(batch, rows, read.pixels, probabilities, reference)

    def make_rows(self, paths: list[str], read: Read, probabilities: Probabilities) -> list[Row]:
        """Turn the probabilities, (n, 10), into rows."""
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
        chances = np.take_along_axis(probabilities, best, axis=1).astype(np.float64)
        confidence, second_confidence = np.round(chances.T, 4).tolist()
        margin = np.round(chances[:, 0] - chances[:, 1], 4).tolist()
        digits, seconds = best.T.tolist()
        # torn between two digits it is one of them; spread over all, as the network learnt of other things, none
        torn = chances.sum(1) > 0.5
        for i in np.flatnonzero(chances[:, 0] < self.min_confidence).tolist():
            read.reasons[i] = read.reasons[i] or ("low_confidence" if torn[i] else "not_a_digit")
        statuses: list[Status] = ["rejected" if reason else "ok" for reason in read.reasons]
        expected = list(map(self.expected, paths))
        guesses = digits, confidence, margin, seconds, second_confidence
        rows = list(map(Row, paths, statuses, *guesses, read.reasons, expected))
        for i, reason in enumerate(read.reasons):
            if reason == BLANK.reason:
                rows[i] = Row(paths[i], "rejected", reason=reason, expected=expected[i])
        for i, known in read.others.items():
            fault = Row(paths[i], "error", reason=str(known), expected=expected[i])
            rows[i] = known if isinstance(known, Row) else fault
        return rows

    def give_up(self, batch: Batch, exit_code: int) -> Answer:
        """The answer for a picture that kills whoever reads it."""
        reason = f"killed its reader ({signal.Signals(-exit_code).name if exit_code < 0 else f'exit {exit_code}'})"
        return self(Batch([found._replace(fault=reason) for found in batch.each()]))


def read_all(batch: Batch) -> Read:
    """Decode and normalise."""
    others: dict[int, ImageError | Row] = {}
    if (array := batch.array()) is not None:
        return Read(*normalise_all(array, len(array)), others)

    def pictures() -> Iterator[Levels | None]:
        for i, outcome in enumerate(batch.outcomes()):
            if isinstance(outcome, np.ndarray):
                yield outcome
            else:
                others[i] = outcome
                yield None

    return Read(*normalise_all(pictures(), len(batch)), others)


class StopTaking(Exception):
    """No more inputs are wanted."""


def run(found: Stream, reader: Reader, workers: int, batch_size: int, write: Callable[[Answer], object]) -> bool:
    """Run the whole way over all inputs: every input gets exactly one row, in order, handed to `write` by the batch.

    SIGINT, SIGTERM and, unless it is ignored, SIGHUP end it after the batches in flight; returns whether that happened.
    """
    stopped = taking = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        if taking:  # perhaps from a pipe that has nothing to say for hours
            raise StopTaking

    def take(count: int, wait: bool) -> Batch:
        nonlocal taking
        try:
            try:
                taking = True
                return found.take(0 if stopped else count, wait=wait)
            finally:
                taking = False
        except StopTaking:
            return Batch([])

    gc.freeze()  # or the collector would write to what the workers share with this process, and part it
    stopping = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup
        stopping.remove(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in stopping}
    try:
        pool = Pool(reader, reader.give_up, workers, batch_size)
        for answer in pool.map(take):
            write(answer)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return stopped
