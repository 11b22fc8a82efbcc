"""Purchase histories with equal rows merged, so that a likelihood touches each distinct (x, t_x, T) once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clv_core.models.base import CannotFitError, Floats
from clv_core.models.chunks import dot

Indices = NDArray[np.intp]
DAYS = 7.0
LARGEST_TABLE = 1 << 24  # distinct keys are found by a table of this many cells at most and ROOM per row, else by sorting
ROOM = 32


@dataclass(frozen=True, slots=True)
class Histories:
    """Distinct histories in ascending order of (x, T, t_x) and how many customers share each; x = 0 comes first."""

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats

    @property
    def customers(self) -> float:
        """How many customers there are (the sum of the weights)."""
        return float(self.weight.sum())

    @property
    def purchases(self) -> float:
        """How many repeat purchase days there are in all."""
        return dot(self.weight, self.x)

    @property
    def repeaters(self) -> float:
        """How many customers have bought on a second day."""
        return float(self.weight[self.x > 0].sum())

    def thin(self, rows: int) -> Histories:
        """At most about `rows` of the histories, evenly spaced through their order: a stand-in to start a fit from."""
        stride = -(-self.x.size // rows)
        chosen = slice(stride // 2, None, stride)
        return self if stride <= 1 else Histories(self.x[chosen], self.t_x[chosen], self.T[chosen], self.weight[chosen])

    def require(self, repeaters: int) -> None:
        """Nothing; raises CannotFitError unless at least `repeaters` customers have bought again and time has passed."""
        if self.customers < 2 or float(self.T.max(initial=0.0)) <= 0.0:
            raise CannotFitError("needs at least two customers observed for more than a day: choose a later as_of")
        if self.repeaters < repeaters:
            raise CannotFitError(
                f"only {self.repeaters:g} customers bought on a second day, at least {repeaters} are needed: "
                "choose a longer history"
            )


def checked(x: Floats, t_x: Floats, T: Floats) -> tuple[Floats, Floats, Floats]:
    """The three as float64 arrays of one shape; ValueError for non-finite or negative values, t_x > T or a broken count."""
    x, t_x, T = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (x, t_x, T)))
    if x.size and not (_within(x, 0.0) and _within(t_x, 0.0) and _within(T, 0.0)):
        raise ValueError("x, t_x and T must be finite and not negative")
    if np.any(t_x > T * (1 + 1e-12) + 1e-9):
        raise ValueError("t_x lies after T: the last purchase must not come after the day of observation")
    if np.any(x != np.rint(x)):
        raise ValueError("x must count purchase days: whole numbers only")
    return x, t_x, T


def merge(x: Floats, t_x: Floats, T: Floats, weights: Floats | None = None) -> Histories:
    """The distinct histories and their weights, the same for any order of the rows.

    Times on whole days (to 1e-6 days) are merged as days; other times only when exactly equal. Shapes: all (n,).
    """
    x, t_x, T = checked(x, t_x, T)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if not np.all(np.isfinite(weights)) or np.any(weights < 0):
            raise ValueError("weights must be finite and not negative")
        kept = weights > 0
        if not kept.all():
            x, t_x, T, weights = x[kept], t_x[kept], T[kept], weights[kept]
    days, last = whole_days(T), whole_days(t_x)
    if days is None or last is None or not x.size:
        return _merge_any(x, t_x, T, weights)
    ages, lasts = int(days.max()) + 1, int(last.max()) + 1
    if (float(x.max()) + 1) * ages * lasts >= 2**62:
        return _merge_any(x, t_x, T, weights)
    key, weight = _counted((x.astype(np.int64) * ages + days) * lasts + last, weights)
    rest, last = np.divmod(key, lasts)
    count, days = np.divmod(rest, ages)
    return Histories(count.astype(np.float64), last / DAYS, days / DAYS, weight)


def whole_days(weeks: Floats) -> NDArray[np.int64] | None:
    """The times as whole days, or None when one of them is not on a day."""
    days = weeks * DAYS
    whole = np.rint(days)
    if weeks.size and (np.abs(days - whole).max() > 1e-6 or whole.max() > 2**31):
        return None
    return whole.astype(np.int64)


def distinct(*columns: Floats) -> tuple[Indices, Indices]:
    """Row numbers of the distinct rows of the columns, and for every row the place of its like among them."""
    code = np.zeros(columns[0].shape, dtype=np.int64)
    span = 1
    for column in columns:
        whole = whole_days(column)
        width = int(whole.max(initial=0)) + 1 if whole is not None else 0
        if whole is None or span * width > 2**62:
            _, whole = np.unique(column, return_inverse=True)
            width = int(whole.max(initial=0)) + 1
        code = code * width + whole
        span *= width
    if span > min(LARGEST_TABLE, ROOM * code.size):
        _, first, place = np.unique(code, return_index=True, return_inverse=True)
        return first, place
    first = np.full(span, -1, dtype=np.intp)
    first[code] = np.arange(code.size, dtype=np.intp)
    present = np.flatnonzero(first >= 0)
    places = np.empty(span, dtype=np.intp)
    places[present] = np.arange(present.size, dtype=np.intp)
    return first[present], places[code]


def sums(place: Indices, values: Floats, width: int = 0) -> Floats:
    """The sum of the values at each place; shape (max(width, highest place + 1),)."""
    return np.asarray(np.bincount(place, values, minlength=width), dtype=np.float64)


def _within(values: Floats, least: float) -> bool:
    return bool(values.min() >= least and values.max() < np.inf)  # nan fails both


def _counted(key: NDArray[np.int64], weights: Floats | None) -> tuple[NDArray[np.int64], Floats]:
    if weights is None:
        key = np.sort(key)
        ends = np.flatnonzero(np.append(key[1:] != key[:-1], True))
        return key[ends], np.diff(ends, prepend=-1).astype(np.float64)
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    return key[starts], np.add.reduceat(weights[order], starts)


def _merge_any(x: Floats, t_x: Floats, T: Floats, weights: Floats | None) -> Histories:
    weight = np.ones(x.shape) if weights is None else weights
    order = np.lexsort((weight, t_x, T, x))
    x, t_x, T, weight = x[order], t_x[order], T[order], weight[order]
    if not x.size:
        return Histories(x, t_x, T, weight)
    new = (x[1:] != x[:-1]) | (T[1:] != T[:-1]) | (t_x[1:] != t_x[:-1])
    starts = np.flatnonzero(np.append(True, new))
    return Histories(x[starts], t_x[starts], T[starts], np.add.reduceat(weight, starts))
