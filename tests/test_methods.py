"""Ensemble methods, with exact arithmetic; nested figures; tests of significance."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import one_sure
from scipy.optimize import minimize

from competition.config.registry import ENSEMBLE_METHODS, Method, resolve
from competition.ensemble.comparison import Comparison, EnsembleResult, compare, nested
from competition.ensemble.contributions import contributions
from competition.ensemble.members import Member, MemberPredictions
from competition.ensemble.methods import Fitted, _features, _scale
from competition.errors import UserError
from competition.metrics import (
    LossGap,
    McNemar,
    Score,
    expected_calibration_error,
    score,
)
from competition.pages.report_tables import contributions_tables, methods_words
from competition.probabilities import Probabilities


def of_nets(method: Callable[..., Fitted]) -> Callable[..., Fitted]:
    """Returns a method for members that are all nets."""

    def fit(members, labels, **parameters):
        return method(members, labels, np.ones(len(members), bool), **parameters)

    return fit


METHODS = {name: of_nets(resolve(location)) for name, location in ENSEMBLE_METHODS.items()}
mean, geometric_mean, majority_vote, weighted_mean, hill_climbing, *_ = METHODS.values()
*_, logarithmic_pool, temperature, stacking = METHODS.values()
FITTED = ["weighted_mean", "hill_climbing", "logarithmic_pool", "temperature", "stacking"]


def made_up(rows: int = 400, members: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities `[m, n, 10]` of members of different worth, and labels `[n]`."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, rows)
    noise = np.linspace(0.8, 1.6, members)[:, None, None]
    logits = 3 * np.eye(10)[labels] + noise * generator.normal(size=(members, rows, 10))
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), labels


def panel_of(
    members: np.ndarray, labels: np.ndarray, folds: int = 4, names: str = ""
) -> MemberPredictions:
    ids = np.arange(1, len(labels) + 1, dtype=np.int32)
    held = [Probabilities(ids, values.astype(np.float32)) for values in members]
    names = names or "abcdefgh"
    made = [Member(name, 0, {}, {}, each, each) for name, each in zip(names, held, strict=False)]
    return MemberPredictions(made, labels.astype(np.uint8), (ids % folds).astype(np.int8))


def test_the_mean_is_the_mean():
    members, labels = made_up(5)
    found = mean(members, labels).combine(members)
    np.testing.assert_allclose(found, (members[0] + members[1] + members[2]) / 3)


def test_the_geometric_mean_takes_roots_of_products_and_makes_them_sum_to_one():
    members, labels = made_up(5, members=2)
    roots = np.sqrt(members[0] * members[1])
    expected = roots / roots.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(geometric_mean(members, labels).combine(members), expected)


def test_a_zero_is_no_veto_for_ever():
    members = np.stack([np.eye(10)[[3]], [one_sure(4, 0.9)]])
    found = geometric_mean(members, np.array([4])).combine(members)
    assert np.isfinite(found).all()
    assert found[0, 3] == pytest.approx(np.sqrt(0.1 / 9) / np.sqrt(0.9 * 2**-24) * found[0, 4])


def test_the_majority_wins_however_sure_the_others_are():
    weak = (1 + 1e-6) / 10
    members = np.array([[one_sure(2, weak)], [one_sure(2, weak)], [one_sure(7, 1.0)]])
    found = majority_vote(members, np.array([0])).combine(members)
    assert found.argmax(axis=1).tolist() == [2]
    assert found[0, 2] == pytest.approx((2 + (2 * weak + 0) / 3) / 4)
    assert found[0, 7] == pytest.approx((1 + members[:, 0, 7].mean()) / 4)
    assert found.sum() == pytest.approx(1)


def test_the_mean_breaks_a_tie_of_votes():
    members = np.array([[one_sure(2, 0.5)], [one_sure(7, 0.6)]])
    found = majority_vote(members, np.array([0])).combine(members)
    assert found.argmax(axis=1).tolist() == [7]
    assert found[0, 7] == pytest.approx((1 + (0.6 + 0.5 / 9) / 2) / 3)


def opposite_members(share: float, rows: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Two members: the first is 0.8 sure of the truth in a share of the rows, and 0.2 in the rest;
    the second the other way round."""
    labels = np.arange(rows) % 10
    is_first = np.arange(rows) < share * rows
    first = [one_sure(c, 0.8 if yes else 0.2) for c, yes in zip(labels, is_first, strict=True)]
    second = [one_sure(c, 0.2 if yes else 0.8) for c, yes in zip(labels, is_first, strict=True)]
    return np.array([first, second]), labels


