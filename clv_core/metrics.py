"""How well a score orders customers and hits the level of what they later spent; ties never depend on the order of rows.

Customers with equal scores share their mean outcome, so that shuffling rows changes no figure. `gini` is normalised on holdout
spend (1 = perfect order, 0 = random); `decile_wape` is the sum over ten score deciles of |predicted - actual| / total actual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SCALED = ("decile_wape", "bias", "mae")  # only meaningful for scores in money
RANKED = ("spearman", "gini", "top10_capture", "top20_capture")


@dataclass(frozen=True, slots=True)
class Ranking:
    """A score, sorted once (best first), against what happened; its figures can be taken again under customer weights."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]  # first position of each group of equal scores
    predicted: Floats  # sorted
    actual: Floats  # sorted
    ideal: NDArray[np.intp]  # customers by what they really spent, most first

    @classmethod
    def of(cls, predicted: Floats, actual: Floats, ideal: NDArray[np.intp] | None = None) -> Ranking:
        """The ranking of customers by `predicted`; both arrays are of one length. `ideal` saves sorting `actual` again."""
        order = np.argsort(-predicted)  # ties are taken together, so their order says nothing
        ranked = predicted[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, np.intp)
        return cls(order, starts, ranked, actual[order], most_first(actual) if ideal is None else ideal)

    def metrics(self, weights: Floats | None = None, *, money: bool = True) -> dict[str, float]:
        """The figures of RANKED without spearman, and with `money` those of SCALED; `weights` count customers."""
        w = np.ones(len(self.order)) if weights is None else weights[self.order]
        by_group, spent = self._groups(w)
        out = {
            "gini": self._gini(by_group, spent, weights),
            "top10_capture": _capture(by_group, spent, 0.1),
            "top20_capture": _capture(by_group, spent, 0.2),
        }
        if money:
            paid = np.add.reduceat(w * self.predicted, self.starts) if len(self.starts) else np.zeros(0)
            total = float(spent.sum())
            out["decile_wape"] = _decile_wape(by_group, paid, spent)
            out["bias"] = float(paid.sum()) / total if total > 0 else float("nan")
            out["mae"] = float(np.sum(w * np.abs(self.predicted - self.actual)) / np.sum(w)) if len(w) else float("nan")
        return out

    def spearman(self) -> float:
        """The rank correlation, from the sorts that were made: the same as `spearman` of the two arrays."""
        n = len(self.order)
        if n < 2:
            return float("nan")
        spent, theirs = np.empty(n), np.empty(n)
        spent[self.order] = self.actual
        theirs[self.ideal] = _mean_ranks(spent[self.ideal])
        return _correlation(_mean_ranks(self.predicted), theirs[self.order])

    def _groups(self, w: Floats) -> tuple[Floats, Floats]:
        if not len(self.starts):
            return np.zeros(0), np.zeros(0)
        return np.add.reduceat(w, self.starts), np.add.reduceat(w * self.actual, self.starts)

    def _gini(self, sizes: Floats, spent: Floats, weights: Floats | None) -> float:
        back = np.empty_like(self.actual)
        back[self.order] = self.actual
        w = np.ones(len(back)) if weights is None else weights
        best = _area(w[self.ideal], (w * back)[self.ideal])
        return _area(sizes, spent) / best if best > 0 else float("nan")


def metrics(predicted: Floats, actual: Floats, *, money: bool = True) -> dict[str, float]:
    """All figures of RANKED and, with `money`, SCALED (nan where the score is no money or nothing was spent)."""
    one = Ranking.of(predicted, actual)
    out = {"spearman": one.spearman(), **one.metrics(money=money)}
    return {name: out.get(name, float("nan")) for name in (*RANKED, *SCALED)}


def most_first(actual: Floats) -> NDArray[np.intp]:
    """The customers by what they spent, most first."""
    return np.argsort(-actual, kind="stable")


def spearman(a: Floats, b: Floats) -> float:
    """The rank correlation of two scores, equal values sharing their mean rank; nan when either is constant."""
    return _correlation(ranks(a), ranks(b)) if len(a) >= 2 else float("nan")


