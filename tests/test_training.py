"""Architectures, schedule, and the training of one variant on one fold."""

import dataclasses

import numpy as np
import pytest
from conftest import ROOT

from competition.config import registry
from competition.config.loading import load_config
from competition.config.registry import Architecture, Augmentation
from competition.config.schema import Training, Variant
from competition.data.augmented_epochs import AugmentedEpochs
from competition.errors import UserError
from competition.training import resources
from competition.training.predict import predict
from competition.training.resources import use_precision
from competition.training.train import compiled_model, train_one_fold
from competition.training.training_data import TrainingData

# Few filters, so that every architecture is built and trained in seconds.
SMALL_WIDTH = 4


def small(name: str) -> dict:
    """Returns what makes an architecture small, as far as it has a parameter for it."""
    known = registry.parameters(registry.ARCHITECTURES[name])
    return {"width": SMALL_WIDTH} if "width" in known else {}


@pytest.fixture
def fold(tiny) -> TrainingData:
    rows = np.arange(120)
    pool = AugmentedEpochs(Augmentation(name="none"), 0, "data")
    return TrainingData(tiny.train, rows[40:], rows[:40], pool, number=0)


def variant(name: str = "plain", **settings) -> Variant:
    architecture = {"name": name, **small(name)}
    values = {"epochs": 2, "batch_size": 16, "precision": "float32", **settings}
    return Variant(architecture=architecture, **values)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", registry.ARCHITECTURES)
def test_an_architecture_maps_images_to_float32_logits(name, precision, tiny):
    use_precision(precision)
    model = registry.resolve(registry.ARCHITECTURES[name])(**small(name))
    logits = model(tiny.train.images[:3, ..., None])
    assert model.input_shape == (None, 28, 28, 1)
    assert logits.shape == (3, 10)
    assert logits.dtype == "float32"
    assert model.name == name


@pytest.mark.parametrize(
    ("gpus", "of_processor", "expected"),
    [
        ([], True, "bfloat16"),
        ([], False, "float32"),
        ([{"compute_capability": (8, 0)}], False, "bfloat16"),
        ([{"compute_capability": (9, 0)}, {"compute_capability": (8, 6)}], False, "bfloat16"),
        ([{"compute_capability": (7, 5)}], True, "float32"),
        ([{"compute_capability": (8, 0)}, {"compute_capability": (7, 0)}], True, "float32"),
        ([{}], True, "float32"),  # TensorFlow does not tell
    ],
)
def test_the_best_precision_is_that_of_what_trains(gpus, of_processor, expected, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: gpu)
    monkeypatch.setattr(resources, "multiplies_bfloat16", lambda: of_processor)
    assert use_precision("auto") == expected


WIDE = [name for name in registry.ARCHITECTURES if small(name)]


@pytest.mark.parametrize("name", WIDE)
def test_an_architecture_grows_with_its_width(name):
    use_precision("float32")
    build = registry.resolve(registry.ARCHITECTURES[name])
    assert build(width=8).count_params() > build(width=4).count_params()


DROPPING = [
    name for name, built_by in registry.ARCHITECTURES.items()
    if "dropout" in registry.parameters(built_by)
]  # fmt: skip


@pytest.mark.parametrize("name", DROPPING)
def test_what_is_dropped_follows_the_parameter(name, tiny):
    use_precision("float32")
    build = registry.resolve(registry.ARCHITECTURES[name])
    images = tiny.train.images[:8, ..., None]
    for rate in (0.0, 0.3):
        model = build(**small(name), dropout=rate)
        first, second = (np.asarray(model(images, training=True)) for _ in range(2))
        assert (first == second).all() == (rate == 0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name in ("plain", "residual", "large_kernel") else pytest.mark.long
        )
        for name in registry.ARCHITECTURES
    ],
)
def test_an_architecture_learns_and_survives_saving(name, fold, tmp_path):
    import keras

    model, history = train_one_fold(variant(name, epochs=8), fold, seed=0)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    images = fold.digits.images[:5]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(predict(loaded, images), predict(model, images), atol=1e-6)


