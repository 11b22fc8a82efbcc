"""The tail of `pareto_tail` for all counts and times of a grid of days, for a few sums per count and Chebyshev point.

With a = alpha + t, b = beta + t, p = r + x and w = (b - a) / a, integration by parts links a count to the next one,

    (p + s) G_p + p w G_(p+1) = s,

and the slopes along a and b follow from two neighbours: a dG/da = p (G_p - G_(p+1)) = -b dG/db. Going down is stable while
p w < p + s, going up where it is larger, so each time starts at the count in between, by the continued fraction; where that
is slow (a and b far apart), by the differential equation dG/dt = (p/a + s/b) G - s/b, from the latest time on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.pareto_fraction import descend, fraction, levels

if TYPE_CHECKING:
    from clv_core.models.base import Floats
    from clv_core.models.chebyshev import Nodes

GAP = 16  # counts further apart than this start anew
SLOW = 48  # levels of the continued fraction
SLOW_AT_AN_END = 24  # of a run, where many times begin and one equation serves them all
MOST_LEVELS = 6000  # for one number


@dataclass(frozen=True, slots=True)
class Place:
    """The parameters at the nodes."""

    theta: Floats
    r: float
    s: float
    a: Floats
    b: Floats
    w: Floats
    nodes: Nodes

    @classmethod
    def of(cls, theta: Floats, nodes: Nodes) -> Place:
        """The parameters at the nodes."""
        r, alpha, s, beta = (float(one) for one in theta)
        a, b = alpha + nodes.times, beta + nodes.times
        return cls(theta, r, s, a, b, (beta - alpha) / a, nodes)


def at_nodes(theta: Floats, counts: Floats, nodes: Nodes, *, slopes: bool) -> Floats:
    """G at the counts (ascending) and nodes, shape (1, counts, k), or with `slopes` G and its four slopes, shape (5, ...)."""
    place = Place.of(theta, nodes)
    out = np.empty((5 if slopes else 1, counts.size, nodes.times.size))
    edges = np.flatnonzero(np.diff(counts) > GAP) + 1
    for run in np.split(np.arange(counts.size), edges):
        low, high = float(counts[run[0]]), float(counts[run[-1]]) + slopes
        known = _run(place, low, high, slopes=slopes)
        rows = (counts[run] - low).astype(np.intp)
        out[0, run] = known[rows, 0]
        if slopes:
            onward = (place.r + counts[run])[:, None] * (known[rows, 0] - known[rows + 1, 0])
            out[1, run], out[3, run] = known[rows, 1], known[rows, 2]
            out[2, run], out[4, run] = onward / place.a, -onward / place.b
    return out


def _run(place: Place, low: float, high: float, *, slopes: bool) -> Floats:
    """G and, with `slopes`, its slopes along r and s at every count from low to high, shape (counts, 1 or 3, k)."""
    r, s, w = place.r, place.s, place.w
    with np.errstate(divide="ignore"):
        neutral = np.where(w > 1.0, s / np.maximum(w - 1.0, 1e-300) - r, np.inf)
    begin = np.rint(np.clip(neutral, low, high))
    known = np.empty((int(high - low) + 1, 3 if slopes else 1, w.size))
    known[(begin - low).astype(np.intp), :, np.arange(w.size)] = _start(place, begin, low, high, slopes=slopes).T
    p = r + np.arange(low, high + 1.0)
    share = 1.0 / (p + s)
    ratio = (p * share)[:, None, None] * w
    _spread(known[:, :1], ratio, (s * share)[:, None, None] * np.ones(w.size), begin - low)
    if slopes and p.size > 1:
        here, above = known[:-1, 0], known[1:, 0]
        given = np.stack([-(here + w * above), 1.0 - here], axis=1) * share[:-1, None, None]
        _spread(known[:, 1:], ratio, given, begin - low)
    return known


def _spread(known: Floats, ratio: Floats, given: Floats, begin: Floats) -> None:
    """Fills known[x] = given[x] - ratio[x] known[x + 1] down and up from known[begin]; `begin` never falls with the node."""
    last = len(known) - 1
    down = np.searchsorted(begin, np.arange(last), side="right").tolist()  # nodes from there on begin above x
    up = np.searchsorted(begin, np.arange(1, last + 1), side="left").tolist()  # nodes before it begin below x + 1
    for x in range(last - 1, -1, -1):
        if (first := down[x]) < begin.size:
            out = known[x, :, first:]
            np.multiply(ratio[x, :, first:], known[x + 1, :, first:], out=out)
            np.subtract(given[x, :, first:], out, out=out)
    for x in range(last):
        if (first := up[x]) > 0:
            out = known[x + 1, :, :first]
            np.subtract(given[x, :, :first], known[x, :, :first], out=out)
            np.divide(out, ratio[x, :, :first], out=out)


def _start(place: Place, x: Floats, low: float, high: float, *, slopes: bool) -> Floats:
    """G and, with `slopes`, its slopes along r and s at one count per node, shape (1 or 3, k)."""
    out = np.empty((3 if slopes else 1, x.size))
    needed = levels(place.theta, place.nodes.times)
    slow = needed > np.where((x == low) | (x == high), SLOW_AT_AN_END, SLOW)
    kept = [0, 1, 3] if slopes else [0]
    if not slow.all():
        out[:, ~slow] = fraction(place.theta, x[~slow], place.nodes.times[~slow], slopes=slopes)[kept]
    for count in np.unique(x[slow]):
        some = slow & (x == count)
        out[:, some] = _along_time(place, float(count), slopes=slopes)[:, some]
    return out


def _along_time(place: Place, x: float, *, slopes: bool) -> Floats:
    """The same at one count for all nodes, by collocation from the latest one.

    What is solved for is G / E with E = (s / b) / q and q = p / a + s / b: near 1 throughout, however far apart a and b are.
    """
    p, s, a, b = place.r + x, place.s, place.a, place.b
    q = p / a + s / b
    scale = s / (b * q)
    step = place.nodes.offset + place.nodes.times  # dt in a unit of log(offset + t)
    steep = q + 1.0 / b - (p / a**2 + s / b**2) / q
    system = place.nodes.to_slope - np.diag(step * steep)
    system[-1] = 0.0
    system[-1, -1] = 1.0
    level, plain = int(levels(place.theta, place.nodes.times[-1:], MOST_LEVELS)[0]), tuple(map(float, place.theta))
    last = descend(plain, x, float(place.nodes.times[-1]), level, slopes=slopes) / scale[-1]
    value = np.linalg.solve(system, np.append((-step * q)[:-1], last[0]))
    if not slopes:
        return np.asarray((value * scale)[None])
    sides = np.stack([step * value / a, step * (value * scale - 1.0) * q / s], axis=1)
    sides[-1] = last[[1, 3]]
    return np.asarray(np.stack([value, *np.linalg.solve(system, sides).T]) * scale)
