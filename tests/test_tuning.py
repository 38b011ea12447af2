"""Studies: samplers, pruners, storage and trials, with trainings whose loss is known beforehand."""

import csv
import json
import math
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import one_sure, write_made_up_result
from optuna.trial import TrialState

from competition import paths, storage, system
from competition.config import registry
from competition.config.loading import load_config
from competition.config.search_space import Parameter
from competition.data.run import load_run
from competition.errors import UserError
from competition.metrics import LossGap, Score
from competition.probabilities import Probabilities
from competition.results import Job
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan
from competition.training.worker import WorkerContext
from competition.tuning import trial
from competition.tuning.outcome import (
    FinalEvaluation,
    best_trial,
    best_trials_table,
    evaluation_table,
    final_evaluation,
    settings_table,
    trial_line,
    verdict,
    write_best,
    write_trials,
)
from competition.tuning.pictures import draw_pictures
from competition.tuning.storage import (
    finished_trials,
    open_database,
    open_storage,
    quiet_optuna,
    repair_journal,
    requeue_interrupted,
    scheme_and_host,
    successors,
)
from competition.tuning.study import Search, find_search, open_study, require_comparable
from competition.tuning.trial import FAILURE, run_trial
from competition.tuning.tune import prepared_study, run_study

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
        quiet_optuna()
        path = project / "configs" / "some.yaml"
        path.write_text(CONFIG.format(space=space, tuning=tuning))
        return find_search(load_config(path, overrides), None)

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
                on_step(epoch * fold.steps_per_epoch(variant))
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


@pytest.fixture
def in_this_process(monkeypatch):
    """Has a whole study run here, where training is replaced, and without building a net."""
    monkeypatch.setattr("competition.training.resources.started_threads", lambda: None)
    monkeypatch.setattr("competition.tuning.tune.chosen_plan", lambda *jobs: Plan(1, 1))
    monkeypatch.setattr("competition.tuning.tune.require_trainable", lambda *jobs: None)


def run_trials(search: Search, count: int, deadline: float = math.inf) -> list:
    """Runs trials one after the other in this process."""
    run = load_run(search.config)
    with ProgressBoard.on_disk(count) as board:
        context = WorkerContext(Plan(1, 1), board)
        outcomes = [run_trial(search, run, number, context, deadline) for number in range(count)]
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
    monkeypatch.setitem(sys.modules, "torch", None)
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
    assert of_this.wanted_trials == 8
    done = run_trials(of_this, 10)
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


@pytest.mark.parametrize(("objective", "pruned"), [("log_loss", [2, 3]), ("errors", [3])])
def test_the_median_compares_what_the_study_searches(search, known_losses, objective, pruned):
    """The third trial has a higher log-loss and no more errors; the fourth has more of both."""
    of_trial = in_turn(0.1, 0.1, 0.2, 5.0)
    known_losses(lambda variant, fold, epoch: of_trial(variant))
    of_this = search(
        "warm_up: {low: 0.1, high: 0.3}",
        "sampler: random, pruner: {name: median, startup_trials: 2}",
        f"tuning.objective={objective}",
    )
    done = run_trials(of_this, 4)
    assert [one.number for one in done if one.state is TrialState.PRUNED] == pruned
    if objective == "errors":
        assert done[2].intermediate_values == {1: 0, 2: 0, 3: 0}
        assert done[3].intermediate_values == {1: 20}  # a fold has 20 rows
        assert "trial 3: pruned at 20, 0.0 min; warm_up" in trial_line(done[3], of_this, False)


def test_wilcoxon_compares_errors_too(search, known_losses):
    of_trial = in_turn(0.1, 0.2, 5.0)
    known_losses(lambda variant, fold, epoch: of_trial(variant))
    of_this = search(
        "warm_up: {low: 0.1, high: 0.3}",
        "sampler: random, pruner: wilcoxon, objective: errors, folds: [0, 1, 2, 3, 4]",
    )
    done = run_trials(of_this, 3)
    assert [one.state.name for one in done] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert done[2].intermediate_values == dict.fromkeys(range(4), 20)