@pytest.mark.parametrize(("share", "weight"), [(0.65, 0.75), (0.5, 0.5), (0.9, 1.0), (0.1, 0.0)])
def test_weights_are_those_of_least_log_loss(share, weight):
    """−s log(0.2 + 0.6 w) − (1 − s) log(0.8 − 0.6 w) is least at w = (s − 0.2) / 0.6."""
    members, labels = opposite_members(share)
    fitted = weighted_mean(members, labels)
    assert fitted.settings["weights"] == pytest.approx([weight, 1 - weight], abs=1e-4)
    np.testing.assert_allclose(
        fitted.combine(members), weight * members[0] + (1 - weight) * members[1], atol=1e-4
    )


def test_fitted_weights_meet_the_conditions_of_a_minimum_on_the_simplex():
    """The mean of p_i / Σ w p is 1 for members with a weight, and at most 1 for the others."""
    members, labels = made_up(members=5)
    weights = np.array(weighted_mean(members, labels).settings["weights"])
    truth_values = members[:, np.arange(len(labels)), labels]
    slopes = (truth_values / (weights @ truth_values)).mean(axis=1)
    assert slopes.max() <= 1 + 1e-4
    np.testing.assert_allclose(slopes[weights > 0], 1, atol=1e-3)


def test_hill_climbing_adds_what_serves_the_mean_best():
    members, labels = opposite_members(0.65)
    assert hill_climbing(members, labels, rounds=1).settings == {"weights": [1, 0]}
    assert hill_climbing(members, labels, rounds=2).settings == {"weights": [0.5, 0.5]}
    assert hill_climbing(members, labels, rounds=4).settings == {"weights": [0.75, 0.25]}
    assert hill_climbing(members, labels).settings == {"weights": [0.75, 0.25]}


@pytest.mark.parametrize("seed", range(5))
def test_hill_climbing_is_never_worse_on_its_own_rows_than_its_best_member(seed):
    members, labels = made_up(seed=seed, members=4)
    best = min(score(values, labels).log_loss for values in members)
    fitted = hill_climbing(members, labels, rounds=seed + 1)
    assert score(fitted.combine(members), labels).log_loss <= best + 1e-12


@pytest.mark.parametrize("method", [weighted_mean, hill_climbing])
def test_weights_lie_on_the_simplex(method):
    weights = np.array(method(*made_up(members=6)).settings["weights"])
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-5)


def too_sure(confidence: float, right: int = 81) -> tuple[np.ndarray, np.ndarray]:
    """One member that is always so sure of class 0, which is right in 81 of 90 rows; the other
    classes have a row each."""
    labels = np.concatenate([np.zeros(right, int), np.arange(1, 10)])
    return np.array([[one_sure(0, confidence)] * len(labels)]), labels


@pytest.mark.parametrize("confidence", [0.99, 0.7])
def test_temperature_makes_confidence_what_it_is_worth(confidence):
    """The scaled confidence is q^β / (q^β + 9 ((1 − q) / 9)^β), and should be 0.9."""
    members, labels = too_sure(confidence)
    inverse = np.log(9 * 0.9 / 0.1) / np.log(9 * confidence / (1 - confidence))
    fitted = temperature(members, labels)
    assert fitted.settings["member_temperatures"] == pytest.approx([1 / inverse], rel=1e-3)
    assert fitted.settings["temperature"] == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(fitted.combine(members)[:, 0], 0.9, atol=1e-4)


