"""The benchmark: its arithmetic by hand, its nets beside the engine's, and a tiny real run."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from conftest import run_code, run_command
from test_training import small

from competition import commands
from competition.bench import published, race, record, suite, work
from competition.bench.comparison import rotated
from competition.bench.jobs import JobTimes, StepClock, times_of
from competition.bench.nets import (
    AS_PUBLISHED,
    ENGINE,
    STOCK_FLOAT32,
    Contender,
    Net,
    engine,
    nets,
    stock_copy,
)
from competition.bench.pace import Pace, joint_steps_a_second
from competition.bench.race import Finish, finish, median_minutes, new_race, run_race
from competition.bench.spread import Spread
from competition.bench.suite import require_measurable
from competition.bench.tables import race_table, tables
from competition.bench.two_workers import meet
from competition.bench.work import matrix_product, training_flop
from competition.config import registry
from competition.config.loading import load_config
from competition.config.schema import Variant
from competition.data.run import load_run
from competition.errors import UserError
from competition.models.layers import FeatureMapDropout, FusedBatchNormalization
from competition.paths import bench_json
from competition.training.progress import JobProgress
from competition.training.resources import use_precision
from competition.training.training_data import one_hot


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
    plain = registry.resolve(registry.ARCHITECTURES["plain"])()
    assert training_flop(plain) == 6 * multiply_adds


def test_deottes_net_has_the_published_layers_in_their_order():
    use_precision("float32")
    published_layers = published.published_net().layers
    ours = registry.resolve(registry.ARCHITECTURES["deotte"])()
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


@pytest.mark.parametrize("name", registry.ARCHITECTURES)
def test_a_stock_copy_is_the_same_net_of_kerass_own_layers(name, tiny):
    use_precision("float32")
    ours = registry.resolve(registry.ARCHITECTURES[name])(**small(name))
    stock = stock_copy(ours)
    replaced = (FusedBatchNormalization, FeatureMapDropout)
    assert not any(isinstance(layer, replaced) for layer in stock.layers)
    assert [w.shape for w in stock.weights] == [w.shape for w in ours.weights]
    stock.set_weights(ours.get_weights())
    images = tiny.train.images[:5, ..., None]
    np.testing.assert_allclose(stock(images), ours(images), atol=1e-5)
    rates = [[lay.rate for lay in net.layers if hasattr(lay, "rate")] for net in (stock, ours)]
    assert rates[0] == rates[1]


def contenders_of(net: Net) -> dict[str, Contender]:
    return {**net.stock_contenders(), ENGINE: engine(net.variant)}


def test_the_contenders_train_the_same_in_their_precision(tiny, monkeypatch):
    monkeypatch.setattr("competition.bench.nets.best_precision", lambda: "bfloat16")
    contenders = contenders_of(Net("tiny", tiny_variant()))
    precisions = {name: one.precision for name, one in contenders.items()}
    assert precisions == {
        "stock float32": "float32", "stock bfloat16": "bfloat16", ENGINE: "float32"
    }  # fmt: skip
    assert contenders["stock bfloat16"].model.layers[2].compute_dtype == "bfloat16"
    assert len({one.model.count_params() for one in contenders.values()}) == 1
    images, labels = tiny.train.images[:112], one_hot(tiny.train.labels[:112])
    for contender in contenders.values():
        before = contender.model.get_weights()
        pace = contender.fit(images, labels)
        assert len(pace.step_ends) == 112 // 16
        after = contender.model.get_weights()
        assert any((a != b).any() for a, b in zip(after, before, strict=True))


BESIDE_THE_ENGINE = """
import os
from competition.bench.stock import stock_process
from competition.training.resources import start_keras
start_keras(1)
with stock_process() as process:
    print(process.submit(os.environ.get, "TF_ENABLE_ONEDNN_OPTS").result())
