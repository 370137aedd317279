"""What the network is trained on: batches of distorted pictures, drawn afresh or taken from teachers' lessons."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_train.augment import distort
from digit_train.config import Config, Distortion
from digit_train.data import Digits
from digit_train.outliers import draw_outliers
from digit_train.styles import draw_styles


class Batch(NamedTuple):
    """One step's pictures, all (n, 28, 28), uint8, light on dark.

    labels: (n,), int32, 0-9. outliers: pictures without a digit. answers: (n, 10), float32, teachers' logits.
    """

    images: tf.Tensor
    labels: tf.Tensor
    outliers: tf.Tensor | None
    answers: tf.Tensor | None


@dataclass(frozen=True)
class Material:
    """What batches are drawn from: images (n, 28, 28), uint8; labels (n,), uint8, 0-9; outliers (m, 28, 28), uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    outliers: NDArray[np.uint8]


def collect(digits: Digits, part: NDArray[np.int64], config: Config) -> Material:
    """The training part of a data set and what is drawn beside it, which is the same for every seed."""
    images, labels = digits.x_train[part], digits.y_train[part]
    if config.styles:
        drawn, truth = draw_styles(config.styles, 0)
        images, labels = np.concatenate([images, drawn]), np.concatenate([labels, truth])
    return Material(images, labels, draw_outliers(config.outliers, images, labels, 0))


def indices(count: int, config: Config, epoch: int) -> Iterator[NDArray[np.int64]]:
    """The batches of an epoch: what of `count` pictures each takes, in an order that follows from seed and epoch."""
    order = np.random.default_rng([config.seed, epoch]).permutation(count)
    size = min(config.batch_size, count)
    return (order[i * size : (i + 1) * size] for i in range(count // size))


class Drawn:
    """Batches that are distorted afresh in every epoch."""

    def __init__(self, material: Material, config: Config) -> None:
        self.config, self.count = config, len(material.images)
        self.images, self.labels = tf.constant(material.images), tf.constant(material.labels, tf.int32)
        self.outliers = tf.constant(material.outliers)
        self.draw = tf.function(self.draw_batch, autograph=False)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        distortion = self.config.distortion_in(epoch)
        for number, chosen in enumerate(indices(self.count, self.config, epoch)):
            seed = [self.config.seed, epoch * (self.count // len(chosen)) + number]
            yield self.draw(tf.constant(chosen), tf.constant(seed, tf.int32), distortion)

    def draw_batch(self, chosen: tf.Tensor, seed: tf.Tensor, distortion: Distortion | None) -> Batch:
        images, outliers, count = tf.gather(self.images, chosen), None, self.config.outliers_beside(chosen.shape[0])
        if count:
            picked = tf.random.stateless_uniform([count], seed, 0, self.config.outliers, tf.int32)
            images = tf.concat([images, tf.gather(self.outliers, picked)], 0)
        if distortion:
            images = distort(images, seed, distortion)
        if count:
            images, outliers = tf.split(images, [-1, count])
        return Batch(images, tf.gather(self.labels, chosen), outliers, None)
