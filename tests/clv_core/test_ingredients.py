"""Baskets, blends, heuristics, ageing and the fall-back model: each against a truth known beforehand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from clv_core import aging
from clv_core.basket import CredibilityBasket, GammaBasket, basket_from_json, basket_to_json
from clv_core.blend import Blend, credits, fit_weights, utility
from clv_core.calibration import fit_level
from clv_core.choice import choose
from clv_core.heuristics import HEURISTICS, rfm
from clv_core.models.base import CannotFitError
from clv_core.models.bg_nbd import BgNbd
from clv_core.models.steady_rate import SteadyRate
from clv_core.score_settings import ScoreSettings
from clv_core.windows import Snapshot, inner_windows, sampled, snapshot
from tests.clv_core.bases import START, orders, shop


def _buyers(n: int = 4000, *, between: float = 0.4, seed: int = 1) -> tuple[Snapshot, np.ndarray]:
    """Customers with 1 to 6 orders of gamma values around their own mean, and those means."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, n).astype(float)
    truth = 30 * np.exp(between * rng.standard_normal(n))
    first = truth * rng.gamma(6, 1 / 6, n)
    later = np.where(x > 0, truth * rng.gamma(6 * np.maximum(x, 1), 1 / (6 * np.maximum(x, 1))), 0.0)
    T = np.full(n, 40.0)
    ids = pa.array([str(k) for k in range(n)])
    return Snapshot(date(2024, 1, 1), ids, x, T / 2 * (x > 0), T, later, first, first + x * later), truth


def test_a_basket_that_sees_the_first_order_tells_one_time_buyers_apart() -> None:
    s, truth = _buyers()
    once = s.x == 0
    seen, blind = (GammaBasket.fit(s, all_orders=which).expected(s)[once] for which in (True, False))
    assert np.ptp(blind) < 1e-9
    assert np.corrcoef(seen, truth[once])[0, 1] > 0.6


@pytest.mark.parametrize("all_orders", [True, False])
def test_baskets_come_near_the_truth_and_survive_saving(all_orders: bool) -> None:
    s, truth = _buyers()
    basket = GammaBasket.fit(s, all_orders=all_orders)
    loyal = s.x >= 4
    assert np.mean(np.abs(basket.expected(s)[loyal] / truth[loyal] - 1)) < 0.18
    again = basket_from_json(basket_to_json(basket))
    np.testing.assert_allclose(again.expected(s), basket.expected(s))


def test_credibility_lies_between_own_and_common_mean() -> None:
    s, _ = _buyers()
    basket = CredibilityBasket.fit(s)
    own, expected = s.mean_value, basket.expected(s)
    assert (np.minimum(own, basket.mean) - 1e-9 <= expected).all()
    assert (expected <= np.maximum(own, basket.mean) + 1e-9).all()
    assert basket_from_json(basket_to_json(basket)) == basket


def test_constant_amounts_leave_credibility_alone_standing() -> None:
    s, _ = _buyers(50)
    flat = np.full(50, 20.0)
    same = Snapshot(s.as_of, s.customer_id, s.x, s.t_x, s.T, flat * (s.x > 0), flat, flat * (s.x + 1))
    with pytest.raises(CannotFitError):
        GammaBasket.fit(same, all_orders=True)
    np.testing.assert_allclose(CredibilityBasket.fit(same).expected(same), 20.0)


def test_heuristics_point_the_right_way() -> None:
    s, _ = _buyers(100)
    better = Snapshot(s.as_of, s.customer_id, s.x + 1, s.T, s.T, s.m, s.first_value, s.value_to_date + 50)
    for name in ("past_spend", "frequency", "recency"):
        assert (HEURISTICS[name](better) > HEURISTICS[name](s)).all(), name
    assert rfm(s)[int(np.argmax(s.value_to_date + 100 * s.x))] > np.median(rfm(s))


def test_blend_keeps_the_anchors_level_and_orders_by_all() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([9.0, 1.0, 1.0])
    mixed = Blend({"a": 0.5, "b": 0.5}, "a").apply({"a": a, "b": b})
    assert mixed.sum() == pytest.approx(6.0)
    assert mixed[0] > mixed[2] > mixed[1]
    assert Blend({"b": 1.0}, "a").apply({"a": a, "b": b}).sum() == pytest.approx(6.0)
    np.testing.assert_array_equal(Blend({"gone": 1.0}, "a").apply({"a": a}), a)


