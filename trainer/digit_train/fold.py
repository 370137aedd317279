"""The network reduced to what a device computes: cropping, pooling and Dense layers."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from digit_infer.errors import ModelError

Dense = tuple[NDArray[np.float32], NDArray[np.float32]]  # kernel (in, out), bias (out)


@dataclass(frozen=True)
class Folded:
    """The network as it is computed on a device: pixels cut off each side, side of the pooling, Dense layers."""

    crop: int
    pool: int
    layers: list[Dense]


def fold(model: keras.Sequential, temperature: float = 1.0) -> Folded:
    """Reduce the network to crop, pooling and Dense layers, with division by 255, batch norm and temperature in those.

    What is folded is linear, so nothing changes but rounding. Raises ModelError for any other network than cropping and
    pooling, as `build` makes them, and Dense layers with a ReLU after each but the last.
    """
    only = (
        "only networks of Dense layers are exported or fitted into 4 bits: Rescaling without offset, Flatten, Dense "
        "without activation or with ReLU, BatchNormalization with scale and center, ReLU, Dropout, "
        "in digit-train's order"
    )
    crop, pool, scale = 0, 1, 1.0
    dense: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    linear = False  # since the last Dense layer
    for layer in model.layers:
        match layer:
            case keras.layers.Rescaling(scale=float() | int(), offset=0) if not dense:
                scale *= layer.scale
            case keras.layers.Layer(data_format="channels_first"):  # before those that have a format
                raise ModelError(f"layer {layer.name}: {only}")
            case keras.layers.Cropping2D(cropping=((top, bottom), (left, right))) if (
                top == bottom == left == right and pool == 1 and not dense
            ):
                crop += top
            case keras.layers.AveragePooling2D(pool_size=(side, width), padding="valid") if (
                side == width and layer.strides == (side, side) and pool == 1 and not dense
            ):
                pool = side
            case keras.layers.Reshape(target_shape=(28, 28, 1)) | keras.layers.Flatten() if not dense:
                pass
            case keras.layers.Dense(activation=keras.activations.linear | keras.activations.relu) if (
                not linear and len(layer.weights) == 1 + layer.use_bias  # those of 4 bits in training have more
            ):
                kernel, *biases = (weight.astype(np.float64) for weight in layer.get_weights())
                dense.append((kernel if dense else kernel * scale, biases[0] if biases else np.zeros(layer.units)))
                linear = layer.activation is keras.activations.linear
            case keras.layers.BatchNormalization(scale=True, center=True) if linear:
                gamma, beta, mean, variance = (weight.astype(np.float64) for weight in layer.get_weights())
                gain = gamma / np.sqrt(variance + layer.epsilon)
                kernel, bias = dense[-1]
                dense[-1] = kernel * gain, (bias - mean) * gain + beta
            case (
                keras.layers.ReLU(max_value=None, negative_slope=0, threshold=0)
                | keras.layers.Activation(activation=keras.activations.relu)
            ) if linear:
                linear = False
            case keras.layers.Dropout():
                pass
            case _:
                raise ModelError(f"layer {layer.name}: {only}")
    if not linear or len(dense[0][0]) != ((28 - 2 * crop) // pool) ** 2:
        raise ModelError(only)
    kernel, bias = dense[-1]
    dense[-1] = kernel / temperature, bias / temperature
    return Folded(crop, pool, [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel, bias in dense])


def equalize(layers: list[Dense], rounds: int = 20) -> list[Dense]:
    """Scale hidden units so that the weights into and out of each span the same range; the network stays the same.

    One scale per layer's weights then wastes fewer of its 8 bits: a third of the rounding error on `base`. Cross-layer
    equalization, Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction".
    """
    layers = list(layers)
    for _ in range(rounds):
        for i in range(len(layers) - 1):
            (before, bias), (after, next_bias) = layers[i], layers[i + 1]
            incoming, outgoing = np.abs(before).max(0), np.abs(after).max(1)
            dead = (incoming == 0) | (outgoing == 0)
            scale = np.where(dead, 1, np.sqrt(incoming / np.where(dead, 1, outgoing))).astype(np.float32)
            layers[i] = before / scale, bias / scale
            layers[i + 1] = after * scale[:, None], next_bias
    return layers
