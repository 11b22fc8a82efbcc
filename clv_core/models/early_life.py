"""A learner for young and one-order customers: corrects an order model by what first orders and the first month tell.

A hurdle of two gradient-boosted parts, each a factor on the order model's own figure: whether the customer orders again within
the window, and what those who do then spend. Factors (Poisson loss on outcome / baseline, weighted by the baseline) instead of
levels let the order model carry the length of the horizon, which trees can't extrapolate; the level is then calibrated so that
the training windows' totals are met, since two-part heads overshoot (Wang, Liu, Miao 2019; arXiv 1912.07753, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.early_features import LABELS, MONEY, PLAIN, Features
from clv_core.models.base import CannotFitError
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

    buys: Any
    spends: Any
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
        raw_design = np.vstack([_design(one.past, one.known, one.baseline, codes, typical) for one in lessons])
        edges = [_edges(column) for column in raw_design[:, : raw_design.shape[1] - len(codes)].T]
        design = _binned(raw_design, edges)
        spend = np.concatenate([one.spend for one in lessons])
        chance = np.concatenate([one.baseline.buys for one in lessons])
        size = np.concatenate([one.baseline.if_buys for one in lessons])
        buys = _boosted(design, bought.astype(np.float64), chance, len(codes))
        spends = _boosted(design[bought], spend[bought], size[bought], len(codes))
        raw = cls(buys, spends, codes, edges, typical, 1.0)
        predicted = sum(float(raw.predict(one.past, one.known, one.baseline).sum()) for one in lessons)
        return cls(buys, spends, codes, edges, typical, float(np.clip(spend.sum() / max(predicted, 1e-9), 0.2, 5.0)))

    def predict(self, past: Snapshot, known: Features, baseline: Forecast) -> Floats:
        """Expected value over the baseline's window."""
        design = _binned(_design(past, known, baseline, self.codes, self.typical), self.edges)
        more_buys, more_spend = (_predicted(learner, design) for learner in (self.buys, self.spends))
        buys = np.minimum(np.clip(more_buys, *FACTORS) * baseline.buys, 1.0)
        spends = np.clip(more_spend, *FACTORS) * baseline.if_buys
        return np.asarray(self.level * buys * spends, dtype=np.float64)


def _boosted(design: Floats, outcome: Floats, baseline: Floats, labels: int) -> Any:
    """Gradient-boosted factors on `baseline`; the last `labels` columns of the design are codes.

    Small trees with large leaves: on simulated shops larger ones learned the windows' noise, and large bases gained nothing.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = len(outcome)
    learner = HistGradientBoostingRegressor(
        loss="poisson", learning_rate=0.06, max_iter=70, max_leaf_nodes=6, min_samples_leaf=int(np.clip(rows // 25, 60, 200)),
        l2_regularization=10.0, early_stopping=False, random_state=0,
        categorical_features=[design.shape[1] - 1 - n for n in range(labels)] or None,
    )  # fmt: skip
    # One thread: sums in one order give the same learner on every machine; the binning's thread pool costs more than it saves.
    with threadpool_limits(1):
        return learner.fit(design, outcome / baseline, sample_weight=baseline)


def _predicted(learner: Any, design: Floats) -> Floats:
    """The learner's factors, piece by piece: a piece stays in the cache while all trees are walked."""
    from threadpoolctl import threadpool_limits

    out = np.empty(len(design))

    def work(piece: slice) -> None:
        out[piece] = learner.predict(design[piece])

    with threadpool_limits(1):
        each_chunk(len(design), work)
    return out


def _edges(column: Floats) -> Floats:
    """Quantile edges: sklearn's own binning takes seconds once rows have weights."""
    known = column[~np.isnan(column)]
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def _binned(design: Floats, edges: list[Floats]) -> Floats:
    """The design with numbers replaced by the number of their bin (unknown: -1); codes stay."""
    out = design.copy()
    for n, cuts in enumerate(edges):
        column = design[:, n]
        out[:, n] = np.where(np.isnan(column), -1.0, np.searchsorted(cuts, column))
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


def _design(past: Snapshot, known: Features, baseline: Forecast, codes: dict[str, list[str]], typical: float) -> Floats:
    """One row per customer. Ages and silences enter relative to the customer's own life, so that they carry to older bases."""
    life = np.maximum(past.T, 1e-9)
    silent = past.T - past.t_x
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(past.x > 0, past.t_x / past.x, np.nan)
        columns = [
            np.log(baseline.orders + 1e-6), baseline.alive, baseline.basket / typical, past.x, past.t_x / life, silent / gap,
            *(np.log1p(np.maximum(known.numbers[name], 0) / typical) for name in MONEY),
            *(known.numbers.get(name, np.full(len(past), np.nan)) for name in PLAIN),
        ]  # fmt: skip
    for name, kept in codes.items():
        code = pc.fill_null(pc.index_in(known.labels[name], pa.array(kept, pa.string())), len(kept))
        columns.append(np.asarray(code, dtype=np.float64))
    return np.round(np.column_stack(columns), 6)  # the last bits must not decide on which side of an edge equals fall
