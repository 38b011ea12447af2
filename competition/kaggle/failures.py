"""Exceptions of the Kaggle client, told apart; runs in the client's process.

The names of problems are those for which `answers.py` has a paragraph.
"""

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from time import time
from typing import Any

from competition.errors import DISK_TROUBLE
from competition.kaggle.notes import SIGNING_IN

LONGEST_MESSAGE = 300

# Tokens and keys have 32 characters and more; addresses of Kaggle's storage carry a signature,
# those of proxies a password before the @.
SECRET = re.compile(r"\?\S+|\S*(?:@|KGAT_|(?=[\w-]*\d)[\w-]{20,})\S*")

# What only the words of an exception tell; requests gives these no class of their own.
WORDS = {
    "Tunnel connection failed: 407": "proxy password",
    "TLS CA certificate bundle, invalid path": "certificates",
}


def describe(error: BaseException, stage: str) -> dict[str, Any]:
    """Returns the notes of an exception: `problem` and what belongs to it, never a secret."""
    response = getattr(error, "response", None)
    if response is not None:  # a response is false when its status is an error
        return {
            "problem": "status",
            "status": response.status_code,
            "message": _server_words(response),
            "retry_after": _retry_after(response.headers.get("Retry-After")),
        }
    if isinstance(error, OSError) and error.errno in DISK_TROUBLE and stage != SIGNING_IN:
        return {"problem": "disk", "errno": error.errno}
    name = _name(error, stage)
    # While it signs in, an exception may quote the token.
    words = "" if stage == SIGNING_IN else f": {without_secrets(str(error))}"
    return {"problem": name, "message": f"{type(error).__name__}{words}"}


def without_secrets(text: str) -> str:
    """Returns the text's last line, shortened, with an ellipsis for whatever may be a secret."""
    last = (text.strip().splitlines() or [""])[-1]
    printable = "".join(letter for letter in last if letter.isprintable())
    return SECRET.sub("…", printable)[:LONGEST_MESSAGE]


def _name(error: BaseException, stage: str) -> str:
    named = _by_words(error) or _by_causes(error) or _by_type(error)
    if named:
        return named
    is_input = stage == SIGNING_IN and isinstance(error, ValueError | OSError)
    return "unusable" if is_input else "failed"


def _by_words(error: BaseException) -> str | None:
    return next((name for words, name in WORDS.items() if words in str(error)), None)


def _by_causes(error: BaseException) -> str | None:
    """Tells an address that nobody knows, which has no class of its own, and a cut connection."""
    from requests import exceptions

    causes = {type(cause).__name__ for cause in _causes(error)}
    if "NameResolutionError" in causes and "ProxyError" not in causes:
        return "no name"
    is_cut = type(error) is exceptions.ConnectionError and "ProtocolError" in causes
    return "cut" if is_cut else None


def _by_type(error: BaseException) -> str | None:
    from requests import exceptions

    kinds = (
        (SystemExit, "credentials"),  # the client's way to say that it has none
        (ModuleNotFoundError, "not installed"),
        # All other addresses are the client's own, so one that is invalid is the proxy's.
        ((exceptions.ProxyError, exceptions.InvalidURL), "proxy"),
        (exceptions.InvalidSchema, "SOCKS proxy"),
        (exceptions.SSLError, "encryption"),
        (JSONDecodeError, "not Kaggle"),
        (exceptions.ChunkedEncodingError, "cut"),
        (exceptions.ConnectionError, "unreachable"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an exception and what lies behind it, in the ways that requests and urllib3 nest."""
    while isinstance(error, BaseException):
        yield error
        inner = [getattr(error, "reason", None), *error.args]
        error = next((one for one in inner if isinstance(one, BaseException)), None)


def _server_words(response: Any) -> str:
    """Returns the reason that Kaggle gives in JSON; pages of anybody else tell nothing."""
    try:
        return without_secrets(str(response.json()["message"]))
    except (ValueError, KeyError, TypeError, OSError):
        return ""


def _retry_after(value: str | None) -> float | None:
    """Returns seconds, of a header that has seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None
