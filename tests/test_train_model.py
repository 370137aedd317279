"""The network that digit-train builds."""

import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest

from digit_infer.errors import ModelError
from digit_train.config import PRESETS, RECIPES
from digit_train.model import build, load_model, weights_digest


@pytest.mark.parametrize("preset", ["nano", "small", "base"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_three_dense_layers_ending_in_linear_logits(recipe, preset):
    config = RECIPES[recipe][preset]
    model = build(config)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert tuple(layer.units for layer in dense) == (*config.hidden, 10)
    assert len(dense) == 3
    assert not any(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    assert model.layers[-1] is dense[-1]
    assert dense[-1].activation is keras.activations.linear
    assert model.output_shape == (None, 10)


def test_division_by_255_and_unrolling_are_inside(sample_pixels):
    model = build(PRESETS["small"])
    inner = keras.Sequential(model.layers[2:])  # after rescaling and flattening
    by_hand = inner(sample_pixels.reshape(-1, 784).astype(np.float32) / 255)
    np.testing.assert_allclose(model(sample_pixels), by_hand, atol=1e-5)


def test_initial_weights_follow_the_seed():
    config = PRESETS["nano"]
    assert weights_digest(build(config)) == weights_digest(build(config))
    assert weights_digest(build(config)) != weights_digest(build(replace(config, seed=1)))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("probabilities", "does not end in Dense.10. with linear logits"),
        ("softmax", "does not end in Dense.10. with linear logits"),
        ("784 pixels", "from .None, 784. to"),
        ("eleven outputs", "to .None, 11."),
        ("functional, with a branch", "neither keras.Sequential nor a chain of layers"),
        ("functional, of 16 levels", "when calling Embedding"),
        ("without an input", "begin it with keras.Input"),
        ("diverged", "not finite; train it again with a lower learning rate"),
        ("a flipped bit", ""),
    ],
)
def test_a_model_that_is_not_of_digits_or_damaged_is_refused_in_one_line(case, reason, tmp_path):
    inputs = keras.Input((784,) if case == "784 pixels" else (28, 28))
    outputs = keras.layers.Dense(11 if case == "eleven outputs" else 10, "softmax" if case == "probabilities" else None)
    path = tmp_path / "model.keras"
    model = keras.Sequential([*[inputs] * (case != "without an input"), keras.layers.Flatten(), outputs])
    if case == "softmax":
        model.add(keras.layers.Softmax())
    if case == "functional, with a branch":
        model = keras.Model(model.inputs, keras.layers.Add()([model.outputs[0], 2 * model.outputs[0]]))
    if case == "functional, of 16 levels":
        model = keras.Sequential([inputs, keras.layers.Embedding(16, 1), *model.layers])
        model = keras.Model(model.inputs, model.outputs)
    if case == "diverged":
        model.set_weights([np.full(weight.shape, np.inf) for weight in model.get_weights()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras', of a model without an input
        model.save(path)
    if case == "a flipped bit":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ModelError, match=f"is not a Keras model of digits: .*{reason}") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_functional_model_is_taken_where_it_is_a_chain_of_layers(tmp_path, sample_pixels):
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    keras.Model(model.inputs, model.outputs).save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert isinstance(loaded, keras.Sequential)
    np.testing.assert_array_equal(loaded(sample_pixels), model(sample_pixels))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_a_network_was_compiled_with_does_not_matter(suffix, tmp_path):
    def own_loss(labels, logits):
        return keras.ops.mean(logits)

    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("adam", own_loss, ["mse"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras', of its format before the last
        model.save(tmp_path / f"model{suffix}")
    assert weights_digest(load_model(tmp_path / f"model{suffix}")) == weights_digest(model)


def test_a_model_cut_off_during_copying_is_called_so(tmp_path):
    build(PRESETS["nano"]).save(tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="it is not whole; save or copy it again"):
        load_model(tmp_path / "model.keras")
