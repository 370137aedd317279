"""Lessons: distorted training pictures and what teachers say of them, drawn once and kept for all their students.

Distillation as in Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", on pictures that no teacher saw.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_infer.errors import InputError
from digit_infer.files import read_npz, written_whole
from digit_train.augment import distort
from digit_train.batches import Batch, Material, indices
from digit_train.config import Config, Distortion
from digit_train.model import load_model, weights_digest

KINDS = "images", "outliers"  # of the material that are distorted
AT_ONCE = 1000  # pictures that are distorted and answered together


class Lessons:
    """Batches from lessons, which are gone through in turn, one in an epoch.

    A lesson is every picture of the material distorted once, with the mean of the teachers' logits where there are any.
    It lies in `folder` under a name made of all it depends on, so runs of any architecture and seed share it. Raises
    ModelError where a teacher cannot be loaded, InputError where a lesson is damaged.
    """

    def __init__(self, material: Material, config: Config, teachers: Sequence[Path], folder: Path) -> None:
        self.material, self.config, self.folder = material, config, folder
        self.teachers = [faster(load_model(path), config.precision) for path in teachers]
        self.answer = tf.function(self.answer_batch, autograph=False)
        self.digests = [weights_digest(teacher) for teacher in self.teachers]
        self.contents = {kind: hashlib.sha256(getattr(material, kind).tobytes()).hexdigest() for kind in KINDS}

    def epoch(self, epoch: int) -> Iterator[Batch]:
        distortion = self.config.distortion_in(epoch)
        number = epoch % self.config.lessons if distortion else 0
        lesson = self.load("images", distortion, number)
        drawn = self.load("outliers", distortion, number) if self.config.outliers else {}
        random = np.random.default_rng([self.config.seed, epoch, 1])
        for chosen in indices(len(lesson["images"]), self.config, epoch):
            outliers = None
            if self.config.outliers:
                picked = random.integers(self.config.outliers, size=self.config.outliers_beside(len(chosen)))
                outliers = tf.constant(drawn["images"][picked])
            yield Batch(
                tf.constant(lesson["images"][chosen]),
                tf.constant(self.material.labels[chosen], tf.int32),
                outliers,
                tf.constant(lesson["answers"][chosen], tf.float32) if self.teachers else None,
            )

    def load(self, kind: str, distortion: Distortion | None, number: int) -> dict[str, NDArray[Any]]:
        """Distorted pictures of a kind: images, (n, 28, 28), uint8; for digits the answers, (n, 10), float16."""
        teachers = [*self.digests, self.config.precision] if self.teachers and kind == "images" else []
        depends_on = json.dumps([distortion and asdict(distortion), teachers, self.contents[kind]])
        path = self.folder / f"{hashlib.sha256(depends_on.encode()).hexdigest()[:16]}-{number:03}.npz"
        pictures = getattr(self.material, kind)
        if not path.exists():
            parts = [tf.constant(pictures[start : start + AT_ONCE]) for start in range(0, len(pictures), AT_ONCE)]
            if distortion:
                parts = [distort(part, tf.constant([number, i], tf.int32), distortion) for i, part in enumerate(parts)]
            lesson = {"images": np.concatenate(parts)}
            if teachers:
                lesson["answers"] = np.concatenate([self.answer(part) for part in parts]).astype(np.float16)
            with written_whole(path) as temporary:
                np.savez(temporary, **lesson)  # type: ignore[arg-type]  # one might be named allow_pickle
        shapes = {"images": pictures.shape} | ({"answers": (len(pictures), 10)} if teachers else {})
        with suppress(InputError):
            lesson = read_npz(path)
            if shapes.items() <= {name: array.shape for name, array in lesson.items()}.items():
                return lesson
        raise InputError(f"{path} is damaged; remove it, it is drawn again")

    def answer_batch(self, images: tf.Tensor) -> tf.Tensor:
        """The teachers' logits for (n, 28, 28), averaged: (n, 10), float32."""
        logits = [tf.cast(teacher(images, training=False), tf.float32) for teacher in self.teachers]
        return tf.add_n(logits) / len(logits)


def faster(model: keras.Sequential, precision: str) -> keras.Sequential:
    """The same network computing in another precision, apart from its logits."""

    def convert(layer: keras.Layer) -> keras.Layer:
        return layer.from_config(layer.get_config() | {"dtype": "float32" if layer.name == "logits" else precision})

    converted = keras.models.clone_model(model, clone_function=convert)
    converted.set_weights(model.get_weights())
    return converted
