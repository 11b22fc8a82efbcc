"""A learner for young and one-order customers: corrects an order model by what first orders and the first month tell.

A hurdle of two gradient-boosted parts, each a factor on the order model's own figure: whether the customer orders again within
the window, and what those who do then spend. Factors (Poisson loss on outcome / baseline, weighted by the baseline) instead of
levels let the order model carry the length of the horizon, which trees can't extrapolate; the level is then calibrated so that
the training windows' totals are met, since two-part heads overshoot (Wang, Liu, Miao 2019; arXiv 1912.07753, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.early_features import LABELS, MONEY, PLAIN, Features
from clv_core.models.base import CannotFitError
from clv_core.models.boosted import Boosted, Codes
from clv_core.models.chunks import each_chunk

if TYPE_CHECKING:
    from clv_core.forecast import Forecast
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
LABELS_KEPT = 30  # categories and channels told apart; the rest share one code
BINS = 48
FACTORS = (0.02, 50.0)  # bounds of a correction


@dataclass(frozen=True, slots=True)
class Lesson:
    """One window to learn from: what was known, what the order model said, and what came."""

    past: Snapshot
    known: Features
    baseline: Forecast
    spend: Floats

    def take(self, rows: NDArray[np.intp]) -> Lesson:
        """The lesson of some customers."""
        at = pa.array(rows)
        numbers = {name: column[rows] for name, column in self.known.numbers.items()}
        labels = {name: column.take(at) for name, column in self.known.labels.items()}
        return Lesson(self.past.take(rows), Features(numbers, labels), self.baseline.take(rows), self.spend[rows])


@dataclass(frozen=True, slots=True)
class EarlyLife:
    """The fitted corrections."""

    buys: Boosted
    spends: Boosted
    codes: dict[str, list[str]]
    edges: list[Floats]  # of the bins of the columns that are no codes
    typical: float  # first order value of those learned from: money enters relative to it
    level: float
    name: str = "early_life"

    @classmethod
    def fit(cls, lessons: list[Lesson]) -> EarlyLife:
        """The learner of all lessons; raises CannotFitError with fewer than 200 customers or 50 who ordered again."""
        bought = np.concatenate([one.spend > 0 for one in lessons]) if lessons else np.zeros(0, bool)
        if len(bought) < 200 or int(bought.sum()) < 50 or bool(bought.all()):
            raise CannotFitError(
                f"early_life left out: it needs 200 customers to learn from, of whom 50 or more but not all spent again; "
                f"there were {len(bought)}, of whom {int(bought.sum())} did"
            )
        codes = _codes(lessons)
        typical = max(float(np.mean(np.concatenate([one.past.first_value for one in lessons]))), 1e-9)
        columns = [_design(one.past, one.known, one.baseline, codes, typical) for one in lessons]
        design = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
        edges = [_edges(column) for column in design[: len(design) - len(codes)]]
        coded = _coded(design, edges)
        unordered = np.arange(len(coded)) >= len(edges)
        spend = np.concatenate([one.spend for one in lessons])
        chance = np.concatenate([one.baseline.buys for one in lessons])
        size = np.concatenate([one.baseline.if_buys for one in lessons])
        buys = Boosted.fit(coded, bought.astype(np.float64), chance, unordered)
        spends = Boosted.fit(coded[:, bought], spend[bought], size[bought], unordered)
        predicted = float(_value(buys, spends, coded, chance, size).sum())
        return cls(buys, spends, codes, edges, typical, float(np.clip(spend.sum() / max(predicted, 1e-9), 0.2, 5.0)))

    def predict(self, past: Snapshot, known: Features, baseline: Forecast) -> Floats:
        """Expected value over the baseline's window."""
        chance, size, out = baseline.buys, baseline.if_buys, np.empty(len(past))

        def work(piece: slice) -> None:  # in the cache from the columns to the last tree
            coded = _coded(_design(past, known, baseline, self.codes, self.typical, piece), self.edges)
            out[piece] = self.level * _value(self.buys, self.spends, coded, chance[piece], size[piece])

        each_chunk(len(out), work)
        return out


def _value(buys: Boosted, spends: Boosted, coded: Codes, chance: Floats, size: Floats) -> Floats:
    """The corrected chance of ordering again times the corrected spend of those who do."""
    likely = np.minimum(np.clip(buys.predict(coded), *FACTORS) * chance, 1.0)
    return np.asarray(likely * (np.clip(spends.predict(coded), *FACTORS) * size))


def _edges(column: Floats) -> Floats:
    """Quantile edges: sklearn's own binning takes seconds once rows have weights."""
    known = column[~np.isnan(column)]
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def _coded(design: list[Floats], edges: list[Floats]) -> Codes:
    """The design with numbers replaced by the number of their bin (unknown: 0); codes stay. Shape (columns, rows)."""
    out = np.empty((len(design), len(design[0])), dtype=np.uint8)
    for n, column in enumerate(design):
        out[n] = np.where(np.isnan(column), 0, np.searchsorted(edges[n], column) + 1) if n < len(edges) else column
    return out


def _codes(lessons: list[Lesson]) -> dict[str, list[str]]:
    """The labels worth a code of their own, most frequent first, ties by name."""
    out: dict[str, list[str]] = {}
    for name in LABELS:
        seen = pa.chunked_array([one.known.labels[name] for one in lessons if name in one.known.labels], type=pa.string())
        counted = pc.value_counts(pc.drop_null(seen)).to_pylist()
        kept = sorted(counted, key=lambda pair: (-pair["counts"], pair["values"]))[:LABELS_KEPT]
        if len(kept) > 1:
            out[name] = [pair["values"] for pair in kept]
    return out


def _design(
    past: Snapshot,
    known: Features,
    baseline: Forecast,
    codes: dict[str, list[str]],
    typical: float,
    rows: slice = slice(None),
) -> list[Floats]:
    """Columns over the rows. Ages and silences enter relative to the customer's own life, so that they carry to older bases."""
    x, t_x, T = past.x[rows], past.t_x[rows], past.T[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(x > 0, t_x / x, np.nan)
        columns = [
            np.log(baseline.orders[rows] + 1e-6), baseline.alive[rows], baseline.basket[rows] / typical,
            x, t_x / np.maximum(T, 1e-9), (T - t_x) / gap,
            *(np.log1p(np.maximum(known.numbers[name][rows], 0) / typical) for name in MONEY),
            *(known.numbers[name][rows] if name in known.numbers else np.full(len(x), np.nan) for name in PLAIN),
        ]  # fmt: skip
    for name, kept in codes.items():
        code = pc.fill_null(pc.index_in(known.labels[name][rows], pa.array(kept, pa.string())), len(kept))
        columns.append(np.asarray(code, dtype=np.float64))
    return [np.round(column, 6) for column in columns]  # the last bits must not decide on which side of an edge equals fall
