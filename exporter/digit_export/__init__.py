"""The exporter: a Keras network in, one checked TFLite file out."""
