"""Hidden weights fitted into 4 bits: what is trained is what is kept, and it pays to train for it."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from digit_infer.errors import DataError
from digit_train.config import PRESETS
from digit_train.four_bit import RoundedDense, plain, set_limits, start_from
from digit_train.model import build
from digit_train.train import Run, train

FLOAT = replace(PRESETS["nano"], epochs=4, batch_size=50, learning_rate=0.01)
CONFIG = replace(FLOAT, four_bit=True)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A network in floating point, as a file."""
    folder = tmp_path_factory.mktemp("float")
    train(Run(FLOAT, digits, folder), lambda run, epoch: None).model.save(folder / "model.keras")
    return folder / "model.keras"


def hidden(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][:-1]


def test_the_kept_network_is_plain_has_15_levels_and_reads_as_in_training(digits, trained, tmp_path):
    run = Run(CONFIG, digits, tmp_path, trained)
    result = train(run, lambda run, epoch: None)
    for layer in hidden(result.model):
        assert type(layer) is keras.layers.Dense
        levels = np.unique(layer.kernel.numpy())
        assert 2 < len(levels) <= 15
        steps = np.diff(levels) / (np.abs(levels).max() / 7)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    run.averaged.set_weights(run.best_weights)
    np.testing.assert_allclose(result.model(digits.x_test[:20]), run.averaged(digits.x_test[:20]), rtol=1e-4, atol=1e-4)


def test_hidden_weights_are_kept_and_the_rest_is_trained(digits, trained, tmp_path):
    rounded = train(Run(CONFIG, digits, tmp_path, trained), lambda run, epoch: None).model
    rounded.save(tmp_path / "rounded.keras")
    run = Run(replace(CONFIG, keep_hidden=True), digits, tmp_path, tmp_path / "rounded.keras")
    *kept, last = (layer for layer in train(run, lambda run, epoch: None).model.layers if layer.weights)
    *before, last_before = (layer for layer in rounded.layers if layer.weights)
    for layer, other in zip(kept, before, strict=True):
        np.testing.assert_allclose(layer.kernel, other.kernel, rtol=1e-5)
        assert not np.allclose(layer.bias, other.bias, rtol=1e-3)
    assert not np.allclose(last.kernel, last_before.kernel, rtol=1e-3)


def test_it_starts_where_the_network_in_floating_point_ended(digits, trained):
    source, model = keras.models.load_model(trained), build(CONFIG)
    start_from(model, source)
    set_limits(model)
    exact = plain(model)
    for layer, rounded in zip(hidden(exact), hidden(model), strict=True):
        step = float(rounded.limit.numpy()) / 7
        inside = np.abs(rounded.kernel.numpy()) <= 7 * step
        assert np.abs(layer.kernel.numpy() - rounded.kernel.numpy())[inside].max() <= step * 0.5001
        layer.kernel.assign(rounded.kernel)  # without the rounding it is the same network
    np.testing.assert_allclose(exact(digits.x_test), source(digits.x_test), rtol=1e-3, atol=1e-3)


def test_gradients_pass_the_rounding_and_reach_the_limit():
    layer = RoundedDense(2, use_bias=True)
    layer.build((None, 3))
    layer.set_weights(
        [np.array([[0.2, -0.3], [0.9, 2.0], [-0.1, 0.4]], np.float32), np.zeros(2, np.float32), np.float32(1)]
    )
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.ones((1, 3))))
    kernel, _, limit = tape.gradient(total, layer.trainable_variables)
    np.testing.assert_array_equal(kernel, [[1, 1], [1, 0], [1, 1]])
    inside = 7 * np.array([0.2, -0.3, 0.9, -0.1, 0.4])
    assert float(limit) == pytest.approx(1 + np.sum(np.round(inside) - inside) / 7, abs=1e-5)


def test_a_network_of_other_widths_cannot_be_started_from(digits, trained, tmp_path):
    with pytest.raises(DataError, match="not a model of this preset"):
        Run(replace(CONFIG, hidden=(5, 4)), digits, tmp_path, trained)
