"""Intervals of totals against computations that share nothing with them: refits to resampled customers, and drawn futures."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from clv_core.basket import CredibilityBasket, GammaBasket
from clv_core.doubt import UNKNOWN_LEVEL, Doubt
from clv_core.forecast import ORDER_MODELS, forecast
from clv_core.misfit import Misfit
from clv_core.score_settings import ScoreSettings
from clv_core.totals import group_totals
from clv_core.uncertainty import UNCERTAINTY, describe
from clv_core.valuation import Fit
from clv_core.windows import Snapshot
from tests.clv_core.histories import cdnow

Floats = NDArray[np.float64]
WEEKS = 39.0
ORDERS_ALONE = CredibilityBasket(mean=1.0, within=0.0, between=0.0)  # value is the number of orders
MODELS = ("bg_nbd", "mbg_nbd", "pareto_nbd")


@cache
def base() -> Snapshot:
    c = cdnow("sample")
    ids = pa.array([str(n) for n in range(len(c.x))])
    return Snapshot(date(1997, 9, 30), ids, c.x, c.t_x, c.T, c.m, c.first_value, c.first_value + c.x * c.m)


@cache
def spending() -> GammaBasket:
    return GammaBasket.fit(base(), all_orders=False)


@cache
def fitted(name: str) -> Fit:
    s = base()
    return Fit(ORDER_MODELS[name].fit(s.x, s.t_x, s.T), spending(), (), len(s))


@cache
def groups() -> Floats:
    """(customers, groups): everyone, those who came first, those with repeat orders, and a random campaign of 200."""
    s, rng = base(), np.random.default_rng(3)
    campaign = np.isin(np.arange(len(s)), rng.choice(len(s), 200, replace=False))
    return np.stack([np.ones(len(s)), s.T > 36, s.x > 2, campaign], axis=1).astype(float)


def scores(fit: Fit, level: float = 0.0) -> pa.Table:
    """The scores that a fit gives, with the document of its doubt."""
    s = base()
    view = forecast(fit.model, fit.basket, s, WEEKS)
    columns = {
        "customer_id": s.customer_id, "frequency": s.x, "recency": s.t_x, "T": s.T, "monetary_value": s.m,
        "value_to_date": s.value_to_date, "p_alive": view.alive, "expected_orders": view.orders, "clv": view.value,
        "clv_high": 3 * view.value, "as_of": pa.repeat(pa.scalar(s.as_of, pa.date32()), len(s)),
    }  # fmt: skip
    settings = ScoreSettings(horizon_days=round(WEEKS * 7), annual_discount=0.0)
    return pa.table(columns).replace_schema_metadata({UNCERTAINTY: describe(fit, settings, Misfit(level**2)).to_json()})


def told(fit: Fit) -> tuple[Floats, Floats, Floats]:
    """Per group: the total, the standard error from parameters alone, and the variance from customers' own chance."""
    doubt, clv = Doubt.of(scores(fit)), np.asarray(scores(fit)["clv"])
    total = clv @ groups()
    return total, np.sqrt(doubt.shared((doubt.slopes.T @ groups()).T, total)), doubt.variance @ groups()


@pytest.mark.parametrize("name", MODELS)
def test_parameters_as_unsure_as_refits_to_resampled_customers(name: str) -> None:
    """Merged rows are resampled with multinomial weights; the delta method must come within 30% of the bootstrap's spread."""
    s, rng, draws = base(), np.random.default_rng(17), 30 if name == "pareto_nbd" else 80
    found = []
    for _ in range(draws):
        weights = rng.multinomial(len(s), np.full(len(s), 1 / len(s))).astype(float)
        model = ORDER_MODELS[name].fit(s.x, s.t_x, s.T, weights)
        found.append(model.expected_orders(WEEKS, s.x, s.t_x, s.T) @ groups())
    spread = np.std(found, axis=0)
    total, error, _ = told(Fit(fitted(name).model, ORDERS_ALONE, (), len(s)))
    np.testing.assert_allclose(np.mean(found, axis=0), total, rtol=0.03)
    np.testing.assert_allclose(error, spread, rtol=0.3)


