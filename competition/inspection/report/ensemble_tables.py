"""An ensemble as tables: members, methods, variants; computes nothing."""

import numpy as np

from competition.catalogue import RECOMMENDED
from competition.ensemble.comparison import Compared, Comparison
from competition.ensemble.contributions import Contribution, Contributions
from competition.inspection.evaluation.summary import Scores
from competition.inspection.presentation.table import Column, Table
from competition.scores import Score
from competition.selected import SELECTED_NOTE, marked

METHODS_NOTE = (
    "Whatever a method fits was fitted without the fold that it is scored on. Above the lowest: in "
    "log-loss, with the 95 % interval of a paired bootstrap over rows. Calibration: expected error "
    "of the probabilities. Gained and lost: rows that only the method, or only the mean, gets "
    "right, with the p of McNemar's exact test."
)
VARIANTS_NOTE = (
    "Errors and log-loss of plain means: of the variant's own members, of all others, and of the "
    "variant together with the one that is best alone."
)

SCORE_COLUMNS = [
    Column("errors"),
    Column("accuracy", "{:.5f}"),
    Column("95 % interval", "{:.5f} – {:.5f}", ("accuracy_low", "accuracy_high")),
    Column("log-loss", "{:.5f}", ("log_loss",)),
]


def score_cells(score: Score) -> list:
    """Returns errors, accuracy, its 95 % interval and log-loss."""
    return [score.errors, score.accuracy, score.interval(), score.log_loss]


def scores_table(scores: Scores, name: str) -> Table:
    """Returns the out-of-fold scores of the members and, last, of what was made of them.

    A last line leaves out the rows on which settings were tried, where it is known which.

    Args:
        scores: all of them.
        name: of what was made of the members.
    """
    name = marked(name, scores.is_selected)
    lines = {**scores.members, name: scores.ensemble}
    if scores.unsearched:
        lines[f"{name}, rows that the search for the presets did not see"] = scores.unsearched
    return Table(
        "scores",
        "All rows together",
        [Column("out of fold", names=("name",)), *SCORE_COLUMNS],
        [[name, *score_cells(score)] for name, score in lines.items()],
        note_of(scores.is_selected),
        strong=name,
    )


def note_of(is_selected: bool) -> str:
    """Returns what the mark means, where there is one."""
    return SELECTED_NOTE if is_selected else ""


def ensemble_text(scores: Scores, comparison: Comparison, contributions: Contributions) -> str:
    """Returns an ensemble's tables as Markdown, to be read in a terminal."""
    words = "\n".join(methods_words(comparison))
    parts = [
        scores_table(scores, "ensemble").markdown_with_note(),
        methods_table(comparison).markdown_with_note(),
        words,
    ]
    parts += [table.markdown_with_note() for table in contributions_tables(contributions)]
    return "\n\n".join(parts)


def methods_table(comparison: Comparison) -> Table:
    """Returns all methods side by side."""
    above = "log_loss_above_lowest"
    names = (above, f"{above}_low", f"{above}_high")
    columns = [
        Column("method", is_code=True),
        *SCORE_COLUMNS,
        Column("above the lowest", "{:+.5f} ({:+.5f} … {:+.5f})", names),
        Column("calibration", "{:.5f}", ("calibration_error",)),
        Column("gained", names=("gained_on_mean",)),
        Column("lost", names=("lost_to_mean",)),
        Column("p", "{:.2g}", ("mcnemar_p",)),
    ]
    rows = [_method_cells(each) for each in comparison.methods]
    return Table("methods", "Methods compared", columns, rows, METHODS_NOTE)


def _method_cells(compared: Compared) -> list:
    beside = compared.beside_mean
    return [
        compared.method.name,
        *score_cells(compared.score),
        compared.above_lowest,
        compared.calibration_error,
        beside.gained,
        beside.lost,
        beside.p_value,
    ]


def methods_words(comparison: Comparison) -> list[str]:
    """Returns in sentences what the figures recommend, and what was chosen."""
    sentences = [comparison.recommendation(), comparison.choice_of(comparison.chosen)]
    if comparison.recommended is not comparison.chosen:
        best = comparison.recommended.method.name
        sentences.append(f"With `ensemble.method={RECOMMENDED}`, `{best}` makes it.")
    if comparison.left_out:
        names = ", ".join(f"`{name}`" for name in comparison.left_out)
        sentences.append(f"Left out, as they can only be judged on two folds or more: {names}.")
    return sentences


def contributions_tables(contributions: Contributions) -> list[Table]:
    """Returns what each variant contributes, and how alike they err; nothing if there is one."""
    if len(contributions.variants) < 2:
        return []
    what = {
        "alone": "alone",
        "all without it": "without",
        f"{contributions.best.variant} with it": "beside_best",
    }
    columns = [
        Column("variant"),
        *(
            Column(title, "{}, {:.5f}", (f"{name}_errors", f"{name}_log_loss"))
            for title, name in what.items()
        ),
    ]
    rows = [_variant_cells(each) for each in contributions.variants]
    rows.append(["all together", _short(contributions.together), None, None])
    title = "Alone, left out, and added to the best"
    return [
        Table("contributions", title, columns, rows, VARIANTS_NOTE),
        _pairs_table(contributions, "error-overlap", "wrong in both", contributions.error_overlap),
        _pairs_table(
            contributions, "disagreement", "predicted differently", contributions.disagreement
        ),
    ]


def _pairs_table(contributions: Contributions, key: str, what: str, counts: np.ndarray) -> Table:
    names = [each.variant for each in contributions.variants]
    return pairs_table(key, "variant", what, names, counts)


def pairs_table(key: str, noun: str, what: str, names: list[str], counts: np.ndarray) -> Table:
    """Returns a table of counts `[k, k]` of rows between things of these names."""
    columns = [Column(what, names=(noun,)), *map(Column, names)]
    rows = [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
    return Table(key, f"{noun.capitalize()}s: rows {what}", columns, rows)


def _variant_cells(part: Contribution) -> list:
    return [part.variant, *map(_short, (part.alone, part.without, part.beside_best))]


def _short(score: Score | None) -> tuple[int, float] | None:
    return (score.errors, score.log_loss) if score else None
