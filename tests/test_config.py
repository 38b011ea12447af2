"""Configuration: diffs on defaults, overrides, and mistakes that are all named at once."""

import time
from pathlib import Path

import pytest
from conftest import ROOT

from competition.config.loading import Config, load_config, load_configs
from competition.config.registry import ARCHITECTURES, Architecture, code_of
from competition.config.schema import Variant, code_hash
from competition.errors import UserError

SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_are_valid_and_named_after_their_file(path):
    config = load_config(path)
    assert config.name == path.stem
    assert config.variants


def test_defaults_spread_over_variants_and_give_way_to_them(write):
    text = "defaults: {epochs: 3, batch_size: 64}\nvariants: {plain: , residual: {epochs: 5}}"
    config = load_config(write(text))
    assert config.variants["plain"].epochs == 3
    assert config.variants["residual"].epochs == 5
    assert config.variants["residual"].batch_size == 64
    assert config.variants["plain"].architecture == Architecture(name="plain")


def test_a_mapping_without_name_changes_the_component_that_stood_there(write):
    text = "defaults: {augmentation: affine_elastic}\nvariants: {plain: {architecture: {width: 8}}}"
    config = load_config(write(text), ["variants.plain.augmentation.strength=5"])
    variant = config.variants["plain"]
    assert (variant.architecture.name, variant.architecture.parameters) == ("plain", {"width": 8})
    assert variant.augmentation.name == "affine_elastic"
    assert variant.augmentation.parameters == {"strength": 5}


def test_a_part_of_the_policy_that_draws_views_can_be_changed(write):
    drawn = "defaults: {test_time_draws: 2, test_time_augmentation: {rotation: 4}}"
    milder = load_config(write(f"{drawn}\nvariants: {{plain: }}")).variants["plain"]
    mild = load_config(write("variants: {plain: }")).variants["plain"]
    expected = mild.test_time_augmentation.parameters | {"rotation": 4.0}
    assert milder.test_time_augmentation.parameters == expected
    assert "test_time_augmentation" in milder.identity()
    assert "test_time_augmentation" not in mild.identity()


@pytest.mark.parametrize(
    ("unused", "used"),
    [
        ("test_time_augmentation: {rotation: 4}", "test_time_draws: 2"),
        ("test_time_shift: 0, test_time_directions: 8", "test_time_shift: 2"),
    ],
)
def test_what_has_no_effect_is_no_part_of_a_result(write, unused, used):
    def identity(settings: str) -> dict:
        text = f"variants: {{plain: {{{settings}}}}}"
        return load_config(write(text)).variants["plain"].identity()

    name = unused.rpartition(",")[2].partition(":")[0].strip()
    assert name not in identity(unused)
    assert name in identity(f"{unused.rpartition(',')[2]}, {used}")


def test_a_schedule_without_name_changes_the_one_of_the_defaults(write):
    text = "defaults: {schedule: step_decay}\nvariants: {plain: {schedule: {every: 2}}}"
    schedule = load_config(write(text)).variants["plain"].schedule
    assert schedule.identity() == {"name": "step_decay", "every": 2}


def test_an_override_reaches_the_augmentation_of_all_variants(write):
    path = write("defaults: {augmentation: affine_elastic}\nvariants: {plain: , residual: }")
    config = load_config(path, ["defaults.augmentation.rotation=15"])
    assert [v.augmentation.identity() for v in config.variants.values()] == [
        {"name": "affine_elastic", "rotation": 15.0}
    ] * 2


def test_empty_sections_and_merge_keys_are_yaml_as_well(write):
    text = "folds:\ndefaults:\nvariants:\n  plain: &shared {epochs: 3}\n  residual: {<<: *shared}\n"
    text += "  large_kernel: {<<: *shared, epochs: 4}"
    config = load_config(write(text))
    assert config.folds.count == 5
    assert [variant.epochs for variant in config.variants.values()] == [3, 3, 4]


def test_overrides_change_single_values(write):
    overrides = ["folds.count=3", "defaults.learning_rate=1e-4", "name=other", "variants.wide="]
    overrides.append("variants.wide.architecture={name: residual, width: 64}")
    config = load_config(write("variants: {plain: }"), overrides)
    assert (config.name, config.folds.count) == ("other", 3)
    assert config.variants["wide"].learning_rate == 1e-4
    assert config.variants["wide"].architecture.parameters == {"width": 64}