def test_order_values_as_unsure_as_refits_to_resampled_customers() -> None:
    s, rng = base(), np.random.default_rng(18)
    sure, found = fitted("bg_nbd"), []
    orders = forecast(sure.model, sure.basket, s, WEEKS).orders
    for _ in range(60):
        at = rng.integers(0, len(s), len(s))
        found.append((orders * GammaBasket.fit(s.take(at), all_orders=False).expected(s)) @ groups())
    doubt, clv = Doubt.of(scores(sure)), orders * sure.basket.expected(s)
    spending = Doubt(doubt.variance, doubt.silence, doubt.slopes[:, 4:], doubt.covariance[4:, 4:], 0.0)
    error = np.sqrt(spending.shared((spending.slopes.T @ groups()).T, clv @ groups()))
    np.testing.assert_allclose(error, np.std(found, axis=0), rtol=0.3)


def futures(name: str, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(draws, customers) of orders and of spend: each customer's rate, leaving and order values drawn from what is known."""
    s, fit = base(), fitted(name)
    r, alpha, third, fourth = (p.value for p in fit.model.parameters.values())
    p, q, v = (one.value for one in spending().model.parameters.values())
    shape = (draws, len(s))
    rate = rng.gamma(r + s.x, 1 / (alpha + s.T), shape)
    if name == "pareto_nbd":
        leaves = rng.exponential(1 / rng.gamma(np.full(shape, third), 1 / (fourth + s.T)))
        orders = rng.poisson(rate * np.minimum(leaves, WEEKS))
    else:
        chance = rng.beta(third, fourth + s.x + (name == "mbg_nbd"), shape)
        orders = np.minimum(rng.poisson(rate * WEEKS), rng.geometric(np.maximum(chance, 1e-9)))
    orders = orders * (rng.random(shape) < fit.model.p_alive(s.x, s.t_x, s.T))
    scale = rng.gamma(q + p * s.x, 1 / (v + s.x * s.m), shape)
    return orders.astype(float), np.where(orders > 0, rng.gamma(np.maximum(p * orders, 1e-9)) / scale, 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_customers_own_chance_is_that_of_drawn_futures(name: str) -> None:
    orders, spend = futures(name, 400, np.random.default_rng(19))
    s, fit = base(), fitted(name)
    for drawn, basket in ((orders, ORDERS_ALONE), (spend, fit.basket)):
        total, _, variance = told(Fit(fit.model, basket, (), len(s)))
        np.testing.assert_allclose((drawn @ groups()).mean(axis=0), total, rtol=0.03)
        np.testing.assert_allclose(variance, drawn.var(axis=0) @ groups(), rtol=0.1)


def test_intervals_hold_nine_in_ten_drawn_totals() -> None:
    _, spend = futures("pareto_nbd", 400, np.random.default_rng(20))
    names = pa.array([str(n) for n in range(4)])
    rows, columns = np.nonzero(groups())
    members = pa.table({"customer_id": base().customer_id.take(pa.array(rows)), "group": names.take(pa.array(columns))})
    table = scores(fitted("pareto_nbd"))
    own = Doubt.of(table)
    total, variance = np.asarray(table["clv"]) @ groups(), own.variance @ groups()
    low, high = own.interval(total, variance, own.silence @ groups(), np.zeros((4, own.slopes.shape[1])), 0.90)
    totals = spend @ groups()
    inside = ((totals >= low) & (totals <= high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.90, atol=0.05)
    wider = group_totals(table, members)
    assert np.all(np.asarray(wider["clv_low"]) < low)
    assert np.all(np.asarray(wider["clv_high"]) > high)


def test_doubt_of_the_level_and_of_scores_without_models() -> None:
    """By hand: one customer for sure, a level 10% unsure: the gamma interval of mean 100 and deviation 10 is 84.0 to 116.9."""
    plain = {"customer_id": ["a"], "clv": [100.0], "clv_high": [100.0]}
    [row] = group_totals(pa.table(plain), pa.table({"customer_id": ["a"], "group": ["g"]})).to_pylist()
    assert UNKNOWN_LEVEL == 0.10
    assert row["clv"] == 100.0
    assert row["clv_low"] == pytest.approx(84.1, abs=0.2)
    assert row["clv_high"] == pytest.approx(117.0, abs=0.2)
