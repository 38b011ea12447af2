"""Mistakes are found, ordered and drawn; tables show what was computed."""

import matplotlib.image
import numpy as np
import pytest

from competition import paths
from competition.components import Method
from competition.digits import Digits
from competition.ensemble.comparison import Compared, Comparison
from competition.ensemble.contributions import Contribution, Contributions
from competition.ensemble.fitted import Fitted
from competition.ensemble.significance import Discordance
from competition.inspection.evaluation import (
    JobRow,
    Mistake,
    Scores,
    Summary,
    confused_pairs,
    mistakes,
)
from competition.inspection.gallery import (
    CELL_HEIGHT,
    COLUMNS,
    DIGITS_PER_SHEET,
    DOTS_PER_INCH,
    HEADER_HEIGHT,
    MARGIN,
    write_gallery,
)
from competition.inspection.report import write_report
from competition.probabilities import Probabilities
from competition.results import Job
from competition.scores import Score, wilson_interval


def mistake(id: int, label: int = 4, prediction: int = 9, confidence: float = 0.9) -> Mistake:
    image = np.random.default_rng(id).integers(0, 256, (28, 28)).astype(np.uint8)
    return Mistake(id, image, label, prediction, confidence, truth=0.05)


def test_mistakes_are_the_wrong_rows_most_confident_first():
    values = np.full((4, 10), 0.02)
    for row, (prediction, confidence) in enumerate([(1, 0.82), (2, 0.82), (3, 0.6), (4, 0.7)]):
        values[row] = (1 - confidence) / 9
        values[row, prediction] = confidence
    ids = np.array([11, 12, 13, 14], np.int32)
    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    digits = Digits(ids, images, np.array([1, 7, 8, 9], np.uint8))
    shuffled = Probabilities(ids[::-1], values[::-1])
    found = mistakes(shuffled, digits)
    assert [(m.id, m.label, m.prediction) for m in found] == [(12, 7, 2), (14, 9, 4), (13, 8, 3)]
    assert [m.image[0, 0] for m in found] == [1, 3, 2]
    assert found[0].confidence == pytest.approx(0.82)
    assert found[0].truth == pytest.approx(0.02)


def test_confused_pairs_count_both_ways_most_frequent_first():
    found = [mistake(1, 4, 9), mistake(2, 3, 5), mistake(3, 9, 4), mistake(4, 1, 7)]
    pairs = confused_pairs(found)
    assert list(pairs) == [(4, 9), (1, 7), (3, 5)]
    assert [m.id for m in pairs[4, 9]] == [1, 3]


def test_the_gallery_has_a_sheet_a_page_and_a_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [mistake(number) for number in range(DIGITS_PER_SHEET + 3)] + [mistake(900, 1, 7)]
    files = write_gallery("some", found, rows=1000)
    assert [file.name for file in files] == [
        "mistakes-01.png",
        "mistakes-02.png",
        "pair-1-7.png",
        "pair-4-9-01.png",
        "pair-4-9-02.png",
    ]
    for file, lines in zip(files, [DIGITS_PER_SHEET // COLUMNS, 1, 1, 8, 1], strict=True):
        height = matplotlib.image.imread(file).shape[0] / DOTS_PER_INCH
        assert height == pytest.approx(HEADER_HEIGHT + lines * CELL_HEIGHT + MARGIN, abs=0.02)
    assert write_gallery("some", found[:2], rows=1000)[0].name == "mistakes.png"
    assert len(list(paths.gallery_folder("some").iterdir())) == 2


def test_every_digit_is_drawn_in_its_own_ink(tmp_path, monkeypatch):
    """White paper everywhere if the digits are blank, ink where they are not."""
    monkeypatch.chdir(tmp_path)
    blank, full = (Mistake(1, np.full((28, 28), ink, np.uint8), 4, 9, 0.9, 0.1) for ink in (0, 255))
    blackness = []
    for one in (blank, full):
        file = write_gallery("some", [one], rows=10)[0]
        pixels = matplotlib.image.imread(file)[..., :3]
        blackness.append((pixels.max(axis=2) < 0.1).sum())
    assert blackness[1] - blackness[0] > 0.9 * (0.95 * DOTS_PER_INCH) ** 2


def test_a_run_without_mistakes_still_has_a_sheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [file.name for file in write_gallery("some", [], rows=10)] == ["mistakes.png"]


def test_the_report_shows_what_was_computed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        JobRow(Job("some", "plain", 0, f"fold{n}"), Score(500, 3 + n, 0.02), 2.0, 3.5, workers=2)
        for n in range(2)
    ]
    score = Score(1000, 5, 0.0151)
    scores = Scores({"plain seed0": Score(1000, 7, 0.02)}, score, Score(500, 4, 0.03))
    values, beside_mean, above_lowest = np.zeros((1000, 10)), Discordance(12, 3), (0.001, 0, 0.002)
    mean = Compared(Method(name="mean"), Fitted(np.sum), values, score, 0.0123, beside_mean,
                    above_lowest)  # fmt: skip
    comparison = Comparison([mean], ["stacking"], "mean")
    variants = [
        Contribution("plain", Score(1000, 7, 0.02), Score(1000, 8, 0.03), None),
        Contribution("residual", Score(1000, 9, 0.04), Score(1000, 7, 0.02), score),
    ]
    pairs = np.array([[7, 6], [6, 9]]), np.array([[0, 2], [2, 0]])
    found = Contributions(variants, score, variants[0], *pairs)
    summary = Summary("some", rows, scores, comparison, found, 2, ["A, 2 cores"])
    text = write_report("some", summary).read_text()
    low, high = wilson_interval(995, 1000)
    interval = f"{low:.5f} – {high:.5f}"
    # Two jobs of two minutes, side by side, take two minutes.
    assert f"| `some` | 2 | 5 | 0.99500 | {interval} | 0.01510 | 2.0 | 7.0 | A, 2 cores |" in text
    assert "| plain seed0 | 7 | 0.99300 |" in text
    assert "| ensemble, without fold 0 | 4 | 0.99200 |" in text
    assert "| plain | 0 | 1 | 4 | 500 | 0.99200 | 2.0 | 3.5 |" in text
    above = "+0.00100 (+0.00000 … +0.00200)"
    method = f"| `mean` | 5 | 0.99500 | {interval} | 0.01510 | {above} | 0.01230 | 12 | 3 | 0.035 |"
    assert method in text
    assert "on two folds or more: `stacking`." in text
    assert "| variant | alone | all without it | plain with it |" in text
    assert "| plain | 7, 0.02000 | 8, 0.03000 | – |" in text
    assert "| residual | 9, 0.04000 | 7, 0.02000 | 5, 0.01510 |" in text
    assert "| residual | 6 | 9 |" in text
    assert "| residual | 2 | 0 |" in text
