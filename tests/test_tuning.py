"""Studies: samplers, pruners, storage and trials, with trainings whose loss is known beforehand."""

import csv
import json
import math
import os
import shutil
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from competition import paths, storage
from competition.config import registry
from competition.config.loading import load_config
from competition.data.run import load_run
from competition.errors import UserError
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan
from competition.training.worker import WorkerContext
from competition.tuning import trial
from competition.tuning.outcome import best_trial, trial_line, write_best, write_trials
from competition.tuning.storage import (
    ended,
    lock_of_sqlite,
    mend_journal,
    open_storage,
    quiet_optuna,
    successors,
    take_up,
    without_password,
)
from competition.tuning.study import Search, find_search, open_study, require_comparable
from competition.tuning.trial import FAILURE, Limits, room_for_trials, run_trial
from competition.tuning.tune import _deadline, _prepared, run_study

CONFIG = """\
data: tiny
folds: {{count: 6}}
defaults: {{epochs: 3, batch_size: 16}}
variants:
  plain:
    architecture: {{width: 4}}
    search_space: {{{space}}}
tuning: {{seed: 3, {tuning}}}
"""

RATES = "learning_rate: {choices: [1e-3, 2e-3, 4e-3, 8e-3]}"


@pytest.fixture
def search(project):
    """Makes a search in the project, of `configs/some.yaml`."""

    def search(space: str = RATES, tuning: str = "sampler: grid", *overrides: str) -> Search:
        path = project / "configs" / "some.yaml"
        path.write_text(CONFIG.format(space=space, tuning=tuning))
        return find_search(load_config(path, overrides), None)

    quiet_optuna()
    return search


@pytest.fixture
def known_losses(monkeypatch):
    """Replaces training by the loss that a function of variant, fold number and epoch tells.

    Returns the list of trainings, as variant, fold number and epochs that were trained.
    """
    trained = []

    def known_losses(loss):
        def train(variant, fold, seed, on_step, on_epoch):
            trained.append([variant, fold.number, 0])
            for epoch in range(1, variant.epochs + 1):
                trained[-1][2] = epoch
                model = math.exp(-loss(variant, fold.number, epoch)), fold
                on_step(epoch * fold.steps(variant))
                on_epoch(epoch, model)
            return model, []

        def predict(model, images):
            share, fold = model
            values = np.full((len(images), 10), (1 - share) / 9)
            values[np.arange(len(images)), fold.digits.labels[fold.validation_rows]] = share
            return values

        monkeypatch.setattr("competition.tuning.trial.train_one_fold", train)
        monkeypatch.setattr("competition.tuning.trial.predict", predict)
        monkeypatch.setattr("competition.training.predict.predict", predict)
        monkeypatch.setattr("competition.tuning.trial.forget_models", lambda: None)
        monkeypatch.setattr("competition.tuning.trial.start_keras", lambda threads: None)
        return trained

    return known_losses


def run_trials(search: Search, count: int, trials: int = 100, deadline: float = math.inf) -> list:
    """Runs trials one after the other in this process."""
    with ProgressBoard.on_disk(count) as board:
        place = WorkerContext(Plan(1, 1), os.getpid(), board)
        limits = Limits(trials, deadline)
        outcomes = [run_trial(search, number, place, limits) for number in range(count)]
        assert (board.shares() == 1).all()
    return outcomes


def in_turn(*losses: float):
    """Returns a function that tells the first variant's loss, the second one's, and so on."""
    seen: list[float] = []

    def loss(variant) -> float:
        seen.extend({variant.warm_up} - set(seen))
        return losses[seen.index(variant.warm_up)]

    return loss


