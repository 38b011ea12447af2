"""The competition's archive, checked and put into place: all of it or nothing."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from competition import paths
from competition.data.loading import load_data_set, read_cached
from competition.errors import UserError, disk_trouble
from competition.paths import COMPETITION
from competition.storage import DAMAGED_ARCHIVE, atomic_folder
from competition.submission import check_rows

# What the competition's files hold; a file with fewer rows was cut at the end of a line.
TRAIN_ROWS, TEST_ROWS = 42_000, 28_000

# The real members have 77, 51 and 0.2 MB; a member that claims much more is no competition file.
LARGEST_MEMBER = 500_000_000


class BrokenArchiveError(UserError):
    """The archive is not what the competition serves; another copy of it may be."""


def check_installed() -> None:
    """Checks that the competition's data is there, whole.

    Raises:
        UserError: naming what is missing or wrong.
    """
    data_set = load_data_set(COMPETITION)
    folder = paths.data_folder(COMPETITION)
    try:
        _check_counts(len(data_set.train), len(data_set.test), f"{folder}/")
    except UserError as error:
        raise UserError(f"{error}; `make download` fetches it again") from None


def good_sample() -> Path:
    """Returns the installed `sample_submission.csv`, after a look at its rows.

    Raises:
        UserError: when it is not there, or not that of the competition.
    """
    sample = paths.sample_submission_csv(COMPETITION)
    if not sample.exists():
        raise UserError(
            f"{sample} is needed to check a submission before it is sent; `make download` "
            "fetches it"
        )
    check_rows(sample, np.arange(1, TEST_ROWS + 1), f"the competition '{COMPETITION}'")
    return sample


def install_archive(archive: Path) -> None:
    """Checks an archive and puts its files into place, with their caches, all or none.

    Raises:
        UserError: when there is no such file.
        BrokenArchiveError: when it is not a zip, is damaged, has an unsafe name, lacks a file, or a
            file breaks the format or has too few rows.
    """
    names = [file.name for file in paths.csv_files(COMPETITION)]
    with atomic_folder(paths.data_folder(COMPETITION)) as folder:
        _extract(archive, names, folder)
        try:
            _check(*(folder / name for name in names))
        except UserError as error:
            message = str(error).replace(f"{folder}/", f"{archive.name}: ")
            raise BrokenArchiveError(message) from None


def _check(train: Path, test: Path, sample: Path) -> None:
    """Reads all three files, so that their caches are there as well."""
    labelled, unlabelled = read_cached(train, labelled=True), read_cached(test, labelled=False)
    check_rows(sample, unlabelled.ids, test.name)
    _check_counts(len(labelled), len(unlabelled), f"{train.parent}/")


def _check_counts(train_rows: int, test_rows: int, where: str) -> None:
    expected = {"train.csv": (train_rows, TRAIN_ROWS), "test.csv": (test_rows, TEST_ROWS)}
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise UserError(f"{where}{name} has {found:,} rows, expected {wanted:,}")


def _extract(archive: Path, names: list[str], folder: Path) -> None:
    """Extracts the named members and nothing else, each under a name of our own."""
    try:
        with zipfile.ZipFile(archive) as opened:
            _check_members(archive.name, opened.infolist(), names)
            for name in names:
                with opened.open(name) as member, (folder / name).open("wb") as file:
                    shutil.copyfileobj(member, file)
    except FileNotFoundError:
        raise UserError(f"there is no archive {archive}") from None
    except IsADirectoryError:
        raise UserError(f"{archive} is a folder; expected the zip archive itself") from None
    except (*DAMAGED_ARCHIVE, OSError, ValueError) as error:
        if isinstance(error, OSError) and disk_trouble(error):
            raise
        raise BrokenArchiveError(f"{archive.name} is not a whole zip archive ({error})") from None


def _check_members(archive: str, members: list[zipfile.ZipInfo], names: list[str]) -> None:
    """Raises BrokenArchiveError for names and sizes that the competition's files do not have."""
    found = [member.filename for member in members]
    missing = [name for name in names if name not in found]
    problems = [f"has no {' and no '.join(missing)}"] if missing else []
    for member in members:
        if not _is_safe(member.filename):
            problems.append(f"has a member with the unsafe name '{member.filename}'")
        if found.count(member.filename) > 1:
            problems.append(f"has {member.filename} more than once")
        if member.file_size > LARGEST_MEMBER:
            problems.append(f"has a {member.filename} that claims to be larger than 500 MB")
    if problems:
        raise BrokenArchiveError(
            f"{archive} {problems[0]}; expected the archive of the competition '{COMPETITION}'"
        )


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in name
