"""Digits in other formats than the competition's CSV, each found by its content."""