def test_a_trial_whose_values_exclude_one_another_fails_and_says_so(search, known_losses):
    known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search()
    space = {
        "schedule": Parameter(choices=["one_cycle", "cosine"]),
        "warm_up": Parameter(choices=[0.2, 0.3]),
    }
    variant = of_this.variant.model_copy(update={"search_space": space})
    config = of_this.config.model_copy(update={"variants": {"plain": variant}})
    done = run_trials(Search(config, "plain"), 4)
    assert all(
        (one.state is TrialState.FAIL) == (one.params["schedule"] == "cosine") for one in done
    )
    failures = {one.user_attrs[FAILURE] for one in done if one.state is TrialState.FAIL}
    assert failures == {
        f"the values {{'schedule': 'cosine', 'warm_up': {warm_up}}} exclude one another: warm_up "
        "belongs to the schedule one_cycle, not to cosine; leave it out"
        for warm_up in (0.2, 0.3)
    }


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
        [folder] = paths.POOLS.glob("*.some.plain.trial*")
        return len(list(folder.glob("*.npy"))) == variant.epochs

    known_losses(loss)
    of_this = search("augmentation.rotation: {choices: [3.0, 6.0]}", "sampler: grid, pruner: none")
    run_trials(of_this, 2)
    assert set(seen) == {3.0, 6.0}
    assert list(paths.POOLS.iterdir()) == []


def test_trials_share_the_images_of_an_unchanged_policy(search, known_losses, monkeypatch):
    pools = []
    known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search()
    original = trial.train_one_fold

    def train(variant, fold, *more):
        pools.append(fold.augmented.folder())
        return original(variant, fold, *more)

    monkeypatch.setattr("competition.tuning.trial.train_one_fold", train)
    run_trials(of_this, 2)
    run = load_run(of_this.config)
    assert set(pools) == {of_this.training_epochs(run.fingerprint).folder()}


def interrupt(search: Search) -> None:
    """Leaves a trial that is said to run, as a killed process does."""
    trial.suggested(search, open_study(search).ask())


def test_an_interrupted_trial_is_queued_again_with_its_values(search, known_losses):
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search()
    run_trials(of_this, 1)
    interrupt(of_this)
    study = open_study(of_this)
    assert requeue_interrupted(study) == (1, 0)
    assert [one.state.name for one in study.trials] == ["COMPLETE", "FAIL", "WAITING"]
    assert len(finished_trials(study)) == 1
    again = run_trials(of_this, 4)
    assert again[0].params == study.trials[1].params
    assert again[3] is None
    assert successors(study) == {1: 2}
    tried = sorted(one.params["learning_rate"] for one in finished_trials(study))
    assert tried == [1e-3, 2e-3, 4e-3, 8e-3]  # no point of the grid is lost
    remarks = write_trials(study, of_this).read_text().splitlines()
    assert remarks[2].endswith("interrupted; re-queued as trial 2")


@pytest.mark.parametrize("comes_out_as", [KeyboardInterrupt, RuntimeError])
def test_a_trial_that_ctrl_c_ends_is_queued_again(
    comes_out_as, search, known_losses, answering, monkeypatch
):
    """Whether or not a library made an error of its own of the interrupt."""

    def loss(variant, fold, epoch) -> float:
        if len(interrupted) < 4:  # more often than a trial may end its process
            interrupted.append(variant.learning_rate)
            with pytest.raises(KeyboardInterrupt):
                interrupt_and_wait()
            raise comes_out_as
        return variant.learning_rate

    def interrupt_and_wait() -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(30)

    monkeypatch.setattr(system, "SECONDS_TO_A_SAFE_PLACE", 0.01)
    interrupted: list[float] = []
    known_losses(loss)
    of_this = search()
    study = open_study(of_this)
    for evening in range(1, 5):
        with pytest.raises(KeyboardInterrupt):
            run_trials(of_this, 1)
        assert [one.state.name for one in study.trials] == ["FAIL"] * evening + ["WAITING"]
        assert finished_trials(study) == []
    assert run_trials(of_this, 1)[0].params == {"learning_rate": interrupted[0]}
    assert [one.number for one in finished_trials(study)] == [4]
    *_, last = write_trials(study, of_this).read_text().splitlines()
    assert last.startswith("4,complete,")
    assert last.endswith(",")  # no remark


