"""The models that ship are what their cards say."""

import re

import numpy as np
import pytest

import digit_infer.models
from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.settings import SHIPPED

LARGEST = {"base": 1_500_000, "small": 130_000, "nano": 24_000}  # bytes of the network, the zip apart


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_is_of_this_very_file(name):
    with open(f"{digit_infer.models.__path__[0]}/{name}.md") as file:
        card = file.read()
    assert re.search("^- SHA-256: `([0-9a-f]{64})`", card, re.M)[1] == read_bundle(name).sha256


@pytest.mark.parametrize("name", SHIPPED)
def test_the_network_is_small_integer_and_of_known_training(name):
    contract = read_bundle(name).contract
    assert contract["flatbuffer"]["bytes"] <= LARGEST[name]
    assert contract["quantization"] == "int8"
    assert contract["training"]["weights_sha256"] == contract["weights_sha256"]
    assert not contract["training"]["interrupted"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_accuracy_in_the_file_is_what_this_machine_measures(name):
    pytest.importorskip("tensorflow")
    from digit_train.mnist import load_mnist

    mnist = load_mnist()
    bundle = read_bundle(name)
    read = Classifier(bundle, find_engine()).classify(mnist["x_test"]).argmax(1)
    assert np.mean(read == mnist["y_test"]) == pytest.approx(bundle.contract["parity"]["candidate_accuracy"], abs=3e-4)
