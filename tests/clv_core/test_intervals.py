"""Predictive spreads against simulation, probabilities that are calibrated, totals against many draws."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from clv_core.basket import CredibilityBasket
from clv_core.calibration import Level, fit_level
from clv_core.forecast import Forecast, forecast
from clv_core.intervals import NOMINAL, Spread, fit_probabilities, spread
from clv_core.models.pareto_nbd import ParetoNbd
from clv_core.models.steady_rate import SteadyRate
from clv_core.windows import Snapshot


def _snapshot(x: np.ndarray, T: np.ndarray, value: float = 20.0) -> Snapshot:
    n = len(x)
    flat = np.full(n, value)
    ids = pa.array([str(k) for k in range(n)])
    return Snapshot(date(2024, 1, 1), ids, x, T / 2 * (x > 0), T, flat * (x > 0), flat, flat * (x + 1))


def test_spread_agrees_with_simulation() -> None:
    """Orders are Poisson at a gamma rate (posterior r + x), values gamma around a known mean: drawn beside closed form."""
    rng = np.random.default_rng(1)
    r, alpha, weeks, T, alive = 1.5, 10.0, 26.0, 40.0, 0.7
    basket = CredibilityBasket(mean=20.0, within=100.0, between=0.0)
    model = SteadyRate.of({"r": r, "alpha": alpha})
    for x in (0.0, 2.0, 12.0):
        s = _snapshot(np.array([x]), np.array([T]))
        orders = alive * weeks * (r + x) / (alpha + T)
        f = Forecast(np.array([orders]), np.array([20.0]), np.array([alive]), weeks)
        closed = spread(f.value, f, basket, model, s)
        rate = rng.gamma(r + x, 1 / (alpha + T), 200_000)
        n = rng.poisson(rate * weeks) * (rng.random(200_000) < alive)
        drawn = np.where(n > 0, rng.gamma(np.maximum(n, 1) * 4.0, 5.0), 0.0)
        assert closed.mean[0] == pytest.approx(drawn.mean(), rel=0.02)
        assert closed.nothing[0] == pytest.approx((n == 0).mean(), abs=0.01)
        assert closed.variance[0] == pytest.approx(drawn.var(), rel=0.05)
        for probability in (0.9, 0.95):
            assert (drawn <= closed.quantile(probability)[0]).mean() == pytest.approx(probability, abs=0.02)


def test_quantiles_are_zero_inside_the_mass_at_nothing_and_grow() -> None:
    one = Spread(np.array([0.97, 0.5, 0.0]), np.array([1.0, 10.0, 50.0]), np.array([100.0, 400.0, 900.0]))
    assert one.quantile(0.95)[0] == 0.0
    assert one.quantile(0.05)[1] == 0.0
    assert one.quantile(0.05)[2] > 0
    assert (one.quantile(0.99) >= one.quantile(0.9)).all()
    assert Spread(np.ones(1), np.zeros(1), np.zeros(1)).quantile(0.95)[0] == 0.0


def test_probabilities_are_read_where_they_hold() -> None:
    rng = np.random.default_rng(2)
    mean = rng.gamma(2, 10, 20_000)
    real = mean * np.exp(0.8 * rng.standard_normal(20_000) - 0.32)
    honest = Spread(np.zeros(20_000), mean, mean**2 * np.expm1(0.64))
    proud = Spread(np.zeros(20_000), mean, mean**2 * np.expm1(0.25))
    assert fit_probabilities([(honest, real)]) == pytest.approx(NOMINAL, abs=0.01)
    low, high = fit_probabilities([(proud, real)])
    assert low < 0.04
    assert high > 0.97
    assert (real <= proud.quantile(high)).mean() == pytest.approx(0.95, abs=0.02)
    assert fit_probabilities([]) == NOMINAL


def test_level_brings_totals_together_and_shrinks_what_is_noise() -> None:
    rng = np.random.default_rng(3)
    real = rng.gamma(1, 10, 50_000)
    assert fit_level([(real / 2, real)]).factor == pytest.approx(2.0, rel=0.01)
    few = np.zeros(50)
    few[0] = 100.0
    assert 1.0 < fit_level([(np.ones(50), few)]).factor < 1.3
    assert fit_level([]) == Level()
    assert fit_level([(np.zeros(5), real[:5])]) == Level()


def test_a_value_that_the_order_model_has_no_room_for_keeps_a_sane_spread() -> None:
    """A blend may value someone the order model holds for gone: they are then taken to be there, not to order by millions."""
    model, basket = ParetoNbd.of({"r": 1.0, "alpha": 6.0, "s": 18.0, "beta": 600.0}), CredibilityBasket(20.0, 100.0, 0.0)
    s = Snapshot(date(2024, 1, 1), pa.array(["a", "b", "c"]), np.array([9.0, 9.0, 0.0]), np.array([20.0, 50.0, 0.0]),
                 np.array([400.0, 52.0, 52.0]), *(np.full(3, 20.0),) * 3)  # fmt: skip
    view = forecast(model, basket, s, 26.0)
    assert view.alive[0] < 1e-9
    gone = spread(np.array([10.0, 10.0, 10.0]), view, basket, model, s)
    assert (np.sqrt(gone.variance) < 100.0).all()  # ten times what is expected, not millions
    double = spread(view.value * 2, view, basket, model, s)
    assert double.nothing[1] < spread(view.value, view, basket, model, s).nothing[1]
