"""The figures of a ranking, against hand-computed ones; ties and row order decide nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from clv_core.metrics import Ranking, bootstrap, decile_table, metrics, ranks, spearman

SPENT = np.array([0.0, 0.0, 10.0, 30.0, 60.0])


def test_perfect_order_has_gini_one() -> None:
    assert metrics(SPENT * 2, SPENT)["gini"] == pytest.approx(1.0)
    assert metrics(-SPENT, SPENT)["gini"] == pytest.approx(-1.0)


def test_constant_score_has_gini_zero_and_average_capture() -> None:
    found = metrics(np.ones(5), SPENT)
    assert found["gini"] == pytest.approx(0.0)
    assert found["top20_capture"] == pytest.approx(0.2)


def test_capture_takes_the_best_fifth() -> None:
    assert metrics(SPENT, SPENT)["top20_capture"] == pytest.approx(0.6)
    assert metrics(SPENT, SPENT)["top10_capture"] == pytest.approx(0.3)  # half of one customer's 60%


def test_level_figures() -> None:
    predicted = np.repeat([4.0, 3.0, 2.0, 1.0, 0.0], 4)
    actual = np.repeat([4.0, 2.0, 3.0, 1.0, 0.0], 4)
    found = metrics(predicted, actual)
    assert found["bias"] == pytest.approx(1.0)
    assert found["mae"] == pytest.approx(0.4)
    assert found["decile_wape"] == pytest.approx((4 + 4) / 40)


def test_money_figures_are_nan_for_scores() -> None:
    found = metrics(SPENT, SPENT, money=False)
    assert np.isnan([found["bias"], found["mae"], found["decile_wape"]]).all()


def test_nothing_spent_gives_nan_not_an_error() -> None:
    assert np.isnan(metrics(SPENT, np.zeros(5))["gini"])
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=3, max_size=40), st.randoms())
@settings(max_examples=60, deadline=None)
def test_row_order_changes_nothing(pairs: list[tuple[int, int]], random: object) -> None:
    predicted, actual = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    order = np.random.default_rng(3).permutation(len(pairs))
    mine, shuffled = metrics(predicted, actual), metrics(predicted[order], actual[order])
    np.testing.assert_allclose(list(mine.values()), list(shuffled.values()), atol=1e-12)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=50))
@settings(max_examples=60, deadline=None)
def test_ranks_agree_with_scipy(values: list[int]) -> None:
    array = np.array(values, dtype=float)
    np.testing.assert_allclose(ranks(array), rankdata(array) - 0.5)


def test_spearman_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 9, 300).astype(float), rng.integers(0, 9, 300).astype(float)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_weights_equal_repetition() -> None:
    rng = np.random.default_rng(6)
    predicted, actual = rng.gamma(1, 1, 50), rng.gamma(1, 1, 50)
    times = rng.integers(0, 4, 50)
    weighted = Ranking.of(predicted, actual).metrics(times.astype(float))
    repeated = Ranking.of(np.repeat(predicted, times), np.repeat(actual, times)).metrics()
    for name, value in repeated.items():
        assert weighted[name] == pytest.approx(value), name


def test_bootstrap_is_paired_and_covers_the_figure() -> None:
    rng = np.random.default_rng(7)
    actual = rng.gamma(0.3, 10, 2000)
    good, same = actual + rng.gamma(1, 3, 2000), actual * 3 + 1
    rankings = {"good": Ranking.of(good, actual), "same": Ranking.of(same, actual), "again": Ranking.of(good, actual)}
    spans, draws = bootstrap(rankings, {"good"}, draws=60, seed=1)
    low, high = spans["good"]["gini"]
    assert low < rankings["good"].metrics()["gini"] < high
    assert np.array_equal(draws["good"]["gini"], draws["again"]["gini"])
    assert (draws["same"]["gini"] > draws["good"]["gini"]).all()
    assert "bias" in spans["good"]
    assert "bias" not in spans["same"]


def test_deciles_add_up() -> None:
    rng = np.random.default_rng(8)
    predicted, actual = rng.integers(0, 5, 333).astype(float), rng.gamma(1, 1, 333)
    table = decile_table(predicted, actual)
    assert sum(table["predicted"].to_pylist()) == pytest.approx(predicted.sum())
    assert sum(table["actual"].to_pylist()) == pytest.approx(actual.sum())
    assert sum(table["customers"].to_pylist()) == pytest.approx(333)
