"""The network that digit-train builds."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from digit_train.config import PRESETS
from digit_train.model import build, weights_digest

WIDTHS = {"nano": (64, 48, 10), "small": (128, 64, 10), "base": (1000, 500, 10)}


@pytest.mark.parametrize("preset", WIDTHS)
def test_a_preset_is_three_dense_layers_ending_in_linear_logits(preset):
    model = build(PRESETS[preset])
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert tuple(layer.units for layer in dense) == WIDTHS[preset]
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
