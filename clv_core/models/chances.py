"""How far a customer's orders spread around their expectation: the chance of none, and the mean square, given alive at T.

With rates gamma(A, scale) given the history and time in units of that scale (h = t / scale), the orders N of the horizon have

    no drop-out       P(N = 0) = (1 + h)^-A,            E[N (N - 1)] = A (A + 1) h^2
    beta-geometric    P(N = 0) = (1 + h)^-A,            E[N (N - 1)] = 2 A c / (a + c) * (h e(h) - integral of e over (0, h))
    Pareto            P(N = 0) = 1 - integral of S dF,  E[N (N - 1)] = A (A + 1) / scale^2 * integral of 2 u S(u) du

where e is the expected number of orders of a customer with one order more (A + 1, c + 1), S(u) = (B / (B + u))^s the chance of
still being a customer at u, B = beta + T, and F the distribution of the time to the next order. The first two follow from
E[N (N - 1) | rate, p] = 2 rate^2 (1 - p) * integral of u exp(-rate p u) du, a purchase at u ending the life with chance p.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import roots_legendre

from clv_core.models.purchases import expected_purchases

if TYPE_CHECKING:
    from clv_core.models.base import Floats

NODES = 6
WAITING_NODES = 16


def without_drop_out(A: Floats, h: Floats) -> tuple[Floats, Floats]:
    """(P(N = 0), E[N (N - 1)]) of a negative binomial."""
    return np.exp(-A * np.log1p(h)), A * (A + 1.0) * h**2


def beta_geometric(A: Floats, h: Floats, a: float, c: Floats) -> tuple[Floats, Floats]:
    """(P(N = 0), E[N (N - 1)]) of a BG/NBD or MBG/NBD customer who is there; chances of leaving are beta(a, c)."""
    none, pairs = without_drop_out(A, h)
    if a == 0.0:
        return none, pairs
    nodes, weights = roots_legendre(NODES)
    width = 0.5 * np.log1p(h)
    logs = width * (1.0 + nodes[:, None])
    bought = expected_purchases(A + 1.0, np.vstack([np.expm1(logs), h]), a, c + 1.0)
    mean = h * bought[-1] - np.einsum("un,un->n", weights[:, None] * width * np.exp(logs), bought[:-1])
    return none, np.maximum(2.0 * A * c / (a + c) * mean, 0.0)


def pareto(A: Floats, scale: Floats, t: Floats | float, s: float, B: Floats) -> tuple[Floats, Floats]:
    """(P(N = 0), E[N (N - 1)]) of a Pareto/NBD customer who is there."""
    none, pairs = without_drop_out(A, t / scale)
    if s == 0.0:
        return none, pairs
    logs = np.log1p(t / B)
    pairs = A * (A + 1.0) / scale**2 * 2.0 * B**2 * (_grown(2.0 - s, logs) - _grown(1.0 - s, logs))
    some = np.zeros(np.shape(logs))
    nodes, weights = roots_legendre(WAITING_NODES)
    for node, weight in zip(nodes, weights, strict=True):
        passed = 0.5 * (1.0 + node) * (1.0 - none)  # as much of the waiting time's distribution, had nobody left
        u = scale * np.expm1(-np.log1p(-passed) / A)
        some += 0.5 * weight * (1.0 - none) * np.exp(-s * np.log1p(u / B))
    return 1.0 - some, np.maximum(pairs, 0.0)


def _grown(power: float, logs: Floats) -> Floats:
    """The integral of exp(power v) over v up to `logs`."""
    return logs if power == 0.0 else np.expm1(power * logs) / power