@pytest.mark.parametrize("crop", [1, 2, 4])
def test_a_cropped_net_sees_nothing_of_the_rim(crop, tiny):
    use_precision("float32")
    model = registry.resolve(registry.ARCHITECTURES["plain"])(width=4, crop=crop)
    images = tiny.train.images[:8, ..., None].copy()
    before = np.asarray(model(images))
    inside = slice(crop, 28 - crop)
    framed = np.full_like(images, 255)
    framed[:, inside, inside] = images[:, inside, inside]
    np.testing.assert_array_equal(np.asarray(model(framed)), before)
    framed[:, crop, inside] = 255
    assert (np.asarray(model(framed)) != before).any()


def test_deottes_net_has_his_number_of_parameters():
    use_precision("float32")
    # The kernel's convolutions also have biases, which the normalisation behind them undoes.
    biases = 3 * 32 + 3 * 64 + 128
    model = registry.resolve(registry.ARCHITECTURES["plain"])()
    assert model.count_params() + biases == 327_242


@pytest.mark.parametrize(
    ("system", "parameters"),
    [("C", 1_463_835), ("C-smote", 1_463_835), ("D1", 330_346), ("D2", 330_346), ("D4", 61_706)],
)
def test_a_baseline_has_its_published_number_of_parameters(system, parameters):
    use_precision("float32")
    variants = load_config(ROOT / "configs/baselines.yaml").variants
    assert variants[system].architecture.build().count_params() == parameters


@pytest.mark.parametrize("hidden", ["", "512-", "0", "1025-x", "-1"])
def test_a_perceptron_of_no_whole_numbers_is_refused(hidden):
    architecture = Architecture(name="perceptron", hidden=hidden)
    with pytest.raises(UserError, match="expected whole numbers such as 512-256"):
        architecture.build()


@pytest.mark.parametrize("warm_up", [0.0, 0.25])
def test_the_learning_rate_rises_in_a_line_and_falls_in_a_cosine(warm_up):
    settings = Training(learning_rate=0.01, warm_up=warm_up, final_learning_rate=0.02)
    schedule = settings.schedule.build(settings, 101)
    rates = np.array([float(schedule(step)) for step in range(101)])
    rising = round(warm_up * 101)
    falling = np.arange(101 - rising) / (100 - rising)
    expected_rise = 0.001 + 0.009 * np.arange(rising) / max(1, rising)
    expected_fall = 0.01 * (0.02 + 0.98 * (1 + np.cos(np.pi * falling)) / 2)
    np.testing.assert_allclose(rates, [*expected_rise, *expected_fall], rtol=1e-5)
    assert rates[-1] == pytest.approx(0.0002)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_have_a_finite_learning_rate(steps):
    schedule = Training().schedule.build(Training(), steps)
    rates = [float(schedule(step)) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) <= Training().learning_rate * 1.000001  # it is kept in float32


FALLING = {"learning_rate": 0.008, "epochs": 3}


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.008, 0.008, 0.008]),
        ({"name": "exponential", "rate": 0.5}, [0.008, 0.004, 0.002]),
        ("exponential", [0.008, 0.0076, 0.00722]),
        ({"name": "step_decay", "factor": 0.1, "every": 2}, [0.008, 0.008, 0.0008]),
        # The last of 5, 10 and 15 steps, of which the very last has the share `final` left.
        (
            {"name": "cosine", "final": 0.2},
            [0.008 * (0.2 + 0.4 * (1 + np.cos(np.pi * step / 14))) for step in (4, 9, 14)],
        ),
    ],
    ids=str,
)
def test_a_schedule_gives_each_epochs_last_step_its_rate(schedule, rates, fold):
    settings = variant("perceptron", **FALLING, schedule=schedule)
    _, history = train_one_fold(settings, fold, seed=0)
    np.testing.assert_allclose([row["learning_rate"] for row in history], rates, rtol=1e-5)


