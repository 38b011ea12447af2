"""Fetches the competition's archive, continues partial downloads, checks and installs it."""

import shutil
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np

from competition import paths
from competition.console import ProgressDisplay, bytes_text
from competition.data.loading import load_data_set, read_cached, require_replaceable
from competition.errors import UserError, disk_trouble, passes
from competition.kaggle import PAGE
from competition.kaggle.client import call
from competition.kaggle.protocol import DOWNLOADING
from competition.paths import COMPETITION
from competition.storage import DAMAGED_ARCHIVE, atomic_folder, only_one
from competition.submission import check_rows
from competition.system import require_space

DOWNLOAD_SECONDS = 1800.0  # for a download as a whole

TRAIN_ROWS, TEST_ROWS = 42_000, 28_000  # a file with fewer rows was cut at the end of a line
MOST_MEMBERS, LARGEST_TOTAL = 100, 500_000_000  # bytes; the real three have 77, 51 and 0.2 MB
NEEDED_BYTES = 250_000_000  # the archive, its three files and their caches: 15, 128 and 56 MB

WORKAROUND = (
    f"Workaround: download the archive in the browser at {PAGE}/data and run "
    "`make download ZIP=path/to/digit-recognizer.zip`."
)


class BrokenArchiveError(UserError):
    """The archive is not the competition's; another copy may be good."""


def download(archive: Path | None, force: bool = False) -> bool:
    """Installs the competition's data in `input/digit-recognizer/`, unless it is there already;
    returns whether it did.

    Args:
        archive: a local `digit-recognizer.zip`, or None to fetch it with the Kaggle client.
        force: install it again whatever is there.

    Raises:
        UserError: when the archive cannot be fetched or is broken, or files that are not the
            competition's would be lost; the folder stays as it was.
    """
    if not force and passes(check_installed):
        return False
    require_replaceable(COMPETITION)  # outside of the try: the workaround would replace as much
    try:
        with only_one(paths.INPUT, "downloading"):
            require_space(paths.DataPaths(COMPETITION).folder, NEEDED_BYTES)
            install_archive(archive) if archive else _fetch_and_install(force)
    except (UserError, OSError) as error:
        problem = disk_trouble(error) if isinstance(error, OSError) else error
        if problem is None:
            raise
        message = f"{str(problem).removesuffix('.')}."
        if archive is None:
            message = f"{message}\n{WORKAROUND}"
        elif isinstance(problem, BrokenArchiveError):
            message = f"{message} Download it again at {PAGE}/data."
        raise UserError(message) from None
    return True


def check_installed() -> None:
    """Raises UserError if the competition's data is missing or incomplete."""
    data_set = load_data_set(COMPETITION)
    try:
        _check_counts(len(data_set.train), len(data_set.test), paths.DataPaths(COMPETITION).folder)
    except UserError as error:
        raise UserError(f"{error}; `make download` fetches it again") from None


def checked_sample() -> Path:
    """Returns the installed `sample_submission.csv`; UserError if it is missing or another one."""
    sample = paths.DataPaths(COMPETITION).sample_submission
    if not sample.exists():
        raise UserError(
            f"{sample} is needed to check a submission before it is sent; `make download` "
            "fetches it"
        )
    check_rows(sample, np.arange(1, TEST_ROWS + 1), f"the competition '{COMPETITION}'")
    return sample


def install_archive(archive: Path) -> None:
    """Checks an archive and installs its files, with their caches, all or none.

    Raises:
        BrokenArchiveError: when it is no zip, is damaged, has an unsafe name, lacks a file, or a
            file breaks the format or has too few rows.
    """
    train, test, sample = (file.name for file in paths.DataPaths(COMPETITION).csv_files)
    with atomic_folder(paths.DataPaths(COMPETITION).folder) as folder:
        _extract(archive, [train, test, sample], folder)
        try:  # reading also writes the caches
            labelled = read_cached(folder / train, labelled=True)
            unlabelled = read_cached(folder / test, labelled=False)
            check_rows(folder / sample, unlabelled.ids, test)
            _check_counts(len(labelled), len(unlabelled), folder)
        except UserError as error:
            message = str(error).replace(f"{folder}/", f"{archive.name}: ")
            raise BrokenArchiveError(message) from None


