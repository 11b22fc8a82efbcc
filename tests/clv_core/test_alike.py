"""Errors that customers alike share: what a walk along a coordinate must and must not do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clv_core.alike import EXPONENT, Scale, age_scale, log_age, log_value, value_scale, walk

RNG = np.random.default_rng(8)
CLV = RNG.lognormal(3, 1.5, 800)
WEEKS = RNG.uniform(2, 90, 800)


def test_the_base_as_a_whole_has_none_of_it() -> None:
    for scale, at in ((age_scale(WEEKS, CLV), log_age(WEEKS)), (value_scale(CLV), log_value(CLV))):
        np.testing.assert_allclose(CLV @ scale.ramps(at) / CLV.sum(), 0.0, atol=1e-12)


def test_customers_err_apart_by_the_distance_between_them() -> None:
    """At the knots the written-out rises give back the walk: the variance between two places is distance ** (2 exponent)."""
    scale = age_scale(WEEKS, CLV)
    ramps = scale.ramps(scale.knots)
    for one, other in ((0, 1), (1, 3), (0, 4)):
        apart = ramps[one] - ramps[other]
        distance = scale.knots[other] - scale.knots[one]
        assert apart @ scale.covariance @ apart == pytest.approx(distance ** (2 * EXPONENT))


def test_a_walk_is_a_covariance_and_starts_at_the_least_place() -> None:
    found = walk(np.array([3.0, 1.0, 1.5, 7.0]))
    assert np.linalg.eigvalsh(found).min() > -1e-12
    assert found[1].tolist() == [0.0] * 4
    assert found[0, 0] == pytest.approx(2.0 ** (2 * EXPONENT))


def test_a_base_of_one_age_or_one_value_differs_by_nothing() -> None:
    ages = age_scale(np.full(50, 12.0), np.ones(50))
    assert np.abs(ages.covariance).max() == 0.0
    values = value_scale(np.full(50, 20.0))
    np.testing.assert_allclose(values.ramps(log_value(np.full(50, 20.0))), 0.0, atol=1e-12)


@pytest.mark.parametrize("clv", [np.zeros(3), np.zeros(0)])
def test_a_base_worth_nothing_keeps_finite_numbers(clv: np.ndarray) -> None:
    for scale in (age_scale(clv, clv), value_scale(clv)):
        assert np.isfinite(scale.ramps(log_value(clv))).all()
        assert np.isfinite(scale.covariance).all()


def test_a_scale_survives_json() -> None:
    scale = value_scale(CLV)
    again = Scale.from_json(json.loads(json.dumps(scale.to_json())))
    np.testing.assert_array_equal(again.ramps(log_value(CLV)), scale.ramps(log_value(CLV)))