def ranks(values: Floats) -> Floats:
    """The rank of each value, least first, from 0.5 to n - 0.5; equal values share their mean rank."""
    order = np.argsort(values, kind="stable")
    out = np.empty(len(values))
    out[order] = _mean_ranks(values[order])
    return out


def _mean_ranks(ranked: Floats) -> Floats:
    """The ranks of sorted values, equal ones sharing theirs."""
    n = len(ranked)
    if not n:
        return np.zeros(0)
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sizes = np.diff(np.r_[starts, n])
    return np.repeat(starts + sizes / 2, sizes)


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))  # np.dot would start threads
    return float((a * b).sum()) / scale if scale > 0 else float("nan")


def _area(sizes: Floats, spent: Floats) -> float:
    """Twice the area between the concentration curve (trapezia over groups, best first) and the diagonal."""
    count, total = float(sizes.sum()), float(spent.sum())
    if count <= 0 or total <= 0:
        return 0.0
    share = np.cumsum(spent) / total
    return float(np.sum(sizes * (share + share - spent / total)) / count - 1.0)


def _capture(sizes: Floats, spent: Floats, top: float) -> float:
    """Share of all spend held by the best `top` of customers; a tie across the edge counts by its share."""
    total = float(spent.sum())
    if total <= 0:
        return float("nan")
    reach = np.r_[0.0, np.cumsum(sizes)]
    held = np.r_[0.0, np.cumsum(spent)]
    return float(np.interp(top * reach[-1], reach, held)) / total


def _decile_wape(sizes: Floats, paid: Floats, spent: Floats) -> float:
    total = float(spent.sum())
    if total <= 0:
        return float("nan")
    reach = np.r_[0.0, np.cumsum(sizes)]
    edges = np.linspace(0.0, reach[-1], 11)
    gap = np.interp(edges, reach, np.r_[0.0, np.cumsum(paid)]) - np.interp(edges, reach, np.r_[0.0, np.cumsum(spent)])
    return float(np.abs(np.diff(gap)).sum()) / total


def bootstrap(
    rankings: dict[str, Ranking], money: set[str], *, draws: int, seed: int, level: float = 0.9
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, Floats]]]:
    """Per score and figure the [low, high] interval, and the draws themselves (for paired differences).

    The same resampled customers are used for every score, so differences of draws are paired.
    """
    rng = np.random.default_rng(seed)
    n = len(next(iter(rankings.values())).order) if rankings else 0
    drawn: dict[str, dict[str, list[float]]] = {name: {} for name in rankings}
    for _ in range(draws if n else 0):
        weights = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        for name, one in rankings.items():
            for figure, value in one.metrics(weights, money=name in money).items():
                drawn[name].setdefault(figure, []).append(value)
    arrays = {name: {f: np.asarray(v) for f, v in figures.items()} for name, figures in drawn.items()}
    tail = (1 - level) / 2
    spans = {
        name: {
            f: [float(np.nanquantile(v, tail)), float(np.nanquantile(v, 1 - tail))]
            for f, v in figures.items()
            if not np.isnan(v).all()
        }
        for name, figures in arrays.items()
    }
    return spans, arrays


def decile_table(predicted: Floats, actual: Floats) -> pa.Table:
    """decile (1 = best), customers, predicted, actual: totals per tenth by prediction; ties share their outcome."""
    one = Ranking.of(predicted, actual)
    sizes = np.diff(np.r_[one.starts, len(predicted)]).astype(np.float64)
    reach = np.r_[0.0, np.cumsum(sizes)]
    edges = np.linspace(0.0, reach[-1], 11)
    sums = [np.r_[0.0, np.add.reduceat(v, one.starts).cumsum()] if len(v) else np.zeros(1) for v in (one.predicted, one.actual)]
    paid, spent = (np.diff(np.interp(edges, reach, total)) for total in sums)
    return pa.table(
        {"decile": pa.array(range(1, 11), pa.int32()), "customers": np.diff(edges), "predicted": paid, "actual": spent}
    )
