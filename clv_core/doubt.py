"""How unsure totals of scores are, made once per table, so that any number of groupings can be summed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from clv_core.forecast import Forecast
from clv_core.intervals import spread
from clv_core.spread import customer_variance, total_interval
from clv_core.uncertainty import Uncertainty
from clv_core.windows import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
SURE = 50.0  # minus the log of a chance too small to count
UNKNOWN_LEVEL = 0.10  # relative error of the level of scores that come without their models


@dataclass(frozen=True, slots=True)
class Doubt:
    """Per customer: `variance` of the own future value; `silence`, the log of the chance that nothing comes; `slopes` (n, k) of
    clv by log-parameters and by the errors that customers alike share. Shared by all: `covariance` of what the slopes are taken
    by, and the relative error of the `level`.
    """

    variance: Floats
    silence: Floats
    slopes: Floats
    covariance: Floats
    level: float

    @classmethod
    def of(cls, scores: pa.Table, level: float | None = None) -> Doubt:
        """The doubt of a scores table, in its order; without the fitted models in its metadata (CSV) from clv_high alone."""
        clv = np.nan_to_num(np.asarray(scores["clv"].to_numpy(), dtype=np.float64))
        document = Uncertainty.of(scores)
        if document is None or not len(scores):
            high = np.nan_to_num(np.asarray(scores["clv_high"].to_numpy(), dtype=np.float64))
            none = np.zeros((len(scores), 0))
            own = customer_variance(clv, high)
            silence = -np.divide(clv**2, own, out=np.full_like(clv, SURE), where=own > 0)
            return cls(own, np.where(clv > 0, silence, 0.0), none, np.zeros((0, 0)), UNKNOWN_LEVEL if level is None else level)
        return cls._fitted(scores, clv, document, level)

    @classmethod
    def _fitted(cls, scores: pa.Table, clv: Floats, document: Uncertainty, level: float | None) -> Doubt:
        s = Snapshot.of_scores(scores)
        _, basket = document.models()
        orders, alive = (np.asarray(scores[name], dtype=np.float64) for name in ("expected_orders", "p_alive"))
        return cls.at(s, clv, Forecast(orders, basket.expected(s), alive, document.horizon_weeks), document, level)

    @classmethod
    def at(cls, s: Snapshot, clv: Floats, view: Forecast, document: Uncertainty, level: float | None = None) -> Doubt:
        """The doubt of predictions of a snapshot's customers; `view` is what the document's order model expects of them."""
        model, basket = document.models()
        slopes, covariance = np.zeros((len(s), 0)), np.zeros((0, 0))
        for slope, block in (*document.sensitivities(s), *document.shared(s, clv)):
            slopes, covariance = np.hstack([slopes, slope * clv[:, None]]), _beside(covariance, block)
        own = spread(clv, view, basket, model, s)
        silence = np.log(np.clip(own.nothing, np.exp(-SURE), 1.0))
        return cls(own.variance, silence, slopes, covariance, document.level_error if level is None else level)

    def shared(self, slopes: Floats, total: Floats) -> Floats:
        """The variance that groups have from what they share: `slopes` (groups, k) summed, `total` their clv."""
        shared: Floats = np.einsum("gi,ij,gj->g", slopes, self.covariance, slopes) + (self.level * total) ** 2
        return shared

    def interval(self, total: Floats, own: Floats, silence: Floats, slopes: Floats, confidence: float) -> tuple[Floats, Floats]:
        """(low, high) of the groups' totals, whose customers' variance, silence and slopes are summed."""
        return total_interval(total, own, self.shared(slopes, total), silence, confidence)

    def margin(self, total: Floats, own: Floats, slopes: Floats, spend: Floats, confidence: float) -> Floats:
        """Half the interval of (clv / spend of a group) minus that of all groups with spend: what they share cancels out."""
        with np.errstate(divide="ignore", invalid="ignore"):
            paid = spend > 0
            whole = np.where(paid.any(), spend[paid].sum(), np.nan)
            apart = slopes / spend[:, None] - slopes[paid].sum(axis=0) / whole
            level = total / spend - total[paid].sum() / whole
            found = np.sqrt(own / spend**2 + self.shared(apart, level)) * norm.ppf((1 + confidence) / 2)
        return np.where(paid, found, np.nan)


def _beside(first: Floats, second: Floats) -> Floats:
    """The block-diagonal matrix of two."""
    out = np.zeros((len(first) + len(second),) * 2)
    out[: len(first), : len(first)] = first
    out[len(first) :, len(first) :] = second
    return out
