"""The report as one page: sections and figures for the template; computes nothing."""

import re

from competition import paths
from competition.inspection.evaluation.subject import ENSEMBLE
from competition.inspection.evaluation.summary import Summary
from competition.inspection.presentation.html import render
from competition.inspection.report.sections import Section
from competition.selected import marked


def report_page(summary: Summary, sections: list[Section], drawn: dict[str, str]) -> str:
    """Returns the page.

    Args:
        summary: what it is of.
        sections: what it tells.
        drawn: each figure as SVG, by its key.
    """
    name = summary.subject.run.config.name
    gallery = paths.gallery_folder(name)
    return render(
        "report.html",
        name=name,
        subject=summary.subject,
        tiles=_tiles(summary),
        sections=sections,
        drawn={key: _markup(svg) for key, svg in drawn.items()},
        in_code=_in_code,
        others=_other_reports(summary),
        gallery=f"../{gallery.name}/{paths.PAGE}" if (gallery / paths.PAGE).exists() else None,
        folders={"figures": paths.FIGURES, "tables": paths.TABLES, "results": paths.RESULTS},
    )


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """Returns the figures on top: what, how much, and what it says of itself."""
    score = summary.scores.ensemble
    low, high = score.interval()
    return [
        ("errors", f"{score.errors:,}", f"in {score.rows:,} out-of-fold digits"),
        (
            marked("accuracy", summary.scores.is_selected),
            f"{score.accuracy:.5f}",
            f"95 %: {low:.5f} – {high:.5f}",
        ),
        ("log-loss", f"{score.log_loss:.5f}", "nats a digit"),
        ("calibration error", f"{summary.calibration_error:.5f}", "confidence beside accuracy"),
        ("training", f"{summary.minutes:.1f} min", f"{summary.cpu_minutes:.1f} of processor time"),
    ]


def _other_reports(summary: Summary) -> list[tuple[str, str]]:
    """Returns the name and the address of this run's other reports, as far as they are written."""
    run, shown = summary.subject.run, summary.subject.variant
    folders = {
        variant or ENSEMBLE: paths.report_folder(run.config.name, variant)
        for variant in (None, *run.config.variants)
        if variant != shown
    }
    return [
        (name, f"../{folder.name}/{paths.PAGE}")
        for name, folder in folders.items()
        if (folder / paths.PAGE).exists()
    ]


def _in_code(text: str):
    """Returns a sentence, escaped, with what stands in backticks as code."""
    from markupsafe import escape

    return _markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _markup(text: str):
    """Returns HTML that is to stay as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (what was not written by us is escaped in it)
