"""Keras and matplotlib as the commands need them, whatever their user has configured for other work."""

import os

from digit_infer.extras import require


def prepare_keras() -> None:
    """Load TensorFlow, quietly, and fix what decides weights and files. Raises DigitError where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # before TensorFlow, which loads Keras
    require("tensorflow", "train")
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


def prepare_matplotlib() -> None:
    """Load it for figures that go to files. Raises DigitError where it is not installed."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's may be missing here
    require("matplotlib", "train")
    import matplotlib as mpl

    mpl.rcdefaults()
