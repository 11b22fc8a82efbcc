"""The share of a Pareto/NBD customer's future in which drop-out lies, and its slopes: all that needs a hypergeometric function.

    G(x, t) = s * integral over u > t of ((alpha+t)/(alpha+u))^(r+x) ((beta+t)/(beta+u))^s / (beta+u) du,   0 < G < 1

It is s / (r+s+x) times 2F1(1, b; r+s+x+1; z), with b = r+x, z = (alpha-beta)/(alpha+t) when alpha >= beta, else with b = s+1,
z = (beta-alpha)/(beta+t) and a factor (alpha+t)/(beta+t) (Euler's and Pfaff's transformations of Fader and Hardie 2005,
"A note on deriving the Pareto/NBD model", equations 16 to 20). Gauss's continued fraction (DLMF 15.7.1 with b = 0) has
only positive terms for 0 <= z < 1, so nothing overflows or cancels, and its slopes follow by differentiating each level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.chunks import each_chunk
from clv_core.models.histories import distinct

if TYPE_CHECKING:
    from clv_core.models.base import Floats
    from clv_core.models.histories import Indices

MOST_LEVELS = 1200


@dataclass(frozen=True, slots=True)
class Places:
    """The distinct (x, t) at which G is wanted, by ascending x: x is `counts[of_count]`, t is `times[of_time]`."""

    counts: Floats
    of_count: Indices
    times: Floats
    of_time: Indices

    @classmethod
    def of(cls, x: Floats, *times: Floats) -> tuple[Places, list[Indices]]:
        """The places of (x, t) for each array of times, and where each row finds its own."""
        every_x, every_t = np.tile(x, len(times)), np.concatenate(times)
        first, place = distinct(every_x, every_t)
        counts, of_count = np.unique(every_x[first], return_inverse=True)
        moments, of_time = np.unique(every_t[first], return_inverse=True)
        return cls(counts, of_count, moments, of_time), np.split(place, len(times))


def tail(theta: Floats, places: Places, *, slopes: bool) -> Floats:
    """G at the places, shape (1, n), or with `slopes` G and its slopes along r, alpha, s and beta, shape (5, n).

    `theta` holds r, alpha, s, beta. A grid of days is interpolated in log(min(alpha, beta) + t), where G is analytic in a strip
    of half-width pi, from Chebyshev points, as many as full precision asks for.
    """
    nearest = min(theta[1], theta[3])
    low, high = np.log(nearest + places.times[[0, -1]])
    half = 0.5 * (high - low)
    points = int(np.ceil(36.0 / np.arcsinh(np.pi / max(half, 1e-9)))) + 4
    grid = places.counts.size * places.times.size
    if grid > max(1 << 16, 4 * places.of_time.size) or places.counts.size * points > places.of_time.size:
        return _each(theta, places, slopes=slopes)
    angles = np.pi * (np.arange(points) + 0.5) / points
    nodes = np.exp(low + half * (1.0 + np.cos(angles))) - nearest
    known = _fraction(theta, places.counts[:, None], nodes[None, :], slopes=slopes)  # (k, counts, points)
    to_series = 2.0 / points * np.cos(np.outer(angles, np.arange(points)))
    to_series[:, 0] *= 0.5
    at = np.arccos(np.clip((np.log(nearest + places.times) - low) / half - 1.0, -1.0, 1.0))
    weights = to_series @ np.cos(np.outer(np.arange(points), at))
    known = np.einsum("kxj,jt->kxt", known, weights, optimize=False)
    return np.asarray(known.reshape(known.shape[0], -1)[:, places.of_count * places.times.size + places.of_time])


def _each(theta: Floats, places: Places, *, slopes: bool) -> Floats:
    """The same without interpolation."""
    result = np.empty((5 if slopes else 1, places.of_time.size))

    def work(piece: slice) -> None:
        x, t = places.counts[places.of_count[piece]], places.times[places.of_time[piece]]
        result[:, piece] = _fraction(theta, x, t, slopes=slopes)

    each_chunk(places.of_time.size, work)
    return result


def _fraction(theta: Floats, x: Floats, t: Floats, *, slopes: bool) -> Floats:
    """G, and if asked for its four slopes; places that need more levels than most are worked out apart."""
    near, far = sorted((theta[1], theta[3]))
    levels = _levels(np.sqrt((near + t) / (far + t)))
    most = int(levels.max())
    slow = levels > max(64, most // 8)
    if most <= 64 or slow.all():
        return _descend(theta, x, t, most, slopes=slopes)
    shape = np.broadcast_shapes(x.shape, t.shape)
    result = np.empty((5 if slopes else 1, *shape))
    for part in (slow, ~slow):
        chosen = np.flatnonzero(part.ravel())  # t varies along the last axis
        some = x if x.shape[-1:] == (1,) and t.size > 1 else x[..., chosen]
        result[..., chosen] = _fraction(theta, some, t[..., chosen], slopes=slopes)
    return result


def _descend(theta: Floats, x: Floats, t: Floats, level: int, *, slopes: bool) -> Floats:
    """The continued fraction from its last level to its first."""
    r, alpha, s, beta = theta
    straight = alpha >= beta
    a, b = alpha + t, beta + t
    z = (alpha - beta) / a if straight else (beta - alpha) / b
    root = np.sqrt((b / a) if straight else (a / b))  # of 1 - z, without cancellation
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
        return np.asarray(result[None])
    along_r, along_s = (along_first, along_second) if straight else (along_second, along_first)
    loss = -result / value
    z_alpha, z_beta = (b / a**2, -1.0 / a) if straight else (-1.0 / b, a / b**2)
    g_alpha, g_beta = loss * along_z * z_alpha, loss * along_z * z_beta
    if not straight:
        g_alpha, g_beta = g_alpha + result / a, g_beta - result / b
    return np.asarray(np.stack([result, loss * along_r, g_alpha, loss * along_s + result / s, g_beta]))


def _levels(root: Floats) -> Floats:
    """How many levels leave less than rounding: each shrinks the error by (1 - root) / (1 + root), root = sqrt(1 - z)."""
    shrink = np.clip((1.0 - root) / (1.0 + root), 1e-6, 1.0 - 1e-9)
    return np.minimum(np.ceil(38.0 / -np.log(shrink)) + 6.0, MOST_LEVELS)
