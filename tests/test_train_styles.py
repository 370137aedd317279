"""Drawn digits are what their label says, in the form that the network sees."""

import numpy as np

from digit_train.styles import draw_styles


def test_drawn_pictures_follow_the_seed():
    images, labels = draw_styles(20, seed=1)
    again, same = draw_styles(20, seed=1)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert (draw_styles(20, seed=2)[0] != images).any()


def test_drawn_pictures_are_in_the_form_of_mnist():
    images, labels = draw_styles(200, seed=0)
    assert images.shape == (200, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert set(labels.tolist()) == set(range(10))
    assert (images.max((1, 2)) > 200).all()
    for inked in (images.any(1), images.any(2)):
        assert inked.sum(1).max() <= 20


def test_the_shipped_model_reads_most_drawn_digits_as_their_label(classifier):
    images, labels = draw_styles(300, seed=0)
    assert np.mean(classifier.classify(images).argmax(1) == labels) > 0.8
