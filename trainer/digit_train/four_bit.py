"""Quantization-aware training: hidden layers whose weights are integers of 4 bits when they are used."""

import keras
import numpy as np
import tensorflow as tf

from digit_train.fold import equalize, fold

LARGEST = 7  # of the integers that weights are rounded to


class RoundedDense(keras.layers.Dense):  # type: ignore[misc]
    """A Dense layer that computes with its weights rounded to 15 levels, evenly spaced from -limit to limit.

    Gradients pass the rounding as if it were not there, and the limit is learnt with the weights. Esser et al. 2020,
    "Learned Step Size Quantization".
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.limit = self.add_weight(shape=(), name="limit", initializer="ones")

    def rounded(self) -> tf.Tensor:
        """The kernel as it is used: (in, out), float32."""
        return on_levels(tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.limit))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs @ self.rounded() + self.bias


def on_levels(kernel: tf.Tensor, limit: tf.Tensor) -> tf.Tensor:
    """Each weight at the nearest of the 15 levels."""
    step = limit / LARGEST
    scaled = tf.clip_by_value(kernel / step, -LARGEST, LARGEST)
    return (tf.round(scaled) + (scaled - tf.stop_gradient(scaled))) * step  # the difference is 0, but for gradients


def start_from(model: keras.Sequential, trained: keras.Sequential, even: bool = True) -> None:
    """Give a network of rounded layers the weights of one in floating point. Raises ValueError where shapes differ.

    `even` scales units so that those of a layer reach equally far, which keeps no weight as it is.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    (kernel, bias), *others = fold(trained).layers
    layers = [(kernel * 255, bias), *others]  # the division stays a layer in training
    for layer, (kernel, bias) in zip(dense, equalize(layers) if even else layers, strict=True):
        layer.set_weights([kernel, bias, *layer.get_weights()[2:]])


def set_limits(model: keras.Sequential) -> None:
    """Set each rounded layer's limit to where rounding errs least."""
    for layer in model.layers:
        if isinstance(layer, RoundedDense):
            kernel = layer.kernel.numpy()
            limits = np.abs(kernel).max() * np.linspace(0.1, 1, 37, dtype=np.float32)
            errors = [float(tf.reduce_sum((on_levels(kernel, limit) - kernel) ** 2)) for limit in limits]
            layer.limit.assign(limits[np.argmin(errors)])


def keep_hidden(model: keras.Sequential) -> None:
    """Leave the weights of all Dense layers but the last as they are, though not their biases.

    4-bit weights change level to the end of training, and what else is learnt fits their mean; Nagel et al. 2022,
    "Overcoming Oscillations in Quantization-Aware Training".
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.name != "logits":
            for weight in layer.weights:
                weight.trainable = weight is layer.bias


def plain(model: keras.Sequential) -> keras.Sequential:
    """The same network of ordinary Dense layers, which hold the rounded weights."""

    def convert(layer: keras.Layer) -> keras.Layer:
        kind = keras.layers.Dense if isinstance(layer, RoundedDense) else type(layer)
        return kind.from_config(layer.get_config())

    result = keras.models.clone_model(model, clone_function=convert)
    for layer, rounded in zip(result.layers, model.layers, strict=True):
        if isinstance(rounded, RoundedDense):
            layer.set_weights([rounded.rounded().numpy(), rounded.bias.numpy()])
        else:
            layer.set_weights(rounded.get_weights())
    return result
