"""An ensemble as tables in Markdown: members, methods, variants; computes nothing."""

import numpy as np

from competition.ensemble.comparison import Compared, Comparison
from competition.ensemble.contributions import Contribution, Contributions
from competition.inspection.evaluation import Scores
from competition.markdown import score_cells, table
from competition.scores import Score

METHODS_LEGEND = """\
Whatever a method fits was fitted without the fold that it is scored on. Above the lowest: in
log-loss, with the 95 % interval of a paired bootstrap over rows. Calibration: expected error of
the probabilities. Gained and lost: rows that only the method, or only the mean, gets right, with
the p of McNemar's exact test."""

VARIANTS_LEGEND = """\
Errors and log-loss of plain means: of the variant's own members, of all others, and of the
variant together with the one that is best alone. The other two tables count rows."""


def scores_table(scores: Scores) -> str:
    """Returns the out-of-fold scores of the members and, last, of their ensemble.

    Its last line leaves out fold 0, on which settings are tried out.
    """
    header = ["out of fold", "errors", "accuracy", "95 % interval", "log-loss"]
    lines = {**scores.members, "**ensemble**": scores.ensemble}
    if scores.without_fold0:
        lines["ensemble, without fold 0"] = scores.without_fold0
    return table(header, [[name, *score_cells(score)] for name, score in lines.items()])


def methods_text(comparison: Comparison) -> str:
    """Returns all methods side by side, what the figures recommend, and what was chosen."""
    header = ["method", "errors", "accuracy", "95 % interval", "log-loss", "above the lowest"]
    header += ["calibration", "gained", "lost", "p"]
    rows = [_method_cells(each) for each in comparison.methods]
    sentences = [comparison.recommendation(), comparison.choice_of(comparison.chosen)]
    if comparison.left_out:
        names = ", ".join(f"`{name}`" for name in comparison.left_out)
        sentences.append(f"Left out, as they can only be judged on two folds or more: {names}.")
    return "\n\n".join([table(header, rows), METHODS_LEGEND, "\n".join(sentences)])


def _method_cells(compared: Compared) -> list[str]:
    above, low, high = compared.above_lowest
    return [
        f"`{compared.method.name}`",
        *score_cells(compared.score),
        f"{above:+.5f} ({low:+.5f} … {high:+.5f})",
        f"{compared.calibration_error:.5f}",
        f"{compared.beside_mean.gained}",
        f"{compared.beside_mean.lost}",
        f"{compared.beside_mean.p_value:.2g}",
    ]


def contributions_text(found: Contributions) -> str:
    """Returns what each variant contributes, and how alike they err; nothing if there is one."""
    if len(found.variants) < 2:
        return ""
    header = ["variant", "alone", "all without it", f"{found.best.variant} with it"]
    rows = [_variant_cells(each) for each in found.variants]
    rows.append(["all together", _short(found.together), "", ""])
    overlap = _pairs_table(found, "wrong in both", found.error_overlap)
    disagreement = _pairs_table(found, "predicted otherwise", found.disagreement)
    return "\n\n".join([table(header, rows), VARIANTS_LEGEND, overlap, disagreement])


def _pairs_table(found: Contributions, what: str, counts: np.ndarray) -> str:
    names = [each.variant for each in found.variants]
    rows = zip(names, counts.tolist(), strict=True)
    return table([what, *names], [[name, *map(str, row)] for name, row in rows])


def _variant_cells(part: Contribution) -> list[str]:
    return [part.variant, *map(_short, (part.alone, part.without, part.beside_best))]


def _short(score: Score | None) -> str:
    return f"{score.errors}, {score.log_loss:.5f}" if score else "–"
