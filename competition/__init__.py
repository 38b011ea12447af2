"""A fold-based ensemble for Kaggle's Digit Recognizer; `python -m competition --help` begins."""

from competition.environment import settle

settle()