def _check_counts(train_rows: int, test_rows: int, folder: Path) -> None:
    expected = {"train.csv": (train_rows, TRAIN_ROWS), "test.csv": (test_rows, TEST_ROWS)}
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise UserError(f"{folder}/{name} has {found:,} rows, expected {wanted:,}")


def _extract(archive: Path, names: list[str], folder: Path) -> None:
    """Copies the named files and nothing else, from an archive or a folder that was unpacked."""
    try:
        with ExitStack() as stack:
            top: Path | zipfile.Path = archive
            if not archive.is_dir():
                opened = stack.enter_context(zipfile.ZipFile(archive))
                _check_members(archive.name, opened.infolist())
                top = zipfile.Path(opened)
            place = _place_of(names, top, archive.name)
            for name in names:
                with (place / name).open("rb") as member, (folder / name).open("wb") as file:
                    shutil.copyfileobj(member, file)
    except FileNotFoundError:
        raise UserError(f"there is no archive {archive}") from None
    except (*DAMAGED_ARCHIVE, OSError, ValueError) as error:
        if isinstance(error, OSError) and disk_trouble(error):
            raise
        raise BrokenArchiveError(f"{archive.name} is not a whole zip archive ({error})") from None


def _place_of(names: list[str], top: Path | zipfile.Path, source: str) -> Path | zipfile.Path:
    """Returns where the files are: at the top, or in a folder there, as some people pack it."""
    places = [top, *(entry for entry in top.iterdir() if entry.is_dir())]
    missing = [[name for name in names if not (place / name).is_file()] for place in places]
    fewest = min(missing, key=len)
    if fewest:
        _refuse(source, f"has no {' and no '.join(fewest)}")
    return places[missing.index(fewest)]


def _check_members(archive: str, members: list[zipfile.ZipInfo]) -> None:
    """Raises BrokenArchiveError for unexpected names, numbers or sizes."""
    if len(members) > MOST_MEMBERS:
        _refuse(archive, f"has {len(members):,} members")
    if sum(member.file_size for member in members) > LARGEST_TOTAL:
        _refuse(archive, f"unpacks to more than {bytes_text(LARGEST_TOTAL)}")
    found = [member.filename for member in members]
    for name in found:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            _refuse(archive, f"has a member with the unsafe name '{name}'")
        if found.count(name) > 1:
            _refuse(archive, f"has {name} more than once")


def _refuse(source: str, problem: str) -> NoReturn:
    raise BrokenArchiveError(
        f"{source} {problem}; expected the archive of the competition '{COMPETITION}'"
    )


def _fetch_and_install(force: bool) -> None:
    """Fetches the archive and installs it; if it is broken, tries once more from the start."""
    folder = paths.DataPaths(COMPETITION).download
    if force:
        shutil.rmtree(folder, ignore_errors=True)
    for is_last in (False, True):
        try:
            install_archive(_fetch(folder))
            break
        except BrokenArchiveError as error:  # whole but useless; a partial one would be kept
            shutil.rmtree(folder, ignore_errors=True)
            if is_last:
                raise
            print(f"{error}; fetching it once more, from the start", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)


def _fetch(folder: Path) -> Path:
    archive = folder / f"{COMPETITION}.zip"
    folder.mkdir(exist_ok=True)
    try:
        with FileProgress(archive) as progress:
            call("download", str(folder), watch=progress.update, seconds=DOWNLOAD_SECONDS)
    finally:
        if not archive.exists():  # otherwise it is whole, or a part that the next try continues
            shutil.rmtree(folder, ignore_errors=True)
    if not archive.exists():
        raise BrokenArchiveError("what Kaggle sent is not a zip archive")
    return archive


class FileProgress(ExitStack):
    """Shows how much of a growing file has arrived, once its total size is known."""

    def __init__(self, file: Path):
        super().__init__()
        self._file, self._before = file, _size(file)
        self._display: ProgressDisplay | None = None

    def update(self, notes: dict[str, Any]) -> int:
        """Shows the progress, and returns the file's bytes so far."""
        size, before, total = _size(self._file), self._before, notes.get("total")
        if notes.get("stage") == DOWNLOADING and total and total > before:
            if self._display is None:
                what = f"downloading {self._file.name}"
                self._display = self.enter_context(ProgressDisplay(what, total - before))
                here = f", {bytes_text(before)} are here already" if before else ""
                self._display.say(f"{what}, {bytes_text(total)}{here}")
            self._display.update(max(0, size - before))
        return size


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
