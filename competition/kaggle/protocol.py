"""The notes that the client's process writes for `client.py`: lines of JSON, the latest counts.

stage        what it is doing, to complete "the client was …"
total        bytes of the archive that is being fetched
waited       seconds since it first asked for the score
problem      the message for the user, or None if all went well; written last
status       the server's HTTP status, if any
retry_after  seconds that the server asks to wait
…            and an action's results, such as `reference` or `submissions`
"""

import json
from pathlib import Path
from typing import Any

SIGNING_IN = "signing in"
ASKING = "asking"
DOWNLOADING = "receiving the archive"
UPLOADING = "sending the file"
CONFIRMING = "confirming the submission"
PUSHING = "sending the notebook"


def write_note(path: Path, **values: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def read_notes(path: Path) -> dict[str, Any]:
    """Returns the latest value of each name, without a line that is still being written."""
    if not path.exists():
        return {}
    *complete, _ = path.read_text(encoding="utf-8").split("\n")
    return {name: value for line in complete for name, value in json.loads(line).items()}
