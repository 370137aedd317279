"""The trainer: MNIST or pictures of your own in, a Keras network out."""