@pytest.mark.parametrize("name", [n for n in registry.SAMPLERS if n != "gp"])
def test_each_sampler_draws_from_the_space(search, name):
    space = "epochs: {low: 2, high: 4}, warm_up: {low: 0.1, high: 0.3, step: 0.1}, " + RATES
    of_this = search(space, f"sampler: {name}")
    drawn = []
    for _ in range(6):  # each with a sampler of its own, as in worker processes
        open_study(of_this).optimize(
            lambda asked: drawn.append(trial.suggested(of_this, asked)) or 1.0, n_trials=1
        )
    assert all(
        values["epochs"] in (2, 3, 4)
        and type(values["epochs"]) is int
        and min(abs(values["warm_up"] - step) for step in (0.1, 0.2, 0.3)) < 1e-9
        and values["learning_rate"] in (1e-3, 2e-3, 4e-3, 8e-3)
        for values in drawn
    )
    assert len({tuple(values.values()) for values in drawn}) > 3


def test_a_sampler_names_the_package_that_it_needs(search, monkeypatch):
    monkeypatch.setattr("competition.tuning.study._is_installed", lambda package: False)
    with pytest.raises(UserError, match="the sampler 'gp' needs the package 'torch'"):
        open_study(search(tuning="sampler: gp"))


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_the_same_seed_draws_the_same_trials(search, known_losses, name):
    known_losses(lambda variant, fold, epoch: variant.warm_up)
    space = "warm_up: {low: 0.1, high: 0.3}"

    def drawn(*overrides: str) -> list[float]:
        of_this = search(space, f"sampler: {name}", *overrides)
        return [one.params["warm_up"] for one in run_trials(of_this, 12)]

    first = drawn("name=first")
    assert drawn("name=second") == first
    assert drawn("name=third", "tuning.seed=4") != first
    assert len(set(first)) == 12


@pytest.mark.parametrize(
    ("pruner", "class_name"),
    [
        ("none", "NopPruner"),
        ("median", "MedianPruner"),
        ("hyperband", "HyperbandPruner"),
        ("wilcoxon", "WilcoxonPruner"),
    ],
)
def test_each_pruner_is_built(search, pruner, class_name):
    of_this = search(tuning=f"pruner: {pruner}, folds: [0, 1, 2, 3, 4]")
    assert type(open_study(of_this).pruner).__name__ == class_name


def test_every_pruner_is_tested():
    assert set(registry.PRUNERS) == {"none", "median", "hyperband", "wilcoxon"}


@pytest.mark.parametrize(
    "tuning",
    [
        "pruner: {name: hyperband, reduction_factor: 1}",
        "pruner: {name: median, startup_trials: -1}",
        "sampler: {name: nsga2, population: 1}",
    ],
)
def test_parameters_that_optuna_refuses_are_a_users_mistake(search, tuning):
    with pytest.raises(UserError, match="cannot be built with"):
        open_study(search(tuning=tuning))


def test_a_trial_has_the_loss_of_all_its_folds(search, known_losses):
    """Each row counts alike; the folds of 120 rows have 20 each."""
    trained = known_losses(lambda variant, fold, epoch: variant.learning_rate * (1 + fold) / epoch)
    of_this = search(tuning="sampler: grid, pruner: none, folds: [1, 4]")
    first, *_ = run_trials(of_this, 1)
    rate = first.params["learning_rate"]
    assert first.value == pytest.approx((2 * rate / 3 + 5 * rate / 3) / 2, rel=1e-5)
    assert first.user_attrs["score"] == [40, 0, pytest.approx(first.value)]
    assert [(fold, epochs) for _, fold, epochs in trained] == [(1, 3), (4, 3)]
    assert trained[0][0].learning_rate == rate


def test_errors_can_be_the_objective(search, known_losses):
    """With a loss of 5 nats a row, the label has not the highest probability."""
    known_losses(lambda variant, fold, epoch: 5.0 if variant.learning_rate > 3e-3 else 0.1)
    of_this = search(tuning="sampler: grid, objective: errors, pruner: none")
    values = {one.params["learning_rate"]: one.value for one in run_trials(of_this, 4)}
    assert values == {1e-3: 0, 2e-3: 0, 4e-3: 20, 8e-3: 20}


