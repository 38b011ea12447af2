"""Where the Kaggle client finds credentials, in its own order; what they are is never kept.

The order is that of `kaggle` 2.2 (`KaggleApi.authenticate`, `kagglesdk.kaggle_env`). Whatever
token comes first is sent with every request, even if the client went on to a `kaggle.json`
because the server did not accept it; so a bad token shadows all that comes after it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from competition.kaggle import SETTINGS_PAGE

TOKEN_VARIABLE = "KAGGLE_API_TOKEN"  # noqa: S105, a name
NEW_TOKEN = f"Create a new token at {SETTINGS_PAGE}"
PLACES = "put it into ~/.kaggle/access_token or the environment variable KAGGLE_API_TOKEN"
UNREADABLE = " It cannot be read as a line of plain text (UTF-8), and the client fails on it."
KEY_VARIABLES = ("KAGGLE_USERNAME", "KAGGLE_KEY")


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
        """Says whether other users of this machine can read or change the file."""
        return self.file is not None and bool(self.file.stat().st_mode & 0o077)


def sources() -> list[Source]:
    """Returns every source that holds something: the first is used, it shadows the others."""
    return [*_tokens(), *_keys(), *_logins()]


def overlooked() -> list[str]:
    """Returns a sentence for each file that looks like credentials, but that no one reads."""
    used = {source.file for source in sources()}
    sentences = []
    named = os.environ.get(TOKEN_VARIABLE, "")
    if named and _is_there(named) and Path(named) not in used:
        sentences.append(f"The file {_short(Path(named))}, which {TOKEN_VARIABLE} names, is empty")
    unread = [file for file in dict.fromkeys([_key_file(), *_misplaced()]) if file not in used]
    sentences += [f"{_short(file)} {_why_unread(file)}" for file in unread if file.is_file()]
    return sentences


def _why_unread(file: Path) -> str:
    looked_at = _key_file()
    if file == looked_at:
        return 'is not {"username": …, "key": …}; download it again'
    place = looked_at if file.name == looked_at.name else _home(file.name)
    return f"is not where the client looks; move it to {_short(place)}"


def _tokens() -> Iterator[Source]:
    in_notebook = "KAGGLE_KERNEL_RUN_TYPE" in os.environ and "KAGGLE_DATA_PROXY_URL" in os.environ
    notebook = Path(os.environ.get("KAGGLE_API_V1_TOKEN", ""))
    if in_notebook and _text(notebook):
        yield Source("the token of this Kaggle notebook", notebook)
    value = os.environ.get(TOKEN_VARIABLE, "")
    variable = f"the environment variable {TOKEN_VARIABLE}"
    if value and _is_there(value):
        name = f"the file {_short(Path(value))}, which {TOKEN_VARIABLE} names"
        yield from _in_token_file(Path(value), name)
        return  # even if it is empty, the client looks at no other token then
    if value:
        is_path = "/" in value or value.startswith("~")
        remark = " It looks like a path, but there is no such file." if is_path else ""
        yield Source(variable, remark=remark)
    for file in (_home("access_token"), _home("access_token.txt")):
        yield from _in_token_file(file, _short(file))


def _in_token_file(file: Path, name: str) -> Iterator[Source]:
    """Yields a file that holds a token, or that the client would fail to read one from."""
    try:
        content = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        if _is_there(str(file)):
            yield Source(name, file, UNREADABLE)
        return
    if content:
        yield Source(name, file)


def _keys() -> Iterator[Source]:
    renewal = f"{NEW_TOKEN}, and {PLACES}."  # such tokens do not fit where a key was
    given = [name for name in KEY_VARIABLES if os.environ.get(name)]
    file = _key_file()
    kept = _json_object(file)
    if len(given) == len(KEY_VARIABLES):
        name = f"the environment variables {' and '.join(KEY_VARIABLES)}"
        yield Source(name, renewal=renewal)
    # The client puts what a variable says in place of what the file says.
    of_variables = {name.removeprefix("KAGGLE_").lower() for name in given}
    if kept and {"username", "key"} <= kept | of_variables:
        mixed = f" with the environment variable {given[0]}" if len(given) == 1 else ""
        yield Source(f"{_short(file)}{mixed}", file, renewal=renewal)


def _logins() -> Iterator[Source]:
    file = _home("credentials.json")
    if "refresh_token" in _json_object(file):
        renewal = "Run `.venv/bin/kaggle auth login` again."
        yield Source(f"{_short(file)} of `kaggle auth login`", file, renewal=renewal)


def _key_file() -> Path:
    """Returns the one `kaggle.json` that the client reads."""
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(folder) / "kaggle.json"
    if _home("").exists():
        return _home("kaggle.json")
    return _settings_folder() / "kaggle.json"


def _misplaced() -> list[Path]:
    folders = [_home(""), _settings_folder(), Path.home(), Path.home() / "Downloads", Path.cwd()]
    return [folder / "kaggle.json" for folder in folders] + [_settings_folder() / "access_token"]


def _settings_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _home(name: str) -> Path:
    return Path.home() / ".kaggle" / name


def _short(file: Path) -> str:
    """Returns a path as a user writes it, with `~`."""
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


def _is_there(value: str) -> bool:
    try:
        return Path(value).exists()
    except OSError:  # too long for a name
        return False


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _json_object(file: Path) -> set[str]:
    """Returns the names that a JSON file gives a value, none if it is no such file."""
    try:
        values = json.loads(_text(file))
    except ValueError:
        return set()
    return {name for name, value in values.items() if value} if isinstance(values, dict) else set()
