"""The benchmark: its arithmetic by hand, its nets beside the engine's, and tiny real runs."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas
import pytest
from conftest import run_code
from test_training import small

from benchmarks import race, throughput
from benchmarks.race import finish, race_table
from benchmarks.throughput import AS_PUBLISHED, engine_model, keep, steps_per_second, stock_model
from competition.__main__ import main
from competition.config import registry
from competition.config.loading import load_config
from competition.config.schema import Variant
from competition.data.run import load_run
from competition.errors import UserError
from competition.models.layers import FeatureMapDropout, FusedBatchNormalization, SmallMapConv2D
from competition.paths import OutputPaths
from competition.results import Job
from competition.training.resources import use_precision


def tiny_run(*changes: str):
    return load_run(load_config(Path("configs/tiny.yaml"), changes))


def dropout(model) -> list[tuple[str, float]]:
    return [(type(layer).__name__, layer.rate) for layer in model.layers if hasattr(layer, "rate")]


def test_a_spread_is_median_lowest_and_highest():
    assert throughput.spread([4.0, 1.0, 3.0], ".1f") == "3.0 (1.0 – 4.0)"
    assert throughput.spread([1.0, 2.0], ".2f") == "1.50 (1.00 – 2.00)"


def test_steps_are_counted_while_all_trainings_run():
    """That leaves out the first steps of each."""
    assert steps_per_second([np.array([0.0, 5, 6, 7, 9, 11, 13, 15, 17])]) == 0.5
    first = np.arange(0.0, 20.0)  # one per second, from 3 to 19 when it runs
    second = 10 + 0.5 * np.arange(0.0, 41.0)  # two per second, from 11.5 to 30
    assert steps_per_second([first, second]) == pytest.approx(3)


@pytest.mark.parametrize("begin", [20.0, 16.0, 11.6])
def test_workers_that_hardly_met_have_no_speed_together(begin):
    """One step per second, from 3 to 19; the other one runs from 3 steps after its begin."""
    steps = np.arange(0.0, 20.0)
    with pytest.raises(UserError, match="2 workers did not train at the same time"):
        steps_per_second([steps, begin + steps])
    assert steps_per_second([steps, 11 + steps]) == pytest.approx(2)


def test_each_round_begins_with_another_contender_and_ratios_are_within_it(monkeypatch):
    """A machine that is slow for a round slows all, and moves no ratio."""
    monkeypatch.setattr(throughput, "ROUNDS", 3)
    order: list[str] = []

    def contender(name: str, seconds_per_step: float):
        def train() -> np.ndarray:
            order.append(name)
            slow_round = 4 if len(order) in (7, 8, 9) else 1
            return seconds_per_step * slow_round * np.arange(20.0)

        return train

    seconds = {"stock float32": 1 / 2, "stock bfloat16": 1 / 3, "engine bfloat16": 1 / 4}
    speeds = throughput.measure_net(
        {name: contender(name, s) for name, s in seconds.items()}, batch_size=10
    )
    assert order[::3] == [*seconds, "stock float32"]
    by_name = speeds.groupby("trained_by")
    assert by_name["images_per_second"].apply(list).to_dict() == {
        name: pytest.approx([10 / s, 10 / s / 4, 10 / s]) for name, s in seconds.items()
    }
    assert by_name["ratio"].apply(list)["engine bfloat16"] == pytest.approx([2, 2, 2])
    assert by_name["round"].apply(list)["stock float32"] == [1, 2, 3]


def test_the_table_has_a_line_per_net_and_contender():
    rows = [("b", "stock float32", speed, 1.0) for speed in (2000, 3000, 4000)]
    rows += [("a", "engine float32", 100.0, ratio) for ratio in (1.25, 2.5, 1.5)]
    columns = ["net", "trained_by", "images_per_second", "ratio"]
    shown = throughput.speed_table(pandas.DataFrame(rows, columns=columns))
    assert list(shown.columns) == ["net", "trained by", "images/s", "x stock float32"]
    assert shown.to_numpy().tolist() == [
        ["b", "stock float32", "3000 (2000 – 4000)", "1.00 (1.00 – 1.00)"],
        ["a", "engine float32", "100 (100 – 100)", "1.50 (1.25 – 2.50)"],
    ]


@pytest.mark.parametrize("name", registry.ARCHITECTURES)
def test_a_stock_copy_is_the_same_net_of_kerass_own_layers(name, tiny):
    use_precision("float32")
    ours = registry.resolve(registry.ARCHITECTURES[name])(**small(name))
    stock = throughput.stock_copy(ours)
    replaced = (FusedBatchNormalization, FeatureMapDropout, SmallMapConv2D)
    assert not any(isinstance(layer, replaced) for layer in stock.layers)
    assert [w.shape for w in stock.weights] == [w.shape for w in ours.weights]
    stock.set_weights(ours.get_weights())
    images = tiny.train.images[:5, ..., None]
    np.testing.assert_allclose(stock(images), ours(images), atol=1e-5)
    assert [rate for _, rate in dropout(stock)] == [rate for _, rate in dropout(ours)]


def test_every_variant_and_deottes_net_are_compared(project):
    compared = {net.name: net for net in throughput.nets(tiny_run().config)}
    assert list(compared) == [
        "Deotte's, no dropout", "Deotte's, its dropout 0.4", AS_PUBLISHED, "plain", "perceptron"
    ]  # fmt: skip
    maps = [("FeatureMapDropout", 0.4), ("FeatureMapDropout", 0.4), ("Dropout", 0.4)]
    rates = [dropout(engine_model(net.engine)) for net in compared.values()]
    assert rates[:3] == [[("Dropout", 0.0)] * 3, [("Dropout", 0.4)] * 3, maps]
    assert {net.engine.batch_size for net in compared.values()} == {16}
    assert {net.stock.batch_size for net in compared.values()} == {16}
    assert all((net.engine == net.stock) == (net.name != AS_PUBLISHED) for net in compared.values())


def test_learners_that_are_no_nets_are_left_out(project, monkeypatch, capsys):
    measured = []
    monkeypatch.setattr(throughput, "benchmark", lambda run: measured.extend(run.config.variants))
    command = ["bench", "--config", "configs/tiny.yaml", "--set", "variants.gradient_svm={}"]
    assert main(command) == 0
    assert measured == ["plain", "perceptron"]
    Path("configs/tiny.yaml").write_text("data: tiny\nvariants: {gradient_svm: }\n")
    assert main(command[:3]) == 1
    assert "'tiny' has no net whose training could be measured" in capsys.readouterr().err


def test_deottes_recipe_is_the_published_one():
    recipe = throughput.published_recipe()
    model = stock_model(recipe, "float32", steps=45 * 10)
    assert model.count_params() == 327_242
    assert dropout(model) == [("Dropout", 0.4)] * 3
    block = ["Conv2D", "BatchNormalization"]
    stage = [*block * 3, "Dropout"]
    kinds = [type(layer).__name__ for layer in model.layers[2:]]  # behind images and rescaling
    assert kinds == [*stage * 2, *block, "Flatten", "Dropout", "Dense"]
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [(each.filters, *each.kernel_size[:1], *each.strides[:1]) for each in convolutions] == [
        (32, 3, 1), (32, 3, 1), (32, 5, 2), (64, 3, 1), (64, 3, 1), (64, 5, 2), (128, 4, 1)
    ]  # fmt: skip
    assert all(each.use_bias and each.activation.__name__ == "relu" for each in convolutions)
    assert (recipe.batch_size, recipe.epochs, recipe.label_smoothing) == (64, 45, 0)
    assert model.optimizer.weight_decay == 0
    rates = [float(recipe.schedule.build(recipe, 450)(step)) for step in (0, 9, 10, 449)]
    assert rates == pytest.approx([1e-3, 1e-3, 0.95e-3, 0.95**44 * 1e-3])


def test_stock_keras_has_the_same_regularisation(project):
    run = tiny_run("defaults.weight_decay=0.3", "defaults.label_smoothing=0.1")
    variant = run.config.variants["plain"]
    for model in (stock_model(variant, "bfloat16"), engine_model(variant)):
        assert model.optimizer.weight_decay == 0.3
        assert model.loss.label_smoothing == 0.1
    assert stock_model(variant, "bfloat16").layers[2].compute_dtype == "bfloat16"


@pytest.mark.long
@pytest.mark.parametrize("best", ["float32", "bfloat16"])
def test_the_contenders_train_in_their_precision(tiny, monkeypatch, best):
    """Stock Keras in bfloat16 only where hardware multiplies it."""
    monkeypatch.setattr(throughput, "best_precision", lambda: best)
    settings = {"batch_size": 16, "precision": "float32"}
    variant = Variant.model_validate({"architecture": {"name": "plain", "width": 4}, **settings})
    net, model = throughput.Net(f"net {best}", variant, variant), engine_model(variant)
    before = model.get_weights()
    with ThreadPoolExecutor(1) as stock:
        contenders = throughput.contenders_of(
            net, model, stock, throughput.first_rows(tiny.train, 7 * 16)
        )
        for train in contenders.values():
            ends = train()
            assert len(ends) == 7
            assert (np.diff(ends) > 0).all()
    more = ["stock bfloat16"] if best == "bfloat16" else []
    assert list(contenders) == ["stock float32", *more, "engine float32"]
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


BESIDE_THE_ENGINE = """
import os
from functools import partial
from benchmarks.throughput import fresh_workers, start_stock_keras
from competition.training.resources import start_keras
start_keras(1)
with fresh_workers(1, partial(start_stock_keras, 1)) as process:
    print(process.submit(os.environ.get, "TF_ENABLE_ONEDNN_OPTS").result())
