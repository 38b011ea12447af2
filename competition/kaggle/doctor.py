"""Checks what a submission from this machine needs: credentials, rules, data, disk, processor."""

import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from competition import paths, system
from competition.console import bytes_text
from competition.errors import UserError
from competition.kaggle.client import call
from competition.kaggle.credentials import TOKEN_VARIABLE, overlooked, sources
from competition.kaggle.download import NEEDED_BYTES, check_installed
from competition.kaggle.errors import KaggleError, no_credentials
from competition.paths import COMPETITION

OK, NOTE, WARNING, FIX = "ok", "note", "warning", "fix"

# HTTP statuses that refuse although the credentials are valid.
RULES_NOT_ACCEPTED, UNKNOWN_COMPETITION = 403, 404


class Finding(NamedTuple):
    """One result of a check; `state` is one of the words above."""

    state: str
    what: str
    text: str


def examine() -> Iterator[Finding]:
    """Yields one finding after the other; none contains a secret, or a part of one."""
    try:
        yield Finding(OK, "client", f"kaggle {version('kaggle')}")
    except PackageNotFoundError:
        yield Finding(FIX, "client", "the package kaggle is missing; `make setup` installs it")
    yield from _credentials()
    if sources():
        yield from _server()
    yield from _data()
    yield from _machine()


def _credentials() -> Iterator[Finding]:
    if not os.access(home := Path.home(), os.R_OK | os.X_OK):
        text = f"there is no home folder {home} to look in; {TOKEN_VARIABLE} alone can hold a token"
        yield Finding(NOTE, "home", text)
    found = sources()
    if not found:
        yield Finding(FIX, "credentials", no_credentials())
        return
    used, *others = found
    state = WARNING if used.remark else OK
    yield Finding(state, "credentials", f"the client uses those in {used.name}.{used.remark}")
    for other in others:
        yield Finding(NOTE, "credentials", f"not used, as those come first: {other.name}")
    for source in found:
        if source.is_open_to_others():
            text = f"others can read {source.name}; `chmod 600 {source.file}`"
            yield Finding(WARNING, "credentials", text)
    for sentence in overlooked():
        yield Finding(WARNING, "credentials", sentence)


def _server() -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        try:
            found = call("inspect", folder)
        except KaggleError as error:
            yield Finding(FIX, "server", str(error))
            return
    access, left = found["access"], found["left_today"]
    # Signing in checks a token, but not a key.
    if access["problem"] and access.get("status") not in (RULES_NOT_ACCEPTED, UNKNOWN_COMPETITION):
        yield Finding(FIX, "server", access["problem"])
        return
    name = f", as those of '{found['username']}'" if found["username"] else ""
    yield Finding(OK, "server", f"it accepts the credentials{name}")
    if access["problem"]:
        yield Finding(FIX, "rules", access["problem"])
    else:
        yield Finding(OK, "rules", f"accepted: the data of '{COMPETITION}' can be downloaded")
    if left is None:
        yield Finding(NOTE, "submissions", "Kaggle does not tell how many are left today")
    else:
        yield Finding(OK if left else WARNING, "submissions", f"{left} left today (UTC)")


def _data() -> Iterator[Finding]:
    folder = paths.DataPaths(COMPETITION).folder
    try:
        check_installed()
        yield Finding(OK, "data", f"{folder}/ is complete")
    except UserError as error:
        yield Finding(FIX, "data", str(error))
    free = system.free_bytes(folder)
    text = f"{bytes_text(free)} are free here"
    if free >= NEEDED_BYTES:
        yield Finding(OK, "disk", text)
    else:
        yield Finding(FIX, "disk", f"{text}; a download needs {bytes_text(NEEDED_BYTES)}")


def _machine() -> Iterator[Finding]:
    features = system.processor_features()
    listed = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in features.items())
    yield Finding(NOTE, "processor", f"{system.core_count()} cores; {listed}")
    gpus = ", ".join(system.gpu_names())
    if not gpus:
        yield Finding(NOTE, "GPU", "none found by nvidia-smi; none is needed")
    elif system.gpu_count():
        yield Finding(OK, "GPU", gpus)
    else:
        fix = "`.venv/bin/pip install 'tensorflow[and-cuda]'` installs the libraries that it needs"
        yield Finding(WARNING, "GPU", f"{gpus}, which TensorFlow cannot use; {fix}")
