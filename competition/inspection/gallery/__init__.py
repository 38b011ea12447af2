"""Digits worth a look, as a page and as PNG sheets; computes nothing."""