def test_any_preset_can_hold_a_fifth_out_once():
    overrides = ["folds.scheme=holdout", "folds.count=1"]
    folds = load_config(ROOT / "configs/default.yaml", overrides).folds
    assert (folds.numbers, folds.share) == ([0], 0.2)


def test_the_resolved_configuration_reads_back_as_itself(write):
    config = load_config(write("variants: {plain: {architecture: {width: 8}}, residual: }"))
    assert load_config(write(config.to_yaml())) == config


def test_identity_holds_only_what_differs_from_the_defaults(write):
    text = "variants: {plain: {epochs: 12, warm_up: 0.2, seeds: [1, 2], architecture: {width: 32}}}"
    variant = load_config(write(text)).variants["plain"]
    assert variant.identity() == {"warm_up": 0.2, "architecture": {"name": "plain"}}


def test_schedule_and_callbacks_are_identity_where_they_differ_from_the_defaults(write):
    text = "variants: {plain: {schedule: one_cycle, callbacks: []}, residual: "
    text += (
        "{schedule: constant, callbacks: [early_stopping, {name: early_stopping, patience: 2}]}}"
    )
    plain, residual = load_config(write(text)).variants.values()
    assert plain.identity() == {"architecture": {"name": "plain"}}
    assert residual.identity() == {
        "architecture": {"name": "residual"},
        "schedule": {"name": "constant"},
        "callbacks": [{"name": "early_stopping"}, {"name": "early_stopping", "patience": 2}],
    }
    assert (plain.is_selected, residual.is_selected) == (False, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("schedule: {name: exponential, rate: 0.95}", "schedule: exponential"),
        ("callbacks: [{name: early_stopping, patience: 5}]", "callbacks: [early_stopping]"),
        ("augmentation: warp", ""),
        ("augmentation: {name: warp, rotation: 10.0}", ""),
        ("augmentation: {name: warp, rotation: 11}", "augmentation: {rotation: 11.0}"),
        ("architecture: {width: 32}", "architecture: plain"),
        ("learning_rate: 3e-3", "learning_rate: 0.003"),
    ],
)
def test_the_same_said_otherwise_is_the_same_variant(write, one, other):
    first, second = (
        load_config(write(f"variants: {{plain: {{{text}}}}}")).variants["plain"]
        for text in (one, other)
    )
    assert first == second
    assert first.identity() == second.identity()


NET = '''\
"""A net."""

WIDTH = 16  # as wide as it is high


def net(width: int = WIDTH):
    """Returns a net."""
    return [width, f"{width:>{WIDTH}}"]
'''


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """Returns the hash of a variant whose net has some source."""
    monkeypatch.syspath_prepend(tmp_path)
    for names in (ARCHITECTURES, Architecture.choices):
        monkeypatch.setitem(names, "net", "a_net_of_tests:net")

    def hash_of(source: str, **settings) -> str:
        (tmp_path / "a_net_of_tests.py").write_text(source)
        return code_hash(Variant.model_validate({"architecture": "net", **settings}))

    return hash_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("as wide as it is high", "for another reason"),
        ("A net.", "One of the nets."),
        ('    """Returns a net."""\n', ""),
        ("[width, ", "[\n        width,\n        "),
    ],
)
def test_words_and_layout_leave_the_hash_of_the_code(hash_of, before, after):
    assert before in NET
    assert hash_of(NET.replace(before, after)) == hash_of(NET)


@pytest.mark.parametrize(("before", "after"), [("16", "17"), ("[width, ", "[2 * width, ")])
def test_other_values_change_the_hash_of_the_code(hash_of, before, after):
    assert hash_of(NET.replace(before, after)) != hash_of(NET)


def test_settings_have_no_part_in_the_hash_of_the_code(hash_of):
    assert hash_of(NET, epochs=3) == hash_of(NET)


def test_the_code_is_the_same_text_in_every_version_of_python(hash_of):
    hash_of(NET)
    assert code_of("a_net_of_tests") == (
        "WIDTH = 16\n\ndef net(width: int=WIDTH):\n    return [width, f'{width:>{WIDTH}}']"
    )


