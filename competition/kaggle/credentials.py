"""Where the Kaggle client finds credentials, in its own order; their values are never kept.

The order is that of `kaggle` 2.2 (`KaggleApi.authenticate`, `kagglesdk.kaggle_env`). The client
sends the first token with every request, even after the server refused it; so a bad token shadows
all credentials after it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from competition.kaggle import SETTINGS_PAGE

TOKEN_VARIABLE = "KAGGLE_API_TOKEN"  # noqa: S105, a name
PAIR = ("KAGGLE_USERNAME", "KAGGLE_KEY")
CONFIG_DIR = "KAGGLE_CONFIG_DIR"
NEW_TOKEN = f"Create a new token at {SETTINGS_PAGE}"
PLACES = f"put it into ~/.kaggle/access_token or the environment variable {TOKEN_VARIABLE}"
UNREADABLE = " It cannot be read as a line of plain text (UTF-8), so the client fails on it."


# What editors and shells add to a token that is pasted.
STRAY = {
    "\ufeff": "a byte order mark", "\r": "a carriage return", "\n": "a line break", " ": "a space",
    **dict.fromkeys("“”„‘’\"'`", "quotation marks"),
}  # fmt: skip
STRAY_IN_JSON = "\ufeff“”„‘’"


@dataclass(frozen=True)
class Source:
    """A place that holds credentials.

    Attributes:
        name: for messages.
        file: None for the environment.
        remark: a sentence, with a leading space, on what looks wrong; or nothing.
        renewal: what to do if Kaggle refuses the credentials.
    """

    name: str
    file: Path | None = None
    remark: str = ""
    renewal: str = f"{NEW_TOKEN}, and put it there."

    def is_open_to_others(self) -> bool:
        """Whether other users of this machine can read or change the file."""
        return self.file is not None and bool(self.file.stat().st_mode & 0o077)


def sources() -> list[Source]:
    """Returns every place that holds credentials; the client uses the first."""
    found, login = [*_tokens(), *_pairs()], _home("credentials.json")
    if "refresh_token" in _values(login):
        renewal = "Run `.venv/bin/kaggle auth login` again."
        found.append(Source(f"{_short(login)} of `kaggle auth login`", login, renewal=renewal))
    return found


def overlooked() -> list[str]:
    """Returns a sentence about each thing that looks like credentials but is not used."""
    used = {source.file for source in sources()}
    named, key_file, settings = _named_token_file(), _key_file(), _other_settings_folder()
    missing = [variable for variable in PAIR if not os.environ.get(variable)]
    sentences = []
    if named and named not in used:
        sentences.append(f"The file {_short(named)}, which {TOKEN_VARIABLE} names, is empty")
    if key_file not in used and len(missing) == 1:
        sentences.append(f"{' and '.join(PAIR)} only work together, and {missing[0]} is not set")
    if key_file not in used and key_file.is_file():
        found = {
            letter: STRAY[letter] for letter in STRAY_IN_JSON if letter in (_text(key_file) or "")
        }
        stray = f" (it has {' and '.join(dict.fromkeys(found.values()))} in it)" if found else ""
        sentences.append(
            f'{_short(key_file)} is not {{"username": …, "key": …}}{stray}; download it again'
        )
    folders = (_home(""), settings, Path.home(), Path.home() / "Downloads", Path.cwd())
    places = {folder / "kaggle.json": key_file for folder in folders}
    places[settings / "access_token"] = _home("access_token")
    return sentences + [
        f"{_short(file)} is not where the client looks; move it to {_short(place)}"
        for file, place in places.items()
        if file.is_file() and file != place
    ]


def _tokens() -> Iterator[Source]:
    in_notebook = {"KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"} <= os.environ.keys()
    if in_notebook and (path := os.environ.get("KAGGLE_API_V1_TOKEN")):
        yield from _in_file(Path(path), "the token of this Kaggle notebook")
    if named := _named_token_file():
        yield from _in_file(named, f"the file {_short(named)}, which {TOKEN_VARIABLE} names")
        return  # even if it is empty, the client looks at no other token then
    if token := os.environ.get(TOKEN_VARIABLE):
        is_path = "/" in token or token.startswith("~")
        remark = " It looks like a path, but there is no such file." if is_path else _remark(token)
        yield Source(f"the environment variable {TOKEN_VARIABLE}", remark=remark)
    for file in (_home("access_token"), _home("access_token.txt")):
        yield from _in_file(file, _short(file))


def _in_file(file: Path, name: str) -> Iterator[Source]:
    text = _text(file)
    if text != "":
        yield Source(name, file, UNREADABLE if text is None else _remark(text))


def _remark(token: str) -> str:
    stray = " and ".join(dict.fromkeys(STRAY[letter] for letter in token if letter in STRAY))
    return f" It has {stray} in it, which no token has; write it again without." if stray else ""


def _pairs() -> Iterator[Source]:
    """Yields the places of a user name with its key; a variable overrides the file's value."""
    given = [variable for variable in PAIR if os.environ.get(variable)]
    renewal = f"{NEW_TOKEN}, and {PLACES}."  # a new token does not fit in place of a key
    if len(given) == len(PAIR):
        yield Source(f"the environment variables {' and '.join(PAIR)}", renewal=renewal)
    file = _key_file()
    in_file = _values(file)
    known = in_file | {variable.removeprefix("KAGGLE_").lower() for variable in given}
    if in_file and {"username", "key"} <= known:
        mixed = f" with the environment variable {given[0]}" if len(given) == 1 else ""
        yield Source(f"{_short(file)}{mixed}", file, renewal=renewal)


def _named_token_file() -> Path | None:
    token = os.environ.get(TOKEN_VARIABLE, "")
    return Path(token) if os.path.exists(token) else None


def _key_file() -> Path:
    """Returns the path of the `kaggle.json` that the client reads."""
    return settings_folder() / "kaggle.json"


def settings_folder() -> Path:
    """Returns the client's folder, which it makes if it is missing."""
    home = _home("") if _home("").exists() else _other_settings_folder()
    return Path(os.environ.get(CONFIG_DIR) or home)


def _other_settings_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _home(name: str) -> Path:
    return Path.home() / ".kaggle" / name


def _short(file: Path) -> str:
    """Returns a path as a user writes it, with `~`."""
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


def _text(file: Path) -> str | None:
    """Returns a file's text: empty if there is no file, None if it is unreadable."""
    if not os.path.exists(file):
        return ""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _values(file: Path) -> set[str]:
    """Returns the names with a value in a JSON file; none if it is missing or no JSON object."""
    try:
        values = json.loads(_text(file) or "")
    except ValueError:
        return set()
    return {name for name, value in values.items() if value} if isinstance(values, dict) else set()
