"""Variances of common errors: found where windows show them, the prior's where they do not, never from the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, t

from clv_core.doubt import Doubt
from clv_core.misfit import AGE, LEVEL, VALUE, Deviations, Misfit, Prior, Trialled, learn, likely

Floats = NDArray[np.float64]
PRIORS = (LEVEL, AGE, VALUE)


def alone(error: float, noise: float) -> Deviations:
    """One deviation, of a window as long as its history's log stretch of 1."""
    return Deviations(np.array([error]), np.array([[noise**2]]), np.ones((1, 1)))


@pytest.mark.parametrize("prior", PRIORS)
def test_without_windows_the_prior_speaks_with_its_heavy_tails(prior: Prior) -> None:
    """A scaled inverse chi-square prior predicts by a t distribution with as many degrees of freedom."""
    assert np.sqrt(likely([], prior)) == pytest.approx(prior.error * t.ppf(0.95, prior.worth) / norm.ppf(0.95), rel=0.02)


@pytest.mark.parametrize("true", [0.1, 0.3, 0.8])
def test_many_windows_outvote_the_prior(true: float) -> None:
    rng = np.random.default_rng(4)
    seen = [alone(error, 0.05) for error in rng.normal(0, np.hypot(true, 0.05), 800)]
    assert np.sqrt(likely(seen, LEVEL)) == pytest.approx(true, rel=0.1)


def test_what_noise_explains_is_no_error_of_the_model() -> None:
    loud = [alone(error, 0.4) for error in np.random.default_rng(5).normal(0, 0.4, 300)]
    assert np.sqrt(likely(loud, LEVEL)) < LEVEL.error
    assert likely([alone(0.5, 0.02)] * 2, LEVEL) > 2 * likely([], LEVEL)
    assert likely([alone(0.5, 3.0)] * 2, LEVEL) == pytest.approx(likely([], LEVEL), rel=0.02)


def seen(level: float, by_age: float, by_value: float, order: NDArray[np.intp] | None = None) -> Trialled:
    """A window of 6,000 customers whose orders came as said, but for errors of the level and along log age and log value."""
    rng = np.random.default_rng(6)
    weeks, predicted = rng.uniform(2, 100, 6000), rng.lognormal(2, 1, 6000)
    error = level + by_age * (np.log(weeks) - np.log(weeks).mean()) + by_value * (np.log(predicted) - 3.0)
    own = predicted**2 / 2
    came = rng.gamma(2.0, predicted * np.exp(error) / 2.0)
    order = np.arange(6000) if order is None else order
    doubt = Doubt(own[order], np.zeros(6000), np.zeros((6000, 0)), np.zeros((0, 0)), 0.0)
    return Trialled(predicted[order], doubt, came[order], weeks[order], 1.0)


def test_each_error_is_found_where_it_is() -> None:
    still = learn([seen(0.0, 0.0, 0.0)] * 2, 1.0)
    assert learn([seen(0.6, 0.0, 0.0)] * 2, 1.0).level > 3 * still.level
    aged = learn([seen(0.0, 0.4, 0.0)] * 2, 1.0)
    assert aged.age > 4 * still.age
    assert aged.value < 2.5 * still.value
    valued = learn([seen(0.0, 0.0, 0.4)] * 2, 1.0)
    assert valued.value > 4 * still.value
    assert valued.age < 2.5 * still.age


def test_windows_without_error_narrow_the_prior_and_further_horizons_widen() -> None:
    known, unknown = learn([seen(0.0, 0.0, 0.0)] * 2, 1.0), learn([], 1.0)
    for name in ("level", "age", "value"):
        assert 0 < getattr(known, name) < 0.8 * getattr(unknown, name)
        assert getattr(learn([], 2.0), name) == pytest.approx(2 * getattr(unknown, name), rel=1e-4)


def test_windows_that_disagree_widen_the_level() -> None:
    agree = learn([seen(0.0, 0.0, 0.0)] * 2, 1.0)
    assert learn([seen(0.5, 0.0, 0.0), seen(-0.5, 0.0, 0.0)], 1.0).level > 3 * agree.level


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = np.random.default_rng(7).permutation(6000)
    assert learn([seen(0.1, 0.2, 0.3, shuffled)], 1.0) == learn([seen(0.1, 0.2, 0.3)], 1.0)


@pytest.mark.parametrize("size", [0, 1, 4, 7])
def test_windows_with_hardly_anybody_leave_the_prior(size: int) -> None:
    none = Doubt(np.ones(size), np.zeros(size), np.zeros((size, 0)), np.zeros((0, 0)), 0.0)
    empty = Trialled(np.ones(size), none, np.zeros(size), np.ones(size), 1.0)
    assert learn([empty], 1.0) == learn([], 1.0)
    found: Misfit = learn([Trialled(np.ones(size), none, np.ones(size), np.ones(size), 1.0)], 1.0)
    assert found.age == learn([], 1.0).age
    assert np.isfinite([found.level, found.age, found.value]).all()
