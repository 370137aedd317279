"""Hidden layers that begin as convolutions: nothing is lost when their weights are no longer shared."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from digit_infer.errors import DataError
from digit_train.config import PRESETS
from digit_train.model import build
from digit_train.train import Run, train

DENSE = replace(PRESETS["base"], epochs=2, batch_size=50)
SHARED = replace(DENSE, shared=True)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A network of convolutions, as a file."""
    folder = tmp_path_factory.mktemp("shared")
    train(Run(SHARED, digits, folder), lambda run, epoch: None).model.save(folder / "model.keras")
    return folder / "model.keras"


def test_dense_layers_start_by_computing_what_the_convolutions_did(digits, trained, tmp_path):
    source, run = keras.models.load_model(trained), Run(DENSE, digits, tmp_path, trained)
    assert source.count_params() < run.model.count_params() / 10
    assert not any(isinstance(layer, keras.layers.Conv2D) for layer in run.averaged.layers)
    expected = source(digits.x_test[:20])
    np.testing.assert_allclose(run.averaged(digits.x_test[:20]), expected, rtol=1e-4, atol=1e-4)


def test_training_goes_on_without_sharing(digits, trained, tmp_path):
    run = Run(DENSE, digits, tmp_path, trained)
    kernel = next(layer for layer in run.model.layers if isinstance(layer, keras.layers.Dense)).kernel
    unseen = kernel.numpy() == 0
    train(run, lambda run, epoch: None)
    assert np.mean(kernel.numpy()[unseen] != 0) > 0.5


@pytest.mark.parametrize("config", [SHARED, replace(PRESETS["teacher"], conv=((2,),), hidden=(8,), styles=0)])
def test_convolutions_go_on_as_convolutions(config, digits, tmp_path):
    build(config).save(tmp_path / "model.keras")
    run = Run(replace(config, seed=1), digits, tmp_path, tmp_path / "model.keras")
    for ours, theirs in zip(run.model.get_weights(), build(config).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_convolutions_of_other_widths_are_refused(digits, trained, tmp_path):
    with pytest.raises(DataError, match=r"--init .*not a model of this preset"):
        Run(replace(DENSE, hidden=(1044, 576)), digits, tmp_path, trained)
