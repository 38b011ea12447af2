"""What lies in a folder of digits."""

from pathlib import Path

from competition.errors import UserError


def visible_entries(folder: Path) -> list[Path]:
    """Returns the files and folders in a folder by name, but for hidden ones."""
    return sorted(folder.glob("[!.]*"))


def require_file(entry: Path, mend: str) -> None:
    """Raises UserError, which ends in `mend`, for what cannot be read as a file."""
    if not entry.is_file():
        is_lost = entry.is_symlink() and not entry.exists()
        what = "a link to what is not there" if is_lost else "no file"
        raise UserError(f"{entry} is {what}; {mend}")