def test_a_trial_that_ends_its_process_each_time_is_given_up(search):
    of_this = search()
    for is_last in (False, False, True):
        interrupt(of_this)
        assert requeue_interrupted(open_study(of_this)) == ((0, 1) if is_last else (1, 0))
    study = open_study(of_this)
    assert [one.state.name for one in study.trials] == ["FAIL"] * 3
    assert len(finished_trials(study)) == 1


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
    message = f'{difference}.*start another study with SET="name=…", or remove output/some/tuning/'
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


def test_the_pictures_are_the_same_whatever_a_matplotlibrc_says(search, known_losses, monkeypatch):
    from matplotlib import rcParams

    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search()
    run_trials(of_this, 4)
    study = open_study(of_this)
    before = [path.read_bytes() for path in draw_pictures(study, of_this)]
    for name, value in (("text.usetex", True), ("lines.linewidth", 9.0), ("font.size", 4.0)):
        monkeypatch.setitem(rcParams, name, value)
    assert [path.read_bytes() for path in draw_pictures(study, of_this)] == before
    assert rcParams["lines.linewidth"] == 9.0  # as a notebook has it


def test_the_report_on_trials_is_made_of_frames(search, known_losses):
    known_losses(lambda variant, fold, epoch: math.nan if epoch < 3 else variant.learning_rate)
    of_this = search("learning_rate: {low: 1e-5, high: 1e-2, log: true}, epochs: {low: 2, high: 3}",
                     "sampler: random, pruner: none")  # fmt: skip
    done = run_trials(of_this, 13)
    completed = sorted((one.value, one.number) for one in done if one.value is not None)
    assert 0 < len(completed) < 13
    study = open_study(of_this)
    best = best_trials_table(study, of_this)
    assert best.frame["trial"].tolist() == [number for _, number in completed][:10]
    assert best.frame["log_loss"].tolist() == [value for value, _ in completed][:10]
    assert f"13 trials: {len(completed)} completed" in best.note
    assert f"{13 - len(completed)} failed" in best.note
    first = best_trial(study, of_this)
    rate = first.params["learning_rate"]
    line = f"| {first.number} | {first.value:.5f} | 0.0 | {rate:.3g} | 3 |"
    assert line in best.markdown()
    assert settings_table(first, of_this).frame.to_numpy().tolist() == [
        ["learning_rate", "0.003", f"{rate:.3g}"], ["epochs", "3", "3"]
    ]  # fmt: skip


@pytest.fixture
def evaluated(search, known_losses, capsys):
    """Makes a final evaluation of two nets whose probabilities of the labels are given.

    All of their results are there already, so that nothing is trained.
    """

    def evaluated(tuned: np.ndarray, as_it_is: np.ndarray):
        known_losses(lambda variant, fold, epoch: variant.learning_rate)
        of_this = search(RATES, "sampler: grid, pruner: none, folds: [0, 1], final_folds: [2, 4]")
        run = load_run(of_this.config)
        run_trials(of_this, 1)
        best = best_trial(open_study(of_this), of_this)
        best_config = write_best(best, of_this)
        for one, shares in ((load_run(load_config(best_config)), tuned), (run, as_it_is)):
            for split, of_fold in zip(("fold2", "fold4"), np.split(shares, 2), strict=True):
                job = Job(one.config.name, "plain", 0, split)
                _, rows = one.folds.split(split)
                train = one.data_set.train
                values = np.array([
                    one_sure(label, share)
                    for label, share in zip(train.labels[rows], of_fold, strict=True)
                ])  # fmt: skip
                predictions = {"out_of_fold": Probabilities(train.ids[rows], values)}
                write_made_up_result(job, one.identities[job], **predictions)
        return of_this, best, final_evaluation(of_this, run, best_config, workers=1)

    return evaluated


