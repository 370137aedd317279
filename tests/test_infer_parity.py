"""The comparison of two models: accuracies, flips, a paired interval, gates."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from digit_infer.parity import Flip, compare, missed_gates, paired_interval, parity_table

NAMES = ["a.png", "b.png", "c.png", "d.png"]


def certain(*digits, confidence=0.82):
    """Probabilities, (n, 10), that give each digit this confidence and share the rest."""
    probabilities = np.full((len(digits), 10), (1 - confidence) / 9, np.float32)
    probabilities[np.arange(len(digits)), digits] = confidence
    return probabilities


REFERENCE, CANDIDATE, LABELS = certain(1, 2, 3, 4), certain(1, 2, 5, 6), np.array([1, 2, 3, 6])


def test_accuracies_and_their_change_are_counted():
    parity = compare(REFERENCE, CANDIDATE[[0, 1, 2, 2]], LABELS, NAMES)
    assert parity.pictures == 4
    assert (parity.reference_accuracy, parity.candidate_accuracy) == (0.75, 0.5)
    assert parity.accuracy_change == -0.25
    assert parity.agreement == 0.5
    assert parity.accuracy_change_interval == paired_interval(0, 1, 4)


def test_a_gain_and_a_loss_cancel_out_in_the_change_but_not_in_the_agreement():
    parity = compare(REFERENCE, CANDIDATE, LABELS, NAMES)
    assert (parity.reference_accuracy, parity.candidate_accuracy, parity.accuracy_change) == (0.75, 0.75, 0.0)
    assert parity.agreement == 0.5
    assert parity.accuracy_change_interval == paired_interval(1, 1, 4)


def test_every_flip_is_listed_with_name_and_label():
    parity = compare(REFERENCE, CANDIDATE, LABELS, NAMES)
    assert parity.flips == (Flip("c.png", 3, 3, 5), Flip("d.png", 6, 4, 6))


def test_without_labels_there_are_flips_and_no_accuracies():
    parity = compare(REFERENCE, CANDIDATE, None, NAMES)
    assert parity.flips == (Flip("c.png", None, 3, 5), Flip("d.png", None, 4, 6))
    assert (parity.reference_accuracy, parity.candidate_accuracy) == (None, None)
    assert (parity.accuracy_change, parity.accuracy_change_interval) == (None, None)
    assert parity.agreement == 0.5


def test_differences_of_probabilities_are_absolute():
    candidate = REFERENCE.copy()
    candidate[0, 0] += 0.05
    candidate[1, 0] -= 0.01
    parity = compare(REFERENCE, candidate, None, NAMES)
    assert parity.largest_difference == pytest.approx(0.05, abs=1e-6)
    assert parity.mean_difference == pytest.approx(0.06 / 40, abs=1e-6)
    assert parity.flips == ()


def agresti_min(both, gained, lost, neither):
    """Wald's interval of matched proportions over the 2 x 2 table with half a case more in each cell."""
    both, gained, lost, neither = (cell + 0.5 for cell in (both, gained, lost, neither))
    n = both + gained + lost + neither
    p_gained, p_lost = gained / n, lost / n
    margin = 1.96 * sqrt((p_gained + p_lost - (p_gained - p_lost) ** 2) / n)
    return p_gained - p_lost - margin, p_gained - p_lost + margin


@pytest.mark.parametrize(
    ("gained", "lost", "count"), [(0, 0, 10), (3, 1, 100), (0, 5, 10_000), (7, 7, 50), (10, 0, 10), (0, 0, 1)]
)
def test_the_interval_is_that_of_agresti_and_min(gained, lost, count):
    same = count - gained - lost
    expected = agresti_min(same / 2, gained, lost, same - same / 2)
    assert paired_interval(gained, lost, count) == pytest.approx(expected, abs=1e-12)


def test_the_interval_worked_out_by_hand():
    # 96 + 2 pairs, 3 gained and 1 lost: (2 / 100) -+ 1.96 * sqrt(5 / 100 - 0.02 ** 2) / 10
    assert paired_interval(3, 1, 98) == pytest.approx((-0.0236508, 0.0636508), abs=1e-6)


