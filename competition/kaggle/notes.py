"""What the client's process tells of itself while it runs, and at last what it came to.

A line of JSON each; later values take the place of earlier ones of the same name. The names:

    stage        what it is doing, as the end of "the client was …"
    total        bytes of the archive that is being fetched
    waited       seconds since the score was asked for first
    problem      what went wrong, a name of `answers.py`, or None; it comes last
    status       the server's HTTP status, if it gave one
    message      the server's words, without secrets
    retry_after  seconds that the server asks to wait
    errno        of a disk that refused
    …            and what an action found, as `reference` or `public_score`
"""

import json
from pathlib import Path
from typing import Any

SIGNING_IN = "signing in"
ASKING = "asking"
DOWNLOADING = "receiving the archive"
UPLOADING = "sending the file"
CONFIRMING = "confirming the submission"


def write_note(path: Path, **values: Any) -> None:
    """Adds values, at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def read_notes(path: Path) -> dict[str, Any]:
    """Returns the latest value of each name; a line that is still being written does not count."""
    if not path.exists():
        return {}
    *complete, _ = path.read_text(encoding="utf-8").split("\n")
    return {name: value for line in complete for name, value in json.loads(line).items()}