def test_the_final_evaluation_knows_which_settings_are_which(evaluated):
    """On 40 rows that no trial saw, the variant as it is has one error, and is less sure."""
    of_this, best, evaluation = evaluated(np.full(40, 0.9), np.r_[0.05, np.full(39, 0.6)])
    assert evaluation.folds == [2, 4]
    assert (evaluation.best.rows, evaluation.best.errors) == (40, 0)
    assert (evaluation.as_it_is.rows, evaluation.as_it_is.errors) == (40, 1)
    assert evaluation.best.log_loss == pytest.approx(-np.log(0.9), rel=1e-3)
    expected = np.log(0.9) - (np.log(0.05) + 39 * np.log(0.6)) / 40
    assert -evaluation.gap.mean == pytest.approx(expected, rel=1e-3)
    assert evaluation.gap.low < evaluation.gap.mean < evaluation.gap.high
    assert evaluation.gap.high < 1e-3 - np.log(0.9 / 0.6)
    table = evaluation_table(best, of_this, evaluation)
    assert table.frame[["settings", "scored_on", "errors"]].to_numpy().tolist() == [
        [f"trial {best.number}", "folds 0 1: optimistic", 0],
        [f"trial {best.number}", "folds 2 4", 0],
        ["plain as it is", "folds 2 4", 1],
    ]
    assert table.frame["log_loss"][0] == best.value
    assert "optimistic, as the trial was chosen by it" in table.note
    assert "does not cover the spread between seeds" in table.note


@pytest.mark.parametrize(
    ("tuned", "gap", "said"),
    [
        (Score(40, 1, 0.2), LossGap(-0.3, -0.5, -0.1),
         "keep it: on 40 rows that no trial saw, trial 7 is better than plain untuned (in log-loss "
         "-0.30000, 95% interval -0.50000 … -0.10000; 1 error, untuned 4)"),
        (Score(40, 5, 0.7), LossGap(0.2, 0.1, 0.3),
         "drop it: on 40 rows that no trial saw, trial 7 is worse than plain untuned (in log-loss "
         "+0.20000, 95% interval +0.10000 … +0.30000; 5 errors, untuned 4)"),
        (Score(40, 4, 0.4), LossGap(-0.1, -0.3, 0.1),
         "not proven: on 40 rows that no trial saw, trial 7 and plain untuned differ by no more "
         "than chance (in log-loss -0.10000, 95% interval -0.30000 … +0.10000; 4 errors, untuned "
         "4)"),
    ],
)  # fmt: skip
def test_the_verdict_is_what_the_interval_shows(search, tuned, gap, said):
    evaluation = FinalEvaluation([1], tuned, Score(40, 4, 0.5), gap)
    trial = SimpleNamespace(number=7)
    assert verdict(trial, search(), evaluation) == said


def test_a_worse_trial_is_dropped(evaluated):
    random = np.random.default_rng(0)
    _, _, evaluation = evaluated(random.uniform(0.5, 0.7, 40), random.uniform(0.8, 0.9, 40))
    gap = evaluation.gap
    assert 0 < gap.low < gap.mean < gap.high
    assert gap.verdict == "worse"


def test_rows_that_do_not_tell_prove_nothing(evaluated):
    random = np.random.default_rng(0)
    _, _, evaluation = evaluated(random.uniform(0.5, 0.9, 40), random.uniform(0.5, 0.9, 40))
    assert evaluation.gap.low < 0 < evaluation.gap.high
    assert evaluation.gap.verdict == "not proven"


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
    with pytest.raises(UserError, match="trials of another sampler, so a grid would never be"):
        require_comparable(open_study(on_a_grid), on_a_grid, run)


def test_views_of_the_policy_that_is_trained_with_are_all_there(search):
    settings = ("variants.plain.test_time_draws=8", "variants.plain.test_time_augmentation=warp")
    of_this = search(RATES, "sampler: grid", *settings)
    assert of_this.variant.augmentation.name == "warp"
    assert list(of_this.shared_epochs("0123").values()) == [8]


def test_trials_of_a_searched_policy_share_the_views_alone(search):
    settings = ("variants.plain.test_time_draws=8", "variants.plain.test_time_augmentation=affine")
    of_this = search("augmentation.rotation: {choices: [3.0, 6.0]}", "sampler: grid", *settings)
    assert list(of_this.shared_epochs("0123").items()) == [(of_this.tta_epochs("0123"), 8)]


