"""Turn the Keras network into the TFLite graph that ships: batch norm folded, softmax added, weights quantized."""

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_export.pack import LEVELS, pack
from digit_export.settings import Quantization
from digit_infer.quiet import native_stderr_silenced
from digit_train.fold import Folded, equalize, fold
from digit_train.model import RARE


def convert(
    model: keras.Sequential,
    quantize: Quantization,
    calibration: NDArray[np.uint8],
    temperature: float = 1.0,
    *,
    none: bool = False,
) -> bytes:
    """Convert to a TFLite flatbuffer from pictures (batch, 28, 28, 1), uint8, to probabilities (batch, 10).

    calibration: (n, 28, 28), uint8, training pictures that int8 and int16x8 take their ranges from.
    temperature: what the logits are divided by, within the last layer's weights.
    none: whether the probability that it is no digit comes last, (batch, 11).
    The output is uint8 in steps of 1/256 for int8, float32 otherwise. Weights that training fitted into 4 bits take
    4 bits in int8. Raises ModelError for layers it does not know.
    """
    # int8 takes uint8 through the converter's own input type; the other graphs begin with a cast
    dtype = tf.float32 if quantize == "int8" else tf.uint8
    network = fold(model, temperature)
    if none:  # a unit whose logit is always the same
        kernel, bias = network.layers[-1]
        network.layers[-1] = np.pad(kernel, [(0, 0), (0, 1)]), np.append(bias, np.float32(RARE / temperature))
    graph = make_graph(network, dtype)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], graph)
    # per channel, litert differs between ARM and x86-64 and tflite-runtime 2.14 crashes on ARM
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize in ("int8", "int16x8"):

        def representative_dataset() -> Iterator[list[NDArray[Any]]]:
            for picture in calibration:
                yield [picture[None, ..., None].astype(dtype.as_numpy_dtype)]

        converter.representative_dataset = representative_dataset
    if quantize == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    elif quantize == "int16x8":
        int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [int16, tf.lite.OpsSet.TFLITE_BUILTINS]
    elif quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with warnings.catch_warnings(), native_stderr_silenced():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")  # of uint8, there are none
        content = bytes(converter.convert())
    return pack(content) if quantize == "int8" else content


def make_graph(network: Folded, dtype: tf.DType) -> Any:
    """The network as a TensorFlow function from (batch, 28, 28, 1) to probabilities (batch, 10 or 11)."""
    crop, pool, layers = network.crop, network.pool, list(network.layers)
    if not any(len(np.unique(kernel)) <= LEVELS for kernel, _ in layers):
        layers = equalize(layers)

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], dtype, name="pixels")], autograph=False)  # type: ignore[untyped-decorator]
    def probabilities(pixels: tf.Tensor) -> tf.Tensor:
        values = tf.cast(pixels, tf.float32)[:, crop : 28 - crop, crop : 28 - crop]
        if pool > 1:
            values = tf.nn.avg_pool2d(values, pool, pool, "VALID")
        values = tf.reshape(values, [-1, len(layers[0][0])])
        for kernel, bias in layers[:-1]:
            values = tf.nn.relu(values @ kernel + bias)
        kernel, bias = layers[-1]
        return tf.nn.softmax(values @ kernel + bias, name="probabilities")

    return probabilities
