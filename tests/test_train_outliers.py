"""Pictures that hold no single digit: in the form that the network sees, and what training on them does."""

from dataclasses import replace

import numpy as np
import pytest

from digit_train.config import PRESETS
from digit_train.data import load
from digit_train.outliers import LETTERS, draw_outliers
from digit_train.train import Run, train


def test_outliers_follow_the_seed_and_are_in_the_form_of_mnist(sample_pixels, sample_labels):
    images, again, others = (draw_outliers(60, sample_pixels, sample_labels, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(images, again)
    assert (images != others).any()
    assert images.shape == (60, 28, 28)
    assert images.dtype == np.uint8
    assert (images.max((1, 2)) > 200).all()


def test_blank_pictures_among_the_digits_do_no_harm(sample_pixels, sample_labels):
    images = np.where(np.arange(100)[:, None, None] % 2, sample_pixels, 0).astype(np.uint8)
    assert draw_outliers(60, images, sample_labels, seed=1).shape == (60, 28, 28)


def test_none_are_drawn_where_none_are_asked_for(sample_pixels, sample_labels):
    assert draw_outliers(0, sample_pixels, sample_labels, 0).shape == (0, 28, 28)


@pytest.mark.parametrize("size", [2, 256])
def test_there_are_outliers_beside_the_digits_of_the_smallest_batch_too(size, digits, tmp_path):
    run = Run(replace(PRESETS["nano"], outliers=60, batch_size=size), digits, tmp_path)
    batch = next(run.source.epoch(0))
    assert len(batch.outliers) == max(1, len(batch.images) // 4)


@pytest.mark.parametrize("lookalike", "OoIlSZqgb0123456789")
def test_no_letter_is_drawn_that_a_hand_writes_like_a_digit(lookalike):
    assert lookalike not in LETTERS


def test_a_network_trained_with_outliers_is_less_sure_of_them(tiny, tmp_path):
    digits = load(str(tiny))
    config = replace(PRESETS["nano"], epochs=60, batch_size=50, augment=False)
    unseen = draw_outliers(200, digits.x_test, digits.y_test, seed=9)

    def sureness(outliers):
        model = train(Run(replace(config, outliers=outliers), digits, tmp_path), lambda *_: None).model
        odds = np.exp(np.asarray(model(unseen, training=False), np.float64))
        return np.median(odds.max(1) / (odds.sum(1) + 1))  # 1 for no digit

    assert sureness(400) < sureness(0) - 0.1
