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
from digit_export.calibrate import calibration_error, fit_temperature
from digit_export.convert import convert
from digit_export.settings import CALIBRATION, GOLDEN, MAX_LOST, Quantization
from digit_infer import parameters
from digit_infer.bundle import parse_bundle, write_bundle
from digit_infer.classifier import Classifier, Probabilities
from digit_infer.engine import Engine
from digit_infer.errors import DataError, ModelError
from digit_infer.files import DAMAGE
from digit_infer.parity import Parity, compare
from digit_train.data import Digits, split
from digit_train.model import beside_none, load_model, weights_digest


@dataclass(frozen=True)
class Exported:
    """content: the model file's bytes. parity: with the Keras model, over the test set.

    calibrated: whether it is known how the model was trained, and so what its probabilities can be fitted on.
    scaled: whether the model divides grey levels itself.
    """

    content: bytes
    parity: Parity
    calibrated: bool
    scaled: bool


def export(path: Path, digits: Digits, engine: Engine, quantize: Quantization) -> Exported:
    """Convert, then measure with the classifier that ships; the same arguments give the same bytes.

    Raises ModelError for a network that cannot be exported, DataError for other data than it learnt from.
    """
    model = load_model(path)
    training = read_training(path, model)
    if training and training["data_sha256"] != digits.digest():
        raise DataError(f"{path} was trained on other data: give the same --data as to digit-train")
    held = held_back(digits, training)
    none = bool(training) and training["config"]["outliers"] > 0  # whether it knows what is no digit
    temperature = fit_temperature(logits(model, digits.x_train[held], none), digits.y_train[held]) if training else 1.0
    calibration = spread(digits.y_train, CALIBRATION)
    flatbuffer = convert(model, quantize, digits.x_train[calibration], temperature, none=none)
    contract: dict[str, Any] = {
        "input": {"dtype": "uint8", "shape": ["batch", 28, 28, 1], "levels": "grey 0-255, light ink on dark"},
        "output": f"probabilities of the labels{', and of none of them' if none else ''}, from a softmax",
        "normaliser": {"version": parameters.VERSION, "parameters": asdict(parameters.PARAMETERS)},
        "temperature": temperature,
        "quantization": quantize,
        "calibration": {"pictures": len(calibration), "data": digits.digest()},
        "training": training,
        "weights_sha256": weights_digest(model),
        "made_with": {"digit-edge": digit_infer.__version__, "tensorflow": tf.__version__},
    }
    golden_input = digits.x_train[spread(digits.y_train, GOLDEN)]
    bare = write_bundle(flatbuffer, contract, (golden_input[:0], np.zeros((0, 10 + none), np.uint8)))
    classifier = Classifier(parse_bundle(path.name, bare), engine)
    contract["reject"] = {"min_confidence": fit_min_confidence(classifier, digits, held) if none else 0.0}
    before = logits(model, digits.x_test, none)
    after = np.concatenate([classifier.classify(part) for part in in_thousands(digits.x_test)])
    names = [f"test[{i}]" for i in range(len(digits.x_test))]
    parity = compare(softmax(before / temperature), after, digits.y_test, names)
    contract["calibration_error"] = {
        "before": calibration_error(softmax(before), digits.y_test),
        "after": calibration_error(after, digits.y_test),
    }
    contract["parity"] = asdict(parity) | {"flips": len(parity.flips)}
    contract["golden"] = {"pictures": len(golden_input), "runtime": f"{engine.name} {engine.version}"}
    content = write_bundle(flatbuffer, contract, (golden_input, classifier.invoke(golden_input)))
    scaled = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    return Exported(content, parity, bool(training), scaled)


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
    try:
        training: dict[str, Any] = json.loads(metrics.read_text())
        if training.get("weights_sha256") != weights_digest(model):  # of other weights, or another program's
            return {}
        if missing := {"validation", "outliers"} - training["config"].keys() | {"data_sha256"} - training.keys():
            raise KeyError(*missing)
        return training
    except OSError as error:
        raise ModelError(f"cannot read {metrics}: {error.strerror}; remove it to export without it") from error
    except DAMAGE as error:
        raise ModelError(f"{metrics} is damaged ({error}); restore it, or remove it to export without it") from error


def held_back(digits: Digits, training: dict[str, Any]) -> NDArray[np.int64]:
    """Indices of the training pictures that the network has not learnt from; none where that is not known."""
    if not training:
        return np.zeros(0, np.int64)
    return split(digits.y_train, training["config"]["validation"])[1]


def fit_min_confidence(classifier: Classifier, digits: Digits, held: NDArray[np.int64]) -> float:
    """The confidence that all but MAX_LOST of the right answers for held-back pictures reach; 0 where none is right."""
    probabilities = classifier.classify(digits.x_train[held])
    right = probabilities.argmax(1) == digits.y_train[held]
    if not right.any():
        return 0.0
    return round(float(np.quantile(probabilities.max(1)[right], MAX_LOST, method="lower")), 4)


def logits(model: keras.Sequential, images: NDArray[np.uint8], none: bool) -> NDArray[np.float32]:
    """The Keras model's logits for (n, 28, 28), uint8: (n, 10), or with that of no digit (n, 11)."""
    ten = np.concatenate([np.asarray(model(part, training=False)) for part in in_thousands(images)])
    return np.asarray(beside_none(ten)) if none else ten


def softmax(logits: NDArray[np.float32]) -> Probabilities:
    """Of the ten digits: (n, 10)."""
    return np.asarray(keras.ops.softmax(logits))[:, :10]


def in_thousands(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [images[i : i + 1000] for i in range(0, len(images), 1000)]
