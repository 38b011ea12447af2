"""The competition's archive comes in: from Kaggle or from a file, checked, and all or nothing."""

import tempfile
import zipfile
from pathlib import Path

from competition import paths
from competition.arrays import DAMAGED_ARCHIVE
from competition.atomic import atomic_folder
from competition.data.sources import load_data_set, read_cached
from competition.errors import UserError
from competition.kaggle import COMPETITION
from competition.kaggle.client import call
from competition.submission import check_rows

DOWNLOAD_SECONDS = 600.0
ROUND = "; or download it in the browser and run `make download ZIP=path/to/digit-recognizer.zip`"

# The real members have 77, 51 and 0.2 MB; a member that claims much more is no competition file.
LARGEST_MEMBER = 500_000_000


def download(archive: Path | None) -> bool:
    """Brings the competition's data into `input/digit-recognizer/`, unless it is there already.

    Args:
        archive: a `digit-recognizer.zip` at hand, or None to fetch it with the Kaggle client.

    Returns:
        Whether anything was installed.

    Raises:
        UserError: when the archive cannot be had or is not what it should be; the folder is as
            it was.
    """
    if is_installed():
        return False
    if archive is not None:
        install_archive(archive)
        return True
    with tempfile.TemporaryDirectory(prefix="digits-") as folder:
        try:
            call("download", folder, seconds=DOWNLOAD_SECONDS)
            install_archive(Path(folder) / f"{COMPETITION}.zip")
        except UserError as error:
            raise UserError(f"{error}{ROUND}") from None
    return True


def is_installed() -> bool:
    """Says whether good data is there already."""
    try:
        data_set = load_data_set(COMPETITION)
        check_rows(paths.sample_submission_csv(COMPETITION), data_set.test.ids, "test.csv")
    except UserError:
        return False
    return True


def install_archive(archive: Path) -> None:
    """Checks an archive and puts its files into place, with their caches, all or none.

    Raises:
        UserError: when it is no zip, is damaged, lacks a file, or a file breaks the format.
    """
    files = (paths.train_csv, paths.test_csv, paths.sample_submission_csv)
    names = [file(COMPETITION).name for file in files]
    with atomic_folder(paths.data_folder(COMPETITION)) as folder:
        _extract(archive, names, folder)
        try:
            _check(*(folder / name for name in names))
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/", f"{archive.name}: ")) from None


def _check(train: Path, test: Path, sample: Path) -> None:
    """Reads all three files, so that their caches are there as well."""
    read_cached(train, labelled=True)
    check_rows(sample, read_cached(test, labelled=False).ids, test.name)


def _extract(archive: Path, names: list[str], folder: Path) -> None:
    """Extracts the named members and nothing else, so that no other name matters."""
    try:
        with zipfile.ZipFile(archive) as opened:
            missing = [name for name in names if name not in opened.namelist()]
            if missing:
                raise UserError(
                    f"{archive} has no {' and no '.join(missing)}; expected is the archive of "
                    f"the competition '{COMPETITION}'"
                )
            for name in names:
                if opened.getinfo(name).file_size > LARGEST_MEMBER:
                    raise UserError(f"{archive}: {name} claims to be larger than 500 MB")
                opened.extract(name, folder)
    except FileNotFoundError:
        raise UserError(f"there is no archive {archive}") from None
    except DAMAGED_ARCHIVE as error:
        raise UserError(
            f"{archive.name} is not a whole zip archive ({error}); download it again"
        ) from None
