"""The TFLite graph computes what the Keras model computes."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest

from digit_export.convert import convert
from digit_export.settings import QUANTIZATIONS
from digit_infer.bundle import parse_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.errors import ModelError
from digit_train.config import PRESETS
from digit_train.fold import equalize, fold
from digit_train.four_bit import RoundedDense
from digit_train.model import build


@pytest.fixture(params=["nano", "small", "cropped"])
def model(request):
    """A network with weights and batch statistics as different from each other as training could make them."""
    model = build(PRESETS[request.param] if request.param in PRESETS else replace(PRESETS["nano"], crop=2))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.2, 2, weight.shape) for weight in layer.get_weights()])
    return model


def run_plainly(network, pixels):
    """The folded network in numpy: logits (n, 10)."""
    crop, pool, layers = network.crop, network.pool, network.layers
    side = (28 - 2 * crop) // pool
    values = pixels[:, crop : 28 - crop, crop : 28 - crop]
    values = values.reshape(-1, side, pool, side, pool).mean((2, 4)).reshape(len(pixels), -1)
    for kernel, bias in layers[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    return values @ layers[-1][0] + layers[-1][1]


def test_folding_keeps_the_logits(model, sample_pixels):
    network = fold(model)
    assert len(network.layers) == 3
    np.testing.assert_allclose(run_plainly(network, sample_pixels), model(sample_pixels), rtol=1e-3, atol=1e-4)
    cooler = run_plainly(fold(model, temperature=2.0), sample_pixels)
    np.testing.assert_allclose(2 * cooler, model(sample_pixels), rtol=1e-3, atol=1e-4)


def test_equalizing_keeps_the_logits_and_evens_the_ranges(model, sample_pixels):
    network = fold(model)
    equal = equalize(network.layers)
    before, after = (run_plainly(each, sample_pixels) for each in (network, replace(network, layers=equal)))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)
    for (kernel, _), (following, _) in itertools.pairwise(equal):
        np.testing.assert_allclose(np.abs(kernel).max(0), np.abs(following).max(1), rtol=0.05)


def test_equalizing_leaves_dead_units_alone():
    kernel, following = np.ones((4, 3), np.float32), np.ones((3, 2), np.float32)
    kernel[:, 1] = following[2] = 0
    for weights, bias in equalize([(kernel, np.ones(3, np.float32)), (following, np.zeros(2, np.float32))]):
        assert np.isfinite(weights).all()
        assert np.isfinite(bias).all()


@pytest.mark.parametrize("quantize", QUANTIZATIONS)
def test_every_variant_takes_uint8_in_any_batch_and_gives_the_keras_probabilities(quantize, model, sample_pixels):
    content = convert(model, quantize, sample_pixels)
    classifier = Classifier(parse_bundle(quantize, content), find_engine())
    expected = np.asarray(keras.ops.softmax(model(sample_pixels)))
    whole = classifier.classify(sample_pixels)
    single = np.concatenate([classifier.classify(sample_pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(whole, expected, atol=1e-5 if quantize == "none" else 0.06)
    np.testing.assert_allclose(whole[:5], single, atol=1e-6)
    np.testing.assert_allclose(whole.sum(1), 1, atol=0.02)


def test_smaller_variants_are_smaller(model, sample_pixels):
    sizes = [len(convert(model, quantize, sample_pixels)) for quantize in ("int8", "float16", "none")]
    assert sizes[0] < 0.65 * sizes[1]
    assert sizes[1] < 0.65 * sizes[2]


def test_int8_is_integer_from_end_to_end(model, sample_pixels):
    interpreter = find_engine().interpreter(convert(model, "int8", sample_pixels))
    dtypes = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert not dtypes & {np.float32, np.float16}


layers = keras.layers
REFUSED = {
    "normalised": lambda: [layers.Flatten(), layers.LayerNormalization(), layers.Dense(10)],
    "shifted levels": lambda: [layers.Rescaling(1 / 127.5, offset=-1), layers.Flatten(), layers.Dense(10)],
    "tanh": lambda: [layers.Flatten(), layers.Dense(8, "tanh"), layers.ReLU(), layers.Dense(10)],
    "softmax": lambda: [layers.Flatten(), layers.Dense(10, "softmax")],
    "no ReLU between": lambda: [layers.Flatten(), layers.Dense(8), layers.Dense(10)],
    "ReLU at the end": lambda: [layers.Flatten(), layers.Dense(10), layers.ReLU()],
    "ReLU6": lambda: [layers.Flatten(), layers.Dense(8), layers.ReLU(6), layers.Dense(10)],
    "leaky ReLU": lambda: [layers.Flatten(), layers.Dense(8), layers.ReLU(negative_slope=0.1), layers.Dense(10)],
    "ReLU above 1": lambda: [layers.Flatten(), layers.Dense(8), layers.ReLU(threshold=1), layers.Dense(10)],
    "batch norm after ReLU": lambda: [
        *(layers.Flatten(), layers.Dense(8), layers.ReLU(), layers.BatchNormalization(), layers.Dense(10))
    ],
    "batch norm first": lambda: [layers.Flatten(), layers.BatchNormalization(), layers.Dense(10)],
    "batch norm without gain": lambda: [layers.Flatten(), layers.Dense(10), layers.BatchNormalization(scale=False)],
    "cropped unevenly": lambda: [
        *(layers.Reshape((28, 28, 1)), layers.Cropping2D(((0, 4), (2, 2))), layers.Flatten(), layers.Dense(10))
    ],
    "pooled overlapping": lambda: [
        *(layers.Reshape((28, 28, 1)), layers.AveragePooling2D(15, strides=13), layers.Flatten(), layers.Dense(10))
    ],
    "pooled before cropping": lambda: [
        *(layers.Reshape((28, 28, 1)), layers.AveragePooling2D(2), layers.Cropping2D(1), layers.Flatten()),
        layers.Dense(10),
    ],
    "unrolled across": lambda: [layers.Flatten(data_format="channels_first"), layers.Dense(10)],
    "ReLU in the last layer": lambda: [layers.Flatten(), layers.Dense(10, "relu")],
    "GELU": lambda: [layers.Flatten(), layers.Dense(8), layers.Activation("gelu"), layers.Dense(10)],
    "cropped across": lambda: [
        *(layers.Reshape((28, 28, 1)), layers.Cropping2D((0, 0), "channels_first"), layers.Flatten(), layers.Dense(10))
    ],
    "pooled across": lambda: [
        *(layers.Reshape((28, 28, 1)), layers.AveragePooling2D(1, data_format="channels_first"), layers.Flatten()),
        layers.Dense(10),
    ],
    "not unrolled": lambda: [layers.Dense(8), layers.ReLU(), layers.Dense(10)],
    "no Dense layer": lambda: [layers.Flatten()],
    "weights of 4 bits in training": lambda: [layers.Flatten(), RoundedDense(10)],
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_that_would_become_another_is_refused(case):
    with pytest.raises(ModelError, match="only networks of Dense layers"):
        fold(keras.Sequential([keras.Input((28, 28)), *REFUSED[case]()]))


@pytest.mark.parametrize("relu", ["layer", "activation layer", "activation"])
def test_networks_as_tutorials_build_them_are_folded(relu, sample_pixels):
    hidden = {
        "layer": [layers.Dense(8), layers.ReLU()],
        "activation layer": [layers.Dense(8), layers.Activation("relu")],
        "activation": [layers.Dense(8, activation="relu")],
    }[relu]
    front = [keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten()]
    model = keras.Sequential([*front, *hidden, layers.Dropout(0.2), layers.Dense(10)])
    (kernel, bias), (last, last_bias) = fold(model).layers
    logits = np.maximum(sample_pixels.reshape(-1, 784) @ kernel + bias, 0) @ last + last_bias
    np.testing.assert_allclose(logits, model(sample_pixels), rtol=1e-3, atol=1e-4)
