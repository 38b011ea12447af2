"""What the user is told when Kaggle, the network or the client fails: a short paragraph each.

It says what happened and the next thing to do.
"""

import os
from typing import Any

from competition.console import duration
from competition.errors import UserError, disk_trouble
from competition.kaggle import PAGE, SETTINGS_PAGE
from competition.kaggle.credentials import NEW_TOKEN, PLACES, Source, overlooked
from competition.kaggle.notes import DOWNLOADING
from competition.paths import COMPETITION

PROXY_VARIABLES = (
    "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
)  # fmt: skip
PROXY_WANTS_A_NAME = (
    "The proxy wants a name and a password (407): write them into https_proxy as "
    "http://name:password@proxy:port."
)
LATER = "Nothing is wrong on this machine; try again in some minutes."


class KaggleError(UserError):
    """Kaggle, the way to it, or its client failed.

    Attributes:
        outcome: the notes of the client's process, see `notes.py`, and `credentials`: the sources
            that there were when it began.
    """

    def __init__(self, outcome: dict[str, Any]):
        super().__init__(explain(outcome))
        self.outcome = outcome


def explain(outcome: dict[str, Any]) -> str:
    """Returns the paragraph for the problem that an outcome has."""
    if outcome["problem"] == "status":
        return _status(outcome["status"], outcome)
    if outcome["problem"] == "credentials":
        return _refused(outcome["credentials"], "")
    if outcome["problem"] == "disk":
        return str(disk_trouble(OSError(outcome["errno"], os.strerror(outcome["errno"]))))
    if outcome["problem"] == "cut" and outcome.get("stage") == DOWNLOADING:
        return (
            "The download broke off several times; what came is kept, and the next "
            "`make download` goes on from there."
        )
    known = PARAGRAPHS.get(outcome["problem"], PARAGRAPHS["failed"])
    proxies = " or ".join(name for name in PROXY_VARIABLES if os.environ.get(name))
    return known.format_map({"message": "", "stage": "", "proxies": proxies, **outcome})


PARAGRAPHS = {
    "not installed": "The Kaggle client cannot be imported ({message}). `make setup` installs it.",
    "unusable": (
        "The Kaggle client cannot use the credentials on this machine ({message}): a token that "
        "is too long or has characters that no token has, such as a line end, or a file that "
        "cannot be read. Copy the token again; `make doctor` says which one is used."
    ),
    "no name": (
        "The address of Kaggle's server cannot be looked up: there is no network, or no DNS. "
        "Check the connection; behind a proxy, set https_proxy."
    ),
    "proxy": (
        "The proxy that {proxies} names does not let the Kaggle client through. Correct the "
        "variable, or unset it if this network needs no proxy."
    ),
    "proxy password": PROXY_WANTS_A_NAME,
    "SOCKS proxy": (
        "{proxies} names a SOCKS proxy, for which the Kaggle client needs one more package: "
        "`.venv/bin/pip install pysocks`. Or name a proxy that begins with http://."
    ),
    "certificates": (
        "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file of certificates that is not there. "
        "Correct the variable, or unset it if no proxy inspects encrypted traffic here."
    ),
    "encryption": (
        "The encrypted connection to Kaggle was not trusted. Check this machine's clock; if a "
        "proxy inspects encrypted traffic in this network, REQUESTS_CA_BUNDLE has to name its "
        "certificate."
    ),
    "unreachable": (
        "Kaggle cannot be reached: the connection was refused. Check the network; behind a "
        "proxy, set https_proxy."
    ),
    "cut": "The connection to Kaggle broke off. Check the network and try again.",
    "not Kaggle": (
        "Something else answers in Kaggle's place, a network's sign-in page or a proxy perhaps. "
        "Open https://www.kaggle.com in a browser of this machine, then try again."
    ),
    "silent": (
        "Kaggle did not answer for {seconds}; the client was {stage}. Check the network and try "
        "again; DIGITS_ANSWER_SECONDS=… waits longer."
    ),
    "slow": (
        "The download was not finished after {seconds}. What came is kept, and the next "
        "`make download` goes on from there; DIGITS_DOWNLOAD_SECONDS=… waits longer."
    ),
    "broke off": (
        "The Kaggle client ended without a result ({message}). Try again; if it stays so, "
        "`.venv/bin/pip install --upgrade kaggle`."
    ),
    "failed": (
        "The Kaggle client failed ({message}). Try again; if it stays so, "
        "`.venv/bin/pip install --upgrade kaggle`."
    ),
}


def no_credentials() -> str:
    """Returns the paragraph for a machine that has none."""
    found = "".join(f" {sentence}." for sentence in overlooked())
    return (
        f"The Kaggle client finds no credentials on this machine.{found} {NEW_TOKEN}, and {PLACES}."
    )


def _refused(credentials: list[Source], code: str) -> str:
    if not credentials:
        return no_credentials()
    used, *others = credentials
    shadowed = " and ".join(source.name for source in others)
    trap = f" Or remove it: it comes before {shadowed}, which was not tried." if shadowed else ""
    return (
        f"Kaggle refused the credentials in {used.name}{code}: they are wrong or have expired."
        f"{used.remark} {used.renewal}{trap}"
    )


def _status(status: int, outcome: dict[str, Any]) -> str:
    words = f": {outcome['message'].rstrip('.')}" if outcome["message"] else ""
    if status == 401:
        return _refused(outcome["credentials"], " (401)")
    if status == 429:
        return _too_many(outcome["retry_after"])
    if status >= 500:
        return f"Kaggle itself has an error ({status}{words}). {LATER}"
    return STATUSES.get(status, "Kaggle refused it ({status}{words}); see {page}.").format(
        status=status, words=words, page=PAGE
    )


STATUSES = {
    403: (
        "Kaggle refuses access (403{words}). With the account of your token, accept the "
        f"competition's rules at {PAGE}/rules and verify your phone number at {SETTINGS_PAGE}. "
        f"Kaggle says the same of a mistyped name; the name asked for was '{COMPETITION}'."
    ),
    404: (
        f"Kaggle does not know what was asked for (404{{words}}), the competition '{COMPETITION}' "
        "or its files. See {page}; `.venv/bin/pip install --upgrade kaggle` if it is there."
    ),
    407: PROXY_WANTS_A_NAME,
}


def _too_many(wait: float | None) -> str:
    when = f"in {duration(wait)}, as it asks" if wait else "in some minutes"
    return f"Kaggle has had too many requests from this account (429). Try again {when}."
