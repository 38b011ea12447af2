"""The report of made-up results: its files, its page in headless Chromium, and odd runs."""

import csv
import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, made_up_cases, make_project, write_made_up_result
from pages import assert_accessible, contrast
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold

from competition import paths
from competition.analysis import summary
from competition.analysis.predictions import ensemble_subject, variant_subject
from competition.analysis.summary import Summary, summarise
from competition.config.loading import load_config
from competition.data.run import Run, load_run
from competition.ensemble.comparison import combine
from competition.ensemble.outputs import provenance
from competition.errors import UserError
from competition.metrics import SELECTED_NOTE, Score, score
from competition.pages import figures
from competition.pages.html import STATIC
from competition.pages.overview import refresh
from competition.pages.report import (
    Section,
    report_markdown,
    report_page,
    sections_of,
    write_report,
)
from competition.pages.report_tables import (
    contributions_tables,
    ensemble_tables,
    preset_table,
    scores_table,
)
from competition.probabilities import Probabilities
from competition.results import ALL_ROWS, CLASS_COUNTS
from competition.tables import Table, score_values

# Text that would be HTML if it were not escaped.
NAME = "some<i>thing"
MACHINE = "<script>document.title = 'broken in'</script>"


def load(*overrides: str, name: str = "tiny") -> Run:
    run = load_run(load_config(Path("configs/tiny.yaml"), ["ensemble.method=mean", *overrides]))
    return dataclasses.replace(run, config=run.config.model_copy(update={"name": name}))


def train(run: Run, evidence: float = 3.2, facts: dict[str, float] | None = None) -> Run:
    """Makes results up: the more evidence, the fewer mistakes."""
    random = np.random.default_rng(0)
    train, test = run.data_set.train, run.data_set.test
    for job, identity in run.identities.items():
        made_up = {"test": (test.ids, np.zeros((len(test), 10)))}
        if job.split != ALL_ROWS:
            rows = run.folds.split(job.split)[1]
            made_up["out_of_fold"] = train.ids[rows], evidence * np.eye(10)[train.labels[rows]]
        predictions = {
            key: Probabilities(ids, made_up_cases(random, logits, 1, None).ensemble)
            for key, (ids, logits) in made_up.items()
        }
        write_made_up_result(job, identity, MACHINE, facts, **predictions)
    return run


