"""Expected purchases of a beta-geometric customer who is still there: rates gamma(A, a'), drop-out chance beta(a, c).

Given alive at T, A = r + x, the rate's scale is alpha + T and c = b + k (k = x for BG/NBD, x + 1 for MBG/NBD); in units of
that scale the horizon is h = t / (alpha + T), and

    E = integral of beta(p; a, c) (1 - (1 + p h)^-A) / p  over p in (0, 1)

(Fader, Hardie, Lee 2005, equation 10, without its division by P(alive)). Their hypergeometric form overflows for large x and
divides by a - 1; here Euler's transformation takes the growth out and that division is done term by term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import roots_legendre

if TYPE_CHECKING:
    from clv_core.models.base import Floats

SERIES_BELOW = 0.9  # of h / (1 + h): above it the series is long, so the integral is summed instead
NODES = 256  # of that sum
DISCOUNT_NODES = 24


def expected_purchases(A: Floats, h: Floats, a: float, c: Floats) -> Floats:
    """Expected purchases within `h`, elementwise; A, h and c have one shape. a = 0 means that nobody leaves."""
    if a == 0.0:
        return A * h
    result = np.empty(h.shape)
    short = (h < SERIES_BELOW / (1.0 - SERIES_BELOW)) & (a + c - A > -3.0)  # else its terms alternate and cancel
    if a > 4.0:
        short &= h * (a + A) < 1.0  # terms grow before they fall: keep to where they don't
    result[short] = _series(A[short], h[short], a, c[short])
    result[~short] = _integral(A[~short], h[~short], a, c[~short])
    return result


def discounted_purchases(A: Floats, h: Floats, a: float, c: Floats, decay: Floats) -> Floats:
    """The same, each purchase at time u weighted by exp(-decay u); `decay` is per unit of h.

    By parts: exp(-decay h) E(h) + decay * integral of exp(-decay u) E(u), by Gauss-Legendre over log(1 + u).
    """
    if a == 0.0:
        return A * np.where(decay * h > 0, -np.expm1(-decay * h) / np.where(decay > 0, decay, 1.0), h)
    total = np.exp(-decay * h) * expected_purchases(A, h, a, c)
    nodes, weights = roots_legendre(DISCOUNT_NODES)
    width = 0.5 * np.log1p(h)
    for node, weight in zip(nodes, weights, strict=True):
        logs = width * (1.0 + node)
        u = np.expm1(logs)
        total += weight * width * decay * np.exp(logs - decay * u) * expected_purchases(A, u, a, c)
    return total


def _series(A: Floats, h: Floats, a: float, c: Floats) -> Floats:
    """The hypergeometric series after Euler's transformation, with a - 1 divided out."""
    z = h / (1.0 + h)
    logs = -np.log1p(h)  # log(1 - z)
    lead = a + c - 1.0
    power = -logs if a == 1.0 else -np.expm1((a - 1.0) * logs) / (a - 1.0)
    first = lead - A
    term = first * z
    total = term.copy()
    n = 1.0
    while term.size and n < 5000:
        term = term * ((first + n) * (a + n - 1.0) / ((lead + n) * (n + 1.0)) * z)
        total += term
        n += 1.0
        if n % 8 == 0 and np.all(np.abs(term) <= 1e-17 * (np.abs(total) + np.abs(lead * power))):
            break
    return lead * power - np.exp((a - 1.0) * logs) * total


def _integral(A: Floats, h: Floats, a: float, c: Floats) -> Floats:
    """The integral over p = logistic(y), summed at points spread as sinh about the density's mode, as wide as it is."""
    reach = np.arcsinh(60.0 / min(1.0, a, float(c.min(initial=1.0))) + 60.0)
    tau = np.linspace(-reach, reach, NODES)
    result = np.empty(h.shape)
    rows = max(1, (1 << 18) // NODES)
    for start in range(0, h.size, rows):
        piece = slice(start, start + rows)
        shape = c[piece, None]
        width = np.sqrt(1.0 / a + 1.0 / shape)
        y = np.log(a / shape) + width * np.sinh(tau)
        stay = -np.logaddexp(0.0, y)  # log(1 - p)
        leave = y + stay  # log p
        density = a * leave + shape * stay + np.log(np.cosh(tau))
        density = np.exp(density - density.max(axis=1, keepdims=True))
        p = np.exp(leave)
        bought = -np.expm1(-A[piece, None] * np.log1p(p * h[piece, None]))
        tiny = p * h[piece, None] < 1e-12
        each = np.where(tiny, A[piece, None] * h[piece, None], bought / np.maximum(p, 1e-300))
        result[piece] = (density * each).sum(axis=1) / density.sum(axis=1)
    return result
