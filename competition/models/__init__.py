"""Keras architectures, one file per family: functions from keyword arguments to a model.

Each takes images `(batch, 28, 28, 1)`, raw pixels, and gives float32 logits `(batch, 10)`.
"""
