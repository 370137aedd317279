"""Weight sharing: hidden layers that are trained as convolutions before they become Dense layers.

What a convolution knows of pictures from the start, that places are alike and neighbours belong together, a Dense layer
must learn from examples. Started as one, it reads better than started at random, and better than the convolution does.
D'Ascoli et al. 2019, "Finding the Needle in the Haystack with Convolutions".
"""

import keras
import numpy as np
from numpy.typing import NDArray


def unshared(model: keras.Sequential) -> list[NDArray[np.float32]]:
    """The weights, in Keras' order, that make Dense layers compute what a network of convolutions does."""
    weights: list[NDArray[np.float32]] = []
    places = 1
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2D():
                _, side, _, _ = layer.output.shape
                places = side**2
                weights.append(dense_kernel(layer))
            case keras.layers.BatchNormalization():
                weights += [np.tile(weight, places) for weight in layer.get_weights()]
            case _:
                weights += layer.get_weights()
    return weights


def dense_kernel(layer: keras.layers.Conv2D) -> NDArray[np.float32]:
    """(in, out), float32, both unrolled from rows, columns and channels; most of it 0."""
    (kernel,) = layer.get_weights()
    _, height, width, channels = layer.input.shape
    _, rows, columns, filters = layer.output.shape
    side, stride = kernel.shape[0], layer.strides[0]
    dense = np.zeros((height, width, channels, rows, columns, filters), np.float32)
    for row, column in np.ndindex(rows, columns):
        top, left = row * stride, column * stride
        dense[top : top + side, left : left + side, :, row, column] = kernel
    return dense.reshape(height * width * channels, rows * columns * filters)
