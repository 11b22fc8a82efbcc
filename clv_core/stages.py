"""Where each customer is in their life with the business: new, active, at risk or lapsed; with engagement also prospect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
STAGES = ("new", "active", "at_risk", "lapsed")
PROSPECT = "prospect"  # aware: known from engagement, never bought


@dataclass(frozen=True, slots=True)
class StageRules:
    """new: one order day, at most `new_days` ago. at risk, lapsed: p_alive below the two bounds, or silent for longer than the
    two quantiles of the base's own gaps between orders (times `lapsed_gaps` for lapsed).
    """

    new_days: float = 30.0
    at_risk_alive: float = 0.5
    lapsed_alive: float = 0.2
    at_risk_quantile: float = 0.8
    lapsed_quantile: float = 0.95


def stages(s: Snapshot, p_alive: Floats, rules: StageRules) -> pa.Array:
    """The lifecycle stage of each customer, as strings."""
    silent = s.T - s.t_x
    at_risk, lapsed = p_alive < rules.at_risk_alive, p_alive < rules.lapsed_alive
    # Where nobody ever drops out (p_alive is 1 for all), silence is no sign of leaving either: both stages stay empty.
    if len(p_alive) and float(p_alive.min()) < 1 - 1e-6:
        usual = _gaps(s, (rules.at_risk_quantile, rules.lapsed_quantile))
        at_risk |= silent > usual[0]
        lapsed |= silent > usual[1]
    stage = np.where(lapsed, 3, np.where(at_risk, 2, 1))
    days = s.T * 7.0
    stage[(s.x == 0) & (days <= rules.new_days)] = 0
    return pa.array(np.asarray(STAGES, dtype=object)).take(pa.array(stage))


def _gaps(s: Snapshot, quantiles: tuple[float, float]) -> tuple[float, float]:
    """Quantiles, in weeks, of customers' mean gap between orders, each counted once per gap; infinite without repeat orders."""
    repeat = s.x > 0
    if not repeat.any():
        return float("inf"), float("inf")
    gap, weight = s.t_x[repeat] / s.x[repeat], s.x[repeat]
    order = np.argsort(gap)
    share = np.cumsum(weight[order]) / weight.sum()
    found = [float(gap[order][min(int(np.searchsorted(share, q)), len(order) - 1)]) for q in quantiles]
    return found[0], max(found[0], found[1])
