"""How long Kaggle may take: seconds, each of which an environment variable of its name changes."""

import os
from math import isfinite

from competition.errors import UserError

ANSWER = "DIGITS_ANSWER_SECONDS"
DOWNLOAD = "DIGITS_DOWNLOAD_SECONDS"
RATE_LIMIT = "DIGITS_RATE_LIMIT_SECONDS"
SCORE = "DIGITS_SCORE_SECONDS"

DEFAULTS = {
    ANSWER: 60.0,  # without any sign of life from the server
    DOWNLOAD: 1800.0,  # for a download as a whole
    RATE_LIMIT: 120.0,  # waited in all, when Kaggle has had too many requests
    SCORE: 300.0,  # for the score of a submission that was taken
}


def limit(name: str) -> float:
    """Returns a limit in seconds, one of the names above.

    Raises:
        UserError: when the environment variable of any of them is not a positive number, so that
            nobody hears of it only after a submission was sent.
    """
    return {one: _read(one) for one in DEFAULTS}[name]


def _read(name: str) -> float:
    text = os.environ.get(name) or str(DEFAULTS[name])
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds > 0):
        raise UserError(f"{name} is '{text}', expected a number of seconds above 0, such as 90")
    return seconds
