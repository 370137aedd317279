"""A temperature makes probabilities mean what they say."""

import numpy as np
import pytest

from digit_export.calibrate import calibration_error, cross_entropy, fit_temperature


@pytest.fixture(scope="module")
def honest():
    """Logits whose softmax is how often each label is right, and labels drawn so: (50000, 10) and (50000,)."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (50000, 10)).astype(np.float32)
    noise = random.gumbel(size=logits.shape)
    return logits, (logits + noise).argmax(1)


def softmax(logits):
    values = np.exp(logits - logits.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_undoes_what_scaled_the_logits(factor, honest):
    logits, labels = honest
    assert fit_temperature(logits * np.float32(factor), labels) == pytest.approx(factor, rel=0.03)


@pytest.fixture(scope="module")
def skilled():
    """Logits (5000, 10) and labels (5000,) of a network in doubt about the first 20, half of which it mistakes."""
    labels = np.arange(5000) % 10
    logits = np.random.default_rng(0).normal(0, 1, (5000, 10)).astype(np.float32)
    logits[np.arange(5000), labels] += 12
    logits[np.arange(20), labels[:20] - 1] += 12
    return logits, labels


def test_a_few_mistakes_among_five_thousand_decide_alone(skilled):
    logits, labels = skilled
    likeliest = min(np.geomspace(0.1, 10, 401), key=lambda temperature: cross_entropy(logits / temperature, labels))
    assert fit_temperature(logits, labels) == pytest.approx(likeliest, rel=0.012)  # one step


def test_where_all_of_a_small_slice_is_right_the_other_answers_do_not_become_certain(skilled):
    logits, labels = skilled
    temperature = fit_temperature(logits[20:45], labels[20:45])
    assert np.median(softmax(logits[:20] / temperature).max(1)) < 0.9


def test_the_calibration_error_is_nothing_for_honest_probabilities_and_the_gap_for_others(honest):
    logits, labels = honest
    assert calibration_error(softmax(logits), labels) < 0.01
    sure = np.eye(10, dtype=np.float32)[np.zeros(4, int)]
    assert calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    most = np.array([[0.95, 0.05] + [0] * 8], np.float32)  # in one bin with what is certain
    assert calibration_error(np.concatenate([sure[:1], most]), np.array([1, 0])) == pytest.approx(0.475)
    half = np.tile(np.array([[0.55, 0.45] + [0] * 8], np.float32), (2, 1))
    both = np.concatenate([sure, half])  # gaps of 0.25 for four pictures and of 0.45 for two
    assert calibration_error(both, np.array([0, 0, 0, 1, 0, 0])) == pytest.approx((4 * 0.25 + 2 * 0.45) / 6)