def test_the_rate_of_a_schedule_changes_between_epochs_and_not_before():
    settings = Training(learning_rate=1.0, epochs=4, schedule={"name": "exponential", "rate": 0.5})
    schedule = settings.schedule.build(settings, 20)
    rates = [float(schedule(step)) for step in range(20)]
    assert rates == [1.0] * 5 + [0.5] * 5 + [0.25] * 5 + [0.125] * 5


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "exponential", "rate": 1.5}, "rate is 1.5, expected a share from 0 to 1"),
        ({"name": "cosine", "final": -0.1}, "final is -0.1, expected a share"),
        ({"name": "step_decay", "every": 0}, "every is 0, expected a number of epochs from 1"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(schedule, message):
    with pytest.raises(UserError, match=message):
        compiled_model(variant(schedule=schedule), steps=10)


@pytest.fixture
def scripted(fold, monkeypatch):
    """Trains with made-up validation losses; returns model, history, and each epoch's outcome."""

    def train(losses: list[float], *callbacks: dict, **settings):
        left = iter(losses)

        def evaluate(model, data):
            loss = next(left)
            return loss, -loss

        monkeypatch.setattr("competition.training.train.evaluate", evaluate)
        images, outcomes = fold.digits.images[:5], []
        settings |= {"epochs": len(losses), "schedule": "constant"}
        chosen = variant("perceptron", callbacks=list(callbacks), **settings)
        model, history = train_one_fold(
            chosen, fold, 0, on_epoch=lambda _, model: outcomes.append(predict(model, images))
        )
        return predict(model, images), [row["learning_rate"] for row in history], outcomes

    return train


LOSSES = [1.0, 0.8, 0.9, 0.85, 0.7, 0.9]


@pytest.mark.parametrize(
    ("callback", "epochs", "kept"),
    [
        ({"name": "early_stopping", "patience": 2}, 4, 4),
        ({"name": "early_stopping", "patience": 2, "restore_best": True}, 4, 2),
        ({"name": "early_stopping", "patience": 3, "restore_best": True}, 6, 5),
        ({"name": "early_stopping", "patience": 1}, 3, 3),
        ({"name": "best_checkpoint"}, 6, 5),
        ({"name": "best_checkpoint", "monitor": "validation_accuracy"}, 6, 5),
    ],
    ids=str,
)
def test_a_callback_ends_the_training_and_keeps_the_epoch_that_it_should(
    scripted, callback, epochs, kept
):
    final, _, outcomes = scripted(LOSSES, callback)
    assert len(outcomes) == epochs
    np.testing.assert_array_equal(final, outcomes[kept - 1])
    others = [each for number, each in enumerate(outcomes, start=1) if number != kept]
    assert all(np.abs(final - each).max() > 0 for each in others)


def test_early_stopping_and_the_best_checkpoint_work_together(scripted):
    stopping = {"name": "early_stopping", "patience": 2}
    final, _, outcomes = scripted(LOSSES, stopping, {"name": "best_checkpoint"})
    assert len(outcomes) == 4
    np.testing.assert_array_equal(final, outcomes[1])


def test_a_plateau_lowers_the_rate_by_its_factor_down_to_the_lowest(scripted):
    plateau = {"name": "reduce_on_plateau", "patience": 2, "factor": 0.25, "lowest": 0.0001}
    # Better by less than 0.0001 is no better: epochs 4 and 6 lower the rate for the next ones.
    losses = [1.0, 0.5, 0.6, 0.49995, 0.7, 0.7, 0.7, 0.7, 0.3]
    _, rates, _ = scripted(losses, plateau, learning_rate=0.004)
    np.testing.assert_allclose(rates, [0.004] * 4 + [0.001] * 2 + [0.00025] * 2 + [0.0001])


def test_a_checkpoint_leaves_no_file_behind(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scripted(LOSSES, {"name": "best_checkpoint"})
    assert list(tmp_path.iterdir()) == []


def test_callbacks_see_the_real_held_out_rows(fold):
    """Without scripts: what is kept is the epoch of the lowest validation loss."""
    settings = variant(epochs=4, schedule="constant", callbacks=["best_checkpoint"])
    model, history = train_one_fold(settings, fold, seed=0)
    images, labels = fold.digits.images[:40], fold.digits.labels[:40]
    kept = -np.log(predict(model, images)[np.arange(40), labels]).mean()
    assert kept == pytest.approx(min(row["validation_loss"] for row in history), rel=1e-4)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ({"name": "early_stopping", "patience": 0}, "patience is 0, expected a number of ep"),
        ({"name": "best_checkpoint", "monitor": "loss"}, "monitor is 'loss', expected one of"),
        ({"name": "reduce_on_plateau", "factor": 1.0}, "factor is 1, expected a number above 0"),
    ],
    ids=str,
)
def test_a_callback_that_cannot_be_is_refused_before_the_first_epoch(fold, callback, message):
    settings = variant(schedule="constant", callbacks=[callback])
    with pytest.raises(UserError, match=message):
        train_one_fold(settings, fold, seed=0)


