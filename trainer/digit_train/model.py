"""The Keras network: raw grey levels in, ten logits out."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digit_infer.errors import ModelError
from digit_infer.files import DAMAGE
from digit_train.config import Config
from digit_train.four_bit import RoundedDense

# the logit of no digit in training and in use, where such pictures are e^2.5 times rarer
COMMON, RARE = 1.5, -1.0


def build(config: Config) -> keras.Sequential:
    """Build the untrained network: input (n, 28, 28), grey levels 0-255, light on dark; output (n, 10), linear logits.

    Division by 255 and unrolling to 784 are layers, so that whoever calls the model cannot forget them.
    Initial weights follow from `config.seed` alone.
    """
    keras.utils.set_random_seed(config.seed)
    layers = [keras.Input((28, 28), name="pixels"), keras.layers.Rescaling(1 / 255)]
    if config.conv or config.crop or config.pool > 1:
        layers.append(keras.layers.Reshape((28, 28, 1)))
    for group in config.conv:
        for filters in group:
            layers += activated(keras.layers.Conv2D, filters, config, kernel_size=3, padding="same")
        layers.append(keras.layers.MaxPooling2D())
    if config.crop:
        layers.append(keras.layers.Cropping2D(config.crop))
    if config.pool > 1:
        layers.append(keras.layers.AveragePooling2D(config.pool))
    if config.conv:
        layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(config.dropout)]
    layers.append(keras.layers.Flatten())
    for width in config.hidden:
        layers += [*activated(keras.layers.Dense, width, config), keras.layers.Dropout(config.dropout)]
    layers.append(keras.layers.Dense(10, name="logits"))
    return keras.Sequential(layers)


def activated(kind: type[keras.layers.Layer], width: int, config: Config, **options: Any) -> list[keras.layers.Layer]:
    """A layer of `width` units or filters with batch norm and ReLU, or a rounded one with ReLU."""
    if config.four_bit:
        return [RoundedDense(width, kernel_initializer="he_normal"), keras.layers.ReLU()]
    layer = kind(width, use_bias=False, kernel_initializer="he_normal", dtype=config.precision, **options)
    return [layer, keras.layers.BatchNormalization(dtype=config.precision), keras.layers.ReLU(dtype=config.precision)]


def beside_none(logits: tf.Tensor, level: float = RARE) -> tf.Tensor:
    """Logits (n, 10) and last, at the same level for every picture, that of no digit: (n, 11)."""
    return tf.pad(logits, [[0, 0], [0, 1]], constant_values=level)


def load_model(path: Path) -> keras.Sequential:
    """Load a network from 28 x 28 pixels to ten linear logits. Raises ModelError."""
    try:
        if path.suffix == ".keras" and path.is_file() and not zipfile.is_zipfile(path):
            raise ValueError("it is not whole; save or copy it again")  # Keras says that it is not there
        model = keras.models.load_model(path, compile=False)  # whatever it was trained with
        if not isinstance(model, keras.Sequential):
            model = as_sequential(model)
        if not model.built:
            raise ValueError("it has no input shape; begin it with keras.Input((28, 28))")
        if (model.input_shape, model.output_shape) != ((None, 28, 28), (None, 10)):
            raise ValueError(f"it goes from {model.input_shape} to {model.output_shape}, not from (28, 28) to (10)")
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise ValueError("its weights are not finite; train it again with a lower learning rate")
        if getattr(model.layers[-1], "activation", None) is not keras.activations.linear:
            raise ValueError("it does not end in Dense(10) with linear logits; the export adds the softmax")
    except (OSError, RuntimeError, tf.errors.OpError, *DAMAGE) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} is not a Keras model of digits: {reason}") from error
    return model


def as_sequential(model: keras.Model) -> keras.Sequential:
    """The same layers and weights, where the model is a chain of them. Raises ValueError where it is not."""
    probe = np.random.default_rng(0).integers(0, 256, [2, *model.inputs[0].shape[1:]]).astype(np.float32)
    answers = keras.tree.flatten(model(keras.tree.map_structure(lambda _: probe, model.input)))
    try:
        chain = keras.Sequential(model.layers)
        same = np.array_equal(chain(probe), *answers)
    except (TypeError, ValueError):  # of layers that take more than one input, or of several outputs
        same = False
    if not same:
        raise ValueError("it is neither keras.Sequential nor a chain of layers")
    return chain


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over all weights in order; unlike a digest of the file it does not change with the date of saving."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()
