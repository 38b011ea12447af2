"""Tables in Markdown, which read well in a terminal too."""


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table: the first column to the left, the others to the right."""
    alignment = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, alignment, *rows))
