"""What cannot be left out: read, decode, invoke, on all cores: python benchmarks/peers/floor.py FOLDER.

No normaliser, no rows, nobody who puts the answers in order.
"""

import multiprocessing
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded, which would start a thread for each core

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.decode import read_picture
from digit_infer.engine import find_engine

BATCH = 512


def main(folder: str) -> None:
    paths = sorted(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    classifier = Classifier(read_bundle("base"), find_engine())
    cores = len(os.sched_getaffinity(0))
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=read, args=(classifier, paths[core::cores])) for core in range(cores)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(any(worker.exitcode for worker in workers))


def read(classifier: Classifier, paths: list[str | Path]) -> None:
    for start in range(0, len(paths), BATCH):
        classifier.invoke(np.stack([read_picture(path) for path in paths[start : start + BATCH]]))


if __name__ == "__main__":
    main(sys.argv[1])
