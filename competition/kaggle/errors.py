"""Messages for failures of Kaggle, the network or the client: what happened, and what to do next.

The client's process chooses them, as only that one has the exception.
"""

import os
import re
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from competition.console import duration
from competition.errors import UserError, disk_trouble
from competition.kaggle import PAGE, SETTINGS_PAGE
from competition.kaggle.credentials import NEW_TOKEN, PLACES, Source, overlooked
from competition.kaggle.protocol import DOWNLOADING, SIGNING_IN
from competition.paths import COMPETITION

LONGEST_MESSAGE = 300

# Tokens and keys have 32 and more characters; Kaggle's storage has a signature in its URLs (after
# the ?), and a proxy may have a password (before the @).
SECRET = re.compile(r"\?\S+|\S*(?:@|KGAT_|(?=[\w-]*\d)[\w-]{20,})\S*")

PROXY_VARIABLES = (
    "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
)  # fmt: skip

UPGRADE = "`.venv/bin/pip install --upgrade kaggle`"
PROXY = (
    "The proxy that {proxies} names does not let the Kaggle client through. Correct the "
    "variable; if this network needs no proxy, unset it."
)
PROXY_ASKS_NAME = (
    "The proxy asks for a name and a password (407): write them into https_proxy as "
    "http://name:password@proxy:port."
)
CUT = "The connection to Kaggle broke off. Check the network and try again."

# Each key is searched in the names of an exception's classes and in its text, where requests and
# urllib3 repeat the names of underlying exceptions. The first match counts.
EXCEPTIONS = {
    "ModuleNotFoundError": (
        "The Kaggle client cannot be imported ({message}). `make setup` installs it."
    ),
    "Tunnel connection failed: 407": PROXY_ASKS_NAME,
    "TLS CA certificate bundle, invalid path": (
        "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file of certificates that does not exist. "
        "Correct the variable; if no proxy inspects encrypted traffic here, unset it."
    ),
    "ProxyError": PROXY,
    "InvalidURL": PROXY,  # all other addresses are the client's own
    "InvalidSchema": (
        "{proxies} names a SOCKS proxy, for which the Kaggle client needs one more package: "
        "`.venv/bin/pip install pysocks`. Or name a proxy that begins with http://."
    ),
    "NameResolutionError": (
        "The address of Kaggle's server cannot be looked up: there is no network, or no DNS. "
        "Check the connection; behind a proxy, set https_proxy."
    ),
    "SSLError": (
        "The encrypted connection to Kaggle was not trusted. Check this machine's clock; if a "
        "proxy inspects encrypted traffic in this network, set REQUESTS_CA_BUNDLE to the file of "
        "its certificate."
    ),
    "JSONDecodeError": (
        "Something else answers in Kaggle's place, perhaps the network's sign-in page or a proxy. "
        "Open https://www.kaggle.com in a browser on this machine, then try again."
    ),
    "ChunkedEncodingError": CUT,
    "Connection aborted": CUT,
    "ConnectionError": (
        "Kaggle cannot be reached: the connection was refused. Check the network; behind a "
        "proxy, set https_proxy."
    ),
}
DOWNLOAD_CUT = (
    "The download broke off several times; what arrived is kept, and the next `make download` "
    "continues from there."
)
UNUSABLE_CREDENTIALS = (
    "The Kaggle client cannot use the credentials on this machine ({message}): the token is too "
    "long or has invalid characters, such as a line break, or its file cannot be read. Copy the "
    "token again; `make doctor` says which one is used."
)
FAILED = f"The Kaggle client failed ({{message}}). Try again; if it fails again, run {UPGRADE}."

# By the server's HTTP status; 401 depends on the credentials.
STATUSES = {
    403: (
        "Kaggle refuses access (403{reason}). With the account of your token, accept the "
        f"competition's rules at {PAGE}/rules and verify your phone number at {SETTINGS_PAGE}. "
        f"Kaggle says the same about a mistyped name; the name asked for was '{COMPETITION}'."
    ),
    404: (
        f"Kaggle does not know what was asked for (404{{reason}}): the competition '{COMPETITION}' "
        f"or its files. Look at {PAGE}; if it is there, run {UPGRADE}."
    ),
    407: PROXY_ASKS_NAME,
    429: "Kaggle has had too many requests from this account (429). Try again {when}.",
    500: (
        "Kaggle itself has an error ({status}{reason}). Nothing is wrong on this machine; try "
        "again in some minutes."
    ),
}
OTHER_STATUS = f"Kaggle refused the request ({{status}}{{reason}}); see {PAGE}."