@pytest.mark.parametrize("is_worked_on", [True, False])
def test_a_study_that_another_command_works_on_is_left_alone(search, is_worked_on):
    of_this = search()
    interrupt(of_this)
    folder = paths.POOLS / f"0123.{of_this.owner(0)}"
    folder.mkdir(parents=True)
    other = storage.shared(paths.TuningPaths("some", "plain").lock)
    with other if is_worked_on else nullcontext():
        study = prepared_study(of_this, load_run(of_this.config))
    assert folder.exists() == is_worked_on
    assert [one.state.name for one in study.trials] == (
        ["RUNNING"] if is_worked_on else ["FAIL", "WAITING"]
    )


def test_a_study_says_what_it_does(search, known_losses, in_this_process, capsys):
    trained = known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search()
    run = load_run(of_this.config)
    require_comparable(open_study(of_this), of_this, run)
    interrupt(of_this)
    study = run_study(of_this, run, workers=1)
    output = capsys.readouterr()
    assert "some/plain: re-queued 1 interrupted trial\n" in output.out
    assert "some/plain: 4 trials, 0 done already\n4 to do on this machine" in output.out
    assert output.err.count("the best so far") >= 1
    assert len(trained) == len(finished_trials(study)) == 4
    assert len(study.trials) == 5
    assert len(list(paths.POOLS.glob("*/*.npy"))) == 3  # the epochs that trials share
    run_study(of_this, run, workers=1)
    assert capsys.readouterr().out == "some/plain: 4 trials, 4 done already\n"
    assert len(trained) == 4


def test_hours_end_a_study(search, known_losses, in_this_process, capsys):
    trained = known_losses(lambda variant, fold, epoch: 1.0)
    of_this = search(RATES, "sampler: grid, hours: 1e-9")
    study = run_study(of_this, load_run(of_this.config), workers=1)
    assert capsys.readouterr().out.endswith("the time limit is reached, with 0 of 4 trials done\n")
    assert trained == []
    header = "trial,state,log_loss,minutes,learning_rate,remark\n"
    assert write_trials(study, of_this).read_text() == header


def test_a_trial_that_crashed_its_worker_every_time_is_named(search, capsys):
    of_this = search()
    for _ in range(3):
        interrupt(of_this)
        prepared_study(of_this, load_run(of_this.config))
    assert capsys.readouterr().out.splitlines() == [
        "some/plain: re-queued 1 interrupted trial",
        "some/plain: re-queued 1 interrupted trial",
        "some/plain: gave up on 1 trial that crashed its worker every time",
    ]


def test_a_journal_is_repaired_after_a_kill(search):
    of_this = search()
    interrupt(of_this)
    journal = paths.TuningPaths("some", "plain").journal
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    lock = journal.with_name("journal.log.lock")
    lock.symlink_to(journal.absolute())
    repair_journal(journal)
    assert journal.read_bytes() == whole
    assert not lock.is_symlink()
    assert requeue_interrupted(open_study(of_this)) == (
        1,
        0,
    )  # nobody waits for the lock of a killed process


DAMAGED_LINES = {
    "no JSON": b"{not json}",
    "half a line": b'{"op_code": 4, "wor',
    "nothing": b"",
    "a list": b"[4]",
    "no operation": b'{"worker_id": "a"}',
    "a text for a number": b'{"op_code": "4", "worker_id": "a"}',
    "a number for a text": b'{"op_code": 4, "worker_id": 7}',
    "deep nesting": b'{"op_code": 4, "worker_id": "a", "user_attr": ' + b"[" * 50_000,
    "no UTF-8": b'{"op_code": 4, "worker_id": "\xff"}',
    "a trial that is not there": b'{"op_code": 5, "worker_id": "a", "trial_id": 0}',
}


