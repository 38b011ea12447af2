"""The command line: parse, one call, exit code. Heavy imports wait for the command."""

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from math import inf
from pathlib import Path
from typing import Any, NoReturn

from competition.errors import UserError, trouble
from competition.paths import EXPORTED

DESCRIPTION = """\
A fold-based ensemble for Kaggle's Digit Recognizer.

  download ─► train-folds ─► ensemble ─► gallery, report ─► submit

Every stage reads the files of the one before it; `demo` goes from download to report, on embedded
digits.
"""

STOPPING = (signal.SIGTERM, signal.SIGHUP)
# Who closes a terminal or a service sends both, or one twice; the first one's cleaning up goes on.
SECONDS_OF_ONE_STOP = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 1 after an error, 130 if interrupted.

    SIGTERM and SIGHUP interrupt it as Ctrl-C does, and then the code is 143 or 129.
    """
    with _interrupting_signals() as came:
        code = _run(arguments)
    return 128 + came[-1] if came else code


def _run(arguments: list[str] | None) -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        # A log shows each line at once; a terminal replaces characters that it lacks.
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    try:
        try:
            options = vars(_parser().parse_args(arguments))
        finally:
            sys.stdout.flush()  # argparse passes over a reader of its help that has ended
        command = options.pop("command").replace("-", "_")
        from competition import commands  # only now: `--help` does not need it

        if "set" in options:
            _load_configs(options)
        getattr(commands, command)(**options)
        if command in NEXT:
            print(f"next: {NEXT[command]} with the same CONFIG and SET")
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt as stopped:
        message = str(stopped) or "interrupted; finished work is kept, run it again to continue"
        with suppress(OSError):  # the terminal may be gone
            print(f"\n{message}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the output's reader has ended, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if not (refused := trouble(error)):
            raise
        print(f"error: {refused}", file=sys.stderr)
    return 1


@contextmanager
def _interrupting_signals() -> Iterator[list[int]]:
    """Lets SIGTERM and SIGHUP interrupt the block as Ctrl-C does; yields those that came."""
    came: list[int] = []
    last = -inf

    def interrupt(number: int, frame: Any) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before < SECONDS_OF_ONE_STOP:
            return
        came.append(number)
        handler = signal.getsignal(signal.SIGINT)  # ignored where a shell starts us in background
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    handled = []
    if threading.current_thread() is threading.main_thread():
        handled = [each for each in STOPPING if signal.getsignal(each) == signal.SIG_DFL]
    for each in handled:
        signal.signal(each, interrupt)
    try:
        yield came
    finally:
        for each in handled:
            signal.signal(each, signal.SIG_DFL)


def _load_configs(options: dict) -> None:
    """Replaces paths by their configurations; `--set` changes the first one."""
    from competition.config.loading import load_config, load_configs

    changes = options.pop("set")
    if "config" in options:
        options["config"] = load_config(options["config"], changes)
    else:
        options["configs"] = load_configs(options["configs"], changes)


class _Parser(argparse.ArgumentParser):
    """Answers a wrong call in one line, not after all that could be given."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; `{self.prog} --help` explains\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
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
    """Returns the number of jobs, or None for `auto`."""
    return None if text == "auto" else _count(text, " nor auto")


def _count(text: str, otherwise: str = "") -> int:
    if not text.isdigit() or int(text) < 1:
        what = "neither" if otherwise else "not"
        raise argparse.ArgumentTypeError(f"'{text}' is {what} a whole number from 1{otherwise}")
    return int(text)


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port: expected a number up to 65535")
    return int(text)


