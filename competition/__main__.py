"""The command line: parse, one call, exit code. Nothing heavy is imported before its command."""

import argparse
import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from competition.errors import UserError, disk_trouble

DESCRIPTION = """\
A fold-based ensemble for Kaggle's Digit Recognizer.

  download ─► train-folds ─► ensemble ─► gallery, report ─► submit

Every stage reads what the one before it left on disk; `demo` goes from download to report, on
embedded digits.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 1 after a mistake, 130 when interrupted."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A log shows each line when it is printed; not every terminal has all of its characters.
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    try:
        options = vars(_parser().parse_args(arguments))
        command = options.pop("command").replace("-", "_")
        from competition import commands  # not before: `--help` needs none of it

        if "set" in options:
            _load_configs(options)
        getattr(commands, command)(**options)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt as stopped:
        message = str(stopped) or "interrupted; what was finished is kept, run it again to go on"
        print(f"\n{message}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if not (trouble := disk_trouble(error)):
            raise
        print(f"error: {trouble}", file=sys.stderr)
    return 1


def _load_configs(options: dict) -> None:
    """Puts configurations in place of their paths; `--set` changes the (first) one."""
    from competition.config.loading import load_config, load_configs

    changes = options.pop("set")
    if "config" in options:
        options["config"] = load_config(options["config"], changes)
    else:
        options["configs"] = load_configs(options["configs"], changes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m competition",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        title="commands", required=True, dest="command", metavar="command"
    )
    for name, (help_line, *options) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=help_line)
        for flag, settings in options:
            command.add_argument(flag, **settings)
    return parser


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()  # not every shell expands the ~ of ZIP=~/…
    except RuntimeError:
        user = text.partition("/")[0]
        raise argparse.ArgumentTypeError(f"'{user}': no such user") from None


def _jobs(text: str) -> int | None:
    """Returns a number of jobs, or None for `auto`, which leaves it to the machine."""
    return None if text == "auto" else _count(text, " nor auto")


def _count(text: str, otherwise: str = "") -> int:
    if not text.isdigit() or int(text) < 1:
        what = "neither" if otherwise else "not"
        raise argparse.ArgumentTypeError(f"'{text}' is {what} a whole number from 1{otherwise}")
    return int(text)


def _row(text: str) -> int:
    """Returns the id of a labelled row; the gallery calls test rows `test-3`."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not the id of a labelled row, which is a number; test rows have no label"
        )
    return int(text)


DEFAULT_CONFIG = Path("configs/default.yaml")
BASELINES_CONFIG = Path("configs/baselines.yaml")


# The flag of an option, and what `add_argument` takes besides.
Option = tuple[str, dict[str, Any]]


def _option(flag: str, help_line: str, **settings: Any) -> Option:
    return flag, {"help": help_line, **settings}


def _path_option(flag: str, help_line: str, **settings: Any) -> Option:
    return _option(flag, help_line, type=_path, metavar="PATH", **settings)


def _switch(flag: str, help_line: str) -> Option:
    return _option(flag, help_line, action="store_true")


CHANGES = _option(
    "--set",
    "change one value of the (first) configuration, as folds.count=3; may be given again",
    action="append",
    default=[],
    metavar="KEY=VALUE",
)


class _Several(argparse.Action):
    """Collects the values of an option that is given again and again, in place of its default."""

    def __call__(self, parser, namespace, value, option=None):
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [value] if before is self.default else [*before, value])


def _several(default: Path, what: str) -> tuple[Option, Option]:
    help_line = f"the configuration (default: {default}); given again, {what}"
    named = _path_option("--config", help_line, action=_Several, dest="configs", default=[default])
    return named, CHANGES


CONFIGURED = (
    _path_option(
        "--config", f"the configuration (default: {DEFAULT_CONFIG})", default=DEFAULT_CONFIG
    ),
    CHANGES,
)
BLENDED = _several(DEFAULT_CONFIG, "all of them are blended")
JOBS = _option(
    "--jobs",
    "trainings side by side, which share the cores (default: auto, as it suits)",
    type=_jobs,
    default="auto",
    metavar="N",
)

# Each command by the name of its function in `commands.py`: a line of help, then its options.
COMMANDS: dict[str, tuple[str, *tuple[Option, ...]]] = {
    "demo": ("from download to report, on digits embedded in scikit-learn", JOBS),
    "download": (
        "get the configuration's data set",
        *CONFIGURED,
        _path_option("--zip", "an archive at hand, in place of Kaggle's", dest="archive"),
        _switch("--force", "install it again whatever is there"),
    ),
    "explore": ("study the data before training, on a page and figures", *CONFIGURED),
    "train-folds": (
        "train every fold that is not trained yet",
        *CONFIGURED,
        JOBS,
        _option("--variant", "train only this one (default: all)", metavar="NAME"),
        _switch("--force", "train again what is done already"),
    ),
    "baselines": (
        "train the classic systems and show them in one table, beside what is claimed of them",
        *_several(BASELINES_CONFIG, "their systems stand in the same table"),
        JOBS,
    ),
    "tune": (
        "search for the best settings of a variant that has a search_space",
        *CONFIGURED,
        _option("--variant", "which one (default: the only one with a search_space)"),
        _option(
            "--trials",
            "how many the study is to have in all (default: as tuning.trials says)",
            type=_count,
            metavar="N",
        ),
        JOBS,
    ),
    "ensemble": ("combine the members, compare methods, write submissions", *BLENDED),
    "gallery": (
        "show mistakes, likely label errors and uncertain digits on a page and sheets",
        *CONFIGURED,
        _option(
            "--all",
            "put every labelled digit into the page, not just those worth a look",
            action="store_true",
            dest="all_rows",
        ),
    ),
    "why": (
        "show what the nets looked at in the worst digits, and what they learnt that is alike",
        *CONFIGURED,
        _option(
            "--rows",
            "ids of labelled rows to explain besides the 100 worst",
            type=_row,
            nargs="+",
            default=[],
            metavar="ID",
        ),
    ),
    "report": (
        "write the results as a page with tables and figures, and as Markdown",
        *CONFIGURED,
        _option("--variant", "look at one variant (default: the ensemble)", metavar="NAME"),
    ),
    "submit": (
        "check a submission and send it to Kaggle",
        *CONFIGURED,
        _path_option("--file", "the CSV to send (default: submissions/<config>.csv)"),
        _option(
            "--message", "the note beside it on Kaggle (default: what made it)", metavar="TEXT"
        ),
        _switch("--force", "send it even if the same content was sent before"),
    ),
    "scores": ("every submission: its out-of-fold and its public score",),
    "doctor": ("what is missing for a download and a submission",),
    "bench": (
        "training speed beside stock Keras, measured on this machine",
        *CONFIGURED,
        _switch("--long", "also race to a fixed log-loss: an hour or more on two cores"),
    ),
    "clean": ("remove caches and augmented epochs, never results",),
}


if __name__ == "__main__":
    sys.exit(main())
