"""The submission goes out: checked against the real competition first, confirmed by a reference."""

from pathlib import Path

from competition import paths
from competition.errors import UserError
from competition.kaggle import COMPETITION
from competition.kaggle.client import call
from competition.submission import check_submission

SUBMIT_SECONDS = 300.0


def submit(file: Path, message: str) -> str:
    """Submits a CSV to the competition and returns Kaggle's reference of it.

    Raises:
        UserError: when the file is not what the competition asks for, or Kaggle did not take it.
    """
    sample = paths.sample_submission_csv(COMPETITION)
    if not sample.exists():
        raise UserError(
            f"{sample} is needed to check a submission before it is sent; `make download` "
            "fetches it"
        )
    check_submission(file, sample)
    outcome = call("submit", str(file), message, seconds=SUBMIT_SECONDS)
    # A refused upload raises nothing in the client; only a reference says that it was taken.
    if not outcome["reference"]:
        raise UserError(f"Kaggle did not take {file}: {outcome['message'] or 'no reason given'}")
    return str(outcome["reference"])


def command_line(file: Path, message: str) -> str:
    """Returns the plain Kaggle command that submits a file."""
    return f'kaggle competitions submit -c {COMPETITION} -f {file} -m "{message}"'
