"""What each model makes of the pictures in each batch size: answers.py FOLDER RUNTIME OUT.npz."""

import sys

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.pipeline import read_all
from digit_infer.sources import find_images

folder, runtime, out = sys.argv[1:]
found = list(find_images([folder]))
normalised, faults = read_all(found)
pixels = np.stack([one.pixels for i, one in enumerate(normalised) if i not in faults])
answers = {"pixels": pixels}
for model in ("base", "small", "nano"):
    classifier = Classifier(read_bundle(model), find_engine(runtime))
    for size in (1, 2, 3, 8, 64, len(pixels)):
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        answers[f"{model} {size}"] = np.concatenate([classifier.invoke(batch) for batch in batches])
np.savez(out, **answers)
