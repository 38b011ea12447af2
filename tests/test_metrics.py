"""Scores, intervals and tests of significance, with exact arithmetic."""

import numpy as np
import pytest
from conftest import made_up_findings, one_sure
from scipy.stats import binomtest
from sklearn import metrics

from competition.metrics import (
    LossGap,
    McNemar,
    Score,
    bootstrap_intervals,
    entropies,
    expected_calibration_error,
    log_losses,
    loss_gap,
    mcnemar,
    reliability,
    score,
    wilson_interval,
)


def test_score_counts_and_averages_exactly():
    values = np.array([one_sure(3, 0.5), one_sure(4, 0.7), one_sure(5, 0.1)])
    reached = score(values, np.array([3, 5, 5]))
    assert (reached.rows, reached.errors) == (3, 2)  # ten equal shares count as class 0
    assert reached.accuracy == pytest.approx(1 / 3)
    expected = -(np.log(0.5) + np.log(0.3 / 9) + np.log(0.1)) / 3
    assert reached.log_loss == pytest.approx(expected)


def test_a_probability_of_zero_costs_much_and_not_infinitely():
    assert score(np.eye(10)[[1]], np.array([2])).log_loss == pytest.approx(24 * np.log(2))


@pytest.mark.parametrize(("successes", "trials"), [(9, 10), (41800, 42000), (5, 5), (0, 5)])
def test_wilson_intervals_are_those_of_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx(tuple(expected), abs=1e-7)


def test_nothing_is_known_of_a_proportion_without_trials():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_score_of_nothing_wrong():
    assert Score(10, 0, 0.1).accuracy == 1


def test_the_log_loss_is_that_of_scikit_learn():
    predicted = made_up_findings().labelled
    exact = predicted.ensemble.astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    labels = predicted.digits.labels
    assert log_losses(exact, labels).mean() == pytest.approx(metrics.log_loss(labels, exact))


def test_reliability_puts_rows_into_bins_by_their_confidence():
    values = np.zeros((4, 10))
    values[:, 1] = [1.0, 1.0, 0.625, 0.625]
    values[:, 2] = 1 - values[:, 1]
    labels = np.array([1, 1, 1, 2])
    found = reliability(values, labels)
    assert len(found.rows) == 15
    assert (found.rows[14], found.right[14], found.confidence_sums[14]) == (2, 2, 2)
    assert (found.rows[9], found.right[9], found.confidence_sums[9]) == (2, 1, 1.25)
    assert found.rows.sum() == 4
    assert expected_calibration_error(values, labels) == 0.25 / 4


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    sure, less_sure = one_sure(1, 0.95), one_sure(2, 0.5)
    values = np.array([sure, sure, sure, less_sure])
    found = expected_calibration_error(values, np.array([1, 1, 3, 2]))
    assert found == pytest.approx((3 * (0.95 - 2 / 3) + 1 * (1 - 0.5)) / 4)


@pytest.mark.parametrize(("gained", "lost"), [(5, 2), (0, 1), (0, 12), (30, 30), (44, 28)])
def test_mcnemars_exact_test_is_that_of_a_coin(gained, lost):
    expected = binomtest(gained, gained + lost).pvalue
    assert McNemar(gained, lost).p_value == pytest.approx(expected)


def test_mcnemars_exact_test_on_numbers_that_are_known():
    """2 (1 + 12 + 66) / 2¹² by hand; without a discordant row there is no evidence."""
    assert McNemar(2, 10).p_value == pytest.approx(158 / 4096)
    assert McNemar(0, 0).p_value == 1


def test_discordant_rows_are_counted_both_ways():
    labels = np.array([1, 1, 1, 1, 1])
    one, other = np.eye(10)[[1, 1, 1, 2, 2]], np.eye(10)[[1, 3, 3, 1, 3]]
    assert mcnemar(one, other, labels) == McNemar(gained=2, lost=1)


def test_bootstrap_intervals_are_about_normal_and_always_the_same():
    values = np.random.default_rng(1).normal(0.3, 2.0, (2, 4000))
    values[1] = 0.7
    found = bootstrap_intervals(values)
    error = 2.0 / np.sqrt(4000)
    centre = values[0].mean()
    assert found[0] == pytest.approx([centre - 1.96 * error, centre + 1.96 * error], abs=error / 10)
    assert found[1] == pytest.approx([0.7, 0.7])
    np.testing.assert_array_equal(bootstrap_intervals(values), found)
    np.testing.assert_allclose(bootstrap_intervals(values[:1])[0], found[0])


def test_the_interval_of_errors_is_that_of_their_share():
    low, high = wilson_interval(10, 100)
    assert Score(100, 10, 0.1).errors_interval() == pytest.approx((100 * low, 100 * high))


def test_the_entropy_of_each_row_of_each_member():
    values = np.stack([one_sure(1, 1.0), np.full(10, 0.1), np.eye(10)[[2, 3]].mean(axis=0)])
    expected = [0, np.log(10), np.log(2)]
    np.testing.assert_allclose(entropies(values), expected, atol=1e-6)
    np.testing.assert_allclose(entropies(np.stack([values] * 2)), [expected] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.2, -0.1, "better"),
        (-0.2, 0.0, "not proven"),
        (-0.2, 0.1, "not proven"),
        (0.0, 0.1, "not proven"),
        (0.1, 0.2, "worse"),
    ],
)
def test_an_interval_with_zero_in_it_or_at_its_end_proves_nothing(low, high, verdict):
    assert LossGap((low + high) / 2, low, high).verdict == verdict


def test_the_gap_of_two_log_losses_is_that_of_the_first_above_the_second():
    labels = np.arange(10)
    some, others = (np.stack([one_sure(label, sure) for label in labels]) for sure in (0.5, 0.8))
    assert loss_gap(some, others, labels) == pytest.approx((np.log(1.6),) * 3)
    some[0] = others[0]
    gap = loss_gap(some, others, labels)
    assert gap.mean == pytest.approx(np.log(1.6) * 0.9)
    assert gap.low < gap.mean < gap.high == pytest.approx(np.log(1.6))
