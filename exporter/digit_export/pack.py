"""Weights that fit into 4 bits, stored in 4 bits."""

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from digit_train.four_bit import LARGEST

LEVELS = 2 * LARGEST + 1
STRETCH = 127 / LARGEST  # from those integers to the converter's 8-bit ones
VERSION = 10  # of FULLY_CONNECTED, the first with 4-bit weights; tflite-runtime 2.14 knows it


def pack(flatbuffer: bytes) -> bytes:
    """Store the weights of fully connected layers in 4 bits where no weight changes by that; other layers stay.

    flatbuffer: a model with 8-bit weights, quantized per tensor.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(flatbuffer))
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if code.builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        weights, *biases = (tensors[index] for index in operator.inputs[1:] if index >= 0)
        stored = read(model, weights, np.int8)
        small = np.round(stored / STRETCH)
        if (np.round(small * STRETCH) == stored).all():
            write(model, weights, pair(small.astype(np.int8)), STRETCH)
            weights.type = schema.TensorType.INT4
            for bias in biases:
                write(model, bias, np.round(read(model, bias, np.int32) / STRETCH).astype(np.int32), STRETCH)
            code.version = VERSION
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def pair(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two values of -8 to 7 in a byte, the first in its lower half."""
    halves = np.resize(values.astype(np.uint8) & 15, len(values) + len(values) % 2)
    return halves[::2] | halves[1::2] << 4


def read(model: schema.ModelT, tensor: schema.TensorT, dtype: type[np.integer]) -> NDArray[np.integer]:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)


def write(model: schema.ModelT, tensor: schema.TensorT, values: NDArray[np.integer], coarser: float) -> None:
    """Replace a tensor's contents by others whose step is `coarser` times as large."""
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.quantization.scale = tensor.quantization.scale * np.float32(coarser)
