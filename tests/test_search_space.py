"""Search spaces: what may be searched, and every mistake named with its path before any work."""

import pytest
from conftest import ROOT

from competition.config.loading import Config, load_config
from competition.config.schema import combinations
from competition.config.search_space import Parameter
from competition.errors import UserError

SPACE = """\
folds: {count: 6}
variants:
  plain:
    search_space:
      learning_rate: {low: 1e-3, high: 1e-2, log: true}
      epochs: {low: 3, high: 6}
      batch_size: {choices: [64, 128]}
      architecture.dropout: {low: 0, high: 0.4}
      augmentation: {displacement: {low: 0.0, high: 0.03, step: 0.01}}
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str, *overrides: str) -> Config:
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return load_config(path, overrides)

    return load


def with_space(space: str, more: str = "") -> str:
    return f"variants: {{plain: {{epochs: 4, search_space: {{{space}}}}}}}\n{more}"


def test_a_space_has_full_names_and_the_types_of_the_settings(load):
    space = load(SPACE).variants["plain"].search_space
    assert list(space) == [
        "learning_rate", "epochs", "batch_size", "architecture.dropout",
        "augmentation.displacement",
    ]  # fmt: skip
    assert space["learning_rate"].low == 1e-3
    assert (space["epochs"].low, type(space["epochs"].low)) == (3, int)
    assert type(space["architecture.dropout"].low) is float
    assert space["augmentation.displacement"].values() == [0.0, 0.01, 0.02, 0.03]


def test_an_override_reaches_a_parameter_however_it_is_written(load):
    overrides = [
        "variants.plain.search_space.architecture.dropout.high=0.2",
        "variants.plain.search_space.augmentation.displacement.step=0.015",
        "variants.plain.search_space.augmentation.knots.choices=[3, 5]",
    ]
    space = load(SPACE, *overrides).variants["plain"].search_space
    assert (space["architecture.dropout"].low, space["architecture.dropout"].high) == (0, 0.2)
    assert space["augmentation.displacement"].values() == [0.0, 0.015, 0.03]
    assert space["augmentation.knots"].values() == [3, 5]


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ({"low": 3, "high": 6}, [3, 4, 5, 6]),
        ({"low": 3, "high": 9, "step": 3}, [3, 6, 9]),
        ({"low": 0.1, "high": 0.7, "step": 0.2}, [0.1, 0.3, 0.5, 0.7]),
        ({"choices": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_the_values_of_a_parameter(parameter, values):
    assert Parameter(**parameter).values() == values
    assert Parameter(**parameter).count() == len(values)


def test_without_steps_there_is_no_end_of_values():
    assert Parameter(low=0.1, high=0.7).count() is None


def test_many_values_take_no_time_unless_all_are_tried(load):
    space = load(with_space("architecture.width: {low: 1, high: 9000000000000000}"))
    assert space.variants["plain"].search_space["architecture.width"].count() == 9 * 10**15


def test_a_variant_takes_values_of_its_space_and_nothing_else_changes(load):
    variant = load(SPACE).variants["plain"]
    changed = variant.with_values(
        {"learning_rate": 0.007, "epochs": 4, "augmentation.displacement": 0.02}
    )
    assert (changed.learning_rate, changed.epochs) == (0.007, 4)
    assert changed.augmentation.parameters == {"displacement": 0.02}
    assert changed.search_space == {}
    assert changed.architecture == variant.architecture
    assert variant.with_values({"augmentation": "none"}).augmentation.name == "none"


def test_a_space_and_its_tuning_are_no_part_of_a_result(load):
    plain = load("variants: {plain: }").variants["plain"]
    assert load(SPACE).variants["plain"].identity() == plain.identity()


def test_a_configuration_with_a_space_reads_back_as_itself(load):
    config = load(SPACE)
    assert load(config.to_yaml()) == config


def test_a_storage_is_written_and_shown_nowhere(load):
    config = load(SPACE, "tuning.storage=postgresql://me:secret@host/name")
    assert config.tuning.storage == "postgresql://me:secret@host/name"
    shown = config.to_yaml(), repr(config), str(config.model_dump(mode="json"))
    assert not any("secret" in text for text in shown)


MISTAKES = {
    "unknown setting": (
        "epocs: {low: 1, high: 2}",
        "plain.search_space.epocs: this cannot be searched; did you mean 'epochs'?",
    ),
    "unknown parameter of the architecture": (
        "architecture.widht: {low: 8, high: 16}",
        "architecture.widht: this cannot be searched; did you mean 'architecture.wi",
    ),
    "parameter of another policy": (
        "augmentation.strength: {low: 8, high: 16}",
        "search_space.augmentation.strength: this cannot be searched",
    ),
    "changes no weight": ("validate_every: {low: 1, high: 2}", "validate_every: this cannot be"),
    "words": ("about: {choices: [a, b]}", "search_space.about: this cannot be searched"),
    "seeds": (
        "seeds: {choices: [1, 2]}",
        "seeds: this cannot be searched, as it is a list; another one can stand in a variant",
    ),
    "seeds of all rows": ("all_rows_seeds: {low: 1, high: 2}", "as it is a list; another one"),
    "callbacks": (
        "callbacks: {choices: [early_stopping, best_checkpoint]}",
        "search_space.callbacks: this cannot be searched, as it is a list; another one can",
    ),
    "lists of callbacks": (
        "callbacks: {choices: [[], [early_stopping]]}",
        "search_space.callbacks: this cannot be searched, as it is a list; another one can",
    ),
    "a parameter of a callback": (
        "callbacks.patience: {low: 1, high: 2}",
        "search_space.callbacks.patience: this cannot be searched, as it is a list",
    ),
    "views, which all trials share": (
        "test_time_augmentation.rotation: {low: 1.0, high: 2.0}",
        "search_space.test_time_augmentation.rotation: this cannot be searched",
    ),
    "unknown key": ("epochs: {low: 1, hihg: 2}", "epochs.hihg: unknown key; did you mean 'high'?"),
    "no parameter": ("epochs: 3", "search_space.epochs: input should be 'key: value' lines"),
    "no mapping": ("[epochs]: {}", "a key must be text"),
    "text for a number": ("epochs: {low: one, high: 2}", "search_space.epochs.low"),
    "half a range": ("epochs: {low: 1}", "search_space.epochs: expected low and high, or choi"),
    "nothing at all": ("epochs: {log: true}", "search_space.epochs: expected low and high, or"),
    "wrong way round": ("epochs: {low: 3, high: 2}", "low must be less than high, not 3 and 2"),
    "one value": ("epochs: {low: 3, high: 3}", "low must be less than high, not 3 and 3"),
    "one choice": ("epochs: {choices: [3]}", "choices must be two or more different values"),
    "a choice twice": ("epochs: {choices: [3, 4, 3]}", "two or more different values, not [3, 4,"),
    "choices and a range": ("epochs: {choices: [3, 4], low: 3}", "choices exclude low"),
    "logarithm of nothing": (
        "weight_decay: {low: 0, high: 0.1, log: true}",
        "low must be greater than 0 where log is true",
    ),
    "log and step": ("epochs: {low: 1, high: 3, step: 1, log: true}", "log and step exclude each"),
    "no step": ("epochs: {low: 1, high: 3, step: 0}", "epochs.step: input should be greater than"),
    "steps that miss": ("epochs: {low: 1, high: 4, step: 2}", "steps of 2 lead from 1 past 4"),
    "steps too large": ("epochs: {low: 1, high: 2, step: 9000000}", "steps of 9000000 lead from 1"),
    "steps too small": ("warm_up: {low: 0, high: 1, step: 1e-320}", "steps of 1e-320 lead from 0"),
    "beyond whole numbers": (
        f"epochs: {{low: 1, high: {10**400}, step: 3}}",
        "search_space.epochs: low and high must be between -9007199254740992 and 90071992547409",
    ),
    "endless": ("learning_rate: {low: .inf, high: .inf}", "search_space.learning_rate.low"),
    "half an epoch": (
        "epochs: {low: 1, high: 2.5}",
        "search_space.epochs: high must be a whole number, not 2.5",
    ),
    "a range of names": (
        "precision: {low: 1, high: 2}",
        "search_space.precision: this is not a number: expected choices",
    ),
    "low end refused": (
        "epochs: {low: 0, high: 3}",
        "search_space.epochs.low: input should be greater than or equal to 1, not 0",
    ),
    "high end refused": (
        "label_smoothing: {low: 0.0, high: 1.5}",
        "search_space.label_smoothing.high: input should be less than or equal to 1, not 1.5",
    ),
    "choice refused": (
        "precision: {choices: [float32, half]}",
        "search_space.precision.choices.1: input should be",
    ),
    "choice of another type": (
        "architecture.width: {choices: [8, wide]}",
        "search_space.architecture.width.choices.1: 'width' must be of type int, not 'wide'",
    ),
    "whole and part": (
        "augmentation: {choices: [warp, none]}, augmentation.zoom: {low: 0.0, high: 0.1}",
        "search_space.augmentation: augmentation is chosen as a whole",
    ),
}


@pytest.mark.parametrize(("space", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_bad_space_is_named_with_its_path(load, space, message):
    with pytest.raises(UserError) as caught:
        load(with_space(space))
    assert message in str(caught.value)


def test_values_that_exclude_each_other_are_refused_when_a_trial_draws_them(load):
    space = "schedule: {choices: [cosine, one_cycle]}, warm_up: {low: 0.05, high: 0.3}"
    variant = load(with_space(space)).variants["plain"]
    assert variant.with_values({"schedule": "one_cycle", "warm_up": 0.3}).warm_up == 0.3
    drawn = {"schedule": "cosine", "warm_up": 0.3}
    with pytest.raises(UserError, match="exclude one another: warm_up belongs to the schedule one"):
        variant.with_values(drawn)
    assert variant.with_values(drawn, may_clash=True).identity()["warm_up"] == 0.3


def test_a_clash_of_the_variant_itself_is_not_told_of_its_space_too(load):
    settings = "schedule: constant, warm_up: 0.2, search_space: {epochs: {low: 1, high: 3}}"
    with pytest.raises(UserError) as caught:
        load(f"variants: {{plain: {{{settings}}}}}")
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith("  variants.plain.warm_up: warm_up belongs to the schedule one_cycle")


def test_all_mistakes_of_a_space_are_named_at_once(load):
    space = (
        "epocs: {low: 1, high: 2}, epochs: {low: 0, hihg: 9}, batch_size: {choices: [0, 64, -1]}"
    )
    with pytest.raises(UserError) as caught:
        load(with_space(space, "tuning: {sampler: tpee}\nfolds: {count: 1}"))
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "folds.count",
        "tuning.sampler",
        "variants.plain.search_space.batch_size.choices.0",
        "variants.plain.search_space.batch_size.choices.2",
        "variants.plain.search_space.epochs.hihg",
        "variants.plain.search_space.epocs",
    ]


@pytest.mark.parametrize(
    ("settings", "space", "wrong"),
    [
        (
            "schedule: {name: exponential, rat: 0.9}",
            "schedule.rate: {low: 0.5, high: 1}",
            "schedule",
        ),
        ("epochs: many", "epochs: {low: 1, high: 2}", "epochs"),
        ("architecture: plane", "architecture.width: {low: 8, high: 16}", "architecture"),
    ],
)
def test_what_would_be_searched_of_a_broken_setting_is_not_refused_besides(
    load, settings, space, wrong
):
    with pytest.raises(UserError) as caught:
        load(f"variants: {{plain: {{{settings}, search_space: {{{space}, epocs: {{}}}}}}}}\n")
    lines = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert lines == [f"variants.plain.{wrong}", "variants.plain.search_space.epocs"]


UNFIT = {
    "unknown sampler": ("sampler: tpee", "there is no sampler 'tpee'; did you mean 'tpe'?"),
    "unknown pruner": ("pruner: medain", "there is no pruner 'medain'; did you mean 'median'?"),
    "sampler's parameter": (
        "sampler: {name: tpe, startup: 3}",
        "tuning.sampler: 'tpe' has no parameter 'startup'; did you mean 'startup_trials'?",
    ),
    "fold that is not there": ("folds: [0, 5]", "tuning.folds: there is no split 5; there are: 0"),
    "negative fold": ("folds: [0, -1]", "tuning.folds: there is no split -1; there are: 0"),
    "fold that is left out": (
        "{}\nfolds: {only: [1, 2]}",
        "tuning.folds: there is no split 0; there are: 1, 2",
    ),
    "no fold": ("folds: []", "tuning.folds: "),
    "a fold twice": ("folds: [0, 0]", "tuning.folds: each split is expected once"),
    "every fold": (
        "folds: [0, 1, 2, 3, 4]",
        "tuning.folds: trials are evaluated on every split (0, 1, 2, 3, 4); one more is needed",
    ),
    "the only fold that is left": (
        "{}\nfolds: {only: [0]}",
        "tuning.folds: trials are evaluated on every split (0), as folds.only leaves the "
        "others out; one more is needed for the final evaluation, as scores on a study's own "
        "splits are optimistic",
    ),
    "all folds that are left": (
        "{folds: [0, 2]}\nfolds: {only: [2, 0]}",
        "tuning.folds: trials are evaluated on every split (2, 0), as folds.only leaves",
    ),
    "the only hold-out": (
        "{}\nfolds: {scheme: holdout}",
        "tuning.folds: trials are evaluated on every split (0); one more is needed",
    ),
    "judged on chosen folds": (
        "{folds: [0, 1], final_folds: [1, 2]}",
        "tuning.final_folds: split 1 is in tuning.folds as well",
    ),
    "no trials": ("trials: 0", "tuning.trials: input should be greater than or equal to 1"),
    "no time": ("hours: 0", "tuning.hours: input should be greater than 0"),
    "another objective": ("objective: accuracy", "tuning.objective: input should be 'log_loss'"),
    "storage is a file": ("storage: study.db", "tuning.storage: expected a URL"),
    "storage is nowhere": ("storage: 'sqlite://'", "tuning.storage: other processes cannot reach"),
    "storage is memory": ("storage: 'sqlite:///:memory:'", "storage: other processes cannot reach"),
    "grid without end": (
        "sampler: grid",
        "tuning.sampler: grid needs a step, or choices, for variants.plain.search_space.warm_up",
    ),
    "a password in the wrong place": (
        "storage: ['postgresql://me:secret@host/name']",
        "tuning.storage: input should be a valid string",
    ),
    "no epoch to compare": (
        "{pruner: median}\ndefaults: {validate_every: 4}",
        "tuning.pruner: median compares trials by their epochs, but variants.plain is validated",
    ),
}


@pytest.mark.parametrize(("tuning", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_tuning_that_cannot_work_is_refused(load, tuning, message):
    tuning = tuning if tuning.startswith("{") else f"{{{tuning}}}"
    with pytest.raises(UserError) as caught:
        load(with_space("warm_up: {low: 0.1, high: 0.2}", f"tuning: {tuning}"))
    assert message in str(caught.value)


def test_a_grid_that_has_no_end_in_practice_is_refused(load):
    space = "epochs: {low: 1, high: 1000}, batch_size: {low: 1, high: 101}"
    with pytest.raises(UserError, match="search_space has 101,000; expected at"):
        load(with_space(space, "tuning: {sampler: grid}"))
    assert load(with_space(space, "tuning: {sampler: tpe}")).tuning.sampler.name == "tpe"


@pytest.mark.parametrize(
    "tuning",
    [
        "{pruner: wilcoxon, folds: [0, 1, 2, 3, 4]}",
        "{pruner: none}\ndefaults: {validate_every: 4}",
        "{pruner: hyperband, final_folds: [3], hours: 1.5}",
    ],
)
def test_tuning_that_can_work_is_taken(load, tuning):
    space = with_space("warm_up: {low: 0.1, high: 0.2}", f"tuning: {tuning}\nfolds: {{count: 6}}")
    assert load(space).tuning.folds_left([*range(6)])


def test_the_folds_left_are_all_others_unless_named(load):
    assert load(SPACE, "tuning.folds=[1, 3]").tuning.folds_left([*range(6)]) == [0, 2, 4, 5]
    assert load(SPACE, "tuning.final_folds=[5]").tuning.folds_left([*range(6)]) == [5]


def test_the_shipped_searches_are_ready():
    config = load_config(ROOT / "configs/tune.yaml")
    assert len(config.variants["plain"].search_space) >= 5
    grid = load_config(ROOT / "configs/tune_grid.yaml")
    space = grid.variants["D1"].search_space
    assert combinations(space) == grid.tuning.trials