def test_a_grid_ends_when_every_combination_was_tried(search, known_losses):
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(RATES + ", epochs: {low: 2, high: 3}")
    assert of_this.most_trials() == 8
    done = run_trials(of_this, 10, trials=of_this.most_trials())
    assert done[8:] == [None, None]
    tried = {tuple(one.params.values()) for one in done[:8]}
    assert tried == {(rate, epochs) for rate in (1e-3, 2e-3, 4e-3, 8e-3) for epochs in (2, 3)}


def test_the_median_ends_a_trial_that_is_worse(search, known_losses):
    of_trial = in_turn(1.0, 2.0, 1.5, 3.0, 0.5)
    trained = known_losses(lambda variant, fold, epoch: of_trial(variant) / epoch)
    of_this = search(
        "warm_up: {low: 0.1, high: 0.3}",
        "sampler: random, pruner: {name: median, startup_trials: 2}, folds: [2, 3]",
    )
    done = run_trials(of_this, 5)
    # The medians after the first epoch: of 1 and 2, 1.5; it is no worse than that. Of 1, 2 and
    # 1.5, 1.5 again, so that 3 is worse.
    assert [one.state for one in done] == [TrialState.COMPLETE] * 3 + [
        TrialState.PRUNED, TrialState.COMPLETE
    ]  # fmt: skip
    assert [(fold, epochs) for _, fold, epochs in trained[6:]] == [(2, 1), (2, 3), (3, 3)]
    assert done[3].intermediate_values == {1: pytest.approx(3.0)}
    assert list(done[4].intermediate_values) == [1, 2, 3]  # the curve of the first fold alone


def test_trainings_of_different_length_are_compared_by_their_share(search, known_losses):
    """Three epochs are all of the schedule of one trial, and half of that of another."""
    known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search("epochs: {choices: [2, 3, 4, 6]}")
    steps = {one.params["epochs"]: list(one.intermediate_values) for one in run_trials(of_this, 4)}
    assert steps == {2: [3, 6], 3: [2, 4, 6], 4: [2, 3, 4, 6], 6: [1, 2, 3, 4, 5, 6]}


def test_hyperband_ends_trials(search, known_losses):
    known_losses(lambda variant, fold, epoch: variant.warm_up)
    of_this = search(
        "warm_up: {low: 0.1, high: 0.9}",
        "sampler: random, pruner: {name: hyperband, reduction_factor: 2}",
        "defaults.epochs=8",
    )
    states = [one.state for one in run_trials(of_this, 16)]
    assert {TrialState.COMPLETE, TrialState.PRUNED} == set(states)


def test_wilcoxon_ends_a_trial_that_is_worse_on_each_fold(search, known_losses):
    of_trial = in_turn(1.0, 2.0, 0.5)
    trained = known_losses(lambda variant, fold, epoch: of_trial(variant) + fold / 100)
    of_this = search(
        "warm_up: {low: 0.1, high: 0.3}",
        "sampler: random, pruner: wilcoxon, folds: [0, 1, 2, 3, 4]",
    )
    done = run_trials(of_this, 3)
    assert [one.state.name for one in done] == ["COMPLETE", "PRUNED", "COMPLETE"]
    # 1 / 2 ** 4 is the first p-value below 0.1.
    assert [fold for _, fold, _ in trained] == [*range(5), *range(4), *range(5)]
    assert done[0].intermediate_values == {f: pytest.approx(1 + f / 100) for f in range(5)}


