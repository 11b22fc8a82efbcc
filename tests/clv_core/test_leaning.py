"""The leaning of the order towards who comes back: what it keeps, what it moves, and when windows ask for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clv_core.choice import choose
from clv_core.leaning import fit_share, lean
from clv_core.metrics import ranks
from clv_core.mixing import BLEND
from clv_core.score_settings import ScoreSettings
from clv_core.transactions import check_orders
from clv_core.valuation import fit, value
from clv_core.windows import snapshot
from tests.clv_core.worlds import world


def _base(n: int = 3000, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values guessed with a noisy basket, chances of an order, and what came."""
    rng = np.random.default_rng(seed)
    buys = rng.beta(0.4, 2.0, n)
    basket = 30 * np.exp(0.9 * rng.standard_normal(n))
    value = buys * basket
    spent = (rng.random(n) < buys) * 30 * np.exp(0.3 * rng.standard_normal(n))  # baskets say nothing of later ones
    return value, buys, spent


def test_no_share_changes_nothing() -> None:
    value, buys, _ = _base()
    assert lean(value, buys, 0.0) is value
    assert lean(np.zeros(5), np.ones(5), 0.4).tolist() == [0.0] * 5


@pytest.mark.parametrize("n", [5, 300, 5000])
def test_sum_and_distribution_of_values_stay(n: int) -> None:
    value, buys, _ = _base(n)
    leaned = lean(value, buys, 0.4)
    assert leaned.sum() == pytest.approx(value.sum())
    np.testing.assert_allclose(np.sort(leaned), np.sort(value), rtol=0.02, atol=1e-3 * value.mean())


def test_who_comes_back_rises_most_among_those_of_little_value() -> None:
    value, buys, _ = _base()
    leaned = lean(value, buys, 0.2)
    moved = np.abs(ranks(leaned) - ranks(value))
    best = value > np.quantile(value, 0.9)
    assert moved[~best].mean() > 2 * moved[best].mean()
    few = value < np.quantile(value, 0.5)
    assert np.corrcoef(ranks(leaned)[few], buys[few])[0, 1] > np.corrcoef(ranks(value)[few], buys[few])[0, 1] + 0.05


def test_equals_stay_equal_and_the_order_of_rows_changes_nothing() -> None:
    value, buys, _ = _base(400)
    value, buys = np.repeat(np.round(value, 1), 3), np.repeat(np.round(buys, 2), 3)
    leaned = lean(value, buys, 0.3)
    assert np.ptp(leaned.reshape(-1, 3), axis=1).max() <= 1e-9 * leaned.max()
    order = np.random.default_rng(4).permutation(len(value))
    np.testing.assert_allclose(lean(value[order], buys[order], 0.3), leaned[order], rtol=1e-9)


def test_windows_decide_how_far_and_count_by_their_reach() -> None:
    value, buys, spent = _base(20_000)
    far = fit_share([(value, buys, spent, 1.0)], 1.0)
    exact = buys * np.where(spent > 0, spent, 30.0)  # knows what buyers will pay: chances alone say less
    assert far > 0.3
    assert fit_share([(exact, buys, spent, 1.0)], 1.0) < 0.5 * far
    assert fit_share([(value, buys, spent, 1.0)], 0.25) == pytest.approx(far / 4, abs=0.001)


def test_scores_lean_as_chosen_and_a_single_model_does_not() -> None:
    t = check_orders(world("heavy_baskets", 6, 180))
    settings = ScoreSettings(horizon_days=200)
    s = snapshot(t, t.last_day)
    chosen = choose(t, t.last_day, settings)
    assert chosen.model == BLEND
    assert chosen.leaning > 0
    fitted = fit(t, s, chosen.order_model, chosen.basket, settings, chosen)
    leaned = value(t, s, fitted, chosen, settings)
    straight = value(t, s, fitted, replace(chosen, leaning=0.0), settings)
    np.testing.assert_allclose(leaned.value, lean(straight.value, leaned.forecast.buys, chosen.leaning), rtol=1e-6)
    assert np.abs(ranks(leaned.value) - ranks(straight.value)).max() > 1
    assert choose(t, t.last_day, ScoreSettings(horizon_days=200, candidates=("pareto_nbd",))).leaning == 0.0
