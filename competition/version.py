"""Which code and which libraries made a result."""

import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """Returns the checkout's commit, with `+changes` if files differ from it, or `unknown`."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return commit + ("+changes" if _git("status", "--porcelain", "--", "competition") else "")


def library_versions() -> dict[str, str]:
    """Returns the installed versions of the distributions that decide a result."""
    return {name: version(name) for name in ("tensorflow", "keras", "numpy", "albumentations")}


@cache
def augmenting_versions() -> list[str]:
    """Returns the installed versions of the distributions that compute augmented images."""
    return [version(name) for name in ("numpy", "albumentations", "opencv-python-headless")]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent.parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