def test_weights_go_to_what_orders_the_windows() -> None:
    rng = np.random.default_rng(7)
    spent = rng.gamma(0.3, 30, 4000)
    known = {"good": spent + rng.gamma(1, 5, 4000), "noise": rng.gamma(1, 5, 4000)}
    weights = fit_weights([(known, spent, 1.0)], ["good", "noise"], "good")
    assert weights["good"] > 0.9
    assert sum(weights.values()) == pytest.approx(1.0)
    assert utility(known["good"], spent) > utility(known["noise"], spent)


def test_little_data_leaves_the_order_model_its_weight() -> None:
    rng, names = np.random.default_rng(17), ["pareto_nbd", "early_life", "past_spend", "rfm"]
    spent = np.where(rng.random(120) < 0.3, rng.gamma(1, 30, 120), 0.0)
    same = rng.gamma(1, 5, 120)
    weights = fit_weights([(dict.fromkeys(names, same), spent, 1.0)], names, names[0])
    assert weights["pareto_nbd"] > max(0.45, 1.5 * weights["early_life"])
    assert weights["early_life"] > 1.5 * weights["rfm"]
    assert weights["rfm"] == weights["past_spend"]


def test_a_season_is_believed_when_windows_disagree_beyond_noise() -> None:
    rng = np.random.default_rng(18)
    real = rng.gamma(1, 10, 20_000)
    peak, same = (real / 2, real), (real / 1.1, real)  # the last months sold twice as much, a year ago did not
    assert fit_level([peak, same], [False, True]).factor == pytest.approx(1.1, rel=0.01)
    assert fit_level([peak, same]).factor == pytest.approx(np.sqrt(2.2), rel=0.01)
    few = real[:60]
    rough = fit_level([(few / 1.3, few), same], [False, True]).factor  # within noise: both count, by what they know
    assert rough == pytest.approx(1.1, rel=0.02)
    assert fit_level([same, same], [False, True]).factor == pytest.approx(1.1, rel=0.01)


def test_another_basket_must_win_beyond_noise() -> None:
    """Sixty customers with random amounts tell nothing of baskets: the one named first stays, whichever it is."""
    rng = np.random.default_rng(19)
    rows = [
        (f"c{n}", START + timedelta(days=int(day)), float(np.round(rng.gamma(4, 10), 2)))
        for n in range(60)
        for day in rng.choice(300, rng.integers(1, 8), replace=False)
    ]
    for names in (("all_orders", "repeat_orders"), ("repeat_orders", "all_orders")):
        chosen = choose(orders(rows), START + timedelta(days=300), ScoreSettings(horizon_days=90, baskets=names))
        assert chosen.basket == names[0]


def test_credit_is_shared_among_the_close_ones() -> None:
    assert credits([1.0, 1.0, 0.5], 0.01).tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_the_law_of_ageing_finds_its_exponent() -> None:
    rng = np.random.default_rng(8)
    life, rows = 400, []
    for n in range(800):
        rows.append((f"c{n}", START, 10.0))
        ages = np.unique(np.ceil(life * rng.random(rng.poisson(4)) ** (1 / 0.7)).astype(int))
        rows += [(f"c{n}", START + timedelta(days=int(age)), 10.0) for age in ages if age > 0]
    t = orders(rows)
    s = snapshot(t, START + timedelta(days=life))
    found = aging.exponent(t, s)
    assert found is not None
    assert found[0] == pytest.approx(0.7, abs=0.08)
    doubled = aging.expected_orders(s, 0.7, life / 7)
    assert doubled == pytest.approx(s.x.sum() * (2**0.7 - 1), rel=1e-6)


def test_corrections_leave_alone_what_windows_have_shown() -> None:
    t = orders(shop(300))
    s = snapshot(t, START + timedelta(days=500))
    model = SteadyRate.fit(s.x, s.t_x, s.T)
    looks = {"steady_rate": aging.outlook(model, s, 20.0, 0.3)}
    assert aging.corrections(t, s, looks, 20.0, 20.0) == {"steady_rate": 1.0}
    found = aging.exponent(t, s)
    assert found is not None
    law = aging.expected_orders(s, found[0], 200.0)
    far = {"low": aging.Outlook(law / 1.5, 0.0), "high": aging.Outlook(law * 1.5, 0.0)}
    moved = aging.corrections(t, s, far, 200.0, 20.0)
    assert moved["low"] > 1 > moved["high"]


