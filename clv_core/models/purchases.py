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
ROWS = 128  # so many rows with all their nodes stay in the cache
LEAST = 1e-280  # chance of leaving: a smaller one changes nothing
DISCOUNT_NODES = 24


def expected_purchases(A: Floats, h: Floats, a: float, c: Floats) -> Floats:
    """Expected purchases within `h`; A and c have shape (n,), h that or (several horizons, n), which together cost less.

    a = 0 means that nobody leaves.
    """
    if a == 0.0:
        return A * h
    result = np.empty(h.shape)
    steep = a + c - A <= -3.0  # the series' terms alternate and cancel
    result[..., steep] = _integral(A[steep], h[..., steep], a, c[steep])
    if not steep.all():
        for out, each in zip(np.atleast_2d(result), np.atleast_2d(h), strict=True):
            short = ~steep & (each < SERIES_BELOW / (1.0 - SERIES_BELOW))
            if a > 4.0:
                short &= each * (a + A) < 1.0  # terms grow before they fall: keep to where they don't
            rest = ~steep & ~short
            out[short] = _series(A[short], each[short], a, c[short])
            out[rest] = _integral(A[rest], each[rest], a, c[rest])
    return result


def discounted_purchases(A: Floats, h: Floats, a: float, c: Floats, decay: Floats) -> Floats:
    """The same for one horizon, each purchase at time u weighted by exp(-decay u); `decay` is per unit of h.

    By parts: exp(-decay h) E(h) + decay * integral of exp(-decay u) E(u), by Gauss-Legendre over log(1 + u).
    """
    if a == 0.0:
        return A * np.where(decay * h > 0, -np.expm1(-decay * h) / np.where(decay > 0, decay, 1.0), h)
    nodes, weights = roots_legendre(DISCOUNT_NODES)
    width = 0.5 * np.log1p(h)
    logs = width * (1.0 + nodes[:, None])
    u = np.expm1(logs)
    bought = expected_purchases(A, np.vstack([u, h]), a, c)
    steps = weights[:, None] * width * decay * np.exp(logs - decay * u)
    return np.asarray(np.exp(-decay * h) * bought[-1] + np.einsum("un,un->n", steps, bought[:-1]))


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
    for start in range(0, A.size, ROWS):
        piece = slice(start, start + ROWS)
        shape = c[piece, None]
        y = np.log(a / shape) + np.sqrt(1.0 / a + 1.0 / shape) * np.sinh(tau)
        stay = -np.logaddexp(0.0, y)  # log(1 - p)
        leave = y + stay  # log p
        density = a * leave + shape * stay + np.log(np.cosh(tau))
        density = np.exp(density - density.max(axis=1, keepdims=True))
        p = np.maximum(np.exp(leave), LEAST)
        share = density / p / density.sum(axis=1, keepdims=True)
        for out, each in zip(np.atleast_2d(result), np.atleast_2d(h), strict=True):
            bought = np.log1p(p * each[piece, None])
            bought *= -A[piece, None]
            np.expm1(bought, out=bought)
            out[piece] = -np.einsum("ij,ij->i", share, bought)
    return result
