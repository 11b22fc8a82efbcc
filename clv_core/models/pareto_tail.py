"""The share of a Pareto/NBD customer's future in which drop-out lies, and its slopes: all that needs a hypergeometric function.

    G(x, t) = s * integral over u > t of ((alpha+t)/(alpha+u))^(r+x) ((beta+t)/(beta+u))^s / (beta+u) du,   0 < G < 1

It is s / (r+s+x) times 2F1(1, b; r+s+x+1; z), with b = r+x, z = (alpha-beta)/(alpha+t) when alpha >= beta, else with b = s+1,
z = (beta-alpha)/(beta+t) and a factor (alpha+t)/(beta+t) (Euler's and Pfaff's transformations of Fader and Hardie 2005,
"A note on deriving the Pareto/NBD model", equations 16 to 20). Gauss's continued fraction (DLMF 15.7.1 with b = 0) has
only positive terms for 0 <= z < 1, so nothing overflows or cancels, and its slopes follow by differentiating each level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.chebyshev import Nodes, product
from clv_core.models.chunks import each_chunk
from clv_core.models.histories import distinct
from clv_core.models.pareto_fraction import fraction, levels
from clv_core.models.pareto_grid import GAP, at_nodes

if TYPE_CHECKING:
    from clv_core.models.base import Floats
    from clv_core.models.histories import Indices

CROWDED = 16  # cells of the grid per place
FEW = 1 << 10  # places at a time, with all their nodes
MOST_TIMES = 1 << 16  # more of them are continuous, or as good as that


@dataclass(frozen=True, slots=True)
class Places:
    """The distinct (x, t) at which G is wanted, by ascending x: x is `counts[of_count]`, t is `times[of_time]`."""

    counts: Floats
    of_count: Indices
    times: Floats
    of_time: Indices
    _nodes: dict[float, Nodes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, x: Floats, *times: Floats) -> tuple[Places, list[Indices]]:
        """The places of (x, t) for each array of times, and where each row finds its own."""
        every_x, every_t = np.tile(x, len(times)), np.concatenate(times)
        first, place = distinct(every_x, every_t)
        counts, of_count = np.unique(every_x[first], return_inverse=True)
        moments, of_time = np.unique(every_t[first], return_inverse=True)
        return cls(counts, of_count, moments, of_time), np.split(place, len(times))

    @property
    def dense(self) -> bool:
        """Whether so many of the grid's cells are places that all of them are worked out sooner."""
        return self.counts.size * self.times.size <= CROWDED * self.of_time.size

    def nodes(self, nearest: float) -> Nodes:
        """The Chebyshev points for a nearest singularity at -nearest: kept, as they are the same for a whole octave of it."""
        offset = 2.0 ** np.floor(np.log2(nearest))
        if offset not in self._nodes:
            self._nodes[offset] = Nodes.of(offset, self.times)
        return self._nodes[offset]


@dataclass(frozen=True, slots=True)
class Tail:
    """G at the places, shape (n,); what is behind it tells the slopes."""

    values: Floats
    _known: Floats  # with slopes: G and its four slopes at the places or, with nodes, at counts and nodes
    _places: Places
    _nodes: Nodes | None

    @classmethod
    def of(cls, theta: Floats, places: Places, *, slopes: bool = True) -> Tail:
        """G, and its slopes along r, alpha, s and beta where they are asked for. `theta` holds r, alpha, s, beta.

        A grid of days is interpolated in log(min(alpha, beta) + t), where G is analytic in a strip of half-width pi, from
        Chebyshev points, as many as full precision asks for; few places, or continuous times, are worked out one by one.
        """
        if _sooner_alone(theta, places):
            known = _each(theta, places, slopes=slopes)
            return cls(known[0], known, places, None)
        nodes = places.nodes(min(theta[1], theta[3]))
        known = at_nodes(theta, places.counts, nodes, slopes=slopes)
        if places.dense:
            values = product(known[0], nodes.to_wanted)[places.of_count, places.of_time]
        else:
            values = _at_places(known[0], places, nodes)
        return cls(values, known, places, nodes)

    @property
    def interpolated(self) -> bool:
        """Whether Chebyshev points stand between the continued fraction and the places."""
        return self._nodes is not None

    def slopes(self, along: Floats) -> Floats:
        """The sums over places of `along` times the slope along r, alpha, s and beta, shape (4,)."""
        if self._nodes is None:
            return np.asarray(np.einsum("ij,j->i", self._known[1:], along))
        return np.asarray(np.einsum("icj,cj->i", self._known[1:], _to_nodes(along, self._places, self._nodes)))


def _sooner_alone(theta: Floats, places: Places) -> bool:
    """Whether the continued fraction of every place costs less than the nodes: by the microseconds that each takes, roughly."""
    if places.times.size > MOST_TIMES:
        return True
    n, needed = places.of_time.size, levels(theta, places.times)
    alone = float(needed.max()) * 12.0 + n * float(needed.mean()) * 0.02
    span = float(places.counts[-1] - places.counts[0]) + 1.0
    ends = places.counts.size * places.times.size * 0.02 if places.dense else n * 0.2
    return alone < 300.0 + min(span, GAP * places.counts.size) * 5.0 + ends


def _each(theta: Floats, places: Places, *, slopes: bool) -> Floats:
    """G, and its slopes if asked for, at each place alone."""
    result = np.empty((5 if slopes else 1, places.of_time.size))

    def work(piece: slice) -> None:
        x, t = places.counts[places.of_count[piece]], places.times[places.of_time[piece]]
        result[:, piece] = fraction(theta, x, t, slopes=slopes)

    each_chunk(places.of_time.size, work)
    return result


def _at_places(known: Floats, places: Places, nodes: Nodes) -> Floats:
    """Values at the places from those at counts and nodes."""
    result, weights = np.empty(places.of_time.size), np.ascontiguousarray(nodes.to_wanted.T)

    def work(piece: slice) -> None:
        for few in _few(piece):
            result[few] = np.einsum("pj,pj->p", known[places.of_count[few]], weights[places.of_time[few]])

    each_chunk(result.size, work)
    return result


def _to_nodes(along: Floats, places: Places, nodes: Nodes) -> Floats:
    """The transpose of it: slopes along the values at counts and nodes, from those along the values at the places."""
    if places.dense:
        every = np.zeros((places.counts.size, places.times.size))
        every[places.of_count, places.of_time] = along
        return product(every, nodes.to_wanted.T)
    weights = np.ascontiguousarray(nodes.to_wanted.T)

    def work(piece: slice) -> list[tuple[Indices, Floats]]:
        return [_summed(places.of_count[few], along[few, None] * weights[places.of_time[few]]) for few in _few(piece)]

    result = np.zeros((places.counts.size, nodes.times.size))
    for count, part in chain.from_iterable(each_chunk(along.size, work)):
        result[count] += part
    return result


def _summed(of: Indices, rows: Floats) -> tuple[Indices, Floats]:
    """Each number among `of`, which ascends, and the sum of its rows."""
    first = np.flatnonzero(np.diff(of, prepend=-1))
    return of[first], np.add.reduceat(rows, first, axis=0)


def _few(piece: slice) -> list[slice]:
    return [slice(start, min(start + FEW, piece.stop)) for start in range(piece.start, piece.stop, FEW)]
