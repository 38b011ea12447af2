"""Tables in Markdown, which read well in a terminal too."""

import re

from competition.scores import Score


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table: numbers to the right, the first column and words to the left."""
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    alignment = ["---", *("---:" if _are_numbers(cells) else "---" for cells in columns[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, alignment, *rows))


def _are_numbers(cells: tuple[str, ...]) -> bool:
    return all(re.match(r"[-+−]?[0-9]|$", cell) for cell in cells)


def score_texts(score: Score) -> list[str]:
    """Returns errors, accuracy, its 95 % interval and log-loss as text."""
    low, high = score.interval()
    return [
        f"{score.errors}",
        f"{score.accuracy:.5f}",
        f"{low:.5f} – {high:.5f}",
        f"{score.log_loss:.5f}",
    ]
