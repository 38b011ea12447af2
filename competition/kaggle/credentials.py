"""Where the Kaggle client finds credentials, in its own order; what they are is never kept.

The order is that of `kaggle` 2.2 (`KaggleApi.authenticate`, `kagglesdk.kaggle_env`). The token that
comes first is sent with every request, even after the server refused it; so a bad token shadows
all that comes after it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from competition.kaggle import SETTINGS_PAGE

TOKEN_VARIABLE = "KAGGLE_API_TOKEN"  # noqa: S105, a name
PAIR = ("KAGGLE_USERNAME", "KAGGLE_KEY")
NEW_TOKEN = f"Create a new token at {SETTINGS_PAGE}"
PLACES = f"put it into ~/.kaggle/access_token or the environment variable {TOKEN_VARIABLE}"
UNREADABLE = " It cannot be read as a line of plain text (UTF-8), and the client fails on it."


@dataclass(frozen=True)
class Source:
    """A place that holds credentials.

    Attributes:
        name: as a message calls it.
        file: where they are kept, or None for the environment.
        remark: what is strange about it, a sentence with a leading space, or nothing.
        renewal: what to do if Kaggle refuses it.
    """

    name: str
    file: Path | None = None
    remark: str = ""
    renewal: str = f"{NEW_TOKEN}, and put it there."

    def is_open_to_others(self) -> bool:
        """Returns whether other users of this machine can read or change the file."""
        return self.file is not None and bool(self.file.stat().st_mode & 0o077)


def sources() -> list[Source]:
    """Returns every place that holds credentials: the first is used, it shadows the others."""
    places = [*_tokens(), *_pairs(), _login()]
    return [source for is_filled, source in places if is_filled]


def overlooked() -> list[str]:
    """Returns a sentence for each thing that looks like credentials, but that nothing reads."""
    used = {source.file for source in sources()}
    named, key_file, settings = _named_token_file(), _key_file(), _settings_folder()
    missing = [variable for variable in PAIR if not os.environ.get(variable)]
    sentences = []
    if named and named not in used:
        sentences.append(f"The file {_short(named)}, which {TOKEN_VARIABLE} names, is empty")
    if key_file not in used and len(missing) == 1:
        sentences.append(f"{' and '.join(PAIR)} only work together, and {missing[0]} is not set")
    if key_file not in used and key_file.is_file():
        sentences.append(
            f'{_short(key_file)} is not {{"username": …, "key": …}}; download it again'
        )
    folders = (_home(""), settings, Path.home(), Path.home() / "Downloads", Path.cwd())
    places = {folder / "kaggle.json": key_file for folder in folders}
    places[settings / "access_token"] = _home("access_token")
    return sentences + [
        f"{_short(file)} is not where the client looks; move it to {_short(place)}"
        for file, place in places.items()
        if file.is_file() and file != place
    ]


def _tokens() -> Iterator[tuple[bool, Source]]:
    """Yields each place of a token, and whether there is one."""
    in_notebook = {"KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"} <= os.environ.keys()
    if in_notebook and (path := os.environ.get("KAGGLE_API_V1_TOKEN")):
        yield _in_file(Path(path), "the token of this Kaggle notebook")
    if named := _named_token_file():
        yield _in_file(named, f"the file {_short(named)}, which {TOKEN_VARIABLE} names")
        return  # even if it is empty, the client looks at no other token then
    token = os.environ.get(TOKEN_VARIABLE, "")
    is_path = "/" in token or token.startswith("~")
    remark = " It looks like a path, but there is no such file." if is_path else ""
    yield token != "", Source(f"the environment variable {TOKEN_VARIABLE}", remark=remark)
    for file in (_home("access_token"), _home("access_token.txt")):
        yield _in_file(file, _short(file))


def _in_file(file: Path, name: str) -> tuple[bool, Source]:
    text = _text(file)
    return text != "", Source(name, file, UNREADABLE if text is None else "")


def _pairs() -> Iterator[tuple[bool, Source]]:
    """Yields the places of a name with its key; a variable counts more than the file's value."""
    given = [variable for variable in PAIR if os.environ.get(variable)]
    file = _key_file()
    kept = _values(file)
    known = kept | {variable.removeprefix("KAGGLE_").lower() for variable in given}
    renewal = f"{NEW_TOKEN}, and {PLACES}."  # such tokens do not fit where a key was
    variables = Source(f"the environment variables {' and '.join(PAIR)}", renewal=renewal)
    mixed = f" with the environment variable {given[0]}" if len(given) == 1 else ""
    yield len(given) == len(PAIR), variables
    in_file = Source(f"{_short(file)}{mixed}", file, renewal=renewal)
    yield bool(kept) and {"username", "key"} <= known, in_file


def _login() -> tuple[bool, Source]:
    file = _home("credentials.json")
    renewal = "Run `.venv/bin/kaggle auth login` again."
    source = Source(f"{_short(file)} of `kaggle auth login`", file, renewal=renewal)
    return "refresh_token" in _values(file), source


def _named_token_file() -> Path | None:
    token = os.environ.get(TOKEN_VARIABLE, "")
    return Path(token) if os.path.exists(token) else None


def _key_file() -> Path:
    """Returns the one `kaggle.json` that the client reads."""
    home = _home("") if _home("").exists() else _settings_folder()
    return Path(os.environ.get("KAGGLE_CONFIG_DIR") or home) / "kaggle.json"


def _settings_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _home(name: str) -> Path:
    return Path.home() / ".kaggle" / name


def _short(file: Path) -> str:
    """Returns a path as a user writes it, with `~`."""
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


def _text(file: Path) -> str | None:
    """Returns a file's text, nothing if there is no file, None if it cannot be read as text."""
    if not os.path.exists(file):
        return ""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _values(file: Path) -> set[str]:
    """Returns the names that a JSON file gives a value, none if it is no such file."""
    try:
        values = json.loads(_text(file) or "")
    except ValueError:
        return set()
    return {name for name, value in values.items() if value} if isinstance(values, dict) else set()
