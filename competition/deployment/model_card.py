"""The model card of an export, and the table of its files."""

import pandas as pd

from competition.config.schema import Variant
from competition.console import count_of
from competition.data.run import Run
from competition.deployment.distillation import SOFT_SHARE, STUDENT, Judgement, StudentRun
from competition.metrics import Score
from competition.paths import COMPETITION
from competition.results import Job
from competition.tables import Column, Table
from competition.training.predict import tta_view_count

CARD = """\
# Model card: a net that reads one handwritten digit

{about}

{files}

Every file was loaded again and compared with the net on training digits before it was put here.

## Input and output

- *Input* `images`: float32 `(n, 28, 28, 1)`, one digit each, 0 for the background, 255 for full
  ink. Prepare pictures as MNIST does: bright ink on black, the digit scaled into a box of 20 × 20
  pixels, its centre of mass in the middle of 28 × 28. Values from 0 to 1 look like a blank image.
- *Output* `probabilities`: float32 `(n, 10)`. Scaling and softmax are inside.
- *Classes*: the digits 0 to 9. There is no class for "no digit": any image gets one of the ten.

```python
import keras  # digits.keras has Keras's own layers only

net = keras.saving.load_model("digits.keras")
probabilities = net.predict(images)
```

`digits.onnx` computes in float32 (its weights are stored in half precision); `digits.tflite` has
weights and activations in int8, calibrated on training digits, and takes and gives float32.

## Training data and licence

{data}

## Figures

{figures}

## Intended use and limits

For learning, for demonstrations, and to read single, separate digits that are prepared as above.

- Not for cheques, ballots, medicine or anything where a wrong digit harms: about one digit in
  {one_in} of the best prepared ones is read wrongly, and a confident answer can be wrong.
- It has seen handwriting from the USA of before 1995 only, one digit at a time, upright, centred
  and bright on black. Other hands and scripts, print, touching or turned digits and unprepared
  pictures may be read much worse than the figures say; nobody has measured it.
"""

MNIST = """\
They come from MNIST (Y. LeCun, C. Cortes and C. Burges), which is under
[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/), by way of Kaggle's competition
Digit Recognizer: written by employees of the US Census Bureau and by American pupils."""

FILE_COLUMNS = [
    Column("file"),
    Column("size", "{:,.0f} kB", ("kilobytes",)),
    Column("compressed", "{:,.0f} kB", ("compressed_kilobytes",)),
]
JUDGED_COLUMNS = [
    Column("errors", "{:.0f}"),
    Column("log-loss", "{:.5f}", ("log_loss",)),
    Column("other answers", "{:.0f}", ("other_answers",)),
]


def files_table(sizes: pd.DataFrame, judged: pd.DataFrame | None = None, sparsity=0.0) -> Table:
    """Returns the table of an export's files.

    Args:
        judged: of `judge_files`, where the students of some folds are on this disk.
    """
    frame, columns = sizes.assign(kilobytes=sizes["bytes"] / 1000), list(FILE_COLUMNS)
    frame["compressed_kilobytes"] = sizes["compressed"] / 1000
    note = f"{sparsity:.0%} of the weights are pruned. " if sparsity else ""
    if judged is not None:
        frame, columns = frame.merge(judged, on="format"), columns + JUDGED_COLUMNS
        note += (
            "Errors, log-loss and other answers than the net as it was trained, in "
            f"{judged['rows'][0]:,} rows: the students of the folds, exported in the same way, on "
            "the rows that they held out."
        )
    return Table("files", "The exported files", frame, columns, note)


def student_card(
    students: StudentRun, judged: Judgement | None, parameters: int, files: Table
) -> str:
    """Returns the card of the student that learnt from every row, as Markdown.

    Args:
        judged: the students of the folds, if some are trained.
    """
    labelled, unlabelled = len(students.data_set.train), len(students.data_set.test)
    variant = students.config.variants[STUDENT]
    figures = "No student of a fold is trained yet, so there are none; `make distil` trains them."
    if judged:
        reached = judged.score
        figures = (
            f"Out of fold {count_of(reached.errors, 'error')} in {reached.rows:,} digits, accuracy "
            f"{reached.accuracy:.5f}; students of {', '.join(judged.folds)}:\n\n"
            f"{judged.table().markdown_with_note()}\n\n"
            "These students are not the net in this folder, which has no unseen labelled digit "
            f"left to be judged on. It differs from them: it learnt all {labelled:,} labels; its "
            f"targets for labelled digits are for {SOFT_SHARE:.0%} the ensemble's out-of-fold "
            "probabilities, for the rest the label; and its targets for the unlabelled ones come "
            "from the nets of all folds. `make distil` prints the table again from the stored "
            "predictions."
        )
    return CARD.format(
        about=_about(
            variant,
            parameters,
            f"The student of the ensemble `{students.config.name}`: it learnt in {variant.epochs} "
            "epochs what the ensemble says of every row, in augmented images.",
        ),
        files=files.markdown_with_note(),
        data=(
            f"{labelled:,} labelled digits, and {unlabelled:,} unlabelled ones with the ensemble's "
            f"probabilities. {_source(students)}"
        ),
        figures=figures,
        one_in=_one_in(judged.score if judged else None),
    )


def net_card(run: Run, job: Job, held_out: Score | None, parameters: int, files: Table) -> str:
    """Returns the card of one net of a configuration, as Markdown.

    Args:
        held_out: its score on the rows that it held out, if there are any.
    """
    variant, labelled = run.config.variants[job.variant], len(run.data_set.train)
    apart = f" but {held_out.rows:,} that it held out" if held_out else ""
    figures = "It held no labelled digits out, so it has no figure of its own."
    if held_out:
        figures = (
            f"It makes {count_of(held_out.errors, 'error')} in the {held_out.rows:,} digits that "
            f"it held out, log-loss {held_out.log_loss:.5f}, as the mean of "
            f"{count_of(tta_view_count(variant), 'view')} of each digit; an exported net sees one."
        )
    return CARD.format(
        about=_about(variant, parameters, f"The net `{job}` of `{run.config.name}`."),
        files=files.markdown_with_note(),
        data=f"{labelled:,} labelled digits{apart}. {_source(run)}",
        figures=figures,
        one_in=_one_in(held_out),
    )


def _about(variant: Variant, parameters: int, words: str) -> str:
    net = variant.architecture.name
    return f"{words} Architecture `{net}`, {parameters:,} parameters. Made by `make export`."


def _source(run: Run) -> str:
    if run.config.data == COMPETITION:
        return MNIST
    return f"They are the data set `{run.config.data}`, under the licence of its source."


def _one_in(reached: Score | None) -> str:
    # Without errors, too few rows are known.
    return f"{reached.rows // reached.errors:,}" if reached and reached.errors else "250"