def test_a_failed_trial_is_recorded_and_the_study_goes_on(search, known_losses):
    def loss(variant, fold, epoch):
        if variant.learning_rate == 1e-3:
            raise UserError("the loss is no longer a number in epoch 1")
        if variant.learning_rate == 2e-3:
            return math.nan
        if variant.learning_rate == 4e-3:
            return [][1]
        return 1.0

    known_losses(loss)
    of_this = search(tuning="sampler: grid, pruner: none")
    done = {one.params["learning_rate"]: one for one in run_trials(of_this, 4)}
    assert [done[rate].state.name for rate in (1e-3, 2e-3, 4e-3, 8e-3)] == [
        *["FAIL"] * 3,
        "COMPLETE",
    ]
    assert "no longer a number in epoch 1" in done[1e-3].user_attrs[FAILURE]
    assert "the net's predictions are no longer numbers" in done[2e-3].user_attrs[FAILURE]
    assert "Traceback" in done[4e-3].user_attrs[FAILURE]  # a bug keeps it
    study = open_study(of_this)
    assert best_trial(study, of_this).number == done[8e-3].number
    assert "FAILED, the loss is no longer" in trial_line(done[1e-3], of_this, is_best=False)
    with write_trials(study, of_this).open() as file:
        rows = {float(row["learning_rate"]): row for row in csv.DictReader(file)}
    assert (rows[8e-3]["state"], float(rows[8e-3]["log_loss"])) == ("complete", done[8e-3].value)
    assert rows[1e-3]["state"] == "fail"
    assert rows[4e-3]["remark"] == "IndexError: list index out of range"


def test_without_a_completed_trial_there_is_no_best_one(search, known_losses):
    known_losses(lambda variant, fold, epoch: math.nan)
    of_this = search(tuning="sampler: grid, pruner: none")
    run_trials(of_this, 1)
    with pytest.raises(
        UserError, match=r"no trial of some/plain was completed yet.*no longer numbe"
    ):
        best_trial(open_study(of_this), of_this)


def test_no_trial_begins_after_the_time_is_up(search, known_losses):
    known_losses(lambda variant, fold, epoch: 1.0)
    assert run_trials(search(), 2, deadline=0.0) == [None, None]


def test_a_trial_has_its_own_images_and_removes_them(search, known_losses):
    seen = []

    def loss(variant, fold, epoch):
        assert fold_pool_is_there(variant)
        seen.append(variant.augmentation.parameters["rotation"])
        return 1.0

    def fold_pool_is_there(variant) -> bool:
        [folder] = paths.pools_folder().glob("*.some.plain.trial*")
        return len(list(folder.glob("*.npy"))) == variant.epochs

    known_losses(loss)
    of_this = search("augmentation.rotation: {choices: [3.0, 6.0]}", "sampler: grid, pruner: none")
    run_trials(of_this, 2)
    assert set(seen) == {3.0, 6.0}
    assert list(paths.pools_folder().iterdir()) == []


def test_trials_share_the_images_of_an_unchanged_policy(search, known_losses, monkeypatch):
    pools = []
    known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search()
    original = trial.train_one_fold

    def train(variant, fold, *more):
        pools.append(fold.pool.folder())
        return original(variant, fold, *more)

    monkeypatch.setattr("competition.tuning.trial.train_one_fold", train)
    run_trials(of_this, 2)
    run = load_run(of_this.config)
    assert set(pools) == {of_this.shared_pool(run.fingerprint).folder()}


def abandoned(search: Search) -> None:
    """Leaves a trial that is said to run, as a killed process does."""
    trial.suggested(search, open_study(search).ask())


def test_an_interrupted_trial_is_taken_up_again_with_its_values(search, known_losses):
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search()
    run_trials(of_this, 1)
    abandoned(of_this)
    study = open_study(of_this)
    assert take_up(study) == (1, 0)
    assert [one.state.name for one in study.trials] == ["COMPLETE", "FAIL", "WAITING"]
    assert len(ended(study)) == 1
    again = run_trials(of_this, 4, trials=4)
    assert again[0].params == study.trials[1].params
    assert again[3] is None
    assert successors(study) == {1: 2}
    tried = sorted(one.params["learning_rate"] for one in ended(study))
    assert tried == [1e-3, 2e-3, 4e-3, 8e-3]  # no point of the grid is lost
    remarks = write_trials(study, of_this).read_text().splitlines()
    assert remarks[2].endswith("interrupted; taken up again as trial 2")


