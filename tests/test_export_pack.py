"""Weights that fit into 4 bits are stored in 4 bits, and nothing else changes."""

import keras
import numpy as np
import pytest
from tensorflow.lite.tools import flatbuffer_utils

from digit_export.convert import convert
from digit_export.pack import pair
from digit_infer.bundle import parse_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_train.config import Config
from digit_train.four_bit import LARGEST, plain, set_limits
from digit_train.model import build


@pytest.fixture
def model():
    """A network with hidden weights on 15 levels, of odd and even number."""
    model = build(Config(hidden=(13, 7), epochs=1, dropout=0.0, patience=1, crop=4, pool=4, four_bit=True))
    set_limits(model)
    model = plain(model)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(random.normal(size=layer.units))
    return model


def unpacked(content):
    """The integers of every tensor in 4 bits, by its shape."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    found = {}
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == flatbuffer_utils.schema_fb.TensorType.INT4:
            data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
            halves = np.stack([data & 15, data >> 4], 1).ravel()[: np.prod(tensor.shape)].astype(int)
            found[tuple(tensor.shape)] = np.where(halves > LARGEST, halves - 16, halves)
    return found


def test_only_hidden_weights_take_4_bits_and_each_keeps_its_value(model, sample_pixels):
    packed = unpacked(convert(model, "int8", sample_pixels))
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert list(packed) == [(7, 13), (13, 25)]
    for layer in dense[:2]:
        kernel = layer.kernel.numpy().T
        step = np.abs(kernel).max() / LARGEST
        np.testing.assert_array_equal(packed[kernel.shape].reshape(kernel.shape), np.round(kernel / step))


def test_what_holds_4_bits_asks_for_the_version_that_has_them(model, sample_pixels):
    packed = flatbuffer_utils.convert_bytearray_to_object(bytearray(convert(model, "int8", sample_pixels)))
    dense = flatbuffer_utils.schema_fb.BuiltinOperator.FULLY_CONNECTED
    assert {code.version for code in packed.operatorCodes if code.builtinCode == dense} == {10}


def test_a_packed_model_reads_as_the_network_it_was_made_from(model, sample_pixels):
    content = convert(model, "int8", sample_pixels)
    read = Classifier(parse_bundle("packed", content), find_engine()).classify(sample_pixels)
    logits = np.asarray(model(sample_pixels))
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(read, expected, atol=0.03)


def test_weights_between_the_levels_stay_as_they_are(sample_pixels):
    model = build(Config(hidden=(13, 7), epochs=1, dropout=0.0, patience=1, crop=4, pool=4))
    assert not unpacked(convert(model, "int8", sample_pixels))


@pytest.mark.parametrize(("values", "expected"), [([1, -1], [0xF1]), ([7, -8, -7], [0x87, 0x79])])
def test_pairs_of_weights_share_a_byte(values, expected):
    np.testing.assert_array_equal(pair(np.array(values, np.int8)), expected)