def test_steady_rate_recovers_its_rate_and_survives_saving() -> None:
    rng = np.random.default_rng(9)
    T = rng.uniform(20, 60, 5000)
    x = rng.poisson(rng.gamma(2.0, 1 / 20.0, 5000) * T).astype(float)
    model = SteadyRate.fit(x, T / 2, T)
    assert model.parameters["r"].value == pytest.approx(2.0, rel=0.2)
    assert model.expected_orders(10.0, x, T / 2, T).sum() == pytest.approx(10 * 0.1 * 5000, rel=0.05)
    assert (model.p_alive(x, T, T) == 1).all()
    again = SteadyRate.from_json(model.to_json())
    np.testing.assert_allclose(again.expected_orders(5.0, x, T, T), model.expected_orders(5.0, x, T, T))
    less = model.discounted_expected_orders(52.0, 0.01, x, T, T)
    assert (less < model.expected_orders(52.0, x, T, T)).all()
    doubled = SteadyRate.fit(np.repeat(x[:50], 2), np.repeat(T[:50], 2), np.repeat(T[:50], 2))
    weighted = SteadyRate.fit(x[:50], T[:50], T[:50], np.full(50, 2.0))
    assert doubled.log_likelihood == pytest.approx(weighted.log_likelihood)


def test_inner_windows_stay_inside_the_history_and_are_never_longer_than_the_horizon() -> None:
    t = orders(shop(300, weeks=160, join_weeks=120))

    def cuts(days: int, horizon: int) -> list[tuple[int, int, bool]]:
        as_of = t.first_day + timedelta(days=days)
        found = inner_windows(t, as_of, horizon)
        return [((as_of - one.past.as_of).days, one.days, one.year_ago) for one in found]

    assert cuts(400, 365) == [(200, 200, False), (133, 133, False)]
    assert cuts(400, 60) == [(60, 60, False), (120, 60, False)]  # no shorter second one: the sixty days before
    assert cuts(500, 60) == [(60, 60, False), (365, 60, True)]  # a year and a quarter: the same days a year earlier
    assert cuts(500, 365) == [(250, 250, False), (365, 365, True)]
    assert cuts(500, 400) == [(250, 250, False), (167, 167, False)]
    assert cuts(799, 330) == [(330, 330, False), (660, 330, False)]  # a year ago would nearly be the first again
    assert cuts(799, 365) == [(365, 365, True), (266, 266, False)]  # a whole year knows all seasons
    assert cuts(999, 365) == [(365, 365, True), (730, 365, True)]
    assert cuts(10, 365) == []


def test_a_sample_is_the_same_each_time_and_keeps_whole_customers() -> None:
    t = orders(shop(500))
    one, two = sampled(t, 100), sampled(t, 100)
    assert 60 < one.customers < 140
    assert (one.customers, one.orders) == (two.customers, two.orders)
    whole, part = snapshot(t, t.last_day), snapshot(one, t.last_day)
    known = dict(zip(whole.customer_id.to_pylist(), whole.x.tolist(), strict=True))
    assert [known[name] for name in part.customer_id.to_pylist()] == part.x.tolist()
    assert sampled(t, 500) is t


def test_snapshot_of_scores_is_the_snapshot_that_was_scored() -> None:
    from clv_core.scoring import score

    t = orders(shop(200))
    s = snapshot(t, t.last_day).take(np.arange(150))
    table = score(t, t.last_day, ScoreSettings(candidates=("bg_nbd",))).table
    back = Snapshot.of_scores(table)
    at = [back.customer_id.to_pylist().index(name) for name in s.customer_id.to_pylist()]
    for name in ("x", "t_x", "T", "m", "first_value", "value_to_date"):
        np.testing.assert_allclose(getattr(back, name)[at], getattr(s, name), rtol=1e-9, atol=1e-9)
    assert BgNbd.fit(s.x, s.t_x, s.T).name == "bg_nbd"
