"""The climb: inside its bounds, and at an end also where a likelihood is a ridge without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clv_core.models.base import Floats
from clv_core.models.histories import merge
from clv_core.models.optimum import Optimum, Secant, Surface, climb, differences, maximise
from clv_core.models.pareto_likelihood import ParetoLikelihood
from clv_core.models.pareto_nbd import ParetoNbd
from tests.clv_core.histories import cdnow

Drawn = Callable[[np.random.Generator], Floats]  # a number per customer


def counted(surface: Surface) -> tuple[Surface, list[int]]:
    calls: list[int] = []

    def seen(theta: Floats) -> tuple[float, Floats, Floats]:
        calls.append(1)
        return surface(theta)

    return seen, calls


def test_a_bound_holds_one_parameter_and_the_others_go_where_is_best_given_that() -> None:
    curve = np.array([[1.0, -0.999, 0.0], [-0.999, 1.0, 0.0], [0.0, 0.0, 2.0]])
    top = np.array(
        [10.0, 10.0, 1.0]
    )  # outside: the best inside has the first at its bound, the second 0.999 of that further in

    def hill(theta: Floats) -> tuple[float, Floats, Floats]:
        off = theta - top
        return -0.5 * float(off @ curve @ off), -curve @ off, -curve

    surface, calls = counted(hill)
    found = climb(surface, np.array([1.9999, -3.0, 0.0]), np.full(3, -20.0), np.array([2.0, 20.0, 20.0]))
    assert found.converged
    assert found.theta == pytest.approx([2.0, 10.0 - 0.999 * 8.0, 1.0], abs=1e-6)
    assert len(calls) <= 6


@pytest.mark.parametrize("slope", [1e-9, 1e-5, 5e-5])
def test_a_ridge_that_rises_without_end_is_left(slope: float) -> None:
    def ridge(theta: Floats) -> tuple[float, Floats, Floats]:
        along, across = theta
        value = slope * along - 0.5 * across**2
        return value, np.array([slope, -across]), np.array([[-50 * slope, 0.0], [0.0, -1.0]])  # steps of 0.02

    surface, calls = counted(ridge)
    found = climb(surface, np.array([0.0, 3.0]), np.full(2, -1e6), np.full(2, 1e6))
    assert found.converged
    assert abs(found.theta[1]) < 1e-3
    assert len(calls) <= 40


def valley(theta: Floats) -> tuple[float, Floats]:
    """A bent hill with its top at (1, 1), and its slope."""
    x, y = theta
    bend = y - x**2
    return -(10.0 * bend**2) - (1.0 - x) ** 2, np.array([40.0 * bend * x + 2.0 * (1.0 - x), -20.0 * bend])


def test_a_hessian_from_the_last_one_leads_to_the_same_top_with_fewer_slopes() -> None:
    real, looks = ParetoLikelihood(merge(*cdnow("sample").times)), [0]

    def slope(theta: Floats) -> tuple[float, Floats]:
        looks[0] += 1
        return real.slope(theta)

    def exact(theta: Floats) -> tuple[float, Floats, Floats]:
        value, gradient = slope(theta)
        return value, gradient, differences(slope, theta, gradient)

    spent, tops = [], []
    for surface in (exact, Secant(slope)):
        looks[0] = 0
        tops.append(climb(surface, np.log([0.6, 12.0, 0.5, 9.0]), np.full(4, -9.0), np.full(4, 9.0)))
        spent.append(looks[0])
    assert spent[1] < 0.8 * spent[0]
    assert tops[1].value == pytest.approx(tops[0].value, abs=1e-6)
    np.testing.assert_allclose(tops[1].theta, tops[0].theta, atol=1e-3)


def test_a_hessian_that_went_astray_is_made_anew() -> None:
    surface = Secant(valley)
    for at in ([0.0, 0.0], [3.0, -2.0], [1.0, 1.001]):
        theta = np.array(at)
        hessian = surface(theta)[2]
        np.testing.assert_allclose(hessian, differences(valley, theta, valley(theta)[1]), rtol=0.4, atol=1e-3)


def test_a_corrected_hessian_tells_how_the_gradient_turned() -> None:
    surface, before, after = Secant(valley), np.array([0.0, 0.5]), np.array([0.05, 0.52])
    surface(before)
    turned = surface(after)[2] @ (after - before)
    np.testing.assert_allclose(turned, valley(after)[1] - valley(before)[1], rtol=1e-9)


def two_hills(theta: Floats) -> tuple[float, Floats, Floats]:
    """A hill at -3, one twice as high at 3, in the first coordinate; the second has its top at 0."""
    x, y = theta
    left, right = 5.0 * np.exp(-((x + 3.0) ** 2)), 10.0 * np.exp(-((x - 3.0) ** 2))
    slope = -2.0 * ((x + 3.0) * left + (x - 3.0) * right)
    curve = (4.0 * (x + 3.0) ** 2 - 2.0) * left + (4.0 * (x - 3.0) ** 2 - 2.0) * right
    return float(left + right - y**2), np.array([slope, -2.0 * y]), np.diag([curve, -2.0])


@pytest.mark.parametrize(("until_sharp", "top"), [(False, 3.0), (True, -3.0)])
def test_all_starts_are_climbed_unless_a_sharp_maximum_is_to_end_the_search(until_sharp: bool, top: float) -> None:
    starts = [np.array([-2.6, 0.5]), np.array([2.6, 0.5])]
    found = maximise(two_hills, starts, np.full(2, -9.0), np.full(2, 9.0), until_sharp=until_sharp)
    assert found.theta[0] == pytest.approx(top, abs=1e-3)


def test_a_maximum_at_a_bound_or_on_a_plain_is_not_sharp() -> None:
    free, sharp = np.zeros(2, np.bool_), -np.eye(2)
    assert Optimum(np.zeros(2), 0.0, sharp, free, True).sharp
    assert not Optimum(np.zeros(2), 0.0, sharp, np.array([True, False]), True).sharp
    assert not Optimum(np.zeros(2), 0.0, np.diag([-1.0, -0.01]), free, True).sharp
    assert not Optimum(np.zeros(2), 0.0, sharp, free, False).sharp


def orders(customers: int, pace: Drawn, stays: Drawn, seed: int = 4) -> tuple[Floats, Floats, Floats]:
    """x, t_x, T in whole days of Poisson buyers who leave after `stays` weeks."""
    random = np.random.default_rng(seed)
    T = np.floor((104 - random.random(customers) * 52) * 7) / 7
    paces, ends = pace(random), stays(random)
    x, t_x, at = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    there = np.ones(customers, dtype=bool)
    while there.any():
        at += random.exponential(1 / paces, customers)
        there &= at < np.minimum(T, ends)
        x[there] += 1
        t_x[there] = np.floor(at[there] * 7) / 7
    return x, t_x, T


@pytest.mark.parametrize(
    ("pace", "stays"),
    [
        (lambda g: np.full(3000, 0.2), lambda g: g.exponential(40, 3000)),  # all alike: r and s run to their bounds
        (lambda g: np.full(3000, 0.1), lambda g: np.full(3000, 1e9)),  # and nobody leaves
        (lambda g: g.gamma(0.1, 1 / 20, 3000), lambda g: np.full(3000, 1e9)),
        (lambda g: g.gamma(1, 1 / 10, 3000), lambda g: g.exponential(40, 3000)),
    ],
    ids=["alike", "alike_staying", "rare_staying", "alike_leaving"],
)
def test_flat_pareto_likelihoods_end_in_bounded_work(monkeypatch: pytest.MonkeyPatch, pace: Drawn, stays: Drawn) -> None:
    looks: list[int] = []
    real = ParetoLikelihood.slope

    def slope(self: ParetoLikelihood, theta: Floats) -> tuple[float, Floats]:
        looks.append(self.rows.x.size)
        return real(self, theta)

    monkeypatch.setattr(ParetoLikelihood, "slope", slope)
    x, t_x, T = orders(3000, pace, stays)
    model = ParetoNbd.fit(x, t_x, T)
    assert sum(one == max(looks) for one in looks) <= 100
    alive, expected = model.p_alive(x, t_x, T), model.expected_orders(52.0, x, t_x, T)
    assert np.isfinite(alive).all()
    assert np.isfinite(expected).all()
