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
    """new: one order day, at most `new_days` ago. at risk and lapsed: p_alive below a bound, or silent for longer than so many
    times the base's usual gap between orders (three in four gaps are shorter).
    """

    new_days: float = 30.0
    at_risk_alive: float = 0.5
    lapsed_alive: float = 0.2
    at_risk_gaps: float = 2.0
    lapsed_gaps: float = 4.0


def stages(s: Snapshot, p_alive: Floats, rules: StageRules) -> pa.Array:
    """The lifecycle stage of each customer, as strings."""
    silent = s.T - s.t_x
    at_risk, lapsed = p_alive < rules.at_risk_alive, p_alive < rules.lapsed_alive
    # Where nobody ever drops out (p_alive is 1 for all), silence is no sign of leaving either: both stages stay empty.
    if len(p_alive) and float(p_alive.min()) < 1 - 1e-6:
        usual = _usual_gap(s)
        at_risk |= silent > rules.at_risk_gaps * usual
        lapsed |= silent > rules.lapsed_gaps * usual
    stage = np.where(lapsed, 3, np.where(at_risk, 2, 1))
    days = s.T * 7.0
    stage[(s.x == 0) & (days <= rules.new_days)] = 0
    return pa.array(np.asarray(STAGES, dtype=object)).take(pa.array(stage))


def _usual_gap(s: Snapshot) -> float:
    """The 75% point, in weeks, of customers' mean gaps between orders, each counted once per gap; infinite without any."""
    repeat = s.x > 0
    if not repeat.any():
        return float("inf")
    tenths = np.rint(s.t_x[repeat] / s.x[repeat] * 70.0).astype(np.int64)  # of a day: counting them is faster than sorting
    share = np.cumsum(np.bincount(tenths, s.x[repeat])) / s.x.sum()
    return float(np.searchsorted(share, 0.75 - 1e-12)) / 70.0
