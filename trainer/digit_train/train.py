"""The training loop: the same seed gives the same weights, killed and resumed or not."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_infer.errors import DataError, DigitError, InputError, ModelError
from digit_infer.files import read_npz, written_whole
from digit_infer.quiet import native_stderr_silenced
from digit_infer.resume import difference
from digit_train.augment import distort
from digit_train.batches import Batch, Drawn, collect
from digit_train.config import Config
from digit_train.data import Digits, split
from digit_train.folder import CHECKPOINT
from digit_train.four_bit import keep_hidden, plain, set_limits, start_from
from digit_train.lessons import Lessons
from digit_train.model import COMMON, beside_none, build, load_model, weights_digest


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv; losses are mean cross-entropies in nats, accuracies 0-1.

    Train figures are those of the distorted pictures in training; the others are of the averaged weights.
    """

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    val_loss: float  # decides which epoch is best: far less noisy than accuracy on a small slice
    val_accuracy: float
    test_loss: float  # drawn, never decided by
    test_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """The best averaged weights in `model`, and how they came about."""

    model: keras.Sequential
    history: list[Epoch]
    best: Epoch
    interrupted: bool


class Run:
    """One training run: network, optimizer, averaged weights, history, and the checkpoint they live in."""

    def __init__(
        self,
        config: Config,
        digits: Digits,
        folder: Path,
        init: Path | None = None,
        teachers: Sequence[Path] = (),
        lessons: Path | None = None,
    ) -> None:
        tf.config.experimental.enable_op_determinism()
        self.config, self.digits, self.folder = config, digits, folder
        self.train_part, self.val_part = split(digits.y_train, config.validation)
        material = collect(digits, self.train_part, config)
        self.batch = min(config.batch_size, len(material.images))
        self.steps = len(material.images) // self.batch
        self.source = (
            Lessons(material, config, teachers, lessons or folder / "lessons")
            if teachers or lessons
            else Drawn(material, config)
        )
        self.model = build(config)
        self.init = load_weights(self.model, init, config) if init else None
        set_limits(self.model)
        if config.keep_hidden:
            keep_hidden(self.model)
        self.averaged = build(replace(config, precision="float32"))
        self.averaged.set_weights(self.model.get_weights())
        self.optimizer = self.make_optimizer()
        self.history: list[Epoch] = []
        self.best_weights: list[NDArray[np.float32]] = []
        self.train_step = tf.function(self.step, autograph=False)
        with native_stderr_silenced():  # XLA introduces itself at its first use
            distort(tf.constant(material.images[:1]), tf.constant([0, 0]), config.distortion)
        self.evaluate_batch = tf.function(lambda images: self.averaged(images, training=False), autograph=False)

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        total = self.steps * self.config.epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, total, warmup_target=self.config.learning_rate, warmup_steps=min(self.steps, total // 10)
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=self.config.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "limit"])
        optimizer.build(self.model.trainable_variables)
        return optimizer

    def step(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch; returns its digits' cross-entropy with their labels, summed, and the right answers."""
        images = batch.images if batch.outliers is None else tf.concat([batch.images, batch.outliers], 0)
        with tf.GradientTape() as tape:
            logits, others = tf.split(self.model(images, training=True), [self.batch, -1])
            scores = logits if batch.outliers is None else beside_none(logits, COMMON)
            loss = total = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(batch.labels, scores)
            if batch.answers is not None:
                weight = self.config.distillation
                total = (1 - weight) * loss + weight * self.distillation_loss(batch.answers, scores)
            if batch.outliers is not None:
                doubt = tf.reduce_logsumexp(beside_none(others, COMMON), 1) - COMMON
                total += self.config.outlier_weight * tf.reduce_mean(doubt)
        self.optimizer.apply(tape.gradient(total, self.model.trainable_variables))
        done = tf.cast(self.optimizer.iterations, tf.float32)
        # averaging over fewer steps at first, or the random initial weights would linger
        decay = tf.minimum(self.config.averaging, (1 + done) / (10 + done))
        for average, weight in zip(self.averaged.weights, self.model.weights, strict=True):
            average.assign(weight + decay * (average - weight))
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == batch.labels, tf.int32))
        return loss * self.batch, right

    def distillation_loss(self, answers: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Cross-entropy with the teachers' answers, both softened; the factor keeps the gradients' size."""
        temperature = self.config.temperature
        softened = tf.pad(tf.nn.softmax(answers / temperature), [[0, 0], [0, scores.shape[1] - 10]])
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(softened, scores / temperature)
        return loss * temperature**2

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Go once over the training part in an order, with distortions and dropout that follow from seed and epoch."""
        for number, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout) and layer.rate:
                layer.seed_generator.state.assign([self.config.seed, epoch * len(self.model.layers) + number])
        loss, right = tf.constant(0.0), tf.constant(0)
        for batch in self.source.epoch(epoch):
            more = self.train_step(batch)
            loss, right = loss + more[0], right + more[1]
        seen = self.steps * self.batch
        return float(loss) / seen, int(right) / seen

    def evaluate(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[float, float]:
        """Mean loss and accuracy of the averaged weights."""
        logits = np.concatenate([self.evaluate_batch(images[i : i + 1000]) for i in range(0, len(images), 1000)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
        return float(loss), float(np.mean(logits.argmax(1) == labels))

    def run_epoch(self) -> Epoch:
        """Train and measure. Raises DigitError, and keeps nothing of the epoch, where the loss is no number."""
        start = time.perf_counter()
        number = len(self.history)
        train = self.train_epoch(number)
        val = self.evaluate(self.digits.x_train[self.val_part], self.digits.y_train[self.val_part])
        test = self.evaluate(self.digits.x_test, self.digits.y_test)
        epoch = Epoch(number + 1, *train, *val, *test, seconds=time.perf_counter() - start)
        if math.isnan(epoch.val_loss):
            raise DigitError(
                f"the validation loss of epoch {epoch.epoch} is no number: start over with a lower --learning-rate"
            )
        better = not (self.history and self.config.patience) or epoch.val_loss < self.best().val_loss
        weights = self.averaged.get_weights() if better else self.best_weights
        self.history, self.best_weights = [*self.history, epoch], weights  # at once, as Ctrl-C may come at any time
        return epoch

    def best(self) -> Epoch:
        return min(self.history, key=attrgetter("val_loss")) if self.config.patience else self.history[-1]

    def finished(self) -> bool:
        done = len(self.history)
        return done >= self.config.epochs or (done > 0 and done - self.best().epoch >= self.config.patience > 0)

    def seconds_left(self) -> float:
        """To the last epoch at the pace of the latest five, should training not stop early."""
        latest = [epoch.seconds for epoch in self.history[-5:]]
        return math.fsum(latest) / len(latest) * (self.config.epochs - len(self.history))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be gone on with."""
        config: dict[str, Any] = json.loads(json.dumps(asdict(self.config)))
        return {"config": config, "data": self.digits.digest(), "teachers": self.teachers(), "init": self.init}

    def teachers(self) -> list[str] | None:
        """The digests of their weights; None where pictures are not kept as lessons."""
        return self.source.digests if isinstance(self.source, Lessons) else None

    def save_checkpoint(self) -> None:
        state = {"identity": self.identity(), "history": [asdict(epoch) for epoch in self.history]}
        groups = {
            "model": self.model.get_weights(),
            "averaged": self.averaged.get_weights(),
            "best": self.best_weights,
            "optimizer": [keras.ops.convert_to_numpy(variable) for variable in self.optimizer.variables],
        }
        arrays = {f"{group}_{i}": array for group, members in groups.items() for i, array in enumerate(members)}
        with written_whole(self.folder / CHECKPOINT) as temporary, temporary.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def restore_checkpoint(self) -> None:
        """Go on where the checkpoint stands. Raises DataError where it is unreadable or of another run."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            raise DataError(f"nothing to resume in {self.folder}: start without --resume")
        try:
            arrays = read_npz(path)
            state = json.loads(str(arrays["state"]))
            then, now = state["identity"], self.identity()
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no checkpoint; --force starts over") from error
        if then != now:
            other = difference("run", then, now)
            raise DataError(f"{path} is of another {other}; use the same, or --force to start over")
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        groups: dict[str, list[NDArray[Any]]] = {}
        for name, array in arrays.items():  # in the order they were saved in
            groups.setdefault(name.split("_")[0], []).append(array)
        self.model.set_weights(groups["model"])
        self.averaged.set_weights(groups["averaged"])
        self.best_weights = groups["best"]
        for variable, value in zip(self.optimizer.variables, groups["optimizer"], strict=True):
            variable.assign(value)


def train(run: Run, on_epoch: Callable[[Run, Epoch], None]) -> Trained:
    """Train until the epochs or the patience are used up, or Ctrl-C; `on_epoch` hears of every epoch."""
    interrupted = False
    try:
        while not run.finished():
            epoch = run.run_epoch()
            run.save_checkpoint()
            on_epoch(run, epoch)
    except KeyboardInterrupt:
        if not run.history:
            raise
        interrupted = True
    run.averaged.set_weights(run.best_weights)
    return Trained(plain(run.averaged), run.history, run.best(), interrupted)


def load_weights(model: keras.Sequential, path: Path, config: Config) -> str:
    """Start from the weights of an earlier model of the same architecture; returns their digest."""
    trained = load_model(path)
    try:
        if config.four_bit:
            start_from(model, trained, even=not config.keep_hidden)
        else:
            model.set_weights(trained.get_weights())
    except (ModelError, ValueError) as error:
        raise DataError(f"--init {path}: not a model of this preset ({str(error).splitlines()[0]})") from error
    return weights_digest(trained)