"""


@pytest.mark.long
def test_stock_keras_starts_as_it_does_by_itself(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    done = run_code(BESIDE_THE_ENGINE)
    assert done.stdout == "None\n", done.stderr


def test_a_part_is_kept_beside_the_others(project):
    run = tiny_run()
    keep(run, "race", 1)
    keep(run, "throughput", 2)
    keep(run, "throughput", 3)
    kept = json.loads(OutputPaths("tiny").bench.read_text())
    assert {part: measured["found"] for part, measured in kept.items()} == {
        "race": 1, "throughput": 3
    }  # fmt: skip
    assert kept["race"]["data_fingerprint"] == run.fingerprint


@pytest.mark.parametrize("damaged", ["{", "[1]", "1"])
def test_a_damaged_file_is_written_anew(project, damaged):
    OutputPaths("tiny").bench.parent.mkdir(parents=True)
    OutputPaths("tiny").bench.write_text(damaged)
    keep(tiny_run(), "throughput", 1)
    assert list(json.loads(OutputPaths("tiny").bench.read_text())) == ["throughput"]


def test_a_race_ends_with_the_first_epoch_that_has_the_target():
    curve = [(1.0, 0.5), (2.0, 0.2), (3.0, 0.1)]
    assert finish(curve, 0.2) == {"minutes": 2.0, "epochs": 2, "lowest_log_loss": 0.2}
    assert finish(curve, 0.05) == {"minutes": math.inf, "epochs": 3, "lowest_log_loss": 0.1}


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [((3.0, math.inf, 2.0), "3.0"), ((math.inf, math.inf, 2.0), "never"), ((1.0, 2.0, 9), "2.0")],
)
def test_who_never_arrives_is_the_slowest(minutes, expected):
    rows = [("engine", number, each, 9, 0.0195) for number, each in enumerate(minutes)]
    columns = ["runner", "seed", "minutes", "epochs", "lowest_log_loss"]
    (line,) = race_table(pandas.DataFrame(rows, columns=columns)).to_numpy().tolist()
    each = ", ".join("never" if math.isinf(one) else f"{one:.1f}" for one in minutes)
    assert line == ["engine", expected, each, "9, 9, 9", "0.0195, 0.0195, 0.0195"]


def test_the_engine_is_timed_with_its_augmented_images(project, monkeypatch):
    run = tiny_run("variants.plain.augmentation=none", "variants.plain.test_time_shift=0")
    monkeypatch.setattr(race, "augmenting_seconds", lambda variant, images: 6000.0)
    curve = race.race_engine(run, Job("tiny", "plain", 0, "fold0"))
    assert [epoch for epoch, _ in enumerate(curve)] == [0, 1]
    assert 100 < curve[0][0] < curve[1][0] < 105
    assert all(0 < loss < 10 for _, loss in curve)


@pytest.mark.long
def test_a_tiny_race_is_run_by_both(project, monkeypatch):
    """On the first split that is trained, whatever it is called; the first epoch has the target."""
    monkeypatch.setattr(race, "SEEDS", (0,))
    monkeypatch.setattr(race, "TARGET_LOG_LOSS", 1000)
    monkeypatch.setattr(race, "start_keras", lambda threads: None)  # this process has its own
    changes = ["variants.plain.epochs=4", "variants.plain.test_time_draws=2"]
    text = race.benchmark(tiny_run(*changes, "folds.scheme=holdout", "folds.only=[1]"))
    assert text.startswith("plain in a race to a log-loss of 1000 on holdout1\n\n runner ")
    (pool,) = (project / "output/pools").iterdir()  # none of drawn views, which nobody looks at
    assert len(list(pool.iterdir())) == 4
    found = json.loads(OutputPaths("tiny").bench.read_text())["race"]["found"]
    assert (found["variant"], found["split"]) == ("plain", "holdout1")
    assert [each["runner"] for each in found["finishes"]] == list(race.RUNNERS)
    for each in found["finishes"]:
        assert 0 < each["lowest_log_loss"] <= 1000
        assert 0 < each["minutes"] < 5
        assert each["epochs"] == 1


def test_an_interrupted_benchmark_says_what_is_kept(project, monkeypatch, capsys):
    def interrupted(run) -> str:
        keep(run, "throughput", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(throughput, "benchmark", interrupted)
    assert main(["bench", "--config", "configs/tiny.yaml"]) == 130
    told = capsys.readouterr().err
    assert told.endswith("interrupted; finished parts are in output/tiny/bench.json\n")
    assert list(json.loads(OutputPaths("tiny").bench.read_text())) == ["throughput"]


# The command as it is, but for the number of repetitions and the first two nets.
QUICK_BENCH = """
import sys
from benchmarks import throughput
throughput.STEPS, throughput.ROUNDS, throughput.WORKER_ROUNDS = 12, 1, 1
throughput.nets = lambda config, every=throughput.nets: every(config)[-2:]
from competition.__main__ import main
sys.exit(main(["bench", "--config", "configs/tiny.yaml"]))
"""


@pytest.mark.long
def test_the_benchmark_prints_tables_and_keeps_every_figure(project):
    done = run_code(QUICK_BENCH, project, seconds=600)
    assert done.returncode == 0, done.stderr
    found = json.loads((project / "output/tiny/bench.json").read_text())
    speeds = pandas.DataFrame(found["throughput"]["found"])
    assert set(speeds["net"]) == {"plain", "perceptron"}
    assert (speeds["images_per_second"] > 0).all()
    assert (speeds["ratio"][speeds["trained_by"] == "stock float32"] == 1).all()
    assert found["two_workers"]["found"]["variant"] == "plain"
    assert found["two_workers"]["found"]["speedups"][0] > 0
    assert "race" not in found
    assert "plain engine float32 " in " ".join(done.stdout.split())
    assert "Two workers train `plain` " in done.stdout
    assert "all figures are in output/tiny/bench.json" in done.stdout
    assert [path.name for path in (project / "output").iterdir()] == ["tiny"]
