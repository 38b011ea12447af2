"""The only place that knows the Kaggle client: the data comes in, the submission goes out."""

COMPETITION = "digit-recognizer"