def _row(text: str) -> int:
    """Returns the id of a labelled row; the gallery shows test rows as `test-3`."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not the id of a labelled row: expected a number; test rows have no label"
        )
    return int(text)


def _share(text: str) -> float:
    if not re.fullmatch(r"0?\.[0-9]+|0", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a share from 0 to below 1, such as 0.5")
    return float(text)


DEFAULT_CONFIG = Path("configs/default.yaml")
STUDENT_CONFIG = Path("configs/best.yaml")  # the repository has its exported student
BASELINES_CONFIG = Path("configs/baselines.yaml")


# An option's flag, and the other arguments of `add_argument`.
Option = tuple[str, dict[str, Any]]


def _option(flag: str, help_line: str, **settings: Any) -> Option:
    return flag, {"help": help_line, **settings}


def _path_option(flag: str, help_line: str, **settings: Any) -> Option:
    return _option(flag, help_line, type=_path, metavar="PATH", **settings)


def _switch(flag: str, help_line: str) -> Option:
    return _option(flag, help_line, action="store_true")


CHANGES = _option(
    "--set",
    "change one value of the (first) configuration, as folds.count=3; may be repeated",
    action="append",
    default=[],
    metavar="KEY=VALUE",
)


class _Repeated(argparse.Action):
    """Collects the values of a repeated option, which replace its default."""

    def __call__(self, parser, namespace, value, option=None):
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [value] if before is self.default else [*before, value])


def _repeated_config(default: Path | None, what: str) -> tuple[Option, Option]:
    help_line = f"the configuration (default: {default or 'all'}); if repeated, {what}"
    defaults = [default] if default else []
    named = _path_option("--config", help_line, action=_Repeated, dest="configs", default=defaults)
    return named, CHANGES


def _configured(default: Path) -> tuple[Option, Option]:
    help_line = f"the configuration (default: {default})"
    return _path_option("--config", help_line, default=default), CHANGES


CONFIGURED = _configured(DEFAULT_CONFIG)
OF_STUDENT = _configured(STUDENT_CONFIG)
JOBS = _option(
    "--jobs",
    "parallel trainings, which share the cores (default: auto, to suit the machine)",
    type=_jobs,
    default="auto",
    metavar="N",
)

CLUSTER = _option(
    "--cluster",
    "train on the workers of a Dask scheduler, tcp://host:port, or on N of this machine, local:N",
    metavar="ADDRESS",
)

MODEL = _path_option("--model", "an exported net, or its folder (default: output/<config>/export)")
VERBOSE = _switch("--verbose", "print the tables, too, that are in the files and the report")

# Commands, named like their functions in `commands.py`: a line of help, then the options.
COMMANDS: dict[str, tuple[str, *tuple[Option, ...]]] = {
    "demo": ("from download to report, on digits embedded in scikit-learn", JOBS, VERBOSE),
    "download": (
        "get the configuration's data set",
        *CONFIGURED,
        _path_option("--zip", "a local archive to use instead of downloading", dest="archive"),
        _switch("--force", "install it again, even if it is complete"),
    ),
    "explore": ("study the data before training; write a page and figures", *CONFIGURED),
    "train-folds": (
        "train every fold that is not trained yet",
        *CONFIGURED,
        JOBS,
        CLUSTER,
        _option("--variant", "train only this one (default: all)", metavar="NAME"),
        _switch("--force", "train finished jobs again"),
        VERBOSE,
    ),
    "baselines": (
        "train the baselines and compare them with the accuracies claimed for them",
        *_repeated_config(BASELINES_CONFIG, "all variants go into one table"),
        JOBS,
        CLUSTER,
    ),
    "tune": (
        "search for the best settings of a variant that has a search_space",
        *CONFIGURED,
        _option("--variant", "which one (default: the only one with a search_space)"),
        _option(
            "--trials",
            "how many trials the study has in total (default: tuning.trials)",
            type=_count,
            metavar="N",
        ),
        JOBS,
        CLUSTER,
        VERBOSE,
    ),
    "ensemble": (
        "combine the members, compare methods, write submissions",
        *_repeated_config(DEFAULT_CONFIG, "all members are combined"),
        VERBOSE,
    ),
    "compare": (
        "show finished runs beside the first, with a verdict",
        *_repeated_config(None, "the first is the one to beat"),
    ),
    "gallery": (
        "show mistakes, likely label errors and uncertain digits on a page and image sheets",
        *CONFIGURED,
        _option(
            "--all",
            "show every labelled digit on the page, not only those worth a look",
            action="store_true",
            dest="all_rows",
        ),
    ),
    "why": (
        "show what the nets looked at in the worst digits, and similar training digits",
        *CONFIGURED,
        _option(
            "--rows",
            "ids of labelled rows to explain in addition to the 100 worst",
            type=_row,
            nargs="+",
            default=[],
            metavar="ID",
        ),
    ),
    "report": (
        "write the results as a page with tables and figures, and as Markdown",
        *CONFIGURED,
        _option("--variant", "report on one variant (default: the ensemble)", metavar="NAME"),
    ),
    "draw": ("write a page that reads what you draw, with the exported net", *OF_STUDENT),
    "distil": (
        "teach one small net what the ensemble says of every row",
        *OF_STUDENT,
        JOBS,
        _switch("--force", "train finished students again, which may be of another ensemble"),
    ),
    "export": (
        "write the student as files that other programs open, and check them",
        *OF_STUDENT,
        _option("--format", "only this one (default: all)", choices=[*EXPORTED], dest="form"),
        _option("--variant", "a net of this variant in place of the student", metavar="NAME"),
        _option(
            "--sparsity",
            "prune this share of the student's weights first, and fine-tune the others",
            type=_share,
            default=0.0,
            metavar="SHARE",
        ),
    ),
    "submit": (
        "check a submission and send it to Kaggle",
        *CONFIGURED,
        _path_option("--file", "the CSV to send (default: submissions/<config>.csv)"),
        _option(
            "--message", "its description on Kaggle (default: from its provenance)", metavar="TEXT"
        ),
        _switch("--force", "send it even if the same content was sent before"),
    ),
    "predict": (
        "predict pictures with the exported net: a table, a CSV, a sheet of what it saw",
        *OF_STUDENT,
        _path_option(
            "--images",
            "pictures, folders of pictures, or the competition's test.csv",
            nargs="*",
            default=[],
        ),
        MODEL,
        _path_option(
            "--out",
            "the CSV to write (default: predictions.csv; submissions/<config>-export.csv)",
        ),
    ),
    "serve": (
        "serve the exported net and the drawing page over HTTP",
        *OF_STUDENT,
        MODEL,
        _option(
            "--host", "the address to listen at (default: this machine only)", default="127.0.0.1"
        ),
        _option("--port", "the port (default: 8000)", type=_port, default=8000, metavar="N"),
    ),
    "latency": ("measure how fast exported nets answer, by format", *OF_STUDENT, MODEL),
    "kaggle-notebook": (
        "write a notebook that trains on Kaggle's GPUs, or run it there and fetch the jobs",
        *CONFIGURED,
        _option(
            "--accelerator",
            "as Kaggle names it, or none (default: NvidiaTeslaT4)",
            default="NvidiaTeslaT4",
            metavar="NAME",
        ),
        _switch("--push", "send it, wait until it has finished, and fetch its jobs"),
    ),
    "scores": ("print every submission with its out-of-fold and public score",),
    "doctor": ("check what a download and a submission need",),
    "components": ("print what a configuration can name, with parameters and defaults",),
    "bench": (
        "measure the training speed on this machine, compared with stock Keras",
        *CONFIGURED,
        _switch("--long", "also race to a fixed log-loss: an hour or more on two cores"),
    ),
    "clean": ("remove caches and augmented epochs, never results",),
}

# What usually follows; other commands, whose outcome decides that, say it themselves.
NEXT = {
    "download": "`make explore`, or at once `make train-folds`,",
    "explore": "`make train-folds`",
    "train_folds": "`make ensemble`",
    "gallery": "`make report`",
    "report": "`make compare`, which shows all finished runs, or `make submit`",
    "distil": "`make export`",
    "export": "`make predict IMAGES=…`, `make serve` or `make draw`",
}


if __name__ == "__main__":
    sys.exit(main())