class KaggleError(UserError):
    """Kaggle, the network or the client failed; `outcome` has the child's notes (`protocol.py`)."""

    def __init__(self, outcome: dict[str, Any]):
        super().__init__(outcome["problem"])
        self.outcome = outcome


def describe(error: BaseException, stage: str, credentials: list[Source]) -> dict[str, Any]:
    """Returns the notes about an exception of the client, without any secret.

    Args:
        stage: what the client was doing, a constant of `protocol.py`.
        credentials: all that the client found; it used the first.
    """
    response = getattr(error, "response", None)
    if response is not None:  # a response is false when its status is an error
        wait = _retry_after(response.headers.get("Retry-After"))
        problem = _status_problem(response.status_code, _server_reason(response), wait, credentials)
        return {"problem": problem, "status": response.status_code, "retry_after": wait}
    if isinstance(error, SystemExit):  # so the client ends without valid credentials
        return {"problem": refused(credentials) if credentials else no_credentials()}
    # While the client signs in, the problem is in its files, and the exception may quote the token.
    is_signing_in = stage == SIGNING_IN
    if isinstance(error, OSError) and not is_signing_in and (trouble := disk_trouble(error)):
        return {"problem": str(trouble)}
    classes = " ".join(kind.__name__ for kind in type(error).__mro__)
    problem = next((EXCEPTIONS[key] for key in EXCEPTIONS if key in f"{classes}: {error}"), FAILED)
    if problem == CUT and stage == DOWNLOADING:
        problem = DOWNLOAD_CUT
    elif problem == FAILED and is_signing_in and isinstance(error, ValueError | OSError):
        problem = UNUSABLE_CREDENTIALS
    detail = "" if is_signing_in else f": {without_secrets(str(error))}"
    proxies = " or ".join(name for name in PROXY_VARIABLES if os.environ.get(name))
    return {"problem": problem.format(message=f"{type(error).__name__}{detail}", proxies=proxies)}


def no_credentials() -> str:
    found = "".join(f" {sentence}." for sentence in overlooked())
    return (
        f"The Kaggle client finds no credentials on this machine.{found} {NEW_TOKEN}, and {PLACES}."
    )


def refused(credentials: list[Source], code: str = "") -> str:
    """Returns the message for refused credentials; it also names those that they shadow."""
    used, *others = credentials
    shadowed = " and ".join(source.name for source in others)
    removal = f" Or remove it: it comes before {shadowed}, which was not tried." if shadowed else ""
    return (
        f"Kaggle refused the credentials in {used.name}{code}: they are wrong or have expired."
        f"{used.remark} {used.renewal}{removal}"
    )


def without_secrets(text: str) -> str:
    """Returns the text's last line, shortened, with "…" in place of anything like a secret."""
    last = (text.strip().splitlines() or [""])[-1]
    printable = "".join(letter for letter in last if letter.isprintable())
    return SECRET.sub("…", printable)[:LONGEST_MESSAGE]


def _status_problem(status: int, reason: str, wait: float | None, credentials: list[Source]) -> str:
    if status == 401:
        return refused(credentials, " (401)") if credentials else no_credentials()
    return STATUSES.get(min(status, 500), OTHER_STATUS).format(
        status=status,
        reason=f": {reason.rstrip('.')}" if reason else "",
        when=f"in {duration(wait)}, as it asks" if wait else "in some minutes",
    )


def _server_reason(response: Any) -> str:
    """Returns the reason that Kaggle gives in JSON; nothing for the pages of other servers."""
    try:
        return without_secrets(str(response.json()["message"]))
    except (ValueError, KeyError, TypeError, OSError):
        return ""


def _retry_after(value: str | None) -> float | None:
    """Returns seconds from the header, which holds seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None
