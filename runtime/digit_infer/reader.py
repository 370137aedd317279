"""From Python: pictures in, rows out, the model loaded once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digit_infer.archives import whole_range
from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.found import Found
from digit_infer.labels import read_labels
from digit_infer.pipeline import Reader
from digit_infer.row import Row
from digit_infer.settings import RUNTIMES, Effort
from digit_infer.sinks import csv_text
from digit_infer.sources import find_blocks
from digit_infer.stream import Batch, Stream


class DigitReader:
    """Reads pictures as digit-infer does, in this process. Not safe for use from several threads at once.

    model: base, small, nano or a .tflite file; min_confidence: 0-1, None for the model's own; runtime: as --runtime.
    Raises ModelError where the model, EngineError where a runtime cannot be used, ValueError for what is none of these.
    """

    def __init__(
        self, model: str | Path = "base", *, min_confidence: float | None = None, runtime: str | None = None
    ) -> None:
        if runtime not in (None, *RUNTIMES):
            raise ValueError(f"runtime is one of {', '.join(RUNTIMES)}, this is {runtime!r}")
        if min_confidence is not None and not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence is 0 to 1, this is {min_confidence!r}")
        classifier = Classifier(read_bundle(str(model)), find_engine(runtime))
        threshold = classifier.bundle.min_confidence if min_confidence is None else min_confidence
        self.reader = Reader(classifier, threshold, read_labels(None), csv_text)

    def read(self, picture: str | Path | bytes | bytearray | memoryview | NDArray[Any]) -> Row:
        """The row of one picture: its path, a file's content, or its levels.

        Levels are (h, w), (h, w, 1) or (h, w, 3), uint8, or whole numbers or floats, whose range is found out, or a
        mask; other shapes raise ValueError, other types TypeError. A picture that cannot be read is a row of status
        `error`.
        """
        (row,) = self.reader.read(Batch([as_found(picture)])).rows
        return row

    def read_all(self, *inputs: str | Path) -> Iterator[Row]:
        """The rows of all that folders, pictures, globs, archives and arrays hold, in their order.

        Raises InputError for what does not exist.
        """
        found = Stream(find_blocks(map(os.fsdecode, inputs)))
        while batch := found.take(Effort.batch_size):
            yield from self.reader.read(batch).rows


def as_found(picture: str | Path | bytes | bytearray | memoryview | NDArray[Any]) -> Found:
    """A picture as an input. Raises ValueError or TypeError for what is none."""
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return Found("", bytes(picture))
    if not isinstance(picture, np.ndarray):
        return Found(os.fsdecode(picture))
    if picture.dtype.kind not in "buif":
        raise TypeError(f"a picture is of numbers, this of {picture.dtype}")
    if picture.ndim < 2 or picture.shape[2:] not in ((), (1,), (3,)) or 0 in picture.shape:
        raise ValueError(f"a picture is (h, w), (h, w, 1) or (h, w, 3), this is {picture.shape}")
    return Found("", whole_range(picture[None])[0] if picture.dtype.kind in "ui" else picture)