@pytest.mark.parametrize("comes_out_as", [KeyboardInterrupt, RuntimeError])
def test_a_trial_that_ctrl_c_ends_is_queued_again(comes_out_as, search, known_losses, answering):
    """Whether or not a library made an error of its own of the interrupt."""

    def loss(variant, fold, epoch) -> float:
        if len(interrupted) < 4:  # more often than a trial may end its process
            interrupted.append(variant.learning_rate)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            raise comes_out_as
        return variant.learning_rate

    interrupted: list[float] = []
    known_losses(loss)
    of_this = search()
    study = open_study(of_this)
    for evening in range(1, 5):
        with pytest.raises(KeyboardInterrupt):
            run_trials(of_this, 1)
        assert [one.state.name for one in study.trials] == ["FAIL"] * evening + ["WAITING"]
        assert ended(study) == []
    assert run_trials(of_this, 1)[0].params == {"learning_rate": interrupted[0]}
    assert [one.number for one in ended(study)] == [4]
    *_, last = write_trials(study, of_this).read_text().splitlines()
    assert last.startswith("4,complete,")
    assert last.endswith(",")  # no remark


def test_a_trial_that_ends_its_process_each_time_is_given_up(search):
    of_this = search()
    for is_last in (False, False, True):
        abandoned(of_this)
        assert take_up(open_study(of_this)) == ((0, 1) if is_last else (1, 0))
    study = open_study(of_this)
    assert [one.state.name for one in study.trials] == ["FAIL"] * 3
    assert len(ended(study)) == 1


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("tuning.objective=errors", "objective: log_loss → errors"),
        ("tuning.folds=[1]", r"tuning_folds: \[0\] → \[1\]"),
        ("variants.plain.search_space.learning_rate.choices=[1e-3, 2e-3]", "search_space.learning"),
        ("variants.plain.search_space.warm_up={choices: [0.1, 0.2]}", "search_space.warm_up: "),
        ("variants.plain.epochs=5", "variant.epochs: 3 → 5"),
        ("folds.seed=1", "folds: "),
    ],
)
def test_trials_that_cannot_be_compared_are_never_mixed(search, known_losses, change, difference):
    known_losses(lambda variant, fold, epoch: 1.0)
    before = search()
    require_comparable(open_study(before), before, load_run(before.config))
    changed = search(RATES, "sampler: grid", change)
    require_comparable(open_study(changed), changed, load_run(changed.config))  # no trial yet
    require_comparable(open_study(before), before, load_run(before.config))
    run_trials(before, 1)
    message = f'{difference}.*begin another study with SET="name=…", or remove output/some/tuning/'
    with pytest.raises(UserError, match=message):
        require_comparable(open_study(changed), changed, load_run(changed.config))


@pytest.mark.parametrize(
    "change",
    ["tuning.sampler=random", "tuning.trials=7", "tuning.pruner=none", "tuning.seed=5",
     "variants.plain.learning_rate=0.5", "variants.plain.validate_every=2"],
)  # fmt: skip
def test_what_leaves_trials_comparable_may_change(search, known_losses, change):
    known_losses(lambda variant, fold, epoch: 1.0)
    before = search()
    require_comparable(open_study(before), before, load_run(before.config))
    run_trials(before, 1)
    changed = search(RATES, "sampler: grid", change)
    require_comparable(open_study(changed), changed, load_run(changed.config))


def test_the_best_trial_is_a_configuration_with_exactly_its_values(search, known_losses):
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(
        "learning_rate: {low: 1e-5, high: 1e-2, log: true}, epochs: {low: 2, high: 3}, "
        "architecture.dropout: {low: 0, high: 0.4}, augmentation: {choices: [none, affine]}",
        "sampler: random, pruner: none",
    )
    done = run_trials(of_this, 3)
    best = best_trial(open_study(of_this), of_this)
    assert best.value == min(one.value for one in done) < max(one.value for one in done)
    path = write_best(best, of_this)
    assert path == Path("output/some/tuning/plain/best.yaml")
    config = load_config(path)
    assert config.name == "some-plain-best"
    assert config.variants == {"plain": of_this.variant.with_values(best.params)}
    variant = config.variants["plain"]
    assert variant.learning_rate == best.params["learning_rate"]
    assert variant.epochs == best.params["epochs"]
    assert variant.architecture.parameters["dropout"] == best.params["architecture.dropout"]
    assert variant.augmentation.name == best.params["augmentation"]
    assert (config.data, config.folds) == (of_this.config.data, of_this.config.folds)


