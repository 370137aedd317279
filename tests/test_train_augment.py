"""Distortion of training pictures, against plain numpy."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from digit_train.augment import distort, elastic_offsets, sample, thicken
from digit_train.config import Distortion

SEED = tf.constant([3, 4])
STILL = Distortion(share=1.0, rotation=0, scale=0, shear=0, shift=0, elastic_alpha=0, thinner=0.0, thicker=0.0)


def distorted(pixels, settings, seed=SEED):
    return distort(tf.constant(pixels), seed, settings).numpy()


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others(sample_pixels):
    once = distorted(sample_pixels, Distortion())
    np.testing.assert_array_equal(once, distorted(sample_pixels, Distortion()))
    assert (once != distorted(sample_pixels, Distortion(), tf.constant([3, 5]))).any()


@pytest.mark.parametrize("settings", [STILL, replace(Distortion(), share=0.0)], ids=["no distortion", "no share"])
def test_nothing_moves_without_distortion(settings, sample_pixels):
    np.testing.assert_allclose(distorted(sample_pixels, settings), sample_pixels, atol=3)  # but for the brightness


def test_a_distorted_picture_is_as_bright_as_a_normalised_one(sample_pixels):
    faint = sample_pixels // 3
    result = distorted(np.concatenate([faint, 0 * faint[:1]]), replace(STILL, thinner=0.4))
    np.testing.assert_array_equal(result.max((1, 2)), [255] * len(faint) + [0])


def test_the_share_says_how_many_pictures_are_distorted(sample_pixels):
    pixels = np.tile(sample_pixels, (10, 1, 1))
    same = (distorted(pixels, replace(Distortion(), share=0.7)) == pixels).all((1, 2))
    assert 0.25 < same.mean() < 0.35


@pytest.mark.parametrize("name", ["rotation", "scale", "shear", "shift", "elastic_alpha"])
def test_each_strength_alone_moves_ink_and_keeps_most_of_it(name, sample_pixels):
    result = distorted(sample_pixels, replace(STILL, **{name: getattr(Distortion(), name)})).astype(float)
    assert np.abs(result - sample_pixels).mean() > 2
    assert 0.85 < result.sum() / sample_pixels.sum() < 1.15


@pytest.mark.parametrize(("amount", "extreme"), [(-1, "min"), (1, "max")], ids=["thinner", "thicker"])
def test_strokes_grow_and_shrink_by_a_pixel_on_each_side_at_most(amount, extreme, sample_pixels):
    around = np.pad(sample_pixels, ((0, 0), (1, 1), (1, 1)))
    neighbours = [around[:, 1 + y : 29 + y, 1 + x : 29 + x] for y, x in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))]
    expected = getattr(np, extreme)(neighbours, axis=0)
    whole, half = (thicken(sample_pixels, np.full((100, 1, 1), share * amount, np.float32)) for share in (1, 0.5))
    np.testing.assert_array_equal(whole, expected)
    assert np.abs(half.numpy() - (expected.astype(float) + sample_pixels) / 2).max() <= 0.5


def test_thickness_varies_from_picture_to_picture(sample_pixels):
    varied = distorted(sample_pixels, replace(STILL, thinner=0.4, thicker=1.0)).sum((1, 2)) / sample_pixels.sum((1, 2))
    assert varied.min() < 0.95
    assert varied.max() > 1.2


def test_sampling_is_bilinear_with_dark_outside(sample_pixels):
    random = np.random.default_rng(0)
    source = random.uniform(-3, 31, (2, len(sample_pixels), 784)).astype(np.float32)
    padded = np.pad(sample_pixels.astype(np.float64), ((0, 0), (5, 5), (5, 5)))
    corner = np.floor(source).astype(int)
    part = source - corner
    picture = np.arange(len(sample_pixels))[:, None]
    expected = sum(
        padded[picture, corner[0] + down + 5, corner[1] + right + 5]
        * (part[0] if down else 1 - part[0])
        * (part[1] if right else 1 - part[1])
        for down in (0, 1)
        for right in (0, 1)
    )
    result = sample(tf.constant(sample_pixels), tf.constant(source)).numpy().reshape(expected.shape)
    assert np.abs(result - expected).max() <= 0.51  # of rounding to whole levels


def test_elastic_fields_are_like_smoothed_noise():
    settings = Distortion()
    noise = np.random.default_rng(0).uniform(-1, 1, (400, 68, 68))
    steps = np.arange(-20, 21)
    window = np.exp(-(steps**2) / (2 * settings.elastic_sigma**2))
    window /= window.sum()
    smooth = np.apply_along_axis(np.convolve, 1, noise, window, "valid")
    smooth = settings.elastic_alpha * np.apply_along_axis(np.convolve, 2, smooth, window, "valid")
    field = elastic_offsets(tf.constant(2000), SEED, settings).numpy().reshape(2, 2000, 28, 28)
    assert field.std() == pytest.approx(smooth.std(), rel=0.05)
    for distance in (3, 7):
        ours = np.mean(field[..., distance:] * field[..., :-distance]) / field.var()
        theirs = np.mean(smooth[..., distance:] * smooth[..., :-distance]) / smooth.var()
        assert ours == pytest.approx(theirs, abs=0.05)