def test_the_same_seed_trains_the_same_net_and_another_seed_another(fold):
    def probabilities(seed: int) -> np.ndarray:
        model, _ = train_one_fold(variant(), fold, seed)
        return predict(model, fold.digits.images[:20])

    first = probabilities(0)
    np.testing.assert_array_equal(probabilities(0), first)
    assert np.abs(probabilities(1) - first).max() > 1e-3


def test_validation_rows_are_never_trained_on(fold):
    """A fold whose held-out rows became noise with other labels gives the very same net."""
    images, labels = fold.digits.images.copy(), fold.digits.labels.copy()
    noise = np.random.default_rng(0).integers(1, 256, (40, 28, 28))
    images[fold.validation_rows] = noise
    labels[fold.validation_rows] = (labels[fold.validation_rows] + 1) % 10
    digits = dataclasses.replace(fold.digits, images=images, labels=labels)
    spoiled = dataclasses.replace(fold, digits=digits)
    images = fold.digits.images[:20]
    one, _ = train_one_fold(variant(), fold, seed=0)
    other, _ = train_one_fold(variant(), spoiled, seed=0)
    np.testing.assert_array_equal(predict(one, images), predict(other, images))


def test_rows_that_do_not_count_teach_nothing(fold):
    """The weights of a fold's classes reach the loss."""
    weightless = dataclasses.replace(fold, class_weights=np.zeros(10, np.float32))
    settings = variant("perceptron", weight_decay=0.0)
    model, history = train_one_fold(settings, weightless, seed=0)
    assert [row["loss"] for row in history] == [0.0, 0.0]
    untrained, _ = train_one_fold(settings.model_copy(update={"epochs": 0}), fold, seed=0)
    images = fold.digits.images[:5]
    np.testing.assert_array_equal(predict(model, images), predict(untrained, images))


def test_history_has_a_row_an_epoch_and_validates_as_often_as_asked(fold):
    told = []
    settings = variant(epochs=5, validate_every=2)
    _, history = train_one_fold(
        settings, fold, seed=0, on_epoch=lambda epoch, model: told.append((epoch, model.name))
    )
    assert told == [(2, "plain"), (4, "plain"), (5, "plain")]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    validated = [row["epoch"] for row in history if row["validation_loss"] != ""]
    assert validated == [2, 4, 5]
    assert history[-1]["learning_rate"] == pytest.approx(3e-5, rel=1e-3)


def test_each_step_is_told(fold):
    told = []
    train_one_fold(variant(), fold, seed=0, on_step=told.append)
    assert told == list(range(1, 11))  # 2 epochs of 80 rows in batches of 16


def test_a_fold_smaller_than_a_batch_still_trains(fold):
    _, history = train_one_fold(variant(batch_size=500), fold, seed=0)
    assert len(history) == 2