def test_temperature_brings_the_result_to_its_own_temperature():
    """Two members that are right in turn, each as sure as it should be: their mean is not."""
    members, labels = made_up(2000, members=4)
    fitted = temperature(members, labels)
    assert fitted.settings["temperature"] < 0.9
    assert fitted.settings["temperature"] == round(fitted.settings["temperature"], 6)
    again = temperature(fitted.combine(members)[None], labels)
    assert again.settings["member_temperatures"] == pytest.approx([1], abs=2e-3)


def test_a_logarithmic_pool_undoes_what_the_members_did_to_the_truth():
    """Members that are powers of the right odds, one of noise: powers 2 and 0 give them back."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 10))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) < generator.random((len(right), 1))).sum(axis=1)
    noise = np.exp(generator.normal(size=right.shape))
    members = np.stack([right**0.5, noise])
    members /= members.sum(axis=2, keepdims=True)
    fitted = logarithmic_pool(members, labels)
    assert fitted.settings["weights"] == pytest.approx([2, 0], abs=0.1)
    np.testing.assert_allclose(fitted.combine(members), right, atol=0.02)


def test_a_logarithmic_pool_without_evidence_is_the_geometric_mean_of_the_nets():
    members, _ = made_up(members=3)
    is_net = np.array([True, False, True])
    pool = resolve(ENSEMBLE_METHODS["logarithmic_pool"])
    fitted = pool(members[:, :0], np.empty(0, int), is_net)
    assert fitted.settings["weights"] == [0.5, 0, 0.5]
    expected = geometric_mean(members[is_net], np.empty(0)).combine(members[is_net])
    np.testing.assert_allclose(fitted.combine(members), expected)


@pytest.mark.parametrize("is_net", [[True, False, True], [False] * 3], ids=str)
def test_the_weights_of_a_logarithmic_pool_have_the_least_loss(is_net):
    """A search without gradients finds the same; with few rows, the distance counts."""
    members, labels = made_up(rows=12, members=3)
    is_net = np.array(is_net)
    start = is_net / 2 if is_net.any() else np.full(3, 1 / 3)
    logs, each = np.log(members), np.arange(len(labels))

    def loss(weights: np.ndarray) -> float:
        pooled = np.exp(np.tensordot(weights, logs, axes=1))
        of_truth = pooled[each, labels] / pooled.sum(axis=1)
        return ((weights - start) ** 2).sum() / 2 - np.log(of_truth).sum()

    least = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    fitted = resolve(ENSEMBLE_METHODS["logarithmic_pool"])(members, labels, is_net)
    assert fitted.settings["weights"] == pytest.approx(least, abs=1e-3)
    assert fitted.settings["weights"] == [round(each, 6) for each in fitted.settings["weights"]]


@pytest.mark.parametrize("name", FITTED)
def test_what_is_fitted_is_told_to_six_digits(name):
    members, labels = made_up()
    halves = np.concatenate([members[:, :200], members[::-1, 200:]], axis=1)  # of about equal worth
    for numbers in map(np.ravel, METHODS[name](halves, labels).settings.values()):
        np.testing.assert_array_equal(numbers, numbers.round(6))
        assert (numbers != numbers.round(5)).any()


def test_a_logarithmic_pool_leaves_rows_that_are_certain():
    members, labels = made_up(members=2)
    members[:, 0] = np.eye(10)[labels[0]]
    fitted = resolve(ENSEMBLE_METHODS["logarithmic_pool"])(members, labels, np.array([True, True]))
    np.testing.assert_array_equal(fitted.combine(members)[0], members[0, 0])


def test_a_temperature_has_bounds():
    """Always right or never right: the surest or the least sure answer would be without an end."""
    unsure, wrong = np.full((2, 4, 10), 0.099)
    unsure[:, 3] = wrong[:, 4] = 0.109
    found = [temperature(each[None], np.full(4, 3)).settings for each in (unsure, wrong)]
    assert [each["member_temperatures"] for each in found] == [[0.05], [20.0]]


def test_a_row_of_which_the_nets_are_sure_keeps_their_mean():
    members, labels = made_up(members=3)
    is_net = np.array([True, False, True])
    pool = resolve(ENSEMBLE_METHODS["logarithmic_pool"])
    fitted = pool(members, labels, is_net, below=0.6)
    means = members[is_net].mean(axis=0)
    sure = means.max(axis=1) >= 0.6
    assert 50 < sure.sum() < 350
    found = fitted.combine(members)
    np.testing.assert_array_equal(found[sure], means[sure])
    logits = np.tensordot(fitted.settings["weights"], np.log(members[:, ~sure]), axes=1)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[~sure], expected, atol=1e-5)
    only_unsure = pool(members[:, ~sure], labels[~sure], is_net)
    assert fitted.settings == only_unsure.settings  # fitted to the rows that it decides


def test_the_mean_is_that_of_the_nets_if_there_are_any():
    members, labels = made_up(members=3)
    plain = resolve(ENSEMBLE_METHODS["mean"])
    some = plain(members, labels, np.array([True, False, True])).combine(members)
    np.testing.assert_array_equal(some, members[[0, 2]].mean(axis=0))
    none = plain(members, labels, np.zeros(3, bool)).combine(members)
    np.testing.assert_array_equal(none, members.mean(axis=0))


def test_stacking_without_evidence_is_the_geometric_mean():
    members, labels = made_up()
    expected = geometric_mean(members, labels).combine(members)
    found = stacking(members, labels, penalty=1e12).combine(members)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_stacking_learns_what_no_average_can():
    """A member that always names the next class knows the truth."""
    members, labels = made_up(1000, members=2)
    shifted = np.roll(members, 1, axis=2)
    assert score(mean(shifted, labels).combine(shifted), labels).accuracy < 0.1
    fitted = stacking(shifted, labels, penalty=1.0)
    assert score(fitted.combine(shifted), labels).accuracy > 0.95


def test_the_search_of_stacking_begins_where_the_objective_is_round():
    """The mean second derivative over the classes, in the scaled steps, is 1 in every direction."""
    members = np.random.default_rng(0).dirichlet(np.ones(10), (2, 40))
    features = _features(members)
    assert features.shape == (21, 40)
    np.testing.assert_array_equal(features[13], np.log(members[1, :, 3]))
    np.testing.assert_array_equal(features[20], np.ones(40))
    start = np.vstack([np.eye(10) / 2, np.eye(10) / 2, np.zeros(10)])
    said = np.exp(start.T @ features)
    said /= said.sum(axis=0)
    curvature = (features * (said * (1 - said)).mean(axis=0)) @ features.T + 3 * np.eye(21)
    scale = _scale(features, start, penalty=3.0)
    np.testing.assert_allclose(scale.T @ curvature @ scale / 40, np.eye(21), atol=1e-9)


def test_stacking_finds_the_minimum_of_what_it_minimises():
    """No small change of a weight makes the penalised log-loss less."""
    members, labels = made_up(300, members=2)
    fitted = stacking(members, labels, penalty=10.0).settings
    weights = np.vstack([fitted["weights"], fitted["bias"]])
    start = np.vstack([np.eye(10) / 2, np.eye(10) / 2, np.zeros(10)])
    logs = np.column_stack([np.log(members[0]), np.log(members[1]), np.ones(300)])

    def objective(weights):
        logits = logs @ weights
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(300), labels]
        return losses.sum() + 5 * ((weights - start) ** 2).sum()

    best = objective(weights)
    assert best < objective(start) - 1
    generator = np.random.default_rng(0)
    for _ in range(20):
        assert objective(weights + 0.01 * generator.normal(size=weights.shape)) > best
    said = np.exp(logs @ weights)
    errors = said / said.sum(axis=1, keepdims=True) - np.eye(10)[labels]
    gradient = logs.T @ errors + 10 * (weights - start)
    assert np.abs(gradient).max() < 0.05


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_probabilities_and_settings_for_json(name):
    members, labels = made_up()
    fitted = METHODS[name](members[:, 100:], labels[100:])
    found = fitted.combine(members[:, :100])
    Probabilities(np.arange(100), found)
    assert found.dtype == np.float64
    assert json.loads(json.dumps(fitted.settings)) == fitted.settings
    for values in fitted.settings.values():
        np.testing.assert_array_equal(values, np.round(values, 6))
    assert bool(fitted.settings) == (name in FITTED)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_minds_the_order_of_members(name):
    members, labels = made_up()
    order = [2, 0, 1]
    one = METHODS[name](members, labels).combine(members)
    other = METHODS[name](members[order], labels).combine(members[order])
    np.testing.assert_allclose(one, other, atol=2e-3 if name in FITTED else 1e-12)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in FITTED])
def test_what_has_no_settings_has_seen_no_labels(name):
    """So it may be judged without nesting, where there is only one fold."""
    members, labels = made_up()
    one, other = (
        METHODS[name](members, given).combine(members) for given in (labels, labels[::-1])
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", METHODS)
def test_one_member_is_enough_for_every_method(name):
    members, labels = made_up(members=1)
    found = METHODS[name](members, labels).combine(members)
    assert score(found, labels).errors == pytest.approx(score(members[0], labels).errors, abs=8)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (hill_climbing, {"rounds": 0}, "rounds of at least 1, not 0"),
        (stacking, {"penalty": 0.0}, "a penalty above 0, not 0.0"),
    ],
)
def test_impossible_parameters_are_refused(method, parameters, message):
    with pytest.raises(UserError, match=message):
        method(*made_up(), **parameters)


def remembering(members: np.ndarray, labels: np.ndarray, is_net: Any = None) -> Fitted:
    """A method that leaks: it knows the labels of the rows that it was fitted on, and hides it."""
    known = {row.tobytes(): label for row, label in zip(members[0], labels, strict=True)}

    def combine(rows):
        return np.array([one_sure(known[row.tobytes()], 1.0) if row.tobytes() in known
                         else np.full(10, 0.1) for row in rows[0]])  # fmt: skip

    return Fitted(combine)


def test_nested_figures_never_see_their_own_rows():
    members, labels = made_up()
    leaking = remembering(members, labels).combine(members)
    assert score(leaking, labels).errors == 0
    honest = nested(remembering, members, labels, np.arange(400) % 4)
    np.testing.assert_array_equal(honest, np.full((400, 10), 0.1))


def test_a_leak_in_a_method_of_the_catalogue_does_not_show_in_its_figures(monkeypatch):
    monkeypatch.setattr("competition.ensemble.methods.stacking", remembering)
    member_predictions = panel_of(*made_up())
    stacked = compare(member_predictions, Method(name="mean"), all_methods=True).methods[-1]
    assert (
        score(
            stacked.fitted.combine(member_predictions.out_of_fold), member_predictions.labels
        ).errors
        == 0
    )
    assert stacked.score.log_loss == pytest.approx(np.log(10))


def test_nested_fits_each_fold_to_all_others():
    seen = []

    def watching(members, labels):
        seen.append(labels.tolist())
        return Fitted(lambda rows: np.full((rows.shape[1], 10), len(seen)))

    folds = np.array([2, 0, 2, 1])
    found = nested(watching, np.zeros((1, 4, 10)), np.array([5, 6, 7, 8]), folds)
    assert seen == [[5, 7, 8], [5, 6, 7], [6, 8]]
    assert found[:, 0].tolist() == [3, 1, 3, 2]


def test_gaps_in_different_directions_add_up_but_not_within_a_bin():
    values = np.array([one_sure(1, 0.68), one_sure(1, 0.72), one_sure(1, 0.9)])
    # 0.68 and 0.72 share the bin from 10/15 to 11/15.
    found = expected_calibration_error(values, np.array([1, 2, 1]))
    assert found == pytest.approx((abs(1 - 1.4) + 0.1) / 3)


def test_methods_are_compared_nested_and_beside_the_plain_mean():
    members, labels = made_up()
    member_predictions = panel_of(members, labels)
    comparison = compare(member_predictions, Method(name="mean"), all_methods=True)
    assert [each.method.name for each in comparison.methods] == list(ENSEMBLE_METHODS)
    weighted = comparison.methods[3]
    by_hand = nested(
        weighted_mean, member_predictions.out_of_fold, labels, member_predictions.folds
    )
    np.testing.assert_array_equal(weighted.out_of_fold, by_hand)
    assert weighted.score == score(by_hand, labels)
    assert (
        weighted.fitted.settings == weighted_mean(member_predictions.out_of_fold, labels).settings
    )
    assert comparison.mean.vs_mean == McNemar(0, 0)
    assert comparison.chosen is comparison.mean
    assert comparison.best.gap_to_best == (0, 0, 0)


def test_a_method_has_the_parameters_that_the_configuration_gives_it():
    comparison = compare(panel_of(*made_up()), Method(name="hill_climbing", rounds=1))
    assert sorted(comparison.chosen.fitted.settings["weights"]) == [0, 0, 1]


def test_the_simplest_method_is_recommended_where_all_are_the_same():
    members, labels = made_up(members=1)
    calibrated = temperature(members, labels).combine(members)
    both = panel_of(np.stack([calibrated] * 2), labels)
    comparison = compare(both, Method(name="recommended"))
    assert comparison.chosen is comparison.recommended is comparison.mean


def test_one_sentence_says_which_method_makes_the_submission_and_how_good_it_is():
    found = compare(panel_of(*made_up(members=2)), Method(name="mean"), all_methods=True)
    gaps = [LossGap(0.002, -0.001, 0.005), LossGap(0.0, 0.0, 0.0), LossGap(0.01, 0.005, 0.015)]
    methods = [
        replace(each, gap_to_best=gap, score=Score(9, 1, 0.1 + gap.mean))
        for each, gap in zip(found.methods, gaps, strict=False)
    ]

    def choice(named: str) -> str:
        comparison = Comparison(methods, [], named)
        return comparison.explain_choice(comparison.chosen)

    named = "makes the submission, as the configuration names it; its log-loss is"
    lowest = "the lowest of 3 methods"
    assert choice("geometric_mean") == f"`geometric_mean` {named} {lowest}."
    assert choice("mean") == (
        f"`mean` {named} within chance of {lowest}, that of `geometric_mean`."
    )
    assert choice("majority_vote") == (
        f"`majority_vote` {named} 0.01000 (0.00500 … 0.01500) above {lowest}, that of "
        "`geometric_mean`."
    )
    assert choice("recommended") == (
        "`mean` makes the submission, as the simplest method whose log-loss is within chance of "
        f"{lowest}, that of `geometric_mean`; it was chosen on the rows that it is scored on, so "
        "its figures are slightly optimistic."
    )


def test_a_single_variant_has_nothing_to_be_left_out_of_or_added_to():
    found = contributions(panel_of(*made_up(members=1)))
    assert [(part.without, part.beside_best) for part in found.variants] == [(None, None)]


def test_one_member_is_nothing_to_compare_methods_on():
    found = compare(panel_of(*made_up(members=1)), Method(name="recommended"))
    assert found.explain_choice(found.chosen) == (
        "`mean` makes the submission; other methods need several members."
    )
    named = compare(panel_of(*made_up(members=1)), Method(name="temperature"))
    assert [each.method.name for each in named.methods] == ["mean", "temperature"]


def test_what_is_significantly_better_is_recommended_and_that_it_was_chosen_is_said():
    """Beside a good member stand two that know nothing, so weights are needed."""
    members, labels = made_up(2000, members=1)
    generator = np.random.default_rng(0)
    members = np.concatenate([members, generator.dirichlet(np.ones(10), (2, 2000))])
    comparison = compare(panel_of(members, labels), Method(name="recommended"))
    assert comparison.recommended.method.name in FITTED
    assert all(each.gap_to_best.low > 0 for each in comparison.methods[:3])
    text = " ".join(methods_words(comparison))
    name = comparison.recommended.method.name
    assert f"`{name}` makes the submission, as the simplest method whose log-loss is " in text
    assert "of 8 methods" in text
    assert "chosen on the rows that it is scored on" in text
    kept = comparison.explain_choice(comparison.mean)
    assert kept == f"`mean` is kept beside `{name}`, to compare."


def test_the_ensemble_is_shown_beside_its_best_member():
    labels = np.zeros(100, int)
    right, wrong = one_sure(0, 0.9), one_sure(1, 0.6)
    good = np.stack([wrong] * 10 + [right] * 90)
    better = np.stack([right] * 7 + [wrong] * 2 + [right] * 91)
    predictions = panel_of(np.stack([good, better]), labels, names="ab")
    result = EnsembleResult([], predictions, compare(predictions, Method(name="mean")))
    # In the mean, 0.9 of the right outweighs 0.6 of the wrong: rows 7 and 8 stay wrong.
    assert result.beside_best_member() == (
        "its best member alone (b seed0) makes 2: the difference is within chance (McNemar's test, "
        "p = 1)"
    )
    worse = EnsembleResult([], predictions, compare(predictions, Method(name="majority_vote")))
    assert worse.comparison.chosen.score.errors == 2
    far = panel_of(np.stack([good, good[::-1]]), labels, names="ab")
    together = EnsembleResult([], far, compare(far, Method(name="mean")))
    assert together.beside_best_member() == (
        "its best member alone (a seed0) makes 10: the difference is more than chance (McNemar's "
        "test, p = 0.002)"
    )


def test_what_is_fitted_cannot_be_judged_on_one_fold():
    member_predictions = panel_of(*made_up(), folds=1)
    comparison = compare(member_predictions, Method(name="recommended"))
    names = [each.method.name for each in comparison.methods]
    assert names == ["mean", "geometric_mean", "majority_vote"]
    assert comparison.left_out == FITTED
    assert "two folds or more: `weighted_mean`, `hill_climbing`" in " ".join(
        methods_words(comparison)
    )
    with pytest.raises(UserError, match=r"'stacking' is fitted .* ensemble.folds needs at least"):
        compare(member_predictions, Method(name="stacking"))


def test_contributions_leave_each_variant_out_and_add_it_to_the_best():
    labels = np.array([0, 1, 2, 3])
    good = np.array([one_sure(c, 0.7) for c in labels])
    middling = np.array([one_sure(c, 0.6) for c in (0, 1, 2, 9)])
    bad = np.array([one_sure(c, 0.99) for c in (0, 8, 8, 8)])
    found = contributions(panel_of(np.array([middling, good, bad]), labels, names="mgb"))
    assert found.best.variant == "g"
    assert [part.alone.errors for part in found.variants] == [1, 0, 3]
    # Nobody alone is as sure as the bad one, which is wrong in three rows.
    assert [part.without.errors for part in found.variants] == [3, 3, 0]
    assert [part.beside_best and part.beside_best.errors for part in found.variants] == [0, None, 3]
    expected = -np.log((0.7 + np.array([0.6, 0.6, 0.6, 0.4 / 9])) / 2).mean()
    assert found.variants[0].beside_best.log_loss == pytest.approx(expected, rel=1e-6)
    assert found.together.errors == score((good + middling + bad) / 3, labels).errors
    assert found.error_overlap.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 3]]
    assert found.disagreement.tolist() == [[0, 1, 3], [1, 0, 3], [3, 3, 0]]
    assert "| m | 1, " in contributions_tables(found)[0].markdown()


def test_the_seeds_of_a_variant_contribute_together():
    members, labels = made_up(members=3)
    member_predictions = panel_of(members, labels, names="aab")
    found = contributions(member_predictions)
    assert [part.variant for part in found.variants] == ["a", "b"]
    pair = member_predictions.out_of_fold[:2].mean(axis=0)
    assert found.variants[0].alone == score(pair, labels)
    assert found.variants[1].without == score(pair, labels)
    assert contributions_tables(contributions(panel_of(members[:1], labels))) == []