"""


def test_stock_keras_starts_as_it_does_by_itself(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    done = run_code(BESIDE_THE_ENGINE)
    assert done.stdout == "None\n", done.stderr


def test_bfloat16_is_left_out_where_it_would_take_many_times_as_long(monkeypatch):
    monkeypatch.setattr("competition.bench.nets.best_precision", lambda: "float32")
    assert [*Net("tiny", tiny_variant()).stock_contenders()] == [STOCK_FLOAT32]


def test_every_variant_and_deottes_net_are_compared(project):
    config = load_config(project / "configs/tiny.yaml")
    compared = nets(config)
    assert [net.name for net in compared] == [
        "Deotte's, no dropout", "Deotte's, its dropout 0.4", "Deotte's, as its users run it",
        "plain", "perceptron",
    ]  # fmt: skip
    rates = [dropout(engine(net.variant).model) for net in compared[:3]]
    maps = [("FeatureMapDropout", 0.4), ("FeatureMapDropout", 0.4), ("Dropout", 0.4)]
    assert {rate for _, rate in rates[0]} == {0.0}
    assert rates[1:] == [[("Dropout", 0.4)] * 3, maps]
    assert {net.variant.batch_size for net in compared} == {16}


def test_stock_keras_has_the_same_regularisation(project):
    changes = ["defaults.weight_decay=0.3", "defaults.label_smoothing=0.1"]
    config = load_config(project / "configs/tiny.yaml", changes)
    _, own, as_published, plain, _ = nets(config)
    assert dropout(own.stock_contenders()[STOCK_FLOAT32].model) == [("Dropout", 0.4)] * 3
    assert dropout(as_published.stock_contenders()[STOCK_FLOAT32].model) == [("Dropout", 0.4)] * 3
    for contender in contenders_of(plain).values():
        assert contender.model.optimizer.weight_decay == 0.3
        assert contender.model.loss.label_smoothing == 0.1


def dropout(model) -> list[tuple[str, float]]:
    return [(type(lay).__name__, lay.rate) for lay in model.layers if hasattr(lay, "rate")]


@pytest.mark.parametrize(
    ("number", "order"), [(0, "abc"), (1, "bca"), (2, "cab"), (3, "abc"), (5, "cab")]
)
def test_each_round_begins_with_another_contender(number, order):
    contenders = {"a": 1, "b": 2, "c": 3}
    turned = rotated(contenders, number)
    assert "".join(turned) == order
    assert turned == contenders


def test_a_pace_leaves_out_the_first_steps_and_the_pause():
    pace = Pace(np.array([0.0, 5.0, 6.0, 7.0, 9.0, 11.0]), pause=30.0)
    assert pace.seconds_a_step() == 2.0


def test_steps_side_by_side_are_counted_while_both_run():
    first = Pace(np.arange(0.0, 20.0), 0.0)  # a step a second, from 3 to 19 when it runs
    second = Pace(10 + 0.5 * np.arange(0.0, 41.0), 0.0)  # two a second, from 11.5 to 30
    assert joint_steps_a_second([first]) == pytest.approx(1)
    assert joint_steps_a_second([first, second]) == pytest.approx(3)


@pytest.mark.parametrize("begin", [20.0, 16.0, 11.6])
def test_workers_that_hardly_met_have_no_speed_together(begin):
    """A step a second, from 3 to 19; the other one runs from 3 steps after its begin."""
    steps = np.arange(0.0, 20.0)
    with pytest.raises(UserError, match="2 workers did not train at the same time"):
        joint_steps_a_second([Pace(steps, 0.0), Pace(begin + steps, 0.0)])
    assert joint_steps_a_second([Pace(steps, 0.0), Pace(11 + steps, 0.0)]) == pytest.approx(2)


def test_workers_begin_when_all_are_ready(tmp_path):
    seen = []
    first = Thread(target=lambda: seen.append(meet(tmp_path / "0", workers=2)))
    first.start()
    while not (tmp_path / "0").exists():
        time.sleep(0.01)
    assert seen == []
    meet(tmp_path / "1", workers=2)
    first.join()
    assert seen == [None]


def test_what_is_not_steps_is_all_but_the_pace_within_epochs():
    """10 seconds of start, two epochs of four steps of 1 second, 3 seconds between, 5 at last."""
    ends = np.array([11.0, 12.0, 13.0, 14.0, 18.0, 19.0, 20.0, 21.0])
    times = times_of(0.0, ends, 26.0, validation=2.0)
    assert times == JobTimes(whole=26.0, steps=4.0, between=3.0, validation=2.0, after=5.0)
    two_epochs = tiny_variant(epochs=2, validate_every=2)
    assert times.share_outside(two_epochs) == pytest.approx(18 / 26)
    assert times.share_after(two_epochs) == pytest.approx(5 / 26)


@pytest.mark.parametrize(
    ("epochs", "validate_every", "outside"),
    [
        (10, 10, 18 + 8 * 3),  # validated at its end, as the job of two epochs was
        (10, 4, 18 + 8 * 3 + 2 * 2),  # and after 4 and 8 epochs
        (10, 1, 18 + 8 * 3 + 9 * 2),
        (8, 4, 18 + 6 * 3 + 1 * 2),
        (1, 1, 18 - 3),
    ],
)
def test_each_validation_of_a_longer_job_counts(epochs, validate_every, outside):
    times = JobTimes(whole=26.0, steps=4.0, between=3.0, validation=2.0, after=5.0)
    variant = tiny_variant(epochs=epochs, validate_every=validate_every)
    assert times.share_outside(variant) == pytest.approx(outside / (outside + 4 * epochs))
    assert times.share_after(variant) == pytest.approx(5 / (outside + 4 * epochs))


def test_a_clock_tells_a_jobs_steps_from_the_views_predicted_after_them():
    clock = StepClock()
    progress = JobProgress(clock, 0, tiny_variant(epochs=2), steps=3, predicted_rows=40)
    for step in range(1, 7):
        progress.trained(step)
    last_step = time.monotonic()
    for _ in progress.counted([np.zeros((40, 28, 28), np.uint8)] * 2):
        pass
    assert len(clock.ends) == 8
    assert clock.steps(6)[-1] <= last_step <= clock.ends[6]


def test_a_race_ends_with_the_first_epoch_that_has_the_target():
    assert finish([60, 120, 180], [0.5, 0.2, 0.3], target=0.2) == Finish(2.0, 2, 0.2)
    assert finish([60, 120], [0.5, 0.4], target=0.2) == Finish(None, 2, 0.4)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [((3.0, None, 2.0), 3.0), ((None, None, 2.0), None), ((1.0, 2.0, 9.0), 2.0)],
)
def test_who_never_arrives_is_the_slowest(minutes, expected):
    assert median_minutes(list(minutes)) == expected


@pytest.fixture
def short_race(monkeypatch):
    """A race of one seed, whose first epoch has the target."""
    monkeypatch.setattr(race, "SEEDS", (0,))
    monkeypatch.setattr(race, "TARGET_LOG_LOSS", 1000)


def test_a_tiny_race_is_run_by_both(project, short_race):
    """On the first split that is trained, whatever it is called."""
    settings = ["variants.plain.epochs=4", "variants.plain.test_time_draws=2"]
    settings += ["folds.scheme=holdout", "folds.only=[1]"]
    run = load_run(load_config(project / "configs/tiny.yaml", settings))
    assert run.config.variants["plain"].augmentation.name == "warp"
    *_, found = run_race(run, new_race(run, "plain"))
    assert found["split"] == "holdout1"
    (pool,) = (project / "output/pools").iterdir()  # none of drawn views, which nobody looks at
    assert len(list(pool.iterdir())) == 4
    for runner in found["runners"].values():
        (only,) = runner["runs"]
        assert 0 < only["best"] <= 1000
        assert 0 < runner["median_minutes"] == only["minutes"] < 5
        assert only["epochs"] == 1


def test_the_published_recipe_takes_whole_batches_and_lowers_its_rate(tiny, monkeypatch):
    monkeypatch.setattr(published, "BATCH_SIZE", 16)
    model, rates = published.published_net(), []
    for epoch in published.train_epochs(model, tiny.train, np.arange(56), seed=0):
        rates.append(float(model.optimizer.learning_rate))
        if epoch == 2:
            break
    assert int(model.optimizer.iterations) == 2 * (56 // 16)
    assert rates == pytest.approx([1e-3, 0.95e-3])


PUPIL = "configs/pupil.yaml"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--long"], 'race without it, with SET="variants.plain.teacher=null", or leave'),
        ([], "tiny (configs/tiny.yaml) is to teach, but 2 of 2 jobs have no result"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(project, arguments, complaint):
    text = (project / "configs/tiny.yaml").read_text()
    (project / PUPIL).write_text(text.replace("4}}", "4}, teacher: configs/tiny.yaml}"))
    done = run_command("bench", "--config", PUPIL, *arguments, folder=project)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_an_epoch_of_one_step_cannot_be_measured(project):
    tiny = project / "configs/tiny.yaml"
    run = load_run(load_config(tiny, ["variants.plain.batch_size=60"]))
    with pytest.raises(UserError, match=r"an epoch of plain has a single step of 60 digits.*SET="):
        require_measurable(run, long=False)


def test_without_its_teacher_a_variant_may_race(project):
    text = (project / "configs/tiny.yaml").read_text()
    (project / PUPIL).write_text(text.replace("4}}", "4}, teacher: configs/tiny.yaml}"))
    changed = load_config(project / PUPIL, ["variants.plain.teacher=null"])
    require_measurable(load_run(changed), long=True)


# The command as it is, but for the number of repetitions and the first two nets.
QUICK_BENCH = """
import sys
from competition.bench import comparison, suite
comparison.STEPS, suite.ROUNDS, suite.ROUNDS_OF_JOBS = 8, 1, 1
suite.nets = lambda config, every=suite.nets: every(config)[-2:]
from competition.__main__ import main
sys.exit(main(["bench", "--config", "configs/tiny.yaml"]))
"""


def test_the_benchmark_prints_tables_and_keeps_every_figure(project):
    """Of a variant that validates each epoch, and whose callback the job of two would confuse."""
    config = project / "configs/tiny.yaml"
    text = re.sub("  perceptron: .*\n", "", config.read_text())
    config.write_text(text.replace("plain: {", "plain: {callbacks: [early_stopping], "))
    done = run_code(QUICK_BENCH, project, seconds=600)
    assert done.returncode == 0, done.stderr
    found = json.loads((project / "output/tiny/bench.json").read_text())
    for net in found["nets"].values():
        for contender in net["contenders"].values():
            assert len(contender["images_a_second"]["runs"]) == 1
            assert contender["images_a_second"]["lowest"] > 0
            assert contender["share_of_matrix_peak"]["lowest"] > 0
    published_net = found["nets"][AS_PUBLISHED]["contenders"]["stock float32"]
    assert published_net["parameters"] == 327_242
    job = found["jobs"]["plain"]
    assert 0 < job["share_after_steps"]["median"] < job["share_outside_steps"]["median"] < 1
    assert 0 < job["rounds"][0]["validation"] < job["rounds"][0]["whole"]
    assert found["two_workers"]["speedup"]["lowest"] > 0
    assert "race" not in found
    assert "| plain | engine | float32 |" in done.stdout
    assert "all figures are in output/tiny/bench.json" in done.stdout
    assert sorted(path.name for path in (project / "output").iterdir()) == [
        ".pools.lock", "pools", "tiny"
    ]  # fmt: skip


ONE = {"median": 2.0, "lowest": 1.0, "highest": 4.0}
CONTENDER = {
    "precision": "float32", "images_a_second": {"median": 3e3, "lowest": 2e3, "highest": 4e3},
    "over_stock_float32": ONE, "training_flop_an_image": 10**8,
    "share_of_matrix_peak": {"median": 0.25, "lowest": 0.2, "highest": 0.3},
    "pause_seconds": ONE,
}  # fmt: skip
SHARE = {"median": 0.08, "lowest": 0.07, "highest": 0.1}
AFTER = {"median": 0.04, "lowest": 0.03, "highest": 0.05}
MEASURES = {
    "machine": "a machine", "threads": 2,
    "nets": {"plain": {"contenders": {"engine": CONTENDER}}},
    "jobs": {"plain": {"epochs": 9, "share_outside_steps": SHARE, "share_after_steps": AFTER}},
    "two_workers": {"variant": "plain", "speedup": ONE},
}  # fmt: skip


def test_tables_show_what_was_measured():
    text = tables(MEASURES)
    assert (
        "| plain | engine | float32 | 3000 (2000 – 4000) | 2.00 (1.00 – 4.00) | 300 | "
        "25.0% (20.0% – 30.0%) | "
        "2.0 (1.0 – 4.0) |"
    ) in text
    assert f"\n\n`{AS_PUBLISHED}` is not the same net on both sides: stock Keras drops" in text
    left_out = "Without bfloat16, which nothing here multiplies in hardware."
    assert left_out in text
    both = {"plain": {"contenders": {"engine": CONTENDER, "stock bfloat16": CONTENDER}}}
    assert left_out not in tables(MEASURES | {"nets": both})
    assert "| plain | 9 | 8.0% (7.0% – 10.0%) | 4.0% (3.0% – 5.0%) |" in text
    assert "2.00 (1.00 – 4.00) times as fast as one" in text


def test_the_table_of_a_race_shows_each_seed():
    runs = [{"minutes": 4.0, "epochs": 9, "best": 0.0195}, {"minutes": None, "epochs": 45,
             "best": 0.021}]  # fmt: skip
    text = race_table(
        {"variant": "plain", "split": "fold0", "target_log_loss": 0.02,
         "runners": {"engine": {"median_minutes": None, "runs": runs}}}
    )  # fmt: skip
    assert "| to a log-loss of 0.02 on fold0 | median minutes |" in text
    assert "| engine (`plain`) | never | 4.0, never | 9, 45 | 0.0195, 0.0210 |" in text


@dataclass
class Racers:
    """Stands for the measurements of the short part, and for both runners of the race.

    Attributes:
        turns: that were run, `"<runner> <seed>"`.
        stops_at: the part that somebody interrupts, or number of the turn; None for nobody.
    """

    turns: list[str] = field(default_factory=list)
    stops_at: str | int | None = None

    def part(self, name: str):
        def measure_it(run, tick):
            if name == self.stops_at:
                raise KeyboardInterrupt
            return MEASURES[name]

        return measure_it

    def runner(self, name: str):
        def race_it(run, job) -> Finish:
            if len(self.turns) == self.stops_at:
                raise KeyboardInterrupt
            self.turns.append(f"{name} {job.seed}")
            return Finish(float(len(self.turns)), 1, 0.01)

        return race_it

    def bench(
        self, stops_at: str | int | None = None, *changes: str, is_long: bool = True
    ) -> list[str]:
        """Returns the turns that the command ran."""
        self.turns.clear()
        self.stops_at = stops_at
        settings = ["variants.plain.augmentation=none", *changes]
        commands.bench(load_config(Path("configs/tiny.yaml"), settings), long=is_long)
        return self.turns


@pytest.fixture
def racers(project, monkeypatch) -> Racers:
    made_up = Racers()
    monkeypatch.setattr(suite, "start_keras", lambda threads: None)
    monkeypatch.setattr(suite, "engine", lambda variant: None)
    monkeypatch.setattr(suite, "PARTS", {name: made_up.part(name) for name in suite.PARTS})
    monkeypatch.setattr(race, "RUNNERS", {name: made_up.runner(name) for name in ("a", "b")})
    return made_up


def test_an_interrupted_race_keeps_each_finish_and_goes_on(racers, capsys):
    with pytest.raises(KeyboardInterrupt):
        racers.bench(3)
    assert racers.turns == ["a 0", "b 0", "a 1"]
    assert tables(MEASURES).splitlines()[-1] in capsys.readouterr().out
    kept = json.loads(bench_json("tiny").read_text())
    assert [len(kept["race"]["runners"][name]["runs"]) for name in "ab"] == [2, 1]
    assert kept["jobs"] == MEASURES["jobs"]
    assert racers.bench() == ["b 1", "a 2", "b 2"]
    assert "| a | 2.0 | 1.0, 3.0, 2.0 | 1, 1, 1 |" in capsys.readouterr().out
    found = json.loads(bench_json("tiny").read_text())["race"]
    assert [run["minutes"] for run in found["runners"]["b"]["runs"]] == [2.0, 1.0, 3.0]
    assert list(run_race(load_run(load_config(Path("configs/tiny.yaml"))), found)) == []
    assert len(racers.bench()) == 6  # that race is over; this is another one


def test_a_race_outlives_a_benchmark_without_one(racers):
    with pytest.raises(KeyboardInterrupt):
        racers.bench(3)
    assert racers.bench(is_long=False) == []
    assert racers.bench() == ["b 1", "a 2", "b 2"]


def test_an_interrupted_benchmark_keeps_its_finished_parts(racers):
    with pytest.raises(KeyboardInterrupt, match="the parts that were finished are in output/tiny/"):
        racers.bench("two_workers")
    kept = json.loads(bench_json("tiny").read_text())
    assert {name: kept.get(name) for name in suite.PARTS} == {
        "nets": MEASURES["nets"], "jobs": MEASURES["jobs"], "two_workers": None
    }  # fmt: skip


@pytest.mark.parametrize("stops_at", ["jobs", 0])
def test_a_race_that_is_over_stays_until_another_one_has_a_finish(racers, stops_at):
    racers.bench()
    before = json.loads(bench_json("tiny").read_text())["race"]
    with pytest.raises(KeyboardInterrupt):
        racers.bench(stops_at)
    assert json.loads(bench_json("tiny").read_text())["race"] == before


@pytest.mark.parametrize("change", ["variants.plain.learning_rate=0.1", "folds.only=[1]"])
def test_a_race_of_other_trainings_begins_anew(racers, change, capsys):
    with pytest.raises(KeyboardInterrupt):
        racers.bench(3)
    assert len(racers.bench(None, change)) == 6
    assert "a new race begins: the earlier one was of other " in capsys.readouterr().out


def test_a_race_on_another_machine_begins_anew(racers, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        racers.bench(3)
    monkeypatch.setattr(record, "machine_name", lambda: "another one")
    assert len(racers.bench()) == 6


@pytest.mark.parametrize("damaged", ["{", "[]", ""])
def test_a_race_whose_record_is_damaged_begins_anew(racers, damaged):
    with pytest.raises(KeyboardInterrupt):
        racers.bench(3)
    bench_json("tiny").write_text(damaged)
    assert len(racers.bench()) == 6