@pytest.mark.parametrize(("gained", "lost", "count"), [(3, 1, 100), (0, 5, 10_000), (2, 0, 3)])
def test_the_interval_is_mirrored_when_the_models_change_places(gained, lost, count):
    low, high = paired_interval(gained, lost, count)
    assert paired_interval(lost, gained, count) == pytest.approx((-high, -low))


@pytest.mark.parametrize("changes", [0, 1, 20])
def test_the_interval_holds_zero_when_as_much_is_gained_as_lost(changes):
    low, high = paired_interval(changes, changes, 1000)
    assert low < 0 < high
    assert low == pytest.approx(-high)


def test_the_interval_leaves_zero_out_when_the_loss_is_plain():
    assert paired_interval(0, 30, 1000)[1] < 0


MEASURED = replace(compare(REFERENCE, CANDIDATE, LABELS, NAMES), accuracy_change=-0.0005, agreement=0.999)


@pytest.mark.parametrize(
    ("drop", "agreement", "missed"),
    [
        (None, None, []),
        (0.05, None, []),
        (0.06, None, []),
        (0.0499, None, ["accuracy drops by 0.050 points, allowed are 0.0499"]),
        (None, 99.9, []),
        (None, 99.8, []),
        (None, 99.91, ["agreement is 99.900 %, required are 99.91"]),
        (0.05, 99.9, []),
        (0, 100, ["accuracy drops by 0.050 points, allowed are 0", "agreement is 99.900 %, required are 100"]),
    ],
)
def test_a_gate_is_met_up_to_its_limit_and_missed_beyond(drop, agreement, missed):
    assert missed_gates(MEASURED, drop, agreement) == missed


@pytest.mark.parametrize("pictures", [3, 7, 60, 10_000])
def test_a_limit_met_exactly_is_not_missed_by_rounding(pictures):
    names, labels = ["x"] * pictures, np.zeros(pictures, int)
    parity = compare(certain(*[0] * pictures), certain(*[0] * (pictures - 1), 1), labels, names)
    assert missed_gates(parity, 100 / pictures, 100 * (pictures - 1) / pictures) == []
    assert len(missed_gates(parity, 99.9 / pictures, 100 - 99.9 / pictures)) == 2


@pytest.mark.parametrize(("lost", "pictures", "limit"), [(7, 1000, 0.7), (35, 10_000, 0.35), (5, 10_000, 0.05)])
def test_a_limit_typed_in_decimals_is_met_exactly(lost, pictures, limit):
    assert missed_gates(replace(MEASURED, accuracy_change=-lost / pictures), limit, None) == []


def test_a_gain_passes_a_gate_of_zero():
    assert missed_gates(replace(MEASURED, accuracy_change=0.01), 0, None) == []


def test_the_accuracy_gate_is_missed_where_the_truth_is_unknown():
    parity = compare(REFERENCE, REFERENCE, None, NAMES)
    assert missed_gates(parity, 0.05, None) == ["accuracy is unknown: not every picture has a label"]
    assert missed_gates(parity, None, 100) == []


def test_a_gate_is_missed_where_nothing_was_compared():
    assert missed_gates(None, None, 99.0) == ["nothing was compared: no picture could be read"]
    assert missed_gates(None, None, None) == []


def test_the_table_shows_numbers_flips_and_truth():
    table = parity_table(compare(REFERENCE, CANDIDATE, LABELS, NAMES), "float.tflite", "base")
    assert "base with float.tflite over 4 pictures" in table
    assert "d.png: float.tflite 4, base 6, truth 6" in table
    assert "50.000 %" in table
    assert "+0.000 points" in table


def test_the_table_without_labels_names_no_accuracy_and_no_truth():
    table = parity_table(compare(REFERENCE, CANDIDATE, None, NAMES), "float.tflite", "base")
    assert "accuracy" not in table
    assert "truth" not in table


def test_control_characters_in_names_do_not_reach_the_table():
    names = ["a.png", "b.png", "c\x1b[2J\n\x07.png", "d\x9b\u202e.png"]
    table = parity_table(compare(REFERENCE, CANDIDATE, LABELS, names), "float.tflite", "base")
    assert all(line.isprintable() for line in table.split("\n"))
    assert len(table.split("\n")) == len(parity_table(MEASURED, "float.tflite", "base").split("\n"))
