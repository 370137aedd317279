"""Random distortion of training pictures inside the TensorFlow graph."""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_train.config import Distortion

SIDE = 28
RANK = 8  # eigenvectors that carry over 99.9 % of a field smoothed with sigma 5 on 28 pixels


def distort(images: tf.Tensor, seed: tf.Tensor, settings: Distortion) -> tf.Tensor:
    """Distort each picture by its own affine map and elastic field.

    images: (n, 28, 28), uint8, light on dark. seed: (2,), int32; the same seed gives the same pictures.
    Returns (n, 28, 28), uint8: each pixel is read, bilinearly, where the map sends it; outside is dark. Reading between
    the pixels pales thin strokes, so the brightest one is brought back to 255, as the normaliser does in use.
    """
    count = tf.shape(images)[0]
    seeds = tf.random.split(seed, 3)
    source = affine_positions(count, seeds[0], settings) + elastic_offsets(count, seeds[1], settings)
    chosen = tf.random.stateless_uniform([count, 1, 1], seeds[2]) < settings.share
    draw = tf.random.stateless_uniform([count, 1, 1], tf.random.fold_in(seed, 3), -1.0, 1.0)
    thickness = draw * abs(draw) * tf.where(draw < 0, settings.thinner, settings.thicker)
    return tf.where(chosen, brighten(sample(thicken(images, thickness), source)), images)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def thicken(images: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """Move the strokes' outlines by `amount` pixels, (n, 1, 1), -1 to 1: a mix with the four neighbours' extreme."""
    levels = tf.cast(images, tf.float32)
    around = tf.pad(levels, [[0, 0], [1, 1], [1, 1]])
    neighbours = around[:, 1:-1, :-2], around[:, 1:-1, 2:], around[:, :-2, 1:-1], around[:, 2:, 1:-1]
    thinner = thicker = levels
    for neighbour in neighbours:
        thinner, thicker = tf.minimum(thinner, neighbour), tf.maximum(thicker, neighbour)
    mixed = levels + tf.maximum(amount, 0) * (thicker - levels) + tf.maximum(-amount, 0) * (thinner - levels)
    return tf.cast(mixed + 0.5, tf.uint8)


def brighten(images: tf.Tensor) -> tf.Tensor:
    """Scale the levels of (n, 28, 28), uint8, so that each picture reaches 255; one without ink stays dark."""
    levels = tf.cast(images, tf.float32)
    brightest = tf.reduce_max(levels, [1, 2], keepdims=True)
    return tf.cast(levels * (255 / tf.maximum(brightest, 1.0)) + 0.5, tf.uint8)


def affine_positions(count: tf.Tensor, seed: tf.Tensor, settings: Distortion) -> tf.Tensor:
    """Where each pixel comes from under a random rotation, scaling, shear and shift: (2, n, 784), float32, y then x."""
    draw = tf.random.stateless_uniform([6, count, 1], seed, -1.0, 1.0)
    angle, shear = (draw[0] * math.radians(settings.rotation), draw[1] * math.radians(settings.shear))
    tall, wide = 1 + settings.scale * draw[2], 1 + settings.scale * draw[3]
    centre = (SIDE - 1) / 2
    grid = np.indices((SIDE, SIDE), dtype=np.float32).reshape(2, 1, -1) - centre
    y, x = grid[0], grid[1] + tf.tan(shear) * grid[0]
    down = (tf.cos(angle) * y + tf.sin(angle) * x) / tall + settings.shift * draw[4]
    right = (tf.cos(angle) * x - tf.sin(angle) * y) / wide + settings.shift * draw[5]
    return tf.stack([down, right]) + centre


def elastic_offsets(count: tf.Tensor, seed: tf.Tensor, settings: Distortion) -> tf.Tensor:
    """Smooth random displacements: (2, n, 784), float32, pixels.

    White noise smoothed with a Gaussian of width sigma is a Gaussian process with covariance exp(-d^2 / 4 sigma^2);
    drawing it from the few eigenvectors that matter costs a tenth of smoothing 28 x 28 random numbers.
    """
    basis = elastic_basis(settings).astype(np.float32)
    noise = tf.random.stateless_normal([2 * count * RANK, RANK], seed)
    rows = tf.reshape(tf.matmul(noise, basis, transpose_b=True), [2 * count, RANK, SIDE])
    rows = tf.reshape(tf.transpose(rows, [0, 2, 1]), [2 * count * SIDE, RANK])
    return tf.reshape(tf.matmul(rows, basis, transpose_b=True), [2, count, SIDE * SIDE])


def elastic_basis(settings: Distortion) -> NDArray[np.float64]:
    """(28, 8), float64: with normal noise along both axes, a field as strong as alpha times smoothed even noise."""
    steps = np.arange(SIDE)
    covariance = np.exp(-((steps[:, None] - steps[None]) ** 2) / (4 * settings.elastic_sigma**2))
    values, vectors = np.linalg.eigh(covariance)
    noise_deviation = 1 / math.sqrt(3)  # of even noise from -1 to 1
    amplitude = settings.elastic_alpha * noise_deviation / (2 * math.sqrt(math.pi) * settings.elastic_sigma)
    return vectors[:, -RANK:] * np.sqrt(amplitude * values[-RANK:])


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def sample(images: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
    """Read images (n, 28, 28), uint8, bilinearly at source (2, n, 784); the result has the images' shape and dtype.

    Each pixel and its three neighbours are packed into one int32 first, so that one gather reads all four.
    """
    side = SIDE + 2
    source = tf.clip_by_value(source + 1, 0.0, SIDE + 0.999)
    corner = tf.floor(source)
    part = source - corner
    dark_rim = tf.cast(tf.pad(images, [[0, 0], [1, 2], [1, 2]]), tf.int32)
    pairs = dark_rim[:, :, :-1] + dark_rim[:, :, 1:] * 2**8
    quads = tf.reshape(pairs[:, :-1] + pairs[:, 1:] * 2**16, [-1])
    first = tf.range(tf.shape(images)[0])[:, None] * side**2
    four = tf.gather(quads, tf.cast(corner[0] * side + corner[1], tf.int32) + first)
    pixels = [
        tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(four, bits), 255), tf.float32) for bits in (0, 8, 16, 24)
    ]
    top = pixels[0] + (pixels[1] - pixels[0]) * part[1]
    bottom = pixels[2] + (pixels[3] - pixels[2]) * part[1]
    return tf.cast(tf.reshape(top + (bottom - top) * part[0] + 0.5, tf.shape(images)), tf.uint8)