MISTAKES = {
    "unknown key": ("folds: {cuont: 3}", "folds.cuont: unknown key; did you mean 'count'?"),
    "unknown top key": ("variant: {}", "variant: unknown key; did you mean 'variants'?"),
    "unknown variant key": (
        "variants: {plain: {epoch: 3}}",
        "variants.plain.epoch: unknown key; did you mean 'epochs'?",
    ),
    "key of the defaults outside of them": (
        "epochs: 3",
        "epochs: unknown key; did you mean 'defaults.epochs'?",
    ),
    "wrong type": ("folds: {count: many}", "folds.count: input should be a valid integer"),
    "number as text": ("defaults: {epochs: '3'}", "defaults.epochs: input should be a valid int"),
    "true is not a number": (
        "defaults: {epochs: true}",
        "defaults.epochs: input should be a valid",
    ),
    "one fold": ("folds: {count: 1}", "folds.count: there are at least 2 folds, not 1; with"),
    "another scheme": ("folds: {scheme: leave_one_out}", "folds.scheme: input should be 'kfold'"),
    "a share of all": ("folds: {scheme: holdout, share: 1.0}", "folds.share: input should be less"),
    "a share of folds": (
        "folds: {share: 0.3}",
        "folds.share: share belongs to holdout, not to kfold; leave it out",
    ),
    "a share of what is given": (
        "folds: {scheme: given, share: 0.3}",
        "folds.share: share belongs to holdout, not to given; leave it out",
    ),
    "a seed of what is given": (
        "folds: {scheme: given, seed: 1}",
        "folds.seed: seed belongs to kfold and holdout, not to given; leave it out",
    ),
    "given twice": ("folds: {scheme: given, count: 2}", "folds.count: the data itself has one"),
    "a split that is not there": ("folds: {only: [0, 5]}", "folds.only: there is no split 5; they"),
    "no split at all": ("folds: {only: []}", "folds.only: list should have at least 1 item"),
    "a split twice": ("folds: {only: [1, 1]}", "folds.only: each split is expected once"),
    "an ensemble of what is left out": (
        "folds: {only: [0]}\nensemble: {folds: [1]}",
        "ensemble.folds: there is no split '1'; there are: 0",
    ),
    "too many folds": ("folds: {count: 51}", "folds.count: input should be less than or equal"),
    "no epochs": ("defaults: {epochs: 0}", "defaults.epochs: input should be greater"),
    "negative rate": ("defaults: {learning_rate: -1}", "defaults.learning_rate: input should be"),
    "share over one": ("defaults: {warm_up: 1.5}", "defaults.warm_up: input should be less"),
    "unknown architecture": (
        "variants: {residul: }",
        "variants.residul.architecture: there is no architecture 'residul'; "
        "did you mean 'residual'?",
    ),
    "unknown parameter": (
        "variants: {plain: {architecture: {widht: 8}}}",
        "variants.plain.architecture: 'plain' has no parameter 'widht'; did you mean 'width'?",
    ),
    "parameter of wrong type": (
        "variants: {plain: {architecture: {width: 8.5}}}",
        "variants.plain.architecture: 'width' must be of type int, not 8.5",
    ),
    "number for text": (
        "variants: {perceptron: {architecture: {hidden: 16}}}",
        "variants.perceptron.architecture: 'hidden' must be of type str, not 16; "
        "put it in quotes: '16'",
    ),
    "unknown policy": (
        "defaults: {augmentation: afine}",
        "defaults.augmentation: there is no augmentation 'afine'; did you mean 'affine'?",
    ),
    "unknown schedule": (
        "defaults: {schedule: cosin}",
        "defaults.schedule: there is no schedule 'cosin'; did you mean 'cosine'?",
    ),
    "a schedule as callback": (
        "defaults: {callbacks: [cosine]}",
        "defaults.callbacks.0: there is no callback 'cosine'; it is a schedule",
    ),
    "unknown callback": (
        "defaults: {callbacks: [early_stoping]}",
        "defaults.callbacks.0: there is no callback 'early_stoping'; did you mean 'early_stop",
    ),
    "unknown parameter of a callback": (
        "variants: {plain: {callbacks: [{name: best_checkpoint, monitr: loss}]}}",
        "callbacks.0: 'best_checkpoint' has no parameter 'monitr'; did you mean 'monitor'?",
    ),
    "callbacks that are no list": (
        "variants: {plain: {callbacks: early_stopping}}",
        "variants.plain.callbacks: input should be a valid list",
    ),
    "warm-up of a constant rate": (
        "variants: {plain: {schedule: constant, warm_up: 0.2}}",
        "variants.plain.warm_up: warm_up belongs to the schedule one_cycle, not to constant; leave",
    ),
    "callbacks that see too little": (
        "variants: {plain: {callbacks: [early_stopping], validate_every: 4}}",
        "variants.plain.validate_every: validate_every is 4, but callbacks (early_stopping) look",
    ),
    "callbacks that see nothing": (
        "variants: {plain: {callbacks: [best_checkpoint], all_rows_seeds: [1]}}",
        "plain.all_rows_seeds: a net trained on all rows holds none out for callbacks (best_",
    ),
    "two that change the rate": (
        "variants: {plain: {callbacks: [reduce_on_plateau]}}",
        "variants.plain.schedule: reduce_on_plateau and one_cycle both change the learning rate",
    ),
    "augmented images of rows that are made": (
        "defaults: {resampling: smote}",
        "defaults.augmentation: smote makes new rows, which have no augmented images",
    ),
    "unknown resampling": (
        "defaults: {resampling: smoote}",
        "defaults.resampling: there is no resampling 'smoote'; did you mean 'smote'?",
    ),
    "a clash with the defaults": (
        "defaults: {warm_up: 0.3}\nvariants: {plain: {schedule: cosine}}",
        "variants.plain.warm_up: warm_up belongs to the schedule one_cycle, not to cosine; leave",
    ),
    "a clash in the search space": (
        "variants: {plain: {search_space: {schedule: {choices: [one_cycle, constant]}}, "
        "warm_up: 0.2}}",
        "variants.plain.search_space.schedule.choices.1: warm_up belongs to the schedule one_cycle",
    ),
    "unknown method": ("ensemble: {method: maen}", "there is no ensemble method 'maen'; did you"),
    "nearly recommended": (
        "ensemble: {method: recomended}",
        "ensemble.method: there is no ensemble method 'recomended'; did you mean 'recommended'?",
    ),
    "unknown parameter of a method": (
        "ensemble: {method: {name: hill_climbing, round: 3}}",
        "'hill_climbing' has no parameter 'round'; did you mean 'rounds'?",
    ),
    "unknown variant in the ensemble": (
        "ensemble: {variants: [plian]}\nvariants: {plain: }",
        "ensemble.variants: there is no variant 'plian'; did you mean 'plain'?",
    ),
    "unknown seed in the ensemble": (
        "ensemble: {seeds: [0, 3]}",
        "ensemble.seeds: there is no seed '3'; there are: 0",
    ),
    "unknown fold in the ensemble": (
        "ensemble: {folds: [-1, 5]}",
        "ensemble.folds: there is no split '-1'; did you mean '1'?\n"
        "  ensemble.folds: there is no split '5'; there are: 0, 1, 2, 3, 4",
    ),
    "an ensemble of nothing": (
        "ensemble: {seeds: [], folds: []}",
        "ensemble.seeds: list should have at least 1 item",
    ),
    "seeds of other variants": (
        "ensemble: {variants: [plain], seeds: [7]}\nvariants: {plain: , residual: {seeds: [7]}}",
        "ensemble.seeds: there is no seed '7'; there are: 0",
    ),
    "a variant without these seeds": (
        "ensemble: {variants: [plain, residual], seeds: [1]}\n"
        "variants: {plain: , residual: {seeds: [0, 1]}}",
        "ensemble.variants: 'plain' has none of the listed seeds; it has 0",
    ),
    "a fold twice": ("ensemble: {folds: [1, 1]}", "ensemble.folds: each split is expected once"),
    "a single variant": (
        "ensemble: {variants: plain}",
        "ensemble.variants: input should be a valid list, not 'plain'",
    ),
    "name of a mean": ("name: fast-mean", "name: 'fast-mean' is where the plain mean of 'fast'"),
    "unknown precision": ("defaults: {precision: half}", "defaults.precision: input should be"),
    "no variants": ("variants: {}", "variants: dictionary should have at least 1 item"),
    "variant is a number": (
        "variants: {plain: 3}",
        "variants.plain: input should be 'key: value' lines, not 3",
    ),
    "bad name": ("name: ../elsewhere", "name: string should match pattern"),
    "name of the history": ("name: history", "name: 'history' is where submissions are noted"),
    "name of the pools": ("name: pools", "name: 'pools' is where augmented images are kept"),
    "endless name": (f"name: {'n' * 101}", "name: string should have at most 100 characters"),
    "a seed twice": ("defaults: {seeds: [1, 1]}", "defaults.seeds: each seed is expected once"),
    "infinite rate": ("defaults: {learning_rate: .inf}", "defaults.learning_rate: input should be"),
    "no number": (
        "defaults: {augmentation: {name: affine, zoom: .nan}}",
        "defaults.augmentation: 'zoom' must be finite, not nan",
    ),
    "component without text": (
        "variants: {plain: {architecture: {name: [1]}}}",
        "variants.plain.architecture.name: input should be a valid string, not [1]",
    ),
    "endless number": (
        f"defaults: {{augmentation: {{name: affine, zoom: {10**400}}}}}",
        "defaults.augmentation: 'zoom' must be of type float, not 1000",
    ),
    "defaults are text": ("defaults: hello", "defaults: input should be 'key: value' lines"),
    "negative seed": ("folds: {seed: -1}", "folds.seed: input should be greater"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_path(write, text, message):
    whole = text if "variant" in text else f"{text}\nvariants: {{plain: }}"
    with pytest.raises(UserError) as caught:
        load_config(write(whole))
    assert message in str(caught.value)


def test_the_ensemble_is_no_part_of_any_identity(write):
    path = write("variants: {plain: , residual: {seeds: [1, 2]}}")
    plain = load_config(path)
    assert plain.ensemble.method.name == "recommended"
    section = "{method: {name: hill_climbing, rounds: 9}, variants: [residual], seeds: [2], folds: "
    chosen = load_config(path, [f"ensemble={section}[0, 4]}}"])
    assert chosen.ensemble.method.parameters == {"rounds": 9}
    assert chosen.ensemble != plain.ensemble
    assert {name: variant.identity() for name, variant in chosen.variants.items()} == {
        name: variant.identity() for name, variant in plain.variants.items()
    }
    assert load_config(write(chosen.to_yaml())) == chosen


def test_shipped_presets_choose_nothing_on_the_rows_that_they_report():
    named = {load_config(path).ensemble.method.name for path in SHIPPED}
    assert named == {"mean", "logarithmic_pool"}


def test_a_clash_in_the_defaults_is_named_once(write):
    text = "defaults: {schedule: constant, warm_up: 0.2}\nvariants: {plain: , residual: }"
    with pytest.raises(UserError) as caught:
        load_config(write(text))
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "defaults.warm_up"
    ]


def test_all_mistakes_are_named_at_once_and_each_once(write):
    text = "dta: x\nfolds: {count: 1}\ndefaults: {epochz: 3}\nvariants: {plain: , residual: }"
    with pytest.raises(UserError) as caught:
        load_config(write(text))
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "defaults.epochz",
        "dta",
        "folds.count",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds: [1", "is not valid YAML"),
        ("folds: {count: 2}\nfolds: {count: 3}", "key given twice: folds"),
        ("folds: {3: 4}", "a key must be text, not 3"),
        ("- one\n- two", "must hold 'key: value' lines, not a list"),
        ("data: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("data: !!bool maybe", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(write, text, message):
    with pytest.raises(UserError, match=message):
        load_config(write(text))


def test_a_line_with_a_password_is_not_quoted(write):
    with pytest.raises(UserError, match="mapping values are not allowed here in line 1") as caught:
        load_config(write("tuning: storage: postgresql://me:secret@host/name"))
    assert "secret" not in str(caught.value)


def test_a_change_of_one_variant_leaves_those_alone_that_share_its_settings(write):
    text = "variants: {plain: &shared {epochs: 3, architecture: {width: 8}}, residual: *shared}"
    changes = ["variants.plain.epochs=9", "variants.plain.architecture.width=16"]
    plain, residual = load_config(write(text), changes).variants.values()
    assert (plain.epochs, plain.architecture.parameters["width"]) == (9, 16)
    assert (residual.epochs, residual.architecture.parameters["width"]) == (3, 8)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("folds.count", "the override 'folds.count' must look like key=value"),
        ("=3", "the override '=3' must look like key=value"),
        ("folds.count=[1", "the override of folds.count is not valid YAML: .* in line 1, column 3"),
        ("data=2024-13-45", "is not valid YAML: month must be in 1..12"),
        ("folds=3", "folds: input should be 'key: value' lines, not 3"),
        ("folds.count.x=3", "folds.count: input should be a valid integer, not {'x': 3}"),
    ],
)
def test_a_bad_override_is_refused(write, override, message):
    with pytest.raises(UserError, match=message):
        load_config(write("variants: {plain: }"), [override])


def test_a_missing_file_names_the_nearest_one(write):
    path = write("variants: {plain: }")
    with pytest.raises(UserError, match=r"did you mean '.*some.yaml'"):
        load_config(path.with_name("sone.yaml"))


def test_two_configurations_may_not_share_a_name(write):
    path = write("variants: {plain: }")
    with pytest.raises(UserError, match="a name of its own, not some, some"):
        load_configs([path, path])
    assert [config.name for config in load_configs([path, path], ["name=one"])] == ["one", "some"]


def test_configs_are_read_only():
    config = Config(name="a", variants={"plain": {"architecture": {"name": "plain"}}})
    with pytest.raises(ValueError, match="frozen"):
        config.name = "b"


def nested_aliases(levels: int, each: int = 9) -> str:
    """Returns YAML in which a few lines stand for `each` to the power of `levels` values."""
    lines = ["a0: &a0 [0]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * each)}]"
        for level in range(1, levels + 1)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (nested_aliases(9), "stands for more than 100,000 values"),
        (nested_aliases(200, 2), "stands for more than 100,000 values"),
        ("a: &a {b: *a}", "stands for more than 100,000 values"),
        ("a: &a [*a]", "stands for more than 100,000 values"),
        ("variants: {plain: {architecture: {width: " + "[" * 2000, "is not valid YAML"),
        (
            "variants: {" + ", ".join(f"v{n}: {{architecture: plain}}" for n in range(201)) + "}",
            "at most 200 items",
        ),
        ("#" * 1_000_001, "is too long for a configuration; is it another file?"),
        ("name: " + "x" * 5000, "not 'xxx"),
    ],
)
def test_a_configuration_that_would_take_for_ever_is_refused_at_once(tmp_path, text, problem):
    file = tmp_path / "some.yaml"
    file.write_text(text)
    start = time.perf_counter()
    with pytest.raises(UserError) as caught:
        load_config(file)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 2000
    assert time.perf_counter() - start < 10


def test_aliases_that_are_meant_are_read(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("variants:\n  plain: &p {epochs: 3}\n  plain2: {<<: *p, architecture: plain}")
    variants = load_config(file).variants
    assert [variant.epochs for variant in variants.values()] == [3, 3]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:secret@host/name: 3",
        "variants: {plain: {'postgresql://user:secret@host/name': 3}}",
        "tuning: {storage: [postgresql://user:secret@host/name]}",
        "variants: {plain: {epochs: 'postgresql://user:secret@host/name'}}",
        "{'postgresql://user:secret@host/name': 1, 'postgresql://user:secret@host/name': 2}",
    ],
)
def test_a_password_of_a_url_is_told_nowhere(tmp_path, text):
    file = tmp_path / "some.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(file)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "override", ["postgresql://user:secret@host/name", "postgresql://u:secret@h?a=b"]
)
def test_a_password_in_an_override_is_told_nowhere(override):
    with pytest.raises(UserError) as caught:
        load_config(ROOT / "configs/default.yaml", [override])
    assert "secret" not in str(caught.value)