def test_the_best_trial_is_an_ensemble_of_itself(search, known_losses):
    """The ensemble of the study's configuration may name members that it does not have."""
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(
        RATES,
        "sampler: grid, pruner: none",
        "variants.residual.seeds=[1]",
        "ensemble={method: geometric_mean, variants: [plain, residual], seeds: [0, 1], folds: [2]}",
    )
    run_trials(of_this, 1)
    config = load_config(write_best(best_trial(open_study(of_this), of_this), of_this))
    assert list(config.variants) == ["plain"]
    assert (config.ensemble.variants, config.ensemble.seeds) == (None, None)
    assert (config.ensemble.method.name, config.ensemble.folds) == ("geometric_mean", [2])


def test_marks_make_other_trials(search, known_losses):
    known_losses(lambda variant, fold, epoch: 1.0)
    before = search()
    run = load_run(before.config)
    require_comparable(open_study(before), before, run)
    run_trials(before, 1)
    train = run.data_set.train
    line = f"{train.ids[0]},{train.labels[0]},label error,{(train.labels[0] + 1) % 10}\n"
    Path("marks.csv").write_text(f"id,given_label,mark,label\n{line}")
    marked = search(RATES, "sampler: grid", "marks=marks.csv")
    with pytest.raises(UserError, match=r"1 trial that cannot be compared.*label_errors"):
        require_comparable(open_study(marked), marked, load_run(marked.config))


def test_a_grid_is_not_begun_among_other_trials(search, known_losses):
    known_losses(lambda variant, fold, epoch: 1.0)
    at_random = search(RATES, "sampler: random")
    run = load_run(at_random.config)
    require_comparable(open_study(at_random), at_random, run)
    run_trials(at_random, 1)
    on_a_grid = search(RATES, "sampler: grid")
    with pytest.raises(UserError, match="trials of another sampler, so that a grid would never be"):
        require_comparable(open_study(on_a_grid), on_a_grid, run)


def test_views_of_the_policy_that_is_trained_with_are_all_there(search):
    settings = ("variants.plain.test_time_draws=8", "variants.plain.test_time_augmentation=warp")
    of_this = search(RATES, "sampler: grid", *settings)
    assert of_this.variant.augmentation.name == "warp"
    with room_for_trials(of_this, load_run(of_this.config), Plan(1, 1)):
        [folder] = paths.pools_folder().iterdir()
        assert len(list(folder.glob("*.npy"))) == 8


