"""Tables in Markdown, which read well in a terminal too."""

from competition.scores import Score


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table: the first column to the left, the others to the right."""
    alignment = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, alignment, *rows))


def score_texts(score: Score) -> list[str]:
    """Returns errors, accuracy, its 95 % interval and log-loss as text."""
    low, high = score.interval()
    return [
        f"{score.errors}",
        f"{score.accuracy:.5f}",
        f"{low:.5f} – {high:.5f}",
        f"{score.log_loss:.5f}",
    ]