@pytest.mark.parametrize("damage", DAMAGED_LINES.values(), ids=DAMAGED_LINES)
def test_a_damaged_line_of_a_journal_is_named(search, damage):
    interrupt(search())
    journal = paths.TuningPaths("some", "plain").journal
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], damage + b"\n", *lines[1:]]))
    with pytest.raises(UserError) as caught:
        repair_journal(journal)
    assert str(caught.value).startswith(f"{journal} is damaged in line 2 (")
    assert str(caught.value).endswith("start the study again")
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_line_of_a_journal_is_noticed(search):
    """Any but the last, which a killed process may not have written."""
    interrupt(search())
    interrupt(search())  # another process of the same study
    journal = paths.TuningPaths("some", "plain").journal
    lines = journal.read_bytes().splitlines(keepends=True)
    for missing in range(1, len(lines)):
        journal.write_bytes(b"".join(lines[: missing - 1] + lines[missing:]))
        with pytest.raises(UserError) as caught:
            repair_journal(journal)
        told = f"is damaged in line {missing} (it was line {missing + 1}; others are missing or "
        assert told in str(caught.value)
    journal.write_bytes(b"".join(lines[:-1]))
    repair_journal(journal)


def test_a_journal_of_an_older_version_has_no_numbers(search):
    """It goes on; the line that begins a trial is missed even there."""
    of_this = search()
    interrupt(of_this)
    journal = paths.TuningPaths("some", "plain").journal
    known = [json.loads(line) for line in journal.read_text().splitlines()]
    lines = [json.dumps({key: log[key] for key in log if key != "line"}) for log in known]
    journal.write_text("".join(f"{line}\n" for line in lines))
    repair_journal(journal)
    interrupt(of_this)
    repair_journal(journal)
    assert json.loads(journal.read_text().splitlines()[-1])["line"] > len(lines)
    begins = next(n for n, log in enumerate(known) if log["op_code"] == 4)
    journal.write_text("".join(f"{line}\n" for line in lines[:begins] + lines[begins + 1 :]))
    with pytest.raises(UserError, match="is about a trial that no line before it creates"):
        repair_journal(journal)


def test_a_journal_is_text(search):
    interrupt(search())
    lines = paths.TuningPaths("some", "plain").journal.read_text().splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_sqlite_is_refused(search):
    of_this = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db")
    with pytest.raises(UserError, match="SQLite breaks when several processes write to it; leave"):
        run_study(of_this, load_run(of_this.config), workers=1)
    assert not Path("study.db").exists()


def test_trials_run_in_a_database(search, known_losses, monkeypatch):
    """SQLite stands in for PostgreSQL, which is not installed everywhere."""
    monkeypatch.setattr(
        "competition.tuning.study.open_storage", lambda url, journal: open_database(url)
    )
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(RATES, "sampler: grid", "tuning.storage=sqlite:///study.db")
    run = load_run(of_this.config)
    prepared_study(of_this, run)
    interrupt(of_this)  # perhaps it runs on another machine
    assert [one.state.name for one in prepared_study(of_this, run).trials] == ["RUNNING"]
    done = run_trials(of_this, 4)
    assert [one and one.state.name for one in done] == [*["COMPLETE"] * 3, None]
    assert not paths.TuningPaths("some", "plain").journal.exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+nodriver://me:eim77@localhost:1/name", "postgresql+nodriver://localhost"),
        ("postgresql://me:eim77@no.such-host.example:54/name", "postgresql://no.such-host.example"),
        ("nosuch://me:eim77@host/name?sslpassword=eim77", "nosuch://host"),
        ("postgresql://host/name?password=eim77", "postgresql://host"),
        ("postgresql://host:word/name", "postgresql://…"),
        ("postgresql://host?password=a@eim77", "postgresql://…"),
        *(
            (f"postgresql://me:{password}@host/name", "postgresql://…")
            for password in ("a/eim77", "a#eim77", "a?eim77", "12/eim77", "12?eim77", "a@eim77/b")
        ),
    ],
)
def test_of_a_storage_that_fails_only_scheme_and_host_are_shown(tmp_path, url, shown):
    quiet_optuna()
    assert scheme_and_host(url) == shown
    with pytest.raises(UserError) as caught:
        open_storage(url, tmp_path / "journal.log")
    assert str(caught.value).startswith(f"the storage {shown} cannot be used (")
    assert "eim77" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("variants", "name", "message"),
    [
        ("{plain: , residual: }", None, "no variant of 'some' has a search_space"),
        ("{plain: , residual: }", "plain", "no variant of 'some' has a search_space"),
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
