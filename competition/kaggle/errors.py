"""What the user is told when Kaggle, the network or the client fails: a short paragraph each.

It says what happened and what to do next. The client's process chooses it, as the exception is
known only there.
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

# Tokens and keys have 32 characters and more; addresses of Kaggle's storage carry a signature,
# those of proxies a password before the @.
SECRET = re.compile(r"\?\S+|\S*(?:@|KGAT_|(?=[\w-]*\d)[\w-]{20,})\S*")

PROXY_VARIABLES = (
    "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
)  # fmt: skip

UPGRADE = "`.venv/bin/pip install --upgrade kaggle`"
PROXY = (
    "The proxy that {proxies} names does not let the Kaggle client through. Correct the "
    "variable, or unset it if this network needs no proxy."
)
PROXY_ASKS_NAME = (
    "The proxy asks for a name and a password (407): write them into https_proxy as "
    "http://name:password@proxy:port."
)
CUT = "The connection to Kaggle broke off. Check the network and try again."

# By what an exception has in the names of its classes or in its words, in which requests and
# urllib3 repeat the names of the exceptions behind it. The first that fits counts.
EXCEPTIONS = {
    "ModuleNotFoundError": (
        "The Kaggle client cannot be imported ({message}). `make setup` installs it."
    ),
    "Tunnel connection failed: 407": PROXY_ASKS_NAME,
    "TLS CA certificate bundle, invalid path": (
        "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file of certificates that does not exist. "
        "Correct the variable, or unset it if no proxy inspects encrypted traffic here."
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
        "proxy inspects encrypted traffic in this network, REQUESTS_CA_BUNDLE has to name its "
        "certificate."
    ),
    "JSONDecodeError": (
        "Something else answers in Kaggle's place, perhaps a network's sign-in page or a proxy. "
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
    "The Kaggle client cannot use the credentials on this machine ({message}): a token that is "
    "too long or has characters that no token has, such as a line end, or a file that cannot be "
    "read. Copy the token again; `make doctor` says which one is used."
)
FAILED = f"The Kaggle client failed ({{message}}). Try again; if it fails again, run {UPGRADE}."

# By the server's HTTP status; 401 depends on the credentials.
STATUSES = {
    403: (
        "Kaggle refuses access (403{words}). With the account of your token, accept the "
        f"competition's rules at {PAGE}/rules and verify your phone number at {SETTINGS_PAGE}. "
        f"Kaggle says the same about a mistyped name; the name asked for was '{COMPETITION}'."
    ),
    404: (
        f"Kaggle does not know what was asked for (404{{words}}): the competition '{COMPETITION}' "
        f"or its files. Look at {PAGE}; if it is there, run {UPGRADE}."
    ),
    407: PROXY_ASKS_NAME,
    429: "Kaggle has had too many requests from this account (429). Try again {when}.",
    500: (
        "Kaggle itself has an error ({status}{words}). Nothing is wrong on this machine; try "
        "again in some minutes."
    ),
}
OTHER_STATUS = f"Kaggle refused the request ({{status}}{{words}}); see {PAGE}."


class KaggleError(UserError):
    """Kaggle, the way to it, or its client failed.

    Attributes:
        outcome: the notes of the client's process, see `protocol.py`.
    """

    def __init__(self, outcome: dict[str, Any]):
        super().__init__(outcome["problem"])
        self.outcome = outcome


def describe(error: BaseException, stage: str, credentials: list[Source]) -> dict[str, Any]:
    """Returns the notes about an exception of the client: what went wrong, never a secret.

    Args:
        error: the exception.
        stage: what the client was doing, a name of `protocol.py`.
        credentials: the places that the client found some in; it used the first.
    """
    response = getattr(error, "response", None)
    if response is not None:  # a response is false when its status is an error
        wait = _retry_after(response.headers.get("Retry-After"))
        told = _status_paragraph(response.status_code, _server_words(response), wait, credentials)
        return {"problem": told, "status": response.status_code, "retry_after": wait}
    if isinstance(error, SystemExit):  # the client's way to say that it has no valid credentials
        return {"problem": refused(credentials) if credentials else no_credentials()}
    # While it signs in, the trouble is with its files, and an exception may quote the token.
    is_signing_in = stage == SIGNING_IN
    if isinstance(error, OSError) and not is_signing_in and (trouble := disk_trouble(error)):
        return {"problem": str(trouble)}
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    told = next((EXCEPTIONS[key] for key in EXCEPTIONS if key in f"{kinds}: {error}"), FAILED)
    if told == CUT and stage == DOWNLOADING:
        told = DOWNLOAD_CUT
    elif told == FAILED and is_signing_in and isinstance(error, ValueError | OSError):
        told = UNUSABLE_CREDENTIALS
    words = "" if is_signing_in else f": {without_secrets(str(error))}"
    proxies = " or ".join(name for name in PROXY_VARIABLES if os.environ.get(name))
    return {"problem": told.format(message=f"{type(error).__name__}{words}", proxies=proxies)}


def no_credentials() -> str:
    """Returns the paragraph for a machine without credentials."""
    found = "".join(f" {sentence}." for sentence in overlooked())
    return (
        f"The Kaggle client finds no credentials on this machine.{found} {NEW_TOKEN}, and {PLACES}."
    )


def refused(credentials: list[Source], code: str = "") -> str:
    """Returns the paragraph for credentials that Kaggle refused, and for those they shadow."""
    used, *others = credentials
    shadowed = " and ".join(source.name for source in others)
    trap = f" Or remove it: it comes before {shadowed}, which was not tried." if shadowed else ""
    return (
        f"Kaggle refused the credentials in {used.name}{code}: they are wrong or have expired."
        f"{used.remark} {used.renewal}{trap}"
    )


def without_secrets(text: str) -> str:
    """Returns the text's last line, shortened, with an ellipsis for whatever may be a secret."""
    last = (text.strip().splitlines() or [""])[-1]
    printable = "".join(letter for letter in last if letter.isprintable())
    return SECRET.sub("…", printable)[:LONGEST_MESSAGE]


def _status_paragraph(status: int, words: str, wait: float | None, used: list[Source]) -> str:
    if status == 401:
        return refused(used, " (401)") if used else no_credentials()
    return STATUSES.get(min(status, 500), OTHER_STATUS).format(
        status=status,
        words=f": {words.rstrip('.')}" if words else "",
        when=f"in {duration(wait)}, as it asks" if wait else "in some minutes",
    )


def _server_words(response: Any) -> str:
    """Returns the reason that Kaggle gives in JSON; other servers' pages tell nothing."""
    try:
        return without_secrets(str(response.json()["message"]))
    except (ValueError, KeyError, TypeError, OSError):
        return ""


def _retry_after(value: str | None) -> float | None:
    """Returns seconds, from a header that has seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None
