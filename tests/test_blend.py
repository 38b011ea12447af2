"""Ensembles of runs whose results are made up: what goes in, what comes out, what is refused."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sure
from conftest import write_made_up_result as write

from competition import paths
from competition.analysis.mistakes import find
from competition.analysis.predictions import ensemble_subject
from competition.analysis.summary import summarise
from competition.config.loading import load_config
from competition.config.registry import ENSEMBLE_METHODS
from competition.data import folds
from competition.data.run import Run, load_run
from competition.ensemble.comparison import EnsembleResult, combine
from competition.ensemble.contributions import contributions
from competition.ensemble.outputs import write_ensemble
from competition.errors import UserError
from competition.metrics import wilson_interval
from competition.pages.report import report_markdown, sections_of
from competition.pages.report_tables import preset_table
from competition.probabilities import Probabilities, read_probabilities
from competition.results import ALL_ROWS, Job, identity_hash, job_identity
from competition.storage import file_hash
from competition.submission import check_submission, read_message

CONFIDENCE = {"plain": 0.4, "perceptron": 0.8}


def load(name: str = "tiny", *overrides: str) -> Run:
    """Returns the run of the tiny configuration under a name, with some values changed."""
    return load_run(load_config(Path("configs/tiny.yaml"), [f"name={name}", *overrides]))


def values_of_test(run: Run, confidence: float) -> Probabilities:
    ids = np.random.default_rng(1).permutation(run.data_set.test.ids)
    return Probabilities(ids, np.array([one_sure(id % 10, confidence) for id in ids]))


def train(run: Run) -> Run:
    """Makes results up: known probabilities, rows in another order. All labels are hit."""
    train = run.data_set.train
    for job, identity in run.identities.items():
        confidence, fold = CONFIDENCE[job.variant], int(job.split[-1])
        rows = np.random.default_rng(0).permutation(run.folds.split(job.split)[1])
        values = np.array([one_sure(train.labels[row], confidence) for row in rows])
        out_of_fold = Probabilities(train.ids[rows], values)
        write(job, identity, out_of_fold=out_of_fold, test=values_of_test(run, 0.3 + 0.2 * fold))
    return run


@pytest.fixture
def trained(project) -> Run:
    return train(load("tiny", "ensemble.method=mean"))


def truth_values(made: EnsembleResult) -> np.ndarray:
    labels = made.member_predictions.labels
    return made.out_of_fold.values[np.arange(len(labels)), labels]


def written(made: EnsembleResult) -> Path:
    return write_ensemble(made, contributions(made.member_predictions))


def table(name: str, file: str) -> list[dict[str, str]]:
    with (paths.OutputPaths(name).ensemble / file).open() as lines:
        return list(csv.DictReader(lines))


def test_a_blend_aligns_by_id_and_averages_folds_then_members(trained):
    made = combine([trained])
    test = trained.data_set.test
    assert made.chosen.score.errors == 0
    np.testing.assert_array_equal(made.out_of_fold.ids, trained.data_set.train.ids)
    np.testing.assert_allclose(truth_values(made), (0.4 + 0.8) / 2, atol=1e-3)
    np.testing.assert_array_equal(made.test.predictions(), test.ids % 10)
    np.testing.assert_allclose(made.test.values.max(axis=1), (0.3 + 0.5) / 2, atol=1e-3)
    assert [str(member) for member in made.member_predictions.members] == [
        "plain seed0",
        "perceptron seed0",
    ]


def test_a_written_blend_has_provenance_and_is_made_again_as_it_was(trained):
    path = written(combine([trained], all_methods=True))
    first = path.read_bytes(), path.with_suffix(".json").read_bytes()
    assert first[0].decode().splitlines()[:3] == ["ImageId,Label", "1,1", "2,2"]
    provenance = json.loads(first[1])
    assert provenance["data_fingerprint"] == trained.fingerprint
    assert provenance["out_of_fold"]["errors"] == 0
    choice = provenance["method"].pop("choice")
    assert choice.startswith("`mean` makes the submission, as the configuration names it; ")
    assert provenance["method"] == {"name": "mean", "settings": {}}
    assert [member["variant"] for member in provenance["members"]] == ["plain", "perceptron"]
    assert read_message(path) == "tiny: 4 nets, mean, out-of-fold 1.00000"
    written(combine([trained], all_methods=True))
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == first


@pytest.fixture
def with_errors(project) -> Run:
    """Of 120 rows, `plain` has every ninth wrong, so surely that the mean has it wrong, too."""
    run = train(load("tiny", "ensemble.method=mean"))
    digits = run.data_set.train
    for job in (job for job in run.identities if job.variant == "plain"):
        rows = run.folds.split(job.split)[1]
        wrong = rows % 9 == 0
        said = np.where(wrong, (digits.labels[rows] + 1) % 10, digits.labels[rows])
        values = np.array([one_sure(*each) for each in zip(said, 0.4 + 0.5 * wrong, strict=True)])
        test = read_probabilities(job.folder() / paths.PROBABILITIES, "test")
        out_of_fold = Probabilities(digits.ids[rows], values)
        write(job, run.identities[job], out_of_fold=out_of_fold, test=test)
    return run


def test_a_provenance_tells_all_of_an_ensemble(with_errors):
    run, made = with_errors, combine([with_errors])
    path = written(made)
    low, high = wilson_interval(106, 120)
    mean, results = made.chosen, {job: identity_hash(run.identities[job]) for job in run.identities}
    assert made.chosen.score.errors == 14
    expected = {
        "message": "tiny: 4 nets, mean, out-of-fold 0.88333",
        "config": run.config.model_dump(mode="json"),
        "data_set": "tiny",
        "data_fingerprint": run.fingerprint,
        "folds_fingerprint": run.folds.fingerprint(),
        "code_versions": ["unknown"],
        "method": {
            "name": "mean",
            "settings": {},
            "choice": made.comparison.explain_choice(mean),
        },
        "members": [
            {
                "variant": variant,
                "seed": 0,
                "errors": errors,
                "accuracy": accuracy,
                "results": [results[Job("tiny", variant, 0, f"fold{k}")] for k in (0, 1)],
            }
            for variant, errors, accuracy in (("plain", 14, 0.883333), ("perceptron", 0, 1.0))
        ],
        "out_of_fold": {
            "rows": 120,
            "errors": 14,
            "accuracy": 0.883333,
            "interval_95": [round(low, 6), round(high, 6)],
            "log_loss": round(mean.score.log_loss, 6),
            "calibration_error": round(mean.calibration_error, 6),
        },
        "sha256": file_hash(path),
    }
    assert path.with_suffix(".json").read_text() == json.dumps(expected, indent=2) + "\n"


def test_the_tables_of_an_ensemble_are_rounded(with_errors):
    """Six digits, and seven for differences of log-losses."""
    made = combine([with_errors])
    written(made)
    methods = made.comparison.frame()
    assert list(table("tiny", "methods.csv")[0]) == [
        "method", "rows", "errors", "accuracy", "log_loss", "calibration_error", "accuracy_low",
        "accuracy_high", "log_loss_above_lowest", "log_loss_above_lowest_low",
        "log_loss_above_lowest_high", "gained_on_mean", "lost_to_mean", "mcnemar_p",
    ]  # fmt: skip
    for told, computed in zip(
        table("tiny", "methods.csv"), methods.to_dict("records"), strict=True
    ):
        assert float(told["log_loss"]) == round(computed["log_loss"], 6)
        for name in (column for column in methods if column.startswith("log_loss_above")):
            assert float(told[name]) == round(computed[name], 7)
    parts = contributions(made.member_predictions)
    plain, perceptron = table("tiny", "contributions.csv")
    assert float(plain["alone_log_loss"]) == round(parts.variants[0].alone.log_loss, 6)
    assert (plain["alone_errors"], perceptron["without_errors"]) == ("14", "14")
    assert [list(row.values()) for row in table("tiny", "error-overlap.csv")] == [
        ["plain", "14", "0"], ["perceptron", "0", "0"]
    ]  # fmt: skip
    assert [list(row.values()) for row in table("tiny", "disagreement.csv")] == [
        ["plain", "0", "14"], ["perceptron", "14", "0"]
    ]  # fmt: skip
    texts = [
        (paths.OutputPaths("tiny").ensemble / f"{name}.json").read_text()
        for name in ("methods", "settings")
    ]
    for text in texts:
        assert text == json.dumps(json.loads(text), indent=2) + "\n"
    known = json.loads(texts[0])
    assert [row["method"] for row in known.pop("methods")] == methods["method"].tolist()
    assert known == {
        "left_out": [],
        "recommended": made.comparison.recommended.method.name,
        "chosen": "mean",
        "choice": made.comparison.explain_choice(made.chosen),
    }


def test_the_files_of_an_ensemble_hold_what_was_computed(trained):
    made = combine([trained], all_methods=True)
    written(made)
    folder = paths.OutputPaths("tiny").ensemble
    assert {file.name for file in folder.iterdir()} == {
        "probabilities.npz", "methods.json", "methods.csv", "settings.json", "contributions.csv",
        "error-overlap.csv", "disagreement.csv", "test-confidence.csv",
    }  # fmt: skip
    methods = json.loads((folder / "methods.json").read_text())
    assert methods["chosen"] == "mean"
    assert methods["recommended"] == made.comparison.recommended.method.name
    by_name = {row["method"]: row for row in table("tiny", "methods.csv")}
    assert float(by_name["mean"]["log_loss"]) == pytest.approx(-np.log(0.6), abs=1e-3)
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["members"] == ["plain seed0", "perceptron seed0"]
    assert settings["methods"]["weighted_mean"] == {"weights": [0.0, 1.0]}
    kept = read_probabilities(folder / "probabilities.npz", "test")
    np.testing.assert_allclose(kept.values, made.test.values, rtol=2e-3)
    assert [row["alone_errors"] for row in table("tiny", "contributions.csv")] == ["0", "0"]
    assert table("tiny", "error-overlap.csv")[1] == {
        "variant": "perceptron", "plain": "0", "perceptron": "0"
    }  # fmt: skip


def test_the_least_certain_test_rows_come_first(project):
    run = train(load())
    unsure = np.array([one_sure(id % 10, 0.5) for id in run.data_set.test.ids])
    unsure[6], unsure[2] = one_sure(9, 0.2), one_sure(8, 0.15)
    for job in (job for job in run.identities if job.variant == "plain"):
        out_of_fold = read_probabilities(job.folder() / paths.PROBABILITIES, "out_of_fold")
        test = Probabilities(run.data_set.test.ids, unsure)
        write(job, run.identities[job], out_of_fold=out_of_fold, test=test)
    made = combine([load("tiny", "ensemble.method=mean")])
    written(made)
    first, second, third, *_ = table("tiny", "test-confidence.csv")
    assert [first["ImageId"], second["ImageId"], third["ImageId"]] == ["7", "3", "1"]
    likeliest, runner_up = made.test.values[6, 7], made.test.values[6, 9]
    assert float(first["probability"]) == pytest.approx(likeliest, abs=1e-6)
    assert float(first["margin"]) == pytest.approx(likeliest - runner_up, abs=1e-6)
    row = made.test.values[6].astype(float)
    assert float(first["entropy"]) == pytest.approx(-(row * np.log(row)).sum(), abs=1e-5)
    assert (first["prediction"], first["members_against"]) == ("7", "1")
    assert third["members_against"] == "0"


def test_another_method_stands_beside_the_plain_mean(project):
    train(load())
    made = combine([load("tiny", "ensemble.method=weighted_mean")])
    assert truth_values(made) == pytest.approx(0.8, abs=1e-3)  # all the weight on the surer member
    path = written(made)
    told, mean = (json.loads(file.with_suffix(".json").read_text()) for file in
                  (path, paths.submission_csv("tiny-mean")))  # fmt: skip
    assert told["method"]["settings"] == {"weights": [0.0, 1.0]}
    assert told["out_of_fold"]["log_loss"] == pytest.approx(-np.log(0.8), abs=1e-3)
    assert mean["method"]["choice"] == "`mean` is kept beside `weighted_mean`, to compare."
    assert mean["out_of_fold"]["log_loss"] == pytest.approx(-np.log(0.6), abs=1e-3)
    assert mean["message"] == "tiny-mean: 4 nets, mean, out-of-fold 1.00000"


def test_what_the_program_chose_is_said_to_be_optimistic(project):
    train(load())
    provenance = json.loads(written(combine([load()])).with_suffix(".json").read_text())
    assert "so its figures are slightly optimistic" in provenance["method"]["choice"]
    assert provenance["config"]["ensemble"]["method"] == {"name": "recommended"}


def test_only_what_the_configuration_names_goes_in(project):
    overrides = ["defaults.seeds=[0, 1]", "folds.count=3"]
    everything = load("tiny", *overrides)
    train(everything)
    chosen = ["ensemble.variants=[perceptron]", "ensemble.seeds=[1]", "ensemble.folds=[2, 0]"]
    run = load("tiny", *overrides, *chosen, "ensemble.method=mean")
    assert run.identities == everything.identities  # it makes no result stale
    made = combine([run])
    assert [str(member) for member in made.member_predictions.members] == ["perceptron seed1"]
    assert set(made.member_predictions.folds) == {0, 2}
    np.testing.assert_array_equal(made.out_of_fold.ids, run.folds.ids[run.folds.folds != 1])
    np.testing.assert_allclose(made.test.values.max(axis=1), (0.3 + 0.7) / 2, atol=1e-3)
    assert read_message(written(made)).startswith("tiny: 2 nets")
    findings = find(run, made)
    assert len(findings.mistakes) == 0
    np.testing.assert_array_equal(findings.labelled.digits.ids, made.out_of_fold.ids)
    summary = summarise(ensemble_subject(run, made))
    assert "| `tiny` | 0 (0 – 4) | 1.00000 | 2.0 |" in preset_table(summary).markdown()
    assert (summary.minutes, summary.cpu_minutes) == (2, 2)  # a minute each
    assert "contributions" not in [section.key for section in sections_of(summary)]


def test_jobs_that_do_not_go_in_may_be_missing(project):
    run = train(load("tiny", "folds.count=3"))
    for job in run.identities:
        if job.split == "fold1":
            (job.folder() / paths.MANIFEST).unlink()
    with pytest.raises(UserError, match="2 of 6 jobs have no result"):
        combine([run])
    made = combine([load("tiny", "folds.count=3", "ensemble={method: mean, folds: [0, 2]}")])
    assert len(made.member_predictions.manifests()) == 4


def test_rows_that_several_hold_outs_share_are_averaged_and_others_left_out(project):
    settings = ["folds={scheme: holdout, count: 3, share: 0.25}", "ensemble.method=mean"]
    run = train(load("tiny", *settings))
    made = combine([run])
    held_out = np.stack(list(run.folds.held_out.values())).any(axis=0)
    assert 30 < held_out.sum() < 90
    np.testing.assert_array_equal(made.out_of_fold.ids, run.folds.ids[held_out])
    np.testing.assert_allclose(truth_values(made), (0.4 + 0.8) / 2, atol=1e-3)
    assert made.chosen.score.rows == held_out.sum()


def test_a_single_hold_out_leaves_out_what_is_fitted(project):
    made = combine([train(load("tiny", "folds={scheme: holdout}"))])
    assert made.chosen.score.rows == 24
    assert "stacking" in made.comparison.left_out


def test_digits_of_another_format_keep_their_own_split(project, tiny):
    (project / "input/own").mkdir()
    arrays = {"x_train": tiny.train.images[:90], "y_train": tiny.train.labels[:90]}
    arrays |= {"x_test": tiny.train.images[90:], "y_test": tiny.train.labels[90:]}
    np.savez(project / "input/own/mnist.npz", **arrays)
    made = combine([train(load("tiny", "data=own", "folds={scheme: given}"))])
    np.testing.assert_array_equal(made.member_predictions.labels, arrays["y_test"])
    assert len(written(made).read_text().splitlines()) == 1 + 30


@pytest.mark.parametrize(
    ("named", "fitted"), [("stacking", ["mean", "stacking"]), ("recommended", [*ENSEMBLE_METHODS])]
)
def test_only_what_the_choice_needs_is_fitted_unless_all_are_compared(trained, named, fitted):
    run = load("tiny", f"ensemble.method={named}")
    made, compared = combine([run]), combine([run], all_methods=True)
    assert [each.method.name for each in made.comparison.methods] == fitted
    np.testing.assert_array_equal(made.out_of_fold.values, compared.out_of_fold.values)
    np.testing.assert_array_equal(made.test.values, compared.test.values)


def test_one_fold_leaves_the_methods_that_fit_nothing(trained):
    run = load("tiny", "ensemble={method: mean, folds: [0]}")
    made = combine([run], all_methods=True)
    assert len(made.comparison.methods) == 3
    with pytest.raises(UserError, match=r"ensemble\.folds needs at least two"):
        combine([load("tiny", "ensemble={method: stacking, folds: [0]}")])


def with_nets_on_all_rows(run: Run, variant: str, *seeds: int, confidence: float) -> Run:
    """Adds nets that were trained on every labelled row, with their results, to a run."""
    for seed in seeds:
        job = Job(run.config.name, variant, seed, ALL_ROWS)
        identity = job_identity(
            run.config.variants[variant], job, run.fingerprint, run.folds.fingerprint()
        )
        run.identities[job] = identity
        write(job, identity, test=values_of_test(run, confidence))
    return run


def test_nets_trained_on_all_rows_join_the_test_rows_of_their_variant(trained):
    before = combine([trained])
    made = combine([with_nets_on_all_rows(trained, "plain", 7, 8, 9, confidence=0.9)])
    np.testing.assert_array_equal(made.out_of_fold.values, before.out_of_fold.values)
    plain, perceptron = made.member_predictions.test.max(axis=2)
    np.testing.assert_allclose(plain, (0.3 + 0.5 + 3 * 0.9) / 5, atol=1e-3)
    np.testing.assert_allclose(perceptron, (0.3 + 0.5) / 2, atol=1e-3)
    assert read_message(written(made)) == "tiny: 7 nets, mean, out-of-fold 1.00000"


@pytest.mark.parametrize(
    ("wanted", "sure"), [("folds", (0.3 + 0.5) / 2), ("all_rows", 0.9), ("both", 1.7 / 3)]
)
def test_the_configuration_chooses_the_nets_that_predict_the_test_rows(trained, wanted, sure):
    run = load(
        "tiny", "variants.plain.all_rows_seeds=[7]", "ensemble={method: mean, variants: [plain]}",
        f"ensemble.test={wanted}",
    )  # fmt: skip
    with_nets_on_all_rows(trained, "plain", 7, confidence=0.9)
    made = combine([run])
    np.testing.assert_allclose(made.member_predictions.test.max(axis=2), sure, atol=1e-3)


def test_nets_trained_on_all_rows_come_with_their_variant_whatever_their_seed(project):
    overrides = ["defaults.seeds=[0, 1]", "ensemble={method: mean, variants: [plain]}"]
    run = train(load("tiny", *overrides))
    run = with_nets_on_all_rows(run, "plain", 7, confidence=0.9)
    run = with_nets_on_all_rows(run, "perceptron", 7, confidence=0.1)
    (
        Job("tiny", "perceptron", 7, ALL_ROWS).folder() / paths.MANIFEST
    ).unlink()  # it is not asked for
    made = combine([run])
    assert [str(member) for member in made.member_predictions.members] == [
        "plain seed0",
        "plain seed1",
    ]
    np.testing.assert_allclose(
        made.member_predictions.test.max(axis=2), (0.3 + 0.5 + 0.9) / 3, atol=1e-3
    )
    assert (
        len(made.member_predictions.manifests()) == 5
    )  # the net that both seeds share counts once


def test_a_missing_net_on_all_rows_is_named(trained):
    run = with_nets_on_all_rows(trained, "plain", 7, confidence=0.9)
    (Job("tiny", "plain", 7, ALL_ROWS).folder() / paths.MANIFEST).unlink()
    with pytest.raises(UserError, match="plain seed7 all: not trained yet"):
        combine([run])


@pytest.fixture
def other(trained) -> Run:
    """Another configuration on the same folds, whose first variant bears the same name."""
    return train(load("other", "variants={plain: {epochs: 3}}", "ensemble.method=stacking"))


def test_several_configurations_are_blended_under_both_names(trained, other):
    made = combine([trained, other])
    names = [str(member) for member in made.member_predictions.members]
    assert names == ["tiny/plain seed0", "tiny/perceptron seed0", "other/plain seed0"]
    np.testing.assert_allclose(truth_values(made), (0.4 + 0.8 + 0.4) / 3, atol=1e-3)
    path = written(made)
    assert path == Path("submissions/tiny+other.csv")
    check_submission(path, paths.DataPaths("tiny").sample_submission)
    assert read_message(path) == "tiny+other: 6 nets, mean, out-of-fold 1.00000"
    provenance = json.loads(path.with_suffix(".json").read_text())
    assert provenance["config"]["name"] == "tiny+other"
    assert [each["name"] for each in provenance["config"]["blend_of"]] == ["tiny", "other"]
    assert Path("submissions/tiny+other-mean.csv").exists()
    assert Path("output/tiny+other/ensemble/settings.json").exists()


def test_each_configuration_chooses_its_members_and_the_first_one_the_rest(trained, other):
    first = load("tiny", "ensemble={method: geometric_mean, variants: [perceptron]}")
    made = combine([first, other])
    assert [member.variant for member in made.member_predictions.members] == [
        "tiny/perceptron",
        "other/plain",
    ]
    assert made.chosen.method.name == "geometric_mean"


def test_configurations_with_other_folds_are_all_named(trained):
    third, seeded = (train(load(name, change)) for name, change in
                     [("third", "folds.count=3"), ("seeded", "folds.seed=1")])  # fmt: skip
    with pytest.raises(UserError) as caught:
        combine([trained, third, seeded, train(load("same"))])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("these configurations cannot be blended with tiny")
    assert lines[1:-1] == [
        "  third: folds of scheme kfold, count 3, seed 0, not of scheme kfold, count 2, seed 0",
        "  seeded: folds of scheme kfold, count 2, seed 1, not of scheme kfold, count 2, seed 0",
    ]


def test_configurations_on_other_data_are_named(trained):
    shutil.copytree("input/tiny", "input/changed", ignore=shutil.ignore_patterns("cache"))
    labelled = Path("input/changed/train.csv")
    labelled.write_text(labelled.read_text().replace("\n2,", "\n3,", 1))
    with pytest.raises(UserError, match=r"  moved: other data \('changed', not 'tiny'\)"):
        combine([trained, load("moved", "data=changed")])


def test_of_some_folds_the_rows_are_those_that_all_folds_would_have(trained):
    only = load("only", "folds.only=[1]", "ensemble.method=mean")
    assert {job.split for job in only.identities} == {"fold1"}
    everything = {job.split: identity for job, identity in trained.identities.items()}
    assert [identity["folds"] for identity in only.identities.values()] == [
        everything["fold1"]["folds"]
    ] * 2
    made = combine([train(only)], all_methods=True)
    rows = trained.folds.split("fold1")[1]
    np.testing.assert_array_equal(made.out_of_fold.ids, trained.data_set.train.ids[rows])
    assert made.comparison.left_out
    both = combine([only, train(load("all"))])
    np.testing.assert_array_equal(both.out_of_fold.ids, made.out_of_fold.ids)
    assert {len(member.manifests) for member in both.member_predictions.members} == {1}
    with pytest.raises(UserError, match=r"  only: folds\.only leaves out fold0"):
        combine([trained, only])


def test_a_row_of_several_hold_outs_belongs_to_the_first_that_is_trained(project):
    settings = "folds={scheme: holdout, count: 3, share: 0.5, only: [2, 1]}"
    run = train(load("tiny", settings, "ensemble.method=mean"))
    made = combine([run])
    ids = run.data_set.train.ids
    by_split = {split: ids[rows] for split, rows in run.folds.held_out.items()}
    np.testing.assert_array_equal(
        made.member_predictions.folds,
        np.where(np.isin(made.member_predictions.ids, by_split["holdout1"]), 1, 2),
    )
    assert np.isin(by_split["holdout0"], made.member_predictions.ids).mean() < 1


def test_folds_that_another_release_of_a_library_drew_are_named(trained):
    """Or a hand that knows of the checksum."""
    run = load("other")
    file = next(Path("output/other").glob("folds*.csv"))
    _, header, *lines = file.read_text().splitlines()
    lines = [f"{line[:-1]}{1 - int(line[-1])}" for line in lines]
    table = "\n".join([header, *lines, ""])
    file.write_text(f"{folds.checksum_line(table)}\n{table}")
    assert run.folds.folds[0] != load("other").folds.folds[0]
    with pytest.raises(UserError, match="  other: its file of folds holds another assignment"):
        combine([trained, load("other")])


def test_all_that_is_missing_or_stale_in_any_configuration_is_named_at_once(trained):
    stale = load("tiny", "variants.plain.epochs=5")
    with pytest.raises(UserError) as caught:
        combine([stale, load("other")])
    assert str(caught.value).splitlines() == [
        "tiny, other: 6 of 8 jobs have no result that fits; `make train-folds` trains them, or "
        "give the SET= that they were trained with:",
        "  other/plain seed0 fold0 fold1: not trained yet",
        "  other/perceptron seed0 fold0 fold1: not trained yet",
        "  tiny/plain seed0 fold0 fold1: trained differently (variant.epochs: 2 → 5)",
    ]


@pytest.mark.parametrize("name", ["out_of_fold", "test"])
def test_a_result_of_other_rows_is_refused(trained, name):
    """Rows that a net has learned from are none that it may be scored on."""
    job, _, other, _ = trained.identities
    assert (job.variant, other.variant, other.split) == ("plain", "plain", "fold1")
    predictions = {
        each: read_probabilities(job.folder() / paths.PROBABILITIES, each)
        for each in ("out_of_fold", "test")
    }
    wrong = read_probabilities(other.folder() / paths.PROBABILITIES, "out_of_fold")
    write(job, trained.identities[job], **{**predictions, name: wrong})
    with pytest.raises(UserError) as caught:
        combine([trained])
    assert f"output/tiny/jobs/plain/seed0/fold0 holds '{name}' probabilities of" in str(
        caught.value
    )
    assert "make train-folds" in str(caught.value)
    assert not Path("submissions").exists()


def test_the_report_has_the_tables_of_the_ensemble(trained):
    summary = summarise(ensemble_subject(trained, combine([trained], all_methods=True)))
    text = report_markdown(summary, sections_of(summary))
    assert "| `hill_climbing` | 0 | 1.00000 |" in text
    assert "`mean` makes the submission, as the configuration names it; " in text
    assert "| all together | 0, 0.51" in text
    assert "| member \\ member | plain seed0 | " in text
