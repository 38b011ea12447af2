"""The benchmark: its arithmetic by hand, its nets beside the engine's, and a tiny real run."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import environment
from test_training import small

from competition import catalogue
from competition.bench import published, race, work
from competition.bench.jobs import JobTimes, StepClock, times_of
from competition.bench.nets import ENGINE, Net, engine, nets, stock_copy
from competition.bench.pace import Pace, joint_steps_a_second, paced_fit
from competition.bench.race import Finish, finish, median_minutes, run_race
from competition.bench.spread import Spread
from competition.bench.tables import tables
from competition.bench.work import matrix_product, training_flop
from competition.config import Variant, load_config
from competition.data.run import load_run
from competition.models.dropout import FeatureMapDropout
from competition.models.normalization import FusedBatchNormalization
from competition.training.fold import one_hot
from competition.training.runtime import use_precision


def tiny_variant(name: str = "plain", **settings) -> Variant:
    architecture = {"name": name, **small(name)}
    return Variant(architecture=architecture, batch_size=16, precision="float32", **settings)


def test_a_spread_has_median_and_range():
    spread = Spread((4.0, 1.0, 3.0))
    assert spread.to_json() == {
        "median": 3.0, "lowest": 1.0, "highest": 4.0, "runs": [4.0, 1.0, 3.0]
    }  # fmt: skip
    assert Spread((1.0, 2.0)).median == 1.5


def test_quotients_are_of_runs_side_by_side():
    """A machine that is slow for a while slows both, and moves no quotient."""
    assert Spread((8.0, 2.0, 6.0)).over(Spread((4.0, 1.0, 2.0))).runs == (2.0, 2.0, 3.0)


def test_arithmetic_is_counted_as_by_hand():
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(3, 5, strides=2, padding="same"),  # 14 x 14 places, 5 x 5 x 1 x 3
            layers.BatchNormalization(),
            layers.Conv2D(4, 3),  # 12 x 12 places, 3 x 3 x 3 x 4
            layers.Flatten(),
            layers.Dense(10),  # 576 x 10
        ]
    )
    multiply_adds = 14 * 14 * 75 + 12 * 12 * 108 + 5760
    assert training_flop(model) == 3 * 2 * multiply_adds


def test_deottes_net_needs_what_its_layers_say():
    use_precision("float32")
    multiply_adds = (
        26**2 * 9 * 32 + 24**2 * 9 * 32 * 32 + 12**2 * 25 * 32 * 32
        + 10**2 * 9 * 32 * 64 + 8**2 * 9 * 64 * 64 + 4**2 * 25 * 64 * 64
        + 16 * 64 * 128 + 128 * 10
    )  # fmt: skip
    net = published.published_net()
    assert training_flop(net) == 6 * multiply_adds
    assert net.count_params() == 327_242
    plain = catalogue.resolve(catalogue.ARCHITECTURES["plain"])()
    assert training_flop(plain) == 6 * multiply_adds


def test_deottes_net_has_the_published_layers_in_their_order():
    use_precision("float32")
    published_layers = published.published_net().layers
    ours = catalogue.resolve(catalogue.ARCHITECTURES["deotte"])()
    assert ours.count_params() == 327_242
    behind_the_images = ours.layers[2:]
    for layer, layer_there in zip(behind_the_images, published_layers, strict=True):
        assert isinstance(layer, type(layer_there))
        assert layer.output.shape == layer_there.output.shape
        settings, settings_there = layer.get_config(), layer_there.get_config()
        same = {"strides", "padding", "rate", "momentum", "epsilon", "use_bias"} & settings.keys()
        assert {key: settings[key] for key in same} == {key: settings_there[key] for key in same}
        activations = settings.get("activation"), settings_there.get("activation")
        assert activations in {("relu", "relu"), ("linear", "softmax"), (None, None)}


def test_a_product_of_matrices_is_timed(monkeypatch):
    ticks = iter([10.0, 12.0])
    monkeypatch.setattr(work.time, "perf_counter", lambda: next(ticks))
    assert matrix_product("float32")() == 4 * 2 * 2048**3 / 2.0


@pytest.mark.parametrize("name", catalogue.ARCHITECTURES)
def test_a_stock_copy_is_the_same_net_of_kerass_own_layers(name, tiny):
    use_precision("float32")
    ours = catalogue.resolve(catalogue.ARCHITECTURES[name])(**small(name))
    stock = stock_copy(ours)
    replaced = (FusedBatchNormalization, FeatureMapDropout)
    assert not any(isinstance(layer, replaced) for layer in stock.layers)
    assert [w.shape for w in stock.weights] == [w.shape for w in ours.weights]
    stock.set_weights(ours.get_weights())
    images = tiny.train.images[:5, ..., None]
    np.testing.assert_allclose(stock(images), ours(images), atol=1e-5)
    rates = [[lay.rate for lay in net.layers if hasattr(lay, "rate")] for net in (stock, ours)]
    assert rates[0] == rates[1]


def test_the_contenders_train_the_same_in_their_precision(tiny):
    contenders = Net("tiny", tiny_variant()).contenders()
    precisions = {name: one.precision for name, one in contenders.items()}
    assert precisions == {
        "stock float32": "float32", "stock bfloat16": "bfloat16", ENGINE: "float32"
    }  # fmt: skip
    assert contenders["stock bfloat16"].model.layers[2].compute_dtype == "bfloat16"
    assert len({one.model.count_params() for one in contenders.values()}) == 1
    images, labels = tiny.train.images[:112], one_hot(tiny.train.labels[:112])
    for contender in contenders.values():
        before = contender.model.get_weights()
        pace = paced_fit(contender.model, contender.feed(images, labels))
        assert len(pace.step_ends) == 112 // 16
        after = contender.model.get_weights()
        assert any((a != b).any() for a, b in zip(after, before, strict=True))


def test_every_variant_and_deottes_net_are_compared(project):
    config = load_config(project / "configs/tiny.yaml")
    compared = nets(config)
    assert [net.name for net in compared] == [
        "Deotte's, no dropout", "Deotte's, dropout 0.4", "plain", "residual"
    ]  # fmt: skip
    rates = [
        [layer.rate for layer in engine(net.variant).model.layers if hasattr(layer, "rate")]
        for net in compared[:2]
    ]
    assert rates == [[0.0] * 3, [0.4] * 3]
    assert {net.variant.batch_size for net in compared} == {16}


def test_a_pace_leaves_out_the_first_steps_and_the_pause():
    pace = Pace(np.array([0.0, 5.0, 6.0, 7.0, 9.0, 11.0]), pause=30.0)
    assert pace.seconds_a_step() == 2.0


def test_steps_side_by_side_are_counted_while_both_run():
    first = Pace(np.arange(0.0, 20.0), 0.0)  # a step a second, from 3 to 19 when it runs
    second = Pace(10 + 0.5 * np.arange(0.0, 41.0), 0.0)  # two a second, from 11.5 to 30
    assert joint_steps_a_second([first]) == pytest.approx(1)
    assert joint_steps_a_second([first, second]) == pytest.approx(3)


def test_what_is_not_steps_is_all_but_the_pace_within_epochs():
    """10 seconds of start, two epochs of four steps of 1 second, 3 seconds between, 5 at last."""
    ends = np.array([11.0, 12.0, 13.0, 14.0, 18.0, 19.0, 20.0, 21.0])
    times = times_of(26.0, ends)
    assert times == JobTimes(whole=26.0, steps=4.0, between=3.0)
    assert times.share_outside(2) == pytest.approx(18 / 26)
    assert times.share_outside(10) == pytest.approx((18 + 8 * 3) / (26 + 8 * 7))


def test_a_clock_notes_each_step_that_a_job_tells():
    clock = StepClock()
    shares = clock.shares()
    shares[0], shares[0] = 0.5, 1.0
    assert len(clock.ends) == 2


def test_a_race_ends_with_the_first_epoch_that_has_the_target():
    assert finish([60, 120, 180], [0.5, 0.2, 0.3], target=0.2) == Finish(2.0, 2, 0.2)
    assert finish([60, 120], [0.5, 0.4], target=0.2) == Finish(None, 2, 0.4)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [((3.0, None, 2.0), 3.0), ((None, None, 2.0), None), ((1.0, 2.0, 9.0), 2.0)],
)
def test_who_never_arrives_is_the_slowest(minutes, expected):
    assert median_minutes([Finish(one, 1, 0.1) for one in minutes]) == expected


def test_a_tiny_race_is_run_by_both(project, monkeypatch):
    monkeypatch.setattr(race, "SEEDS", (0,))
    monkeypatch.setattr(race, "TARGET_LOG_LOSS", 1000)  # reached at once
    monkeypatch.setattr(published, "BATCH_SIZE", 16)
    settings = ["variants.plain.epochs=4", "variants.plain.augmentation=none"]
    run = load_run(load_config(project / "configs/tiny.yaml", settings))
    runners = run_race(run, "plain")["runners"]
    for runner in runners.values():
        (only,) = runner["runs"]
        assert 0 < only["best"] <= 1000
        assert 0 < runner["median_minutes"] == only["minutes"] < 5
        assert only["epochs"] == 1


# The command as it is, but for the number of repetitions and the first net.
QUICK_BENCH = """
import sys
from competition.bench import comparison, suite
comparison.STEPS, suite.ROUNDS, suite.ROUNDS_OF_JOBS = 8, 1, 1
suite.nets = lambda config, every=suite.nets: every(config)[1:]
from competition.__main__ import main
sys.exit(main(["bench", "--config", "configs/tiny.yaml"]))
"""


def test_the_benchmark_prints_tables_and_keeps_every_figure(project):
    config = project / "configs/tiny.yaml"
    config.write_text(config.read_text().replace("  plain: {architecture: {width: 4}}\n", ""))
    done = subprocess.run(
        [sys.executable, "-c", QUICK_BENCH],
        cwd=project, env=environment(), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((project / "output/tiny/bench.json").read_text())
    for net in found["nets"].values():
        for contender in net["contenders"].values():
            assert len(contender["images_a_second"]["runs"]) == 1
            assert contender["images_a_second"]["lowest"] > 0
            assert contender["share_of_matrix_peak"]["lowest"] > 0
    published_net = found["nets"]["Deotte's, dropout 0.4"]["contenders"]["stock float32"]
    assert published_net["parameters"] == 327_242
    assert 0 < found["job"]["share_outside_steps"]["median"] < 1
    assert found["two_workers"]["speedup"]["lowest"] > 0
    assert "race" not in found
    assert "| residual | engine | float32 |" in done.stdout
    assert "all figures are in output/tiny/bench.json" in done.stdout
    assert sorted(path.name for path in (project / "output").iterdir()) == [
        ".pools.lock", "pools", "tiny"
    ]  # fmt: skip


def test_tables_show_the_race_when_there_was_one():
    one = {"median": 2.0, "lowest": 1.0, "highest": 4.0}
    contender = {
        "precision": "float32", "images_a_second": {"median": 3e3, "lowest": 2e3, "highest": 4e3},
        "over_stock_float32": one, "training_flop_an_image": 10**8,
        "share_of_matrix_peak": {"median": 0.25, "lowest": 0.2, "highest": 0.3},
        "pause_seconds": one,
    }  # fmt: skip
    runs = [{"minutes": 4.0, "epochs": 9, "best": 0.0195}, {"minutes": None, "epochs": 45,
             "best": 0.021}]  # fmt: skip
    found = {
        "machine": "a machine", "threads": 2,
        "nets": {"plain": {"contenders": {"engine": contender}}},
        "job": {"variant": "plain", "epochs": 9, "share_outside_steps": one,
                "share_outside_steps_of_two_epochs": one},
        "two_workers": {"variant": "plain", "speedup": one},
        "race": {"variant": "plain", "target_log_loss": 0.02,
                 "runners": {"engine": {"median_minutes": None, "runs": runs}}},
    }  # fmt: skip
    text = tables(found)
    assert (
        "| plain | engine | float32 | 3000 (2000 – 4000) | 2.00 (1.00 – 4.00) | 300 | "
        "25.0% (20.0% – 30.0%) | "
        "2.0 (1.0 – 4.0) |"
    ) in text
    assert "| engine (`plain`) | never | 4.0, never | 9, 45 | 0.0195, 0.0210 |" in text
    assert "2.00 (1.00 – 4.00) times as fast as one" in text
