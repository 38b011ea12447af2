"""A fold-based ensemble for Kaggle's Digit Recognizer; `python -m competition --help` begins."""
