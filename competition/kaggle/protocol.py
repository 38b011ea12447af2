"""What the client's process writes down for `client.py`: a line of JSON each, the latest counts.

stage        what it is doing, as the end of "the client was …"
total        bytes of the archive that is being fetched
waited       seconds since the score was asked for first
problem      what went wrong, as a paragraph for the user, or None; it comes last
status       the server's HTTP status, if it gave one
retry_after  seconds that the server asks to wait
…            and what an action found, as `reference` or `submissions`
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
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def read_notes(path: Path) -> dict[str, Any]:
    """Returns the latest value of each name; a line that is still being written does not count."""
    if not path.exists():
        return {}
    *complete, _ = path.read_text(encoding="utf-8").split("\n")
    return {name: value for line in complete for name, value in json.loads(line).items()}
