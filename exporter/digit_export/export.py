"""One Keras model in, one checked model file out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import digit_infer
from digit_export.convert import convert
from digit_export.settings import MAX_LOST, Settings
from digit_infer import normalise
from digit_infer.bundle import parse_bundle, write_bundle
from digit_infer.classifier import Classifier, Probabilities
from digit_infer.engine import Engine
from digit_infer.parity import Parity, compare
from digit_train.data import Digits, split
from digit_train.model import load_model, weights_digest


@dataclass(frozen=True)
class Exported:
    """content: the model file's bytes. parity: with the Keras model, over the test set."""

    content: bytes
    parity: Parity


def export(path: Path, digits: Digits, engine: Engine, settings: Settings) -> Exported:
    """Convert, then measure with the classifier that ships; the same arguments give the same bytes.

    Raises ModelError for a file that is not a network of digit-train's.
    """
    model = load_model(path)
    calibration = spread(digits.y_train, settings.calibration)
    flatbuffer = convert(model, settings.quantize, digits.x_train[calibration])
    contract: dict[str, Any] = {
        "input": {"dtype": "uint8", "shape": ["batch", 28, 28, 1], "levels": "grey 0-255, light ink on dark"},
        "output": "probabilities of the labels, from a softmax",
        "normaliser": {"version": normalise.VERSION, "parameters": asdict(normalise.PARAMETERS)},
        "temperature": 1.0,
        "quantization": settings.quantize,
        "calibration": {"pictures": len(calibration), "data": digits.digest()},
        "training": read_training(path, model),
        "weights_sha256": weights_digest(model),
        "made_with": {"digit-edge": digit_infer.__version__, "tensorflow": tf.__version__},
    }
    golden_input = digits.x_train[spread(digits.y_train, settings.golden)]
    bare = write_bundle(flatbuffer, contract, (golden_input[:0], np.zeros((0, 10), np.uint8)))
    classifier = Classifier(parse_bundle(path.name, bare), engine)
    contract["reject"] = {"min_confidence": fit_min_confidence(classifier, digits, contract["training"])}
    parity = measure_parity(model, classifier, digits)
    contract["parity"] = asdict(parity) | {"flips": len(parity.flips)}
    contract["golden"] = {"pictures": len(golden_input), "runtime": f"{engine.name} {engine.version}"}
    return Exported(write_bundle(flatbuffer, contract, (golden_input, classifier.invoke(golden_input))), parity)


def spread(labels: NDArray[np.uint8], per_class: int) -> NDArray[np.intp]:
    """Indices of `per_class` pictures of each class, evenly spaced over the set; fewer where a class has fewer."""
    chosen = []
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        chosen.append(members[np.linspace(0, len(members) - 1, min(per_class, len(members))).astype(int)])
    return np.concatenate(chosen)


def read_training(path: Path, model: keras.Sequential) -> dict[str, Any]:
    """What digit-train wrote about these very weights, or nothing."""
    metrics = path.with_name("metrics.json")
    if not metrics.exists():
        return {}
    training: dict[str, Any] = json.loads(metrics.read_text())
    return training if training.get("weights_sha256") == weights_digest(model) else {}


def fit_min_confidence(classifier: Classifier, digits: Digits, training: dict[str, Any]) -> float:
    """The confidence that all but MAX_LOST of the validation slice's right answers reach; 0 for a network that has
    not learnt to be unsure.
    """
    config = training.get("config", {})
    if not config.get("outliers"):
        return 0.0
    _, held = split(len(digits.x_train), config["validation"], config["seed"])
    probabilities = classifier.classify(digits.x_train[held])
    right = probabilities.argmax(1) == digits.y_train[held]
    return round(float(np.quantile(probabilities.max(1)[right], MAX_LOST, method="lower")), 4)


def measure_parity(model: keras.Sequential, classifier: Classifier, digits: Digits) -> Parity:
    """Compare the runtime's answers with the Keras model's over the whole test set, 1000 pictures at a time."""
    parts = [digits.x_test[i : i + 1000] for i in range(0, len(digits.x_test), 1000)]
    keras_probabilities = [np.asarray(keras.ops.softmax(model(part, training=False))) for part in parts]
    ours: list[Probabilities] = [classifier.classify(part) for part in parts]
    names = [f"test[{i}]" for i in range(len(digits.x_test))]
    return compare(np.concatenate(keras_probabilities), np.concatenate(ours), digits.y_test, names)
