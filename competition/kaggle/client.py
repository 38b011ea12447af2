"""The official Kaggle client, in a child process that can neither print, leave, nor hang on us.

The client prints to stdout, may end the process when it is imported, and waits for ever for a
server that does not answer. So it runs in a process of its own, with a time limit, and what it
comes to goes through a file.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from competition.errors import UserError
from competition.kaggle import COMPETITION

RULES_PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}/rules"

NO_CREDENTIALS = (
    "no credentials that Kaggle accepts were found on this machine. Create a token at "
    "https://www.kaggle.com/settings (API) and put it into ~/.kaggle/access_token or the "
    "environment variable KAGGLE_API_TOKEN"
)
UNUSABLE = (
    "the Kaggle client cannot use the token on this machine: it is too long or has characters that "
    "no token has, such as a line end; copy it again"
)
ANSWERS = {
    401: "Kaggle refused the credentials (401): the token is wrong or has expired. A token in "
    "KAGGLE_API_TOKEN or ~/.kaggle/access_token comes before a kaggle.json; create a new one at "
    "https://www.kaggle.com/settings",
    403: f"Kaggle refuses access (403): accept the competition's rules at {RULES_PAGE}, and "
    "verify your phone number in Kaggle's settings",
    404: f"Kaggle does not know the competition '{COMPETITION}' (404)",
    429: "Kaggle has had too many requests from this account (429); try again in some minutes",
}


def call(action: str, *arguments: str, seconds: float) -> dict[str, Any]:
    """Runs one action of the client and returns what it came to.

    Args:
        action: `download` (into a folder) or `submit` (a file, with a message).
        arguments: of that action.
        seconds: how long it may take.

    Raises:
        UserError: when the client found no credentials, was refused, failed, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", __name__, str(result), action, *arguments]
        try:
            finished = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise UserError(f"Kaggle did not answer within {seconds:.0f} seconds") from None
        if not result.exists():
            raise UserError(f"the Kaggle client broke off: {_last_line(finished.stderr)}")
        outcome = json.loads(result.read_text())
    if outcome["error"]:
        raise UserError(ANSWERS.get(outcome["status"], outcome["error"]))
    return outcome


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _download(api, folder: str) -> dict[str, Any]:
    api.competition_download_files(COMPETITION, folder, force=True, quiet=True)
    return {}


def _submit(api, file: str, message: str) -> dict[str, Any]:
    response = api.competition_submit(file, message, COMPETITION, quiet=True)
    return {"reference": response.ref, "message": response.message}


def _run_in_child(action: str, arguments: list[str]) -> dict[str, Any]:
    from requests import RequestException

    try:
        from kaggle.api.kaggle_api_extended import KaggleApi

        api = KaggleApi()
        api.authenticate()
    except SystemExit:  # the client's way to say so, also when it is imported
        return {"status": None, "error": NO_CREDENTIALS}
    except RequestException as error:
        return _failure(error)
    except (ValueError, OSError) as error:  # their text may quote the token
        return {"status": None, "error": f"{UNUSABLE} ({type(error).__name__})"}
    try:
        done = {"download": _download, "submit": _submit}[action](api, *arguments)
    except Exception as error:
        return _failure(error)
    return {"status": 200, "error": None, **done}


def _failure(error: Exception) -> dict[str, Any]:
    status = getattr(getattr(error, "response", None), "status_code", None)
    # Addresses of Kaggle's storage carry a signature that opens them; it stays out of messages.
    reason = re.sub(r"\?\S+", "", _last_line(str(error)))
    return {
        "status": status,
        "error": f"the Kaggle client failed: {type(error).__name__}: {reason}",
    }


if __name__ == "__main__":
    result_file, requested, *rest = sys.argv[1:]
    Path(result_file).write_text(json.dumps(_run_in_child(requested, rest)))
