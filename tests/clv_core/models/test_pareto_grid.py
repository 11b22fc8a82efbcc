"""The tail on a grid of days: Chebyshev points, the chain from count to count, and the equation along time."""

from __future__ import annotations

import numpy as np
import pytest

from clv_core.models.chebyshev import Nodes, product
from clv_core.models.pareto_fraction import fraction
from clv_core.models.pareto_grid import at_nodes
from clv_core.models.pareto_tail import Places, Tail

APART = [
    (0.55, 0.6, 1.2, 230.0),  # long stays of frequent buyers: up from the first count, down from the last
    (0.3, 200.0, 2.0, 0.05),  # short stays of rare buyers
    (300.0, 1400.0, 0.4, 45.0),  # very regular ones
    (0.5, 10.0, 50.0, 20.0),  # nobody's stay differs
    (2.0, 10.0, 30.0, 60.0),  # the chain turns in mid-run
    (1.0, 5.0, 0.8, 5.0),  # alpha = beta
]


@pytest.mark.parametrize("offset", [0.01, 8.0])
def test_values_and_slopes_between_the_nodes(offset: float) -> None:
    days = np.arange(0, 1500) / 7.0
    nodes = Nodes.of(offset, days)
    known = (1.0 + nodes.times / offset) ** -1.7
    np.testing.assert_allclose(known @ nodes.to_wanted, (1.0 + days / offset) ** -1.7, rtol=0, atol=1e-13)
    np.testing.assert_allclose(nodes.to_slope @ known, -1.7 * known, rtol=0, atol=1e-10)  # d/dlog(offset + t)


def test_a_single_time_is_enough() -> None:
    nodes = Nodes.of(3.0, np.array([12.0]))
    np.testing.assert_allclose(np.ones(nodes.times.size) @ nodes.to_wanted, 1.0, rtol=1e-12)


def test_products_in_blocks_are_products() -> None:
    left, right = (np.random.default_rng(1).normal(size=shape) for shape in ((70, 45), (45, 1300)))
    np.testing.assert_allclose(product(left, right), left @ right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("theta", APART)
def test_the_chain_from_count_to_count_is_the_continued_fraction(theta: tuple[float, ...]) -> None:
    natural = np.array(theta)
    counts = np.concatenate([np.arange(0.0, 60.0), [66.0, 71.0, 150.0, 4000.0]])
    nodes = Nodes.of(min(theta[1], theta[3]), np.arange(0, 730) / 7.0)
    found = at_nodes(natural, counts, nodes, slopes=True)
    alone = fraction(natural, np.repeat(counts, nodes.times.size), np.tile(nodes.times, counts.size), slopes=True)
    alone = alone.reshape(5, counts.size, nodes.times.size)
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-11)
    for ours, theirs in zip(found[1:], alone[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * np.abs(theirs).max())
    np.testing.assert_allclose(at_nodes(natural, counts, nodes, slopes=False)[0], alone[0], rtol=1e-11)


@pytest.mark.parametrize("rows", [3_000, 40_000], ids=["sparse", "dense"])
def test_few_or_many_places_of_a_grid_get_the_same(rows: int) -> None:
    theta, rng = np.array([0.55, 0.6, 1.2, 230.0]), np.random.default_rng(2)
    places, _ = Places.of(np.minimum(rng.geometric(0.02, rows), 400) - 1.0, rng.integers(0, 700, rows) / 7.0)
    assert places.dense == (rows == 40_000)
    tail = Tail.of(theta, places)
    assert tail.interpolated
    alone = fraction(theta, places.counts[places.of_count], places.times[places.of_time], slopes=True)
    along = rng.normal(size=tail.values.size)
    np.testing.assert_allclose(tail.values, alone[0], rtol=1e-12)
    np.testing.assert_allclose(tail.slopes(along), alone[1:] @ along, rtol=1e-9)
