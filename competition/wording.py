"""Numbers with their nouns."""


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Returns for example `"no pairs"`, `"1 pair"`, `"2,000 pairs"`."""
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {name}" if number else f"no {name}"
