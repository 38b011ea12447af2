"""What stands between this machine and a submission: credentials, rules, data, disk, processor."""

import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from competition import paths, system
from competition.errors import UserError
from competition.kaggle.answers import KaggleError, explain, no_credentials
from competition.kaggle.archive import check_installed
from competition.kaggle.client import call
from competition.kaggle.credentials import overlooked, sources
from competition.kaggle.download import NEEDED_BYTES
from competition.paths import COMPETITION

OK, NOTE, WARNING, MEND = "ok", "note", "warning", "to mend"

# Refusals of those whom Kaggle knows.
ACCEPTED = (403, 404)


class Finding(NamedTuple):
    """One thing that was looked at; `state` is one of the words above."""

    state: str
    what: str
    text: str


def examine() -> Iterator[Finding]:
    """Yields one finding after the other; none of them holds a secret, or a part of one."""
    yield from _client()
    yield from _credentials()
    if sources():
        yield from _server()
    yield from _data()
    yield from _machine()


def _client() -> Iterator[Finding]:
    try:
        yield Finding(OK, "client", f"kaggle {version('kaggle')}")
    except PackageNotFoundError:
        yield Finding(MEND, "client", "the package kaggle is missing; `make setup` installs it")


def _credentials() -> Iterator[Finding]:
    found = sources()
    if not found:
        yield Finding(MEND, "credentials", no_credentials())
        return
    remark = found[0].remark
    state = WARNING if remark else OK
    yield Finding(state, "credentials", f"the client uses those in {found[0].name}.{remark}")
    for other in found[1:]:
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
        except KaggleError as trouble:
            yield Finding(MEND, "server", str(trouble))
            return
    name = f", as those of '{found['username']}'" if found["username"] else ""
    access = found["access"] | {"credentials": found["credentials"]}
    # A key, unlike a token, is not looked at while it signs in.
    if access["problem"] and access.get("status") not in ACCEPTED:
        yield Finding(MEND, "server", explain(access))
        return
    yield Finding(OK, "server", f"it accepts the credentials{name}")
    yield _rules(access)
    yield _submissions(found["left_today"])


def _rules(access: dict[str, Any]) -> Finding:
    if access["problem"]:
        return Finding(MEND, "rules", explain(access))
    return Finding(OK, "rules", f"accepted: the data of '{COMPETITION}' can be had")


def _submissions(left: int | None) -> Finding:
    if left is None:
        return Finding(NOTE, "submissions", "Kaggle does not tell how many are left today")
    return Finding(OK if left else WARNING, "submissions", f"{left} left today (UTC)")


def _data() -> Iterator[Finding]:
    folder = paths.data_folder(COMPETITION)
    try:
        check_installed()
        yield Finding(OK, "data", f"{folder}/ is complete")
    except UserError as error:
        yield Finding(MEND, "data", str(error))
    free = system.free_bytes(folder)
    text = f"{free / 1e9:.1f} GB are free here"
    enough = free >= NEEDED_BYTES
    hint = f"; a download needs {NEEDED_BYTES / 1e9:.2f}"
    yield Finding(OK, "disk", text) if enough else Finding(MEND, "disk", text + hint)


def _machine() -> Iterator[Finding]:
    features = system.processor_features()
    listed = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in features.items())
    yield Finding(NOTE, "processor", f"{system.core_count()} cores; {listed}")
    yield _gpu(", ".join(system.gpu_names()))


def _gpu(names: str) -> Finding:
    if not names:
        return Finding(NOTE, "GPU", "none found by nvidia-smi; the processor is enough")
    if system.gpu_count():
        return Finding(OK, "GPU", names)
    mend = "`.venv/bin/pip install 'tensorflow[and-cuda]'` brings the libraries that it needs"
    return Finding(WARNING, "GPU", f"{names}, which TensorFlow cannot use; {mend}")
