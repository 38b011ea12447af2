"""The competition's archive comes in: from Kaggle, continued where it was cut, or from a file."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from competition import paths
from competition.console import ProgressDisplay
from competition.data.loading import require_replaceable
from competition.errors import UserError, disk_trouble, passes
from competition.kaggle import PAGE
from competition.kaggle.archive import BrokenArchiveError, check_installed, install_archive
from competition.kaggle.client import call
from competition.kaggle.limits import DOWNLOAD, limit
from competition.kaggle.notes import DOWNLOADING
from competition.paths import COMPETITION
from competition.storage import only_one
from competition.system import require_space

# The archive, its three files and their caches have 15, 128 and 56 MB.
NEEDED_BYTES = 250_000_000

WAY_ROUND = (
    f"The way round: download the archive in the browser at {PAGE}/data and run "
    "`make download ZIP=path/to/digit-recognizer.zip`."
)


def download(archive: Path | None, force: bool = False) -> bool:
    """Brings the competition's data into `input/digit-recognizer/`, unless it is there already.

    Args:
        archive: a `digit-recognizer.zip` at hand, or None to fetch it with the Kaggle client.
        force: install it again whatever is there.

    Returns:
        Whether anything was installed.

    Raises:
        UserError: when the archive cannot be had or is not what it should be, or files of somebody
            else would be lost; the folder is as it was.
    """
    if not force and passes(check_installed):
        return False
    require_replaceable(COMPETITION)  # no way round: an archive at hand would replace as much
    try:
        with only_one(paths.INPUT, "downloading"):
            require_space(paths.data_folder(COMPETITION), NEEDED_BYTES)
            install_archive(archive) if archive else _fetch_and_install(force)
    except UserError as error:
        raise UserError(_with_way_round(error, archive)) from None
    except OSError as error:
        if not (trouble := disk_trouble(error)):
            raise
        raise UserError(_with_way_round(trouble, archive)) from None
    return True


def _with_way_round(error: UserError, archive: Path | None) -> str:
    sentence = str(error) if str(error).endswith(".") else f"{error}."
    if archive is None:
        return f"{sentence}\n{WAY_ROUND}"
    is_broken = isinstance(error, BrokenArchiveError)
    return f"{sentence} Download it again at {PAGE}/data." if is_broken else sentence


def _fetch_and_install(force: bool) -> None:
    """Fetches the archive, from the start a second time if it is broken, and installs it."""
    folder = paths.download_folder(COMPETITION)
    if force:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        _fetch_once(folder)
    except BrokenArchiveError as error:
        print(f"{error}; fetching it once more, from the start", file=sys.stderr)
        _fetch_once(folder)


def _fetch_once(folder: Path) -> None:
    """Fetches and installs; what is whole but broken is removed, what was cut stays."""
    try:
        install_archive(_fetch(folder))
    except BrokenArchiveError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _fetch(folder: Path) -> Path:
    """Returns the archive, fetched into a folder that is made for it."""
    archive = folder / f"{COMPETITION}.zip"
    folder.mkdir(exist_ok=True)
    try:
        with _Progress(archive) as progress:
            call("download", str(folder), watch=progress.look, seconds=limit(DOWNLOAD))
    finally:
        if not archive.exists():  # else it is whole, or a part that the next try continues
            shutil.rmtree(folder, ignore_errors=True)
    if not archive.exists():
        raise BrokenArchiveError("what Kaggle sent is not a zip archive")
    return archive


class _Progress:
    """Shows how much of a growing file is there, from the moment its whole size is known."""

    def __init__(self, file: Path):
        self._file, self._before = file, _size(file)
        self._stack, self._display = ExitStack(), None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def look(self, notes: dict[str, Any]) -> int:
        """Shows what is there, and returns its bytes."""
        size, total = _size(self._file), notes.get("total")
        if notes.get("stage") == DOWNLOADING and total and total > self._before:
            if self._display is None:
                self._begin(total)
            self._display.update(max(0, size - self._before))
        return size

    def _begin(self, total: int) -> None:
        what = f"downloading {self._file.name}"
        display = ProgressDisplay(what, total - self._before)
        self._display = self._stack.enter_context(display)
        here = f", {_megabytes(self._before)} are here already" if self._before else ""
        self._display.say(f"{what}, {_megabytes(total)}{here}")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
