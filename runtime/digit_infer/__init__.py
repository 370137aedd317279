"""The runtime: pictures of handwritten digits in, a table out, without TensorFlow."""

__version__ = "0.1.0"
