"""Data that only the user can bring: looked at, never fetched or made."""

from competition import paths
from competition.data.entries import visible_entries
from competition.data.sources import MissingDataError, load_data_set
from competition.errors import UserError


def require(name: str) -> None:
    """Reads `input/<name>/`.

    Raises:
        UserError: when nothing is there, with what to put there, or it is not as it should be.
    """
    try:
        load_data_set(name)
    except MissingDataError:
        raise UserError(_where_it_goes(name)) from None


def _where_it_goes(name: str) -> str:
    there = [entry.name for entry in visible_entries(paths.data_folder(name))]
    found = f"; what is there is none of these: {', '.join(there)}" if there else ""
    return (
        f"nothing is known of where the data set '{name}' comes from; put it into "
        f"{paths.data_folder(name)}/: train.csv, test.csv and sample_submission.csv in the "
        "competition's format, or MNIST's IDX files, one .npz or HDF5 file, or folders of images "
        '(docs/settings.md says how, under "Other digits"); or set data: to '
        f"{paths.COMPETITION}{found}"
    )
