"""What each model makes of the pictures in each batch size: answers.py FOLDER RUNTIME OUT.npz."""

import sys

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.pipeline import read_all
from digit_infer.sources import find_blocks
from digit_infer.stream import Batch

folder, runtime, out = sys.argv[1:]
read = read_all(Batch(list(find_blocks([folder]))))
pixels = np.delete(read.pixels, list(read.others), axis=0)
answers = {"pixels": pixels}
for model in ("base", "small", "nano"):
    classifier = Classifier(read_bundle(model), find_engine(runtime))
    for size in (1, 2, 3, 8, 64, len(pixels)):
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        answers[f"{model} {size}"] = np.concatenate([classifier.invoke(batch) for batch in batches])
np.savez(out, **answers)
