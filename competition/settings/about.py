"""What a table of systems says of a variant: words, which change nothing that is trained."""

import re
from fractions import Fraction

from competition.settings.section import Section


class About(Section):
    """A variant's description, and that of the mean of its seeds if it has several.

    Attributes:
        title, mean_title: what it is.
        claim, mean_claim: the accuracy that its authors report, in their words.
    """

    title: str = ""
    claim: str = ""
    mean_title: str = ""
    mean_claim: str = ""


def claimed_percentage(claim: str) -> Fraction | None:
    """Returns the percentage that a claim begins with, as `"≈ 98.7 %"` does, exactly, or None."""
    found = re.match(r"[≈~]?\s*(\d+(?:\.\d+)?)\s*%", claim)
    return Fraction(found[1]) if found else None
