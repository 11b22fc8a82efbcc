"""Histories that are not what they seem: a stray first order, months without any, odd windows, shops on the edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from clv_core.calibration import fit_level, fit_levels, unlikeness
from clv_core.score_settings import ScoreSettings
from clv_core.scoring import score
from clv_core.silences import silences, told_of
from clv_core.transactions import check_orders
from clv_core.validation import backtest
from clv_core.windows import begun, inner_windows, window
from tests.clv_core.bases import START, orders, shop
from tests.clv_core.worlds import world

QUICK = ScoreSettings(bootstrap_draws=20)


def test_a_stray_first_order_does_not_stretch_the_history() -> None:
    rows = shop(150)
    t, plain = orders([("stray", date(1999, 1, 1), 5.0), *rows]), orders(rows)
    assert begun(t, t.last_day) - plain.first_day < timedelta(days=30)
    assert begun(plain, plain.last_day) == plain.first_day
    cuts = [one.past.as_of for one in inner_windows(t, t.last_day, 365)]
    assert cuts
    assert min(cuts) > plain.first_day
    split = backtest(t, None, 365, QUICK).split
    assert abs(split - backtest(plain, None, 365, QUICK).split) < timedelta(days=30)


def test_months_without_an_order_are_told_and_no_window_is_judged_by_them() -> None:
    t = check_orders(world("closed_months", 6, 300))
    (closed,) = silences(t, t.last_day)
    assert 140 < closed.days < 160
    (said,) = told_of([closed])
    assert said.startswith(f"nobody at all ordered for {closed.days} days between {closed.before} and {closed.after}")
    assert "2 more times" in told_of([closed, closed, closed])[0]
    assert said in score(t, t.last_day, replace(QUICK, candidates=("bg_nbd",))).warnings
    assert silences(t, t.first_day + timedelta(days=300)) == []  # before it closed
    as_of = closed.after + timedelta(days=200)
    assert all(closed.disturbs(one.past.as_of, one.days) for one in inner_windows(t, as_of, 220))
    (only,) = inner_windows(t, as_of, 220, [closed])
    assert (only.past.as_of, only.days) == (closed.after + timedelta(days=100), 100)
    later = inner_windows(t, t.last_day, 120, [closed])
    assert later
    assert not any(closed.disturbs(one.past.as_of, one.days) for one in later)


def test_a_shop_that_opened_again_keeps_its_level() -> None:
    t = check_orders(world("closed_months", 6, 500))
    for days, ahead in ((675, 225), (535, 365)):
        found = backtest(t, t.first_day + timedelta(days=days), ahead, QUICK)
        assert 0.7 < found.best["bias"] < 1.4, days


def test_few_orders_are_no_silence() -> None:
    for name in ("plain", "durables", "casual"):
        t = check_orders(world(name, 6, 60))
        assert silences(t, t.last_day) == [], name


def test_windows_like_the_future_decide_the_level() -> None:
    rng = np.random.default_rng(21)
    real = rng.gamma(1, 10, 20_000)
    near, far = (real, real), (real / 1.15, real)
    assert fit_level([near, far], [False, False], [0.0, 0.04]).factor == pytest.approx(1.0, abs=0.005)
    assert fit_level([near, far]).factor == pytest.approx(np.sqrt(1.15), rel=0.01)
    apart = fit_level([near, (real / 1.5, real)], [False, False], [0.0, 0.04]).factor  # differ by more: nearer, yet not all
    assert 1.1 < apart < 1.2


def test_one_window_gone_wild_is_bounded() -> None:
    """A window from the midst of a closure: the shop opens again, and seventeen times as much comes as models expect."""
    rng = np.random.default_rng(22)
    real = rng.gamma(1, 10, 5000)
    wild = fit_level([(real / 17, real), (real * 3, real)], [False, False]).factor
    assert wild == pytest.approx(1.0, abs=0.05)


def test_unlikeness_grows_with_a_younger_base_and_another_stretch() -> None:
    t = orders(shop(300, weeks=120, join_weeks=100))
    whole = (t.last_day - t.first_day).days
    half = window(t, t.last_day - timedelta(days=whole // 2), whole // 2, known_until=t.last_day)
    third = window(t, t.last_day - timedelta(days=whole // 3), whole // 3, known_until=t.last_day)
    now = whole / 7
    same = unlikeness(half, now, now)  # as much ahead as behind, on half the history
    assert same == pytest.approx(0.10**2, rel=0.05)
    assert unlikeness(third, now, now) > same
    assert unlikeness(half, now, now / 8) > 4 * same
    assert unlikeness(half, half.past.T.max(), half.weeks) == pytest.approx(0.0, abs=1e-3)
    levels = fit_levels([half, third], [{"a": half.spend / 2}, {"a": third.spend, "b": third.spend}], now, now)
    assert levels["a"].factor > np.sqrt(2)
    assert levels["b"].factor == 1.0


def test_nothing_spent_after_the_split_is_said() -> None:
    rows = [*shop(120, weeks=30, join_weeks=20), ("late", START + timedelta(days=700), 0.0)]
    found = backtest(orders(rows), START + timedelta(days=300), 365, QUICK)
    assert any("nobody spent anything" in one and "try an earlier split" in one for one in found.warnings)


@pytest.mark.parametrize(
    "name",
    ["whales", "clockwork", "clockwork_leaving", "flash", "tenfold", "one_timers", "one_month", "closed_months", "forty"],
)
def test_shops_on_the_edge_are_backtested(name: str) -> None:
    t = check_orders(world(name, 6, 40 if name == "forty" else 180))
    found = backtest(t, None, 365, QUICK)
    best = found.best
    assert np.isfinite([best[figure] for figure in ("gini", "top20_capture", "decile_wape", "bias", "mae")]).all()
    past = next(row for row in found.models if row["model"] == "past_spend")
    assert best["versus_past_spend"]["top20_capture"][1] >= 0, (best["top20_capture"], past["top20_capture"])
