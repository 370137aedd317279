"""Probabilities that mean what they say: one temperature for the logits."""

import math

import numpy as np
from numpy.typing import NDArray

from digit_infer.classifier import Probabilities


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """The temperature, 0.1 to 10, that makes held-back labels likeliest: logits (n, 10 or 11), labels (n,), 0-9.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". A weak belief that it is 1, log-normal, gives way to
    a few mistakes; without it a slice that is all read right would make every answer certain.
    """
    candidates: list[float] = np.geomspace(0.1, 10, 401).round(4).tolist()
    return min(candidates, key=lambda each: cross_entropy(logits / each, labels) + math.log(each) ** 2 / len(labels))


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """Mean over pictures, in nats: logits (n, 10 or 11), labels (n,), 0-9."""
    shifted = logits - logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(1)) - np.take_along_axis(shifted, labels[:, None], 1)[:, 0]))


def calibration_error(probabilities: Probabilities, labels: NDArray[np.integer], bins: int = 15) -> float:
    """Expected calibration error, 0-1: how far confidence is from accuracy, over bins of equal width.

    probabilities: (n, 10), 0-1; labels: (n,), 0-9. Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning".
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(which, confidence - right, bins)
    return float(np.abs(gaps).sum() / len(labels))
