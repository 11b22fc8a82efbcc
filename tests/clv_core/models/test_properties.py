"""What must hold for any data: order and weights change nothing, probabilities stay in bounds, extremes stay finite."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clv_core.models.base import CannotFitError
from clv_core.models.bg_nbd import BgNbd
from clv_core.models.gamma_gamma import GammaGamma, spend_history
from clv_core.models.geometric_orders import NO_DROP_OUT, GeometricOrders
from clv_core.models.mbg_nbd import MbgNbd
from clv_core.models.pareto_nbd import ParetoNbd
from clv_core.summary import summarise
from clv_core.transactions import check_orders
from tests.clv_core.histories import FULL, cdnow, geometric, pareto

Kind = type[GeometricOrders] | type[ParetoNbd]
MODELS: tuple[Kind, ...] = (BgNbd, MbgNbd, ParetoNbd)
SOME: dict[Kind, dict[str, float]] = {
    BgNbd: {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4},
    MbgNbd: {"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6},
    ParetoNbd: {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7},
}
logs = st.floats(-4.0, 3.0)
histories = st.tuples(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 10_000))


def arrays(rows: list[tuple[int, float, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.array([row[0] for row in rows], dtype=float)
    T = np.array([row[2] for row in rows])
    return x, np.where(x > 0, T * np.array([row[1] for row in rows]), 0.0), T


@pytest.mark.parametrize("model", MODELS)
def test_order_of_rows_changes_nothing(model: Kind) -> None:
    x, t_x, T = cdnow("sample").times
    shuffled = np.random.default_rng(3).permutation(len(x))
    assert model.fit(x[shuffled], t_x[shuffled], T[shuffled]).to_json() == model.fit(x, t_x, T).to_json()


@pytest.mark.parametrize("model", MODELS)
def test_weights_equal_repetition(model: Kind) -> None:
    x, t_x, T = (one[:400] for one in cdnow("sample").times)
    times = np.random.default_rng(4).integers(0, 4, len(x))
    weighted = model.fit(x, t_x, T, times.astype(float))
    repeated = model.fit(*(np.repeat(one, times) for one in (x, t_x, T)))
    np.testing.assert_allclose(weighted.values, repeated.values, rtol=1e-6)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-7)


def test_weights_and_order_for_order_values() -> None:
    customers = cdnow("sample")
    x, m = customers.x[:600], customers.m[:600]
    times = np.random.default_rng(5).integers(0, 4, len(x))
    weighted = GammaGamma.fit(x, m, times.astype(float))
    repeated = GammaGamma.fit(np.repeat(x, times), np.repeat(m, times))
    np.testing.assert_allclose(weighted.values, repeated.values, rtol=1e-6)
    back = GammaGamma.fit(x[::-1], m[::-1], times[::-1].astype(float))
    np.testing.assert_allclose(weighted.values, back.values, rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MODELS), st.tuples(logs, logs, logs, logs), st.lists(histories, min_size=1, max_size=8))
def test_predictions_stay_in_bounds_for_any_parameters(
    model: Kind, theta: tuple[float, ...], rows: list[tuple[int, float, float]]
) -> None:
    history = arrays(rows)
    fitted = model.of(dict(zip(model.names, 10.0 ** np.array(theta), strict=True)))
    alive = fitted.p_alive(*history)
    assert np.all((alive >= 0) & (alive <= 1))
    expected = [fitted.expected_orders(horizon, *history) for horizon in (0.0, 0.5, 4.0, 52.0, 520.0)]
    assert all(np.all(np.isfinite(one)) for one in expected)
    assert np.all(np.abs(expected[0]) <= 1e-12)
    for sooner, later in pairwise(expected):
        assert np.all(later >= sooner * (1 - 1e-7) - 1e-12)
    discounted = fitted.discounted_expected_orders(52.0, 0.002, *history)
    assert np.all(discounted <= expected[3] * (1 + 1e-7) + 1e-12)
    assert np.all(discounted >= expected[3] * np.exp(-0.002 * 52.0) * (1 - 1e-6) - 1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_extremes_stay_finite(model: Kind, scale: float) -> None:
    fitted = model.of({name: value * scale for name, value in SOME[model].items()})
    x = np.array([0.0, 0.0, 1.0, 10_000.0, 10_000.0, 3.0])
    T = np.array([0.0, 10_000.0, 1e-3, 10_000.0, 10_000.0, 10_000.0])
    t_x = np.array([0.0, 0.0, 1e-3, 10_000.0, 1.0, 9_999.0])
    for found in (
        fitted.p_alive(x, t_x, T),
        fitted.expected_orders(52.0, x, t_x, T),
        fitted.discounted_expected_orders(520.0, 0.01, x, t_x, T),
        fitted.expected_orders_new(np.array([0.0, 1.0, 10_000.0])),
    ):
        assert np.all(np.isfinite(found))
        assert np.all(found >= 0)


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_on_extreme_rows_is_finite(model: Kind) -> None:
    x, t_x, T = (np.append(one, extra) for one, extra in zip(cdnow("sample").times, (10_000.0, 9_000.0, 10_000.0), strict=True))
    fitted = model.fit(x, t_x, T)
    assert np.isfinite(fitted.log_likelihood)
    assert np.all(np.isfinite(fitted.values))


def test_one_horizon_per_customer_equals_one_call_each() -> None:
    x, t_x, T = (one[:50] for one in cdnow("sample").times)
    horizons = np.linspace(1, 100, 50)
    for model in MODELS:
        fitted = model.of(SOME[model])
        alone = [
            float(fitted.expected_orders(h, x[i : i + 1], t_x[i : i + 1], T[i : i + 1])[0]) for i, h in enumerate(horizons)
        ]
        np.testing.assert_allclose(fitted.expected_orders(horizons, x, t_x, T), alone, rtol=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_recovers_the_parameters_of_its_own_data(model: Kind) -> None:
    truth = (
        {"r": 1.2, "alpha": 6.0, "a": 0.7, "b": 2.5}
        if model is not ParetoNbd
        else {"r": 1.2, "alpha": 6.0, "s": 0.8, "beta": 20.0}
    )
    rng = np.random.default_rng(20260101)
    rows = pareto(rng, 6000, truth) if model is ParetoNbd else geometric(rng, 6000, truth, entry=model is MbgNbd)
    fitted = model.fit(*rows)
    errors = np.sqrt(np.diag(fitted.covariance()))
    assert np.all(np.abs(np.log(fitted.values) - np.log(list(truth.values()))) < 4 * errors)
    assert np.all(errors < 0.5)


def test_order_values_are_recovered() -> None:
    rng = np.random.default_rng(7)
    x = 1.0 + rng.poisson(3, 8000).astype(float)
    means = rng.gamma(6.0 * x, 1.0) / x / rng.gamma(4.0, 1.0 / 15.0, len(x))
    fitted = GammaGamma.fit(x, means)
    errors = np.sqrt(np.diag(fitted.covariance()))
    assert np.all(np.abs(np.log(fitted.values) - np.log([6.0, 4.0, 15.0])) < 4 * errors)
    assert fitted.base_mean == pytest.approx(6.0 * 15.0 / 3.0, rel=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_without_drop_out_the_limit_is_taken_and_said(model: Kind) -> None:
    rng = np.random.default_rng(11)
    T = rng.integers(140, 560, 2000) / 7.0
    rates = rng.gamma(4.0, 1 / 20.0, 2000)
    x = rng.poisson(rates * T).astype(float)
    t_x = np.where(x > 0, T * rng.random(2000) ** (1 / np.maximum(x, 1)), 0.0)  # the last of x uniform times
    fitted = model.fit(x, t_x, T)
    assert fitted.warnings == (NO_DROP_OUT,)
    assert np.all(fitted.p_alive(x, t_x, T) == 1.0)
    r, alpha = fitted.values[:2]
    np.testing.assert_allclose(fitted.expected_orders(10.0, x, t_x, T), (r + x) / (alpha + T) * 10.0, rtol=1e-12)
    assert fitted.discounted_expected_orders(10.0, 0.01, x, t_x, T)[0] < fitted.expected_orders(10.0, x, t_x, T)[0]
    assert model.from_json(json.loads(json.dumps(fitted.to_json()))).to_json() == fitted.to_json()


def test_nearly_no_drop_out_runs_into_the_limit_smoothly() -> None:
    x, t_x, T = (one[:200] for one in cdnow("sample").times)
    for model, name in ((BgNbd, "a"), (MbgNbd, "a"), (ParetoNbd, "s")):
        rest = {one: value for one, value in SOME[model].items() if one != name}
        limit = model.of({**rest, name: 0.0}).expected_orders(39.0, x, t_x, T)
        near = model.of({**rest, name: 1e-9}).expected_orders(39.0, x, t_x, T)
        np.testing.assert_allclose(near, limit, rtol=2e-4)


@pytest.mark.parametrize("model", MODELS)
def test_what_cannot_be_fitted_is_said(model: Kind) -> None:
    one = np.ones(1)
    with pytest.raises(CannotFitError, match="two customers"):
        model.fit(one, one, one * 2)
    none = np.zeros(500)
    with pytest.raises(CannotFitError, match="second day"):
        model.fit(none, none, none + 30)
    with pytest.raises(CannotFitError, match="two customers"):
        model.fit(none, none, none)
    with pytest.raises(ValueError, match="t_x lies after T"):
        model.fit(np.ones(500), none + 31, none + 30)
    with pytest.raises(ValueError, match="finite"):
        model.fit(np.full(500, np.nan), none, none + 30)


def test_order_values_that_cannot_be_fitted() -> None:
    with pytest.raises(CannotFitError, match="at least 10"):
        GammaGamma.fit(np.ones(5), np.arange(1.0, 6.0))
    with pytest.raises(CannotFitError, match="same"):
        GammaGamma.fit(np.ones(50), np.full(50, 9.99))
    with pytest.raises(ValueError, match="finite"):
        GammaGamma.fit(np.ones(50), np.full(50, np.inf))


def test_a_heavy_tail_of_order_values_keeps_a_sane_mean() -> None:
    rng = np.random.default_rng(13)
    x = 1.0 + rng.poisson(2, 3000).astype(float)
    m = np.exp(rng.standard_cauchy(3000).clip(-12, 12))
    fitted = GammaGamma.fit(x, m)
    found = fitted.expected_spend(np.array([0.0, 1.0, 5.0]), np.array([0.0, 10.0, 10.0]))
    assert np.all(np.isfinite(found))
    assert np.all(found >= 0)
    assert found[0] <= 3.0 * m.mean()


@pytest.mark.parametrize("model", [*MODELS, GammaGamma])
def test_a_saved_model_is_the_same_model(model: Kind | type[GammaGamma]) -> None:
    customers = cdnow("sample")
    values, times = (customers.x, customers.m), customers.times
    fitted = GammaGamma.fit(*values) if issubclass(model, GammaGamma) else model.fit(*times)
    again = model.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.to_json() == fitted.to_json()
    np.testing.assert_array_equal(again.covariance(), fitted.covariance())
    with pytest.raises(ValueError, match="not"):
        model.from_json({**fitted.to_json(), "model": "another"})


def test_seeing_the_first_order_tells_one_time_buyers_apart() -> None:
    customers = cdnow("sample")
    once = customers.x == 0
    repeat = spend_history(customers.x, customers.m, customers.first_value, first_order=False)
    every = spend_history(customers.x, customers.m, customers.first_value, first_order=True)
    assert len(np.unique(GammaGamma.fit(*repeat).expected_spend(*repeat)[once])) == 1
    seen = GammaGamma.fit(*every).expected_spend(*every)[once]
    assert np.corrcoef(seen, customers.first_value[once])[0, 1] > 0.999


def test_likelihood_is_that_of_the_textbook_formula() -> None:
    """BG/NBD of Fader, Hardie, Lee (2005), equation 6, written out for a few customers with scipy's gamma functions."""
    from scipy.special import betaln, gammaln

    x, t_x, T = (one[:60] for one in cdnow("sample").times)
    fitted = BgNbd.fit(x, t_x, T)
    r, alpha, a, b = fitted.values
    alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + T)
    gone = np.where(x > 0, betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x), -np.inf)
    whole = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + np.logaddexp(alive, gone)
    assert fitted.log_likelihood == pytest.approx(whole.sum(), abs=1e-8)


@pytest.mark.parametrize("until", [date(1997, 2, 15), date(1997, 3, 31)])
def test_cohorts_of_a_few_weeks_are_fitted_and_limits_are_said(until: date) -> None:
    found = summarise(check_orders(FULL), until)
    history = [found[name].to_numpy() for name in ("frequency", "recency", "T")]
    for model in MODELS:
        fitted = model.fit(*history)
        expected = fitted.expected_orders(52.0, *history)
        assert np.all(np.isfinite(expected))
        assert 0.2 < expected.mean() < 4.0
        at_limit = [name for name, one in fitted.parameters.items() if np.isnan(one.standard_error)]
        assert all(any(name in text for text in fitted.warnings) for name in at_limit)


def test_regular_buyers_run_to_equal_rates() -> None:
    T = np.random.default_rng(29).integers(100, 700, 500) / 7.0
    x = np.floor(T / 4)
    for model in MODELS:
        fitted = model.fit(x, x * 4, T)
        np.testing.assert_allclose(fitted.expected_orders(52.0, x, x * 4, T).mean(), 52.0 / 4, rtol=0.1)
