"""Gauss's continued fraction for the tail of `pareto_tail`: exact everywhere, slow where alpha and beta are far apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clv_core.models.base import Floats

MOST_LEVELS = 1200


def fraction(theta: Floats, x: Floats, t: Floats, *, slopes: bool) -> Floats:
    """G at (x, t), shape (1, ...), or with `slopes` G and its four slopes; slow places are worked out apart."""
    needed = levels(theta, t)
    most = int(needed.max())
    slow = needed > max(64, most // 8)
    if most <= 64 or slow.all():
        return descend(theta, x, t, most, slopes=slopes)
    shape = np.broadcast_shapes(x.shape, t.shape)
    result = np.empty((5 if slopes else 1, *shape))
    for part in (slow, ~slow):
        chosen = np.flatnonzero(part.ravel())  # t varies along the last axis
        some = x if x.shape[-1:] == (1,) and t.size > 1 else x[..., chosen]
        result[..., chosen] = fraction(theta, some, t[..., chosen], slopes=slopes)
    return result


def descend(theta: Floats | tuple[float, ...], x: Floats | float, t: Floats | float, level: int, *, slopes: bool) -> Floats:
    """The continued fraction from its last level to its first, for arrays or (much sooner than one of size 1) a float."""
    r, alpha, s, beta = theta
    straight = alpha >= beta
    a, b = alpha + t, beta + t
    z = (alpha - beta) / a if straight else (beta - alpha) / b
    root = ((b / a) if straight else (a / b)) ** 0.5  # of 1 - z, without cancellation
    total, first, second = r + s + x, (r + x if straight else s + 1.0 + 0.0 * x), (s + 0.0 * x if straight else r + x - 1.0)
    limit = 0.5 * (1.0 + root)
    value = (total + level) * limit
    along_first, along_second, along_z = limit, limit, -(total + level) / (4.0 * root)
    for n in range(level - 1, -1, -1):
        k = (n + 1) // 2
        odd = n % 2 == 0  # level n holds u_(n+1)
        u = (first + k) * (total + k) if odd else k * (second + k)
        share = z / value
        if slopes:
            onward = u * share / value
            du_first = total + first + 2.0 * k if odd else 0.0
            du_second = first + k if odd else float(k)
            along_first = 1.0 - du_first * share + onward * along_first
            along_second = 1.0 - du_second * share + onward * along_second
            along_z = -u / value + onward * along_z
        value = total + n - u * share
    scale = 1.0 if straight else a / b
    result = s / value * scale
    if not slopes:
        return np.stack([result])
    along_r, along_s = (along_first, along_second) if straight else (along_second, along_first)
    loss = -result / value
    z_alpha, z_beta = (b / a**2, -1.0 / a) if straight else (-1.0 / b, a / b**2)
    g_alpha, g_beta = loss * along_z * z_alpha, loss * along_z * z_beta
    if not straight:
        g_alpha, g_beta = g_alpha + result / a, g_beta - result / b
    return np.stack([result, loss * along_r, g_alpha, loss * along_s + result / s, g_beta])


def levels(theta: Floats, t: Floats, most: int = MOST_LEVELS) -> Floats:
    """How many levels (at most `most`) leave less than rounding.

    Each shrinks the error by (1 - root) / (1 + root), root = sqrt(1 - z).
    """
    near, far = sorted((theta[1], theta[3]))
    root = np.sqrt((near + t) / (far + t))
    shrink = np.clip((1.0 - root) / (1.0 + root), 1e-6, 1.0 - 1e-9)
    return np.asarray(np.minimum(np.ceil(38.0 / -np.log(shrink)) + 6.0, most))
