"""The spread of orders around their expectation, against plain double integrals over what nobody knows of a customer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, gamma, nbinom

from clv_core.models.base import OrderModel
from clv_core.models.bg_nbd import BgNbd
from clv_core.models.mbg_nbd import MbgNbd
from clv_core.models.pareto_nbd import ParetoNbd
from clv_core.models.steady_rate import SteadyRate

GEOMETRIC = {"r": 0.6, "alpha": 5.0, "a": 0.8, "b": 2.2}
LIVES = {"r": 0.6, "alpha": 9.0, "s": 0.7, "beta": 12.0}
HISTORIES = [(0.0, 0.0), (0.0, 39.0), (2.0, 30.0), (9.0, 60.0), (40.0, 52.0)]


def _geometric(x: float, T: float, weeks: float, entry: int) -> tuple[float, float]:
    """N is the lesser of a Poisson (mixed over the rate) and a geometric number: E[N (N - 1)] = sum of 2 (n - 1) P(N >= n)."""
    r, alpha, a, b = GEOMETRIC.values()
    h = weeks / (alpha + T)
    n = np.arange(2.0, 400.0)
    wanted = nbinom.sf(n - 1, r + x, 1 / (1 + h))
    chances = beta.ppf((np.arange(1000) + 0.5) / 1000, a, b + entry + x)
    stays = np.exp(np.log1p(-chances)[:, None] * (n - 1)).mean(axis=0)
    none = quad(lambda y: gamma.pdf(y, r + x) * np.exp(-y * h), 0, np.inf, limit=200)[0]
    return float(none), float(np.sum(2 * (n - 1) * wanted * stays))


@pytest.mark.parametrize("weeks", [4.0, 52.0])
@pytest.mark.parametrize(("kind", "entry"), [(BgNbd, 0), (MbgNbd, 1)])
def test_beta_geometric_orders(kind: type[BgNbd] | type[MbgNbd], entry: int, weeks: float) -> None:
    x, T = (np.array(column) for column in zip(*HISTORIES, strict=True))
    none, pairs = kind.of(GEOMETRIC).order_chances(weeks, x, T)
    for n, history in enumerate(HISTORIES):
        known = _geometric(*history, weeks, entry)
        assert none[n] == pytest.approx(known[0], abs=1e-7)
        assert pairs[n] == pytest.approx(known[1], rel=2e-3)


@pytest.mark.parametrize("weeks", [4.0, 52.0])
def test_pareto_orders(weeks: float) -> None:
    r, alpha, s, scale = LIVES.values()
    x, T = (np.array(column) for column in zip(*HISTORIES, strict=True))
    none, pairs = ParetoNbd.of(LIVES).order_chances(weeks, x, T)
    for n, (count, age) in enumerate(HISTORIES):
        A, B = r + count, scale + age

        def stays(u: float, B: float = B) -> float:
            return float((B / (B + u)) ** s)

        def first(u: float, A: float = A, age: float = age) -> float:
            """Density of the time to the next order, nobody leaving."""
            return float(A / (alpha + age) * (1 + u / (alpha + age)) ** -(A + 1))

        bought = quad(lambda u, f=first, g=stays: f(u) * g(u), 0, weeks)[0]
        square = quad(lambda u, g=stays: 2 * u * g(u), 0, weeks)[0]
        assert none[n] == pytest.approx(1 - bought, abs=1e-4)
        assert pairs[n] == pytest.approx(A * (A + 1) / (alpha + age) ** 2 * square, rel=1e-6)


@pytest.mark.parametrize(
    "model",
    [BgNbd.of(GEOMETRIC | {"a": 0.0}), MbgNbd.of(GEOMETRIC | {"a": 0.0}), ParetoNbd.of(LIVES | {"s": 0.0}),
     SteadyRate.of({"r": 0.6, "alpha": 5.0})],
    ids=lambda model: model.name,
)  # fmt: skip
def test_without_drop_out_orders_are_negative_binomial(model: OrderModel) -> None:
    x, T = np.array([0.0, 3.0]), np.array([10.0, 40.0])
    none, pairs = model.order_chances(26.0, x, T)
    h = 26.0 / (model.parameters["alpha"].value + T)
    known = nbinom(0.6 + x, 1 / (1 + h))
    np.testing.assert_allclose(none, known.pmf(0))
    np.testing.assert_allclose(pairs, known.var() + known.mean() ** 2 - known.mean())


@pytest.mark.parametrize(
    "model",
    [
        BgNbd.of({"r": 1e-4, "alpha": 1e-4, "a": 1e-6, "b": 1e-4}), BgNbd.of({"r": 900.0, "alpha": 1e5, "a": 9e3, "b": 9e5}),
        MbgNbd.of({"r": 0.5, "alpha": 6.0, "a": 40.0, "b": 0.01}),
        ParetoNbd.of({"r": 1e-4, "alpha": 1e-4, "s": 90.0, "beta": 1e6}),
        ParetoNbd.of({"r": 100.0, "alpha": 1e5, "s": 2.0, "beta": 1e-4}),
        ParetoNbd.of({"r": 0.5, "alpha": 6.0, "s": 1.0, "beta": 6.0}),
    ],
)  # fmt: skip
def test_nothing_breaks_at_the_limits(model: OrderModel) -> None:
    x, T = np.array([0.0, 0.0, 1.0, 3000.0]), np.array([0.0, 900.0, 1 / 7, 520.0])
    mean = model.expected_orders(520.0, x, T, T)
    none, pairs = model.order_chances(520.0, x, T)
    assert np.isfinite(pairs).all()
    assert ((none >= 0) & (none <= 1)).all()
    alive = model.p_alive(x, T, T)
    assert (pairs + mean / np.maximum(alive, 1e-12) >= (mean / np.maximum(alive, 1e-12)) ** 2 * (1 - 1e-6)).all()


def test_order_chances_of_nobody() -> None:
    empty = np.zeros(0)
    for model in (BgNbd.of(GEOMETRIC), ParetoNbd.of(LIVES)):
        none, pairs = model.order_chances(10.0, empty, empty)
        assert none.shape == pairs.shape == (0,)
