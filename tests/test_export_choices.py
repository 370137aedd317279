"""The pictures that an export takes of a data set, and the confidence that it fits to them."""

from dataclasses import replace

import numpy as np

from digit_export.export import fit_min_confidence, spread


def test_chosen_pictures_are_spread_over_all_classes():
    labels = np.repeat(np.arange(10, dtype=np.uint8), [5, 100, 100, 100, 100, 100, 100, 100, 100, 3])
    chosen = spread(labels, 4)
    assert np.bincount(labels[chosen]).tolist() == [4] * 9 + [3]
    assert len(set(chosen.tolist())) == len(chosen)


def test_a_network_that_reads_nothing_rightly_gets_no_least_confidence(classifier, digits):
    mistaken = replace(digits, y_train=(digits.y_train + 1) % 10)
    assert fit_min_confidence(classifier, mistaken, np.arange(20)) == 0
