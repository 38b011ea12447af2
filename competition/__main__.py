"""The command line: parse, one call, exit code. Nothing heavy is imported before its command."""

import argparse
import os
import sys
from pathlib import Path

from competition.errors import UserError, disk_trouble

DESCRIPTION = """\
A fold-based ensemble for Kaggle's Digit Recognizer.

  download ─► train-folds ─► ensemble ─► gallery, report ─► submit

Every stage reads what the one before it left on disk; `demo` runs them all on embedded digits.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 1 after a mistake, 130 when interrupted."""
    sys.stdout.reconfigure(line_buffering=True)  # a log shows each line when it is printed
    options = vars(_parser().parse_args(arguments))
    try:
        _run(options.pop("command"), options)
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt as stopped:
        words = str(stopped) or "interrupted; what was finished is kept, run it again to go on"
        print(f"\n{words}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if not (trouble := disk_trouble(error)):
            raise
        print(f"error: {trouble}", file=sys.stderr)
    return 1


def _run(command: str, options: dict) -> None:
    """Calls the function of `competition.commands` that bears the command's name."""
    from competition import commands

    if "config" in options:
        from competition.config import load_config

        options["config"] = load_config(options["config"], options.pop("set"))
    getattr(commands, command.replace("-", "_"))(**options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m competition",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        title="commands", required=True, dest="command", metavar="command"
    )

    def command(name: str, help_line: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help_line, description=help_line)

    demo = command("demo", "everything once, on digits embedded in scikit-learn")
    _add_jobs(demo)
    download = command("download", "get the configuration's data set")
    _add_path(download, "--zip", "an archive at hand, in place of Kaggle's", dest="archive")
    _add_force(download, "install it again whatever is there")
    train = command("train-folds", "train every fold that is not trained yet")
    _add_jobs(train)
    ensemble = command("ensemble", "combine all folds, score them, write a submission")
    gallery = command("gallery", "draw the misclassified digits")
    report = command("report", "write the results tables as Markdown")
    submit = command("submit", "check a submission and send it to Kaggle")
    _add_path(submit, "--file", "the CSV to send (default: submissions/<config>.csv)")
    submit.add_argument(
        "--message", metavar="TEXT", help="the note beside it on Kaggle (default: what made it)"
    )
    _add_force(submit, "send it even if the same content was sent before")
    for configured in (download, train, ensemble, gallery, report, submit):
        _add_config(configured)
    command("scores", "every submission: its out-of-fold and its public score")
    command("doctor", "what is missing for a download and a submission")
    command("clean", "remove caches and augmented epochs, never results")
    return parser


def _add_config(command: argparse.ArgumentParser) -> None:
    default = Path("configs/default.yaml")
    _add_path(command, "--config", f"the configuration (default: {default})", default=default)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change one value of the configuration, as folds.count=3; may be given again",
    )


def _add_path(command: argparse.ArgumentParser, name: str, help_line: str, **more) -> None:
    def path(text: str) -> Path:
        return Path(text).expanduser()  # not every shell expands the ~ of ZIP=~/…

    command.add_argument(name, type=path, metavar="PATH", help=help_line, **more)


def _add_force(command: argparse.ArgumentParser, help_line: str) -> None:
    command.add_argument("--force", action="store_true", help=help_line)


def _add_jobs(command: argparse.ArgumentParser) -> None:
    help_line = "folds trained side by side, which share the cores (default: 2)"
    command.add_argument("--jobs", type=_positive, default=2, metavar="N", help=help_line)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
