"""The steps from pictures to rows, marked for benchmarks/count_instructions.c: pi_steps.py FOLDER MODEL RUNTIME.

Runs on a userland too, where nothing but the runtime is installed.
"""

import os
import sys
from contextlib import suppress

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import CANDIDATES
from digit_infer.normalise import normalise_all
from digit_infer.pipeline import Reader
from digit_infer.sinks import csv_text
from digit_infer.sources import find_images
from digit_infer.stream import Batch

MARK = 0x5EED0000  # a file that is never open: benchmarks/count_instructions.c looks out for it
AT_ONCE = 64


def mark(number: int) -> None:
    with suppress(OSError):
        os.close(MARK + number)


def main(folder: str, model: str, runtime: str) -> None:
    found = list(find_images([folder]))[:AT_ONCE]
    (engine,) = [engine for engine in CANDIDATES if engine.name == runtime]
    reader = Reader(Classifier(read_bundle(model), engine), 0.0, lambda path: None, csv_text)
    for _ in range(2):  # the first time something may be loaded or built that stays
        mark(0)
        levels = [one.read() for one in found]
        mark(1)
        pixels = normalise_all(levels, len(levels)).pixels
        mark(2)
        reader.classifier.invoke(pixels)
        mark(3)
        reader(Batch([*found]))
        mark(4)


if __name__ == "__main__":
    main(*sys.argv[1:])
