"""Keras architectures: one file a family, each a function from keyword arguments to a model."""
