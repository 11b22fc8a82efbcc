"""Two independent ways to the same expectation, and numerical integration as their judge."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, expit

from clv_core.models.pareto_fraction import fraction
from clv_core.models.pareto_tail import Places, Tail
from clv_core.models.purchases import _integral, _series, discounted_purchases, expected_purchases


def by_quadrature(A: float, h: float, a: float, c: float) -> float:
    """The defining integral over p, in logit(p)."""

    def height(y: float) -> float:
        p = expit(y)
        density = np.exp(a * y - (a + c) * np.logaddexp(0.0, y) - betaln(a, c))
        return float(density * -np.expm1(-A * np.log1p(p * h)) / p) if p > 1e-300 else 0.0

    centre, width, far = np.log(a / c), np.sqrt(1 / a + 1 / c), 60.0 + 60.0 / min(1.0, a, c)
    edges = centre + width * np.array([-far, -40, -8, -3, 0, 3, 8, 40, far])
    return sum(float(quad(height, low, high, epsabs=0, epsrel=1e-11, limit=400)[0]) for low, high in pairwise(edges))


@pytest.mark.parametrize("a", [0.05, 0.6, 1.0, 2.5, 30.0])
def test_expected_purchases_are_the_integral(a: float) -> None:
    rng = np.random.default_rng(17)
    A, c, h = (10.0 ** rng.uniform(low, high, 12) for low, high in ((-1, 2), (-1, 2), (-2, 2)))
    found = expected_purchases(A, h, a, c)
    np.testing.assert_allclose(found, [by_quadrature(*row) for row in zip(A, h, np.full(12, a), c, strict=True)], rtol=1e-6)


@pytest.mark.parametrize("a", [0.2, 1.0, 30.0])
def test_several_horizons_at_once_are_each_alone(a: float) -> None:
    rng = np.random.default_rng(18)
    A, c, h = rng.uniform(0.1, 300, 150), rng.uniform(0.2, 30, 150), rng.uniform(0.01, 20, (3, 150))  # steep rows and others
    assert 0 < np.count_nonzero(a + c - A <= -3) < 150
    alone = np.stack([expected_purchases(A, each, a, c) for each in h])
    np.testing.assert_allclose(expected_purchases(A, h, a, c), alone, rtol=1e-13)


def test_series_and_integral_agree() -> None:
    rng = np.random.default_rng(19)
    for a in (0.2, 0.8, 1.0, 3.0):
        c, h = rng.uniform(0.2, 30, 200), rng.uniform(0.01, 8, 200)
        A = rng.uniform(0.1, 1.0, 200) * (a + c)
        np.testing.assert_allclose(_series(A, h, a, c), _integral(A, h, a, c), rtol=1e-6)


def test_discounted_purchases_are_the_integral() -> None:
    A, a, c, h, decay = 3.2, 0.7, 4.5, 6.0, 0.4
    one = [np.array([value]) for value in (A, h, c)]

    def rate(u: float) -> float:
        step = 1e-4
        up, down = (expected_purchases(one[0], np.array([u + s]), a, one[2])[0] for s in (step, -step))
        return float(up - down) / (2 * step)

    whole = quad(lambda u: np.exp(-decay * u) * rate(u), 1e-3, h, epsrel=1e-10)[0]
    whole += float(expected_purchases(one[0], np.array([1e-3]), a, one[2])[0])
    assert float(discounted_purchases(one[0], one[1], a, one[2], np.array([decay]))[0]) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    "theta", [(0.55, 10.6, 0.6, 11.7), (1.4, 48.0, 0.56, 0.5), (0.5, 0.3, 0.6, 40.0), (0.6, 10.0, 0.5, 0.01)]
)
def test_the_pareto_tail_is_its_integral_with_and_without_interpolation(theta: tuple[float, ...]) -> None:
    r, alpha, s, beta = theta

    def whole(x: float, t: float) -> float:
        height = lambda v: s * np.exp(-(r + x) * np.log1p((beta + t) * np.expm1(min(v, 600.0)) / (alpha + t)) - s * v)  # noqa: E731
        return sum(
            float(quad(height, low, high, epsabs=0, epsrel=1e-12)[0]) for low, high in ((0, 0.2), (0.2, 2), (2, 10), (10, 90))
        )

    few_x, few_t = np.array([0.0, 1.0, 7.0, 40.0]), np.array([0.0, 3.0, 30.0, 55.0])
    places, (rows,) = Places.of(few_x, few_t)
    found = Tail.of(np.array(theta), places, slopes=False).values[rows]
    np.testing.assert_allclose(found, [whole(x, t) for x, t in zip(few_x, few_t, strict=True)], rtol=1e-9)
    rng = np.random.default_rng(23)
    x = np.concatenate([rng.integers(0, 40, 20_000), rng.choice([75, 80, 400], 500)]).astype(float)  # runs of counts, and gaps
    many, _ = Places.of(x, rng.integers(0, 700, x.size) / 7.0)
    every = np.arange(0, many.of_time.size, 500)
    alone = fraction(np.array(theta), many.counts[many.of_count[every]], many.times[many.of_time[every]], slopes=True)
    tail = Tail.of(np.array(theta), many)
    assert tail.interpolated
    np.testing.assert_allclose(tail.values[every], alone[0], rtol=1e-12)
    slopes = [tail.slopes(np.arange(many.of_time.size) == place) for place in every]
    np.testing.assert_allclose(slopes, alone[1:].T, rtol=1e-10, atol=1e-13)