@pytest.fixture(scope="module")
def reported(tiny_files, tmp_path_factory) -> tuple[Summary, list[Section], Path]:
    """A report of three members on three folds, one with a net of all rows."""
    folder = tmp_path_factory.mktemp("report")
    make_project(folder, tiny_files)
    changes = ["folds.count=3", "variants.plain.seeds=[0, 1]", "variants.plain.all_rows_seeds=[5]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # No two facts are equal, so that none can be shown in the place of another.
        run = train(load(*changes, name=NAME), facts={"minutes": 6, "cpu_minutes": 7, "workers": 2})
        summary = summarise(ensemble_subject(run, combine([run], all_methods=True)))
        written = write_report(summary)
        return summary, sections_of(summary), written.resolve()


@pytest.fixture(scope="module")
def frames(reported) -> dict[str, pd.DataFrame]:
    """The frame of each table of that report, by the table's key."""
    return {table.key: table.frame for section in reported[1] for table in section.tables}


@pytest.fixture(scope="module")
def plain_project(tiny_files, tmp_path_factory) -> tuple[Path, Run]:
    """A folder with results of two variants, one of them of two seeds, and their run."""
    folder = tmp_path_factory.mktemp("plain")
    make_project(folder, tiny_files)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, train(load("variants.plain.seeds=[0, 1]"))


@pytest.fixture
def run(plain_project, monkeypatch) -> Run:
    """That run, in its folder."""
    monkeypatch.chdir(plain_project[0])
    return plain_project[1]


@pytest.fixture
def browse(open_page, reported):
    """Opens the page; ends with an error if the page had one, or asked for anything."""

    def opened(file: Path = reported[2] / paths.PAGE, **settings):
        return open_page(file, **settings)

    return opened


def test_the_page_shows_what_was_computed(browse, reported):
    summary, sections, _ = reported
    page = browse()
    score = summary.scores.ensemble
    low, high = score.interval()
    assert 0 < score.errors < score.rows == 120
    values = page.locator(".tile dd").evaluate_all("all => all.map(e => e.firstChild.data.trim())")
    minutes = f"{3 * len(summary.jobs):.1f} min"  # six minutes each, two at a time
    assert values == [str(score.errors), f"{score.accuracy:.5f}", f"{score.log_loss:.5f}",
                      f"{summary.calibration_error:.5f}", minutes]  # fmt: skip
    assert f"95%: {low:.5f} – {high:.5f}" in page.locator("#tiles").inner_text()
    page.locator("#jobs summary").click()
    for table in (table for section in sections for table in section.tables):
        block = page.locator(f"#table-{table.key}")
        assert block.locator("h3").inner_text() == table.title
        shown = block.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        assert shown == table.texts().to_numpy().tolist()
    texts = page.locator("#figure-confusion-counts svg text").all_text_contents()
    counts = [str(count) for count in summary.confusion.ravel() if count]
    axes = Counter([*2 * "0123456789", "prediction", "label"])
    assert Counter(texts) - axes == Counter(counts)
    links = page.locator("#contents a").evaluate_all("all => all.map(e => e.hash)")
    assert links == [f"#{section.key}" for section in sections]


def test_the_ends_of_the_scores_are_those_of_the_ensemble(reported):
    summary, sections, _ = reported
    text = report_markdown(summary, sections)
    score = summary.scores.ensemble
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{NAME}` | "))
    assert row.startswith(f"| `{NAME}` | {score.errors} (")
    assert row.endswith(f") | {score.accuracy:.5f} | 30.0 |")
    ensemble = summary.folds[-1]
    errors = [each.errors for each in ensemble.by_fold.values()]
    assert sum(errors) == ensemble.whole.errors == score.errors
    mean, deviation = (function(1 - np.array(errors) / 40) for function in (np.mean, np.std))
    deviation *= np.sqrt(3 / 2)
    cells = " | ".join(map(str, [*errors, score.errors]))
    assert f"| **ensemble** | {cells} | {mean:.5f} ± {deviation:.5f} |" in text
    assert "| plain | 5 | all |  |  |  | 6.0 | 7.0 |" in text
    for key in ("agreement", "methods", "contributions"):
        assert key in [section.key for section in sections]


def values_of(score: Score) -> dict[str, float]:
    low, high = score.interval()
    return {"errors": score.errors, "accuracy": score.accuracy, "accuracy_low": low,
            "accuracy_high": high, "log_loss": score.log_loss}  # fmt: skip


def test_the_table_of_scores_has_each_members_own(frames, reported):
    scores = reported[0].scores
    assert frames["scores"].set_index("name").to_dict("index") == {
        name: values_of(score)
        for name, score in {**scores.members, "ensemble": scores.ensemble}.items()
    }
    assert len({score.errors for score in scores.members.values()}) == 3


def test_the_table_of_folds_has_each_folds_own(frames, reported):
    found = frames["folds"].set_index("name")
    assert list(found.index) == [
        "plain seed0", "plain seed1", "perceptron seed0", "plain, all seeds", "ensemble"
    ]  # fmt: skip
    for scores in reported[0].folds:
        line = found.loc[scores.name]
        errors = [line[f"errors_fold{fold}"] for fold in range(3)]
        assert errors == [scores.by_fold[fold].errors for fold in range(3)]
        assert line["errors"] == sum(errors)
        losses = [scores.by_fold[fold].log_loss for fold in range(3)]
        assert line["accuracy_mean"] == pytest.approx(1 - sum(errors) / 120)
        assert line["accuracy_std"] == pytest.approx(np.std(np.array(errors) / 40, ddof=1))
        assert line["log_loss_mean"] == pytest.approx(np.mean(losses))
        assert line["log_loss_std"] == pytest.approx(np.std(losses, ddof=1))
    assert len({*found.loc["ensemble", [f"errors_fold{fold}" for fold in range(3)]]}) > 1


def test_the_key_figures_are_of_the_nets_that_were_combined(reported):
    [line] = preset_table(reported[0]).frame.to_dict("records")
    score = reported[0].scores.ensemble
    assert line == {
        "preset": NAME,
        "errors": score.errors,
        "errors_low": pytest.approx(score.rows * (1 - score.interval()[1])),
        "errors_high": pytest.approx(score.rows * (1 - score.interval()[0])),
        "accuracy": score.accuracy,
        "minutes": 30,  # ten nets of six minutes, two at a time
    }


def test_the_table_of_jobs_has_each_nets_own(frames, reported):
    found = frames["jobs"].set_index(["variant", "seed", "split"])
    assert len(found) == 10
    for row in reported[0].jobs:
        line = found.loc[(row.job.variant, row.job.seed, row.job.split.removeprefix("fold"))]
        assert (line["minutes"], line["CPU_minutes"]) == (6, 7)
        if row.score is None:
            assert line[["errors", "rows", "accuracy"]].isna().all()
        else:
            assert (line["errors"], line["rows"]) == (row.score.errors, 40)
            assert line["accuracy"] == 1 - row.score.errors / 40


def test_the_table_of_methods_has_each_methods_own(frames, reported):
    comparison = reported[0].subject.comparison
    found = frames["methods"].set_index("method")
    assert list(found.index) == [each.method.name for each in comparison.methods]
    for each in comparison.methods:
        line, gap = found.loc[each.method.name], "log_loss_above_lowest"
        assert line[list(values_of(each.score))].to_dict() == values_of(each.score)
        assert tuple(line[[gap, f"{gap}_low", f"{gap}_high"]]) == tuple(each.gap_to_best)
        assert line["calibration_error"] == each.calibration_error
        beside = each.vs_mean.gained, each.vs_mean.lost, each.vs_mean.p_value
        assert tuple(line[["gained_on_mean", "lost_to_mean", "mcnemar_p"]]) == beside
    assert found["gained_on_mean"].tolist() != found["lost_to_mean"].tolist()


def test_the_tables_of_contributions_have_each_variants_own(frames, reported):
    contributions = reported[0].contributions
    found = frames["contributions"].set_index("variant")
    together = found.loc["all together"]
    assert together["alone_errors"] == contributions.together.errors
    assert together.drop(["alone_errors", "alone_log_loss"]).isna().all()
    for part in contributions.variants:
        line = found.loc[part.variant]
        for what in ("alone", "without", "beside_best"):
            score, values = getattr(part, what), line[[f"{what}_errors", f"{what}_log_loss"]]
            if score is None:
                assert values.isna().all()
            else:
                assert values.tolist() == [score.errors, score.log_loss]
    plain, perceptron = contributions.variants
    assert plain.alone.errors != perceptron.alone.errors
    _, overlap, differing = (table.frame.set_index("variant")
                             for table in contributions_tables(contributions))  # fmt: skip
    both_wrong = contributions.error_overlap
    assert overlap.loc["plain", "plain"] == both_wrong[0, 0] == plain.alone.errors
    assert overlap.loc["perceptron", "plain"] == both_wrong[1, 0]
    assert differing.loc["plain"].tolist() == contributions.disagreement[0].tolist()
    assert overlap.to_numpy().tolist() != differing.to_numpy().tolist()


def test_the_tables_of_agreement_have_each_members_own(frames, reported):
    agreement = reported[0].agreement
    found = frames["members-right"].set_index("members_right")
    assert list(found.index) == ["0 of 3", "1 of 3", "2 of 3", "3 of 3"]
    assert found["rows"].tolist() == agreement.rows.tolist()
    assert found["right"].tolist() == agreement.rescued.tolist()
    assert found["rows"].tolist() != found["right"].tolist()
    names = ["plain seed0", "plain seed1", "perceptron seed0"]
    pairs = frames["members-pairs"].set_index("member")
    assert list(pairs.index) == names
    assert list(pairs) == [name.replace(" ", "_") for name in names]
    assert (agreement.both_wrong != agreement.disagreement).any()
    for (line, column), count in np.ndenumerate(pairs.to_numpy()):
        expected = agreement.disagreement if column > line else agreement.both_wrong
        assert count == expected[line, column]


def test_the_classification_report_is_that_of_scikit_learn(frames, reported):
    predicted = reported[0].subject.predicted
    labels, values = predicted.digits.labels, predicted.ensemble
    expected = classification_report(labels, predicted.predictions, output_dict=True)
    found = frames["classes"].set_index("class")
    for label in map(str, range(10)):
        line, own = found.loc[label], expected[label]
        assert line[["precision", "recall", "f1", "support"]].tolist() == pytest.approx(
            [own["precision"], own["recall"], own["f1-score"], own["support"]]
        )
        is_label = labels == int(label)
        assert line["roc_auc"] == pytest.approx(roc_auc_score(is_label, values[:, int(label)]))
        precision = average_precision_score(is_label, values[:, int(label)])
        assert line["average_precision"] == pytest.approx(precision)
    mean = found.loc["mean of classes"]
    assert mean["support"] == 120
    for name in ("precision", "recall", "f1", "roc_auc", "average_precision"):
        assert mean[name] == pytest.approx(found[name].iloc[:10].mean())
    assert len({*mean.tolist()}) == 6


def test_the_tables_of_confusions_count_labels_in_rows(frames, reported):
    predicted = reported[0].subject.predicted
    labels, predictions = predicted.digits.labels, predicted.predictions
    counts = confusion_matrix(labels, predictions)
    assert reported[0].confusion.tolist() == counts.tolist() != counts.T.tolist()
    for line in frames["confusions"].to_dict("records"):
        label, prediction = line["label"], line["prediction"]
        assert line["rows"] == counts[label, prediction] > 0
        assert line["share_of_label"] == pytest.approx(line["rows"] / (labels == label).sum())


def test_names_stay_text(browse, reported):
    page = browse()
    assert page.title() == f"{NAME} · report"
    assert page.locator("h1").inner_text() == f"{NAME} report"
    assert page.locator("h1 i").count() == 0
    page.locator("#jobs summary").click()
    assert MACHINE in page.locator("#table-at-a-glance").inner_text()


def test_every_figure_and_table_is_a_file_and_linked(browse, reported):
    _, sections, folder = reported
    page = browse()
    links = page.locator("main a").evaluate_all("all => all.map(e => e.getAttribute('href'))")
    shown = [figure for section in sections for figure in section.figures]
    tables = [table for section in sections for table in section.tables]
    figures = [f"figures/{figure.key}.{kind}" for figure in shown for kind in ("svg", "png")]
    files = [*figures, *(f"tables/{table.key}.csv" for table in tables), "results.md"]
    assert sorted(links) == sorted(files)
    found = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    assert sorted(found) == sorted([*files, "index.html"])
    assert page.locator("main figure svg").count() == len(shown)
    markdown = (folder / "results.md").read_text()
    for figure in shown:
        assert f"](figures/{figure.key}.svg)" in markdown
        image = cv2.imread(str(folder / f"figures/{figure.key}.png"))
        assert len(np.unique(image)) > 10  # it is not empty
    with (folder / "tables/folds.csv").open(newline="") as file:
        assert next(csv.reader(file))[-4:] == [
            "accuracy_mean", "accuracy_std", "log_loss_mean", "log_loss_std"
        ]  # fmt: skip


def write_page_only(summary: Summary) -> Path:
    """Writes a report's page without its figures, which take longest to draw."""
    sections = sections_of(summary)
    drawn = {figure.key: "" for section in sections for figure in section.figures}
    config = summary.subject.run.config
    path = paths.OutputPaths(config.name).report(summary.subject.variant) / "page-only.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(report_page(summary, sections, drawn), encoding="utf-8")
    return path.resolve()


def test_it_has_links_to_the_pages_that_are_there(browse, reported, monkeypatch):
    monkeypatch.chdir(reported[2].parents[2])
    page = browse()
    links = page.locator(".run a")
    assert links.all_inner_texts() == [f"← {NAME}", "Report"]
    assert links.nth(1).get_attribute("aria-current") == "page"
    gallery = paths.OutputPaths(NAME).gallery / paths.PAGE
    gallery.parent.mkdir()
    gallery.touch()
    refresh(NAME)
    page.reload()
    assert links.all_inner_texts() == [f"← {NAME}", "Report", "Gallery"]
    assert links.evaluate_all("all => all.map(e => e.href)") == [
        (reported[2].parent / place / paths.PAGE).as_uri() for place in ("", "report", "gallery")
    ]
    gallery.unlink()
    gallery.parent.rmdir()
    refresh(NAME)


def test_a_single_validation_is_told(project):
    run = train(load())
    summary = summarise(ensemble_subject(run, combine([run])))

    def words() -> str:
        return next(each.words[0] for each in sections_of(summary) if each.key == "learning")

    assert "validated once, at their end: that is a dot, and no curve" in words()
    for history in summary.histories.values():
        history[["validation_loss", "validation_accuracy"]] = 0.5, 0.9
    assert "validated once" not in words()


def test_marks_are_told(project):
    label = load_run(load_config(Path("configs/tiny.yaml"))).data_set.train.labels[4]
    Path("marks.csv").write_text(f"id,given_label,mark,label\n5,{label},label error,\n")
    run = train(load("marks=marks.csv"))
    summary = summarise(ensemble_subject(run, combine([run])))
    told = "marks.csv: no label errors corrected for training, 1 left out"
    assert told in report_markdown(summary, sections_of(summary))


def test_figures_do_not_share_names(reported):
    page = (reported[2] / paths.PAGE).read_text()
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)
    assert {one or other for one, other in used} <= set(names)


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_narrow_window_needs_no_scrolling_and_text_has_contrast(browse, theme):
    page = browse(viewport={"width": 320, "height": 640}, color_scheme=theme)
    page.locator("#jobs summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert_accessible(page)
    table = page.locator("#table-scores .scroll")
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    line = page.locator("#table-scores tbody tr").first
    name, errors = line.locator("th"), line.locator("td").first
    before = name.bounding_box()["x"], errors.bounding_box()["x"]
    assert before[1] < 320
    table.evaluate("one => one.scrollBy(60, 0)")
    assert (name.bounding_box()["x"], errors.bounding_box()["x"]) == (before[0], before[1] - 60)
    wide = page.locator("main *").evaluate_all(
        "all => all.filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > 320)"
        ".length"
    )
    assert wide == 0
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    fills = page.locator("figure svg text").evaluate_all(
        "all => [...new Set(all.map(e => getComputedStyle(e).fill))]"
    )
    surface = page.locator("figure").first.evaluate("e => getComputedStyle(e).backgroundColor")
    on_surface = [fill for fill in fills if contrast(fill, surface) < 4.5]
    # Only what stands on a dark cell may be too near to the surface.
    assert len(on_surface) <= 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") != theme


def rgb(colour: str) -> str:
    return f"rgb{tuple(bytes.fromhex(colour.removeprefix('#')))}"


def test_figures_have_the_colours_of_a_light_page():
    light = "".join(
        (STATIC / name).read_text().partition("[data-theme")[0]
        for name in ("base.css", "figures.css")
    )
    defined = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6})", light))
    for colour, variable in figures.VARIABLES.items():
        pair = (bytes.fromhex(text) for text in (colour.removeprefix("#"), defined[variable]))
        assert all(abs(one - other) <= 1 for one, other in zip(*pair, strict=True)), variable


@pytest.mark.parametrize("shade", range(figures.SHADES + 1))
def test_text_on_shades_has_contrast(shade):
    assert contrast(rgb(figures.on_shade(shade)), rgb(figures.SHADE_FILLS[shade])) >= 4.5


def test_lines_can_be_seen():
    for colour in figures.SERIES:
        assert contrast(rgb(colour), rgb(figures.SURFACE)) >= 3


@pytest.mark.long
def test_one_variant_is_reported_whatever_the_others_are(project, browse):
    run = train(load("variants.plain.seeds=[0, 1]"))
    for job in run.identities:
        if job.variant == "perceptron":
            (job.folder() / paths.MANIFEST).unlink()
    subject = variant_subject(run, "plain")
    mean = subject.member_predictions.out_of_fold.mean(axis=0)
    np.testing.assert_allclose(subject.predicted.ensemble, mean, rtol=1e-6)
    summary = summarise(subject)
    assert {row.job.variant for row in summary.jobs} == {"plain"}
    keys = [section.key for section in sections_of(summary)]
    assert "agreement" in keys
    assert not {"methods", "contributions"} & set(keys)
    folder = write_report(summary)
    assert folder == Path("output/tiny/report-plain")
    page = browse(folder.resolve() / paths.PAGE)
    assert page.locator("h1").inner_text() == "tiny variant plain"
    errors = np.count_nonzero(mean.argmax(axis=1) != subject.member_predictions.labels)
    assert page.locator(".tile dd").first.inner_text().split()[0] == str(errors)


def test_figures_that_callbacks_selected_are_marked_everywhere(project, browse, capsys):
    changes = ["variants.plain.callbacks=[early_stopping]", "folds={count: 3, only: [0]}"]
    run = train(load(*changes))
    made = combine([run])
    summary = summarise(ensemble_subject(run, made))
    sections = {section.key: section for section in sections_of(summary)}
    tables = {table.key: table for each in sections.values() for table in each.tables}
    names = ["plain seed0 (selected)", "perceptron seed0", "ensemble (selected)"]
    for key in ("scores", "folds"):
        assert tables[key].frame["name"].tolist() == names
    assert tables["jobs"].frame["variant"].tolist() == ["plain (selected)", "perceptron"]
    assert tables["contributions"].frame["variant"].tolist() == [
        "plain (selected)", "perceptron", "all together"
    ]  # fmt: skip
    accuracy = f"{summary.scores.ensemble.accuracy:.5f} (selected)"
    assert preset_table(summary).texts()["accuracy"].tolist() == [accuracy]
    for table in (tables["scores"], tables["jobs"], preset_table(summary)):
        assert SELECTED_NOTE in table.note
    shown = ensemble_tables(summary.scores, made.comparison, summary.contributions)
    text = "\n".join(table.markdown_with_note() for table in shown)
    assert all(name in text for name in names)
    assert text.count(SELECTED_NOTE) == 1
    page = browse(write_page_only(summary))
    assert "accuracy (selected)" in page.locator("#tiles").inner_text()
    written = provenance("tiny", made, made.chosen)
    assert written["message"].endswith(" (selected)")
    assert written["out_of_fold"]["selected"] == SELECTED_NOTE
    assert [member.get("selected") for member in written["members"]] == [True, None]


def test_the_classes_before_and_after_resampling_are_those_of_the_manifests(project):
    run = train(load("variants.plain.resampling=class_weights"))
    counts = {"before": [*range(10)], "after": [4.5] * 9 + [1234.567]}
    for job in run.identities:
        if job.variant == "plain":
            file = job.folder() / paths.MANIFEST
            file.write_text(json.dumps(json.loads(file.read_text()) | {CLASS_COUNTS: counts}))
    sections = sections_of(summarise(ensemble_subject(run, combine([run]))))
    [table] = next(each.tables for each in sections if each.key == "resampling")
    assert table.frame["net"].tolist() == [f"plain seed0 fold{fold}" for fold in (0, 0, 1, 1)]
    assert table.frame["counted"].tolist() == ["before", "after"] * 2
    shown = table.texts()[[str(label) for label in range(10)]].to_numpy().tolist()
    assert shown[0] == [str(count) for count in range(10)]
    assert shown[1] == ["4.5"] * 9 + ["1,234.567"]


UNSEARCHED = "ensemble, rows that the search for the presets did not see"


@pytest.mark.parametrize(
    ("folds", "rows"),
    [("{count: 5}", 80), ("{count: 3}", 80), ("{scheme: holdout, share: 0.5}", 39)],
)
def test_the_search_saw_the_first_folds_of_three_and_five_whatever_the_split_of_a_preset(
    project, monkeypatch, folds, rows
):
    run = train(load(f"folds={folds}"))
    monkeypatch.setattr(summary, "SEARCHED_DATA", run.fingerprint)
    made, labels = combine([run]), run.data_set.train.labels
    judged = [
        next(StratifiedKFold(count, shuffle=True, random_state=0).split(labels, labels))[1]
        for count in (3, 5)
    ]
    left = ~np.isin(made.member_predictions.ids, run.data_set.train.ids[np.concatenate(judged)])
    expected = score(made.out_of_fold.values[left], made.member_predictions.labels[left])
    assert 0 < expected.errors < expected.rows == rows
    found = scores_table(summarise(ensemble_subject(run, made)).scores, "ensemble")
    assert found.frame.iloc[-1].to_dict() == {"name": UNSEARCHED, **score_values(expected)}


def test_of_the_searched_rows_and_of_other_data_there_is_no_such_line(project, monkeypatch):
    run = train(load("folds={count: 5, only: [0]}"))

    def names() -> list[str]:
        scores = summarise(ensemble_subject(run, combine([run]))).scores
        return scores_table(scores, "ensemble").frame["name"].tolist()

    assert names() == ["plain seed0", "perceptron seed0", "ensemble"]
    monkeypatch.setattr(summary, "SEARCHED_DATA", run.fingerprint)
    assert names() == ["plain seed0", "perceptron seed0", "ensemble"]


def test_the_searched_data_are_those_of_the_shipped_results():
    manifest = ROOT / "output/fast/jobs/plain/seed0/fold0" / paths.MANIFEST
    assert json.loads(manifest.read_text())["identity"]["data"] == summary.SEARCHED_DATA


def run_table(summary: Summary, key: str) -> Table:
    return next(table for each in sections_of(summary) for table in each.tables if table.key == key)


def told_of(summary: Summary, what: str) -> str:
    frame = run_table(summary, "at-a-glance").frame
    return frame.set_index("what")["value"][what]


def test_hold_outs_are_scored_net_by_net_and_told_as_what_they_are(project):
    run = train(load("folds={scheme: holdout, share: 0.5, count: 3, only: [2, 0]}"))
    summary = summarise(ensemble_subject(run, combine([run])))
    nets = {(row.job.variant, row.job.split): row.score for row in summary.jobs}
    table = run_table(summary, "folds")
    assert table.title == "Errors by hold-out"
    assert [column.title for column in table.columns[1:3]] == ["hold-out 0", "hold-out 2"]
    lines = table.frame.set_index("name")
    for variant in ("plain", "perceptron"):
        line = lines.loc[f"{variant} seed0"]
        own = [nets[variant, split] for split in ("holdout0", "holdout2")]
        assert [each.rows for each in own] == [60, 60]
        errors = [each.errors for each in own]
        assert line[["errors_fold0", "errors_fold2"]].tolist() == errors
        assert line["accuracy_mean"] == pytest.approx(1 - sum(errors) / 120)
    shown = table.texts().set_index("out of fold").loc["ensemble"].to_dict()
    errors = summary.scores.ensemble.errors
    assert shown == {"hold-out 0": "", "hold-out 2": "", "errors": f"{errors}", "accuracy": "",
                     "log-loss": ""}  # fmt: skip
    assert "no figure of a single hold-out" in table.note
    alone = run_table(summarise(variant_subject(run, "plain")), "folds")
    assert alone.note == table.note
    rows = len(summary.subject.member_predictions.ids)
    assert 60 < rows < 120
    words = "2 of 3 stratified hold-outs of 50% of the rows each: 0, 2"
    assert told_of(summary, "held out") == f"{words}; {rows} of 120 labelled rows count"


@pytest.mark.parametrize(
    ("without", "words", "is_harder"),
    [
        ([], "augmented digits", {"plain": True, "perceptron": True}),
        (
            ["perceptron"],
            "augmented digits (of `perceptron`: without augmentation)",
            {"plain": True, "perceptron": False},
        ),
        (
            ["plain", "perceptron"],
            "digits without augmentation",
            {"plain": False, "perceptron": False},
        ),
    ],
)
def test_training_curves_are_told_by_the_augmentation(project, without, words, is_harder):
    run = train(load(*(f"variants.{name}.augmentation=none" for name in without)))
    sections = sections_of(summarise(ensemble_subject(run, combine([run]))))
    learning = next(each for each in sections if each.key == "learning")
    assert learning.words[0].startswith(f"Training figures are of {words}, averaged over each")
    captions = {figure.key: figure.caption for figure in learning.figures}
    for name, expected in is_harder.items():
        assert ("digits are harder" in captions[f"learning-{name}-loss"]) is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("folds={count: 5}", "every labelled row is predicted by nets that never saw it;"),
        (
            "folds={count: 5, only: [0]}",
            "each of 24 rows, out of 120 labelled ones, is predicted by nets that never saw it;",
        ),
    ],
)
def test_it_is_told_which_rows_are_out_of_fold(project, changes, words):
    run = train(load(changes))
    sections = sections_of(summarise(ensemble_subject(run, combine([run]))))
    folds = next(each for each in sections if each.key == "folds")
    assert folds.words[0].startswith(f"Out of fold: {words}")


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ("{count: 5, only: [3, 1]}", "2 of 5 stratified folds: 1, 3; 48 of 120"),
        ("{scheme: holdout}", "1 of 1 stratified hold-outs of 20% of the rows each: 0; 24 of 120"),
        ("{scheme: given}", "what the data itself holds out; 30 of 120"),
    ],
)
def test_the_split_is_told_by_its_scheme_with_the_rows_that_count(project, tiny, folds, words):
    (project / "input/own").mkdir()
    parts = {"x_train": slice(90), "x_test": slice(90, None)}
    images = {key: tiny.train.images[rows] for key, rows in parts.items()}
    labels = {key.replace("x", "y"): tiny.train.labels[rows] for key, rows in parts.items()}
    np.savez(project / "input/own/mnist.npz", **images, **labels)
    run = train(load("data=own", f"folds={folds}"))
    summary = summarise(ensemble_subject(run, combine([run])))
    assert told_of(summary, "held out") == f"{words} labelled rows count"
    assert "single hold-out" not in run_table(summary, "folds").note
    assert run_table(summary, "folds").frame["errors"].iloc[-1] == summary.scores.ensemble.errors


def test_nothing_is_marked_where_nothing_was_selected(run):
    made = combine([run])
    summary = summarise(ensemble_subject(run, made))
    assert "selected" not in report_markdown(summary, sections_of(summary)).lower()
    assert "selected" not in str(provenance("tiny", made, made.chosen))


def test_an_unknown_variant_is_named(run):
    with pytest.raises(UserError, match=r"'tiny' has no variant 'plan'; did you mean 'plain'\?"):
        variant_subject(run, "plan")


@pytest.mark.long
def test_a_run_with_one_fold_and_without_mistakes(project):
    run = train(load("ensemble={method: mean, folds: [1]}"), evidence=40)
    summary = summarise(ensemble_subject(run, combine([run])))
    assert summary.scores.ensemble.errors == 0
    sections = sections_of(summary)
    older = paths.OutputPaths("tiny").report() / "left.txt"
    older.parent.mkdir()
    older.write_text("of an older report")
    folder = write_report(summary)
    assert not older.exists()
    text = (folder / paths.RESULTS).read_text()
    assert "There are no mistakes." in text
    assert "| **ensemble** | 0 | 0 | 1.00000 |" in text
    assert "nan" not in text
    assert "samples-mistakes" not in [figure.key for each in sections for figure in each.figures]


def test_a_figure_shows_itself_in_a_notebook(reported):
    _, sections, _ = reported
    figure = next(figure for section in sections for figure in section.figures)
    image = cv2.imdecode(np.frombuffer(figure._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == 527
    assert len(repr(figure)) < 1000
