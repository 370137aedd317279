"""The network that digit-train builds."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from digit_train.config import PRESETS, RECIPES
from digit_train.model import build, weights_digest


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