def test_policies_of_trials_need_room_whatever_the_variant_has(search, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    space = "augmentation: {choices: [none, warp]}"
    of_this = search(space, "sampler: grid", "variants.plain.augmentation=none")
    run = load_run(of_this.config)
    with (
        pytest.raises(UserError, match="augmented images of this run need"),
        room_for_trials(of_this, run, Plan(1, 1)),
    ):
        pass


@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_images_of_a_study_that_another_command_works_on_stay(search, known_losses, is_elsewhere):
    """A command with a database of its own works on the same configuration and variant."""
    of_this = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db")
    folder = paths.pools_folder() / f"0123.{of_this.owner(0)}"
    folder.mkdir(parents=True)
    lock = paths.tuning_lock_file("some", "plain")
    journal_study = storage.shared(lock) if is_elsewhere else nullcontext()
    with journal_study:
        _prepared(of_this, load_run(of_this.config), lock)
    assert folder.exists() == is_elsewhere


def test_hours_end_a_study(search):
    assert _deadline(search(RATES, "sampler: grid, hours: 1.5")) == pytest.approx(
        time.time() + 5400, abs=60
    )
    assert _deadline(search()) == math.inf


def test_a_journal_is_mended_after_a_kill(search):
    of_this = search()
    abandoned(of_this)
    journal = paths.journal_file("some", "plain")
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    lock = journal.with_name("journal.log.lock")
    lock.symlink_to(journal.absolute())
    mend_journal(journal)
    assert journal.read_bytes() == whole
    assert not lock.is_symlink()
    assert take_up(open_study(of_this)) == (1, 0)  # nobody waits for the lock of a killed process
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{not json}\n", *lines[1:]]))
    with pytest.raises(UserError, match=r"journal.log is damaged in line 2 .*begin the study anew"):
        mend_journal(journal)


def test_a_journal_is_text(search):
    abandoned(search())
    lines = paths.journal_file("some", "plain").read_text().splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_sqlite_takes_one_process(search, known_losses):
    known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db")
    with pytest.raises(
        UserError, match="SQLite breaks when several processes write it; use JOBS=1"
    ):
        run_study(of_this, load_run(of_this.config), workers=2)
    assert not Path("study.db").exists()
    done = run_trials(of_this, 2)
    assert [one.state.name for one in done] == ["COMPLETE"] * 2
    assert not paths.journal_file("some", "plain").exists()


def test_sqlite_takes_one_study_at_a_time(search, known_losses):
    of_this = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db")
    another = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db", "name=another")
    in_use = storage.exclusive(lock_of_sqlite(of_this.settings.storage))
    with in_use, pytest.raises(UserError, match="takes only one; wait"):
        run_study(another, load_run(another.config), workers=1)
    assert not Path("study.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+nodriver://me:se%40cret@localhost:1/name",
        "nosuch://me:se%40cret@host/name",
        "sqlite:////nowhere/at/all/study.db?password=se%40cret",
    ],
)
@pytest.mark.filterwarnings("ignore")  # of Optuna and its database library, about the URLs
def test_a_storage_that_fails_keeps_its_password_to_itself(tmp_path, url):
    with pytest.raises(UserError, match="cannot be used: ") as caught:
        open_storage(url, tmp_path / "journal.log")
    assert "se%40cret" not in str(caught.value)
    assert "se@cret" not in str(caught.value)
    assert without_password("to me:se@cret", url) == "to me:***"


@pytest.mark.parametrize("password", ["a/eim77", "a#eim77", "a?eim77", "a[eim77", "a@eim77"])
@pytest.mark.parametrize("end", ["nosuchhost/name", "nosuchhost:word/name?sslpassword=eim77"])
@pytest.mark.filterwarnings("ignore")
def test_a_password_that_is_not_written_as_in_a_url_is_not_shown_either(tmp_path, password, end):
    with pytest.raises(UserError, match=r"the storage postgresql://\*\*\*@nosuchhost") as caught:
        open_storage(f"postgresql://me:{password}@{end}", tmp_path / "journal.log")
    assert "eim77" not in str(caught.value)


@pytest.mark.parametrize(
    ("variants", "name", "message"),
    [
        ("{plain: , residual: }", None, "those with a search_space: none of this configuration"),
        ("{plain: , residual: }", "plain", "'plain' has no search_space to tune"),
        ("{plain: &a {search_space: {epochs: {low: 2, high: 3}}}, residual: *a}", None,
         "name the variant to tune, VARIANT=…; those with a search_space: plain, residual"),
        ("{plain: {search_space: {epochs: {low: 2, high: 3}}}}", "plian", "'plian' has no"),
    ],
)  # fmt: skip
def test_a_variant_is_named_that_can_be_tuned(tmp_path, variants, name, message):
    path = tmp_path / "some.yaml"
    path.write_text(f"variants: {variants}")
    with pytest.raises(UserError, match=message):
        find_search(load_config(path), name)
