"""Rules of thumb that any model has to beat: past spend, frequency, recency and the RFM score. Scores, not money."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.metrics import ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]


def past_spend(s: Snapshot) -> Floats:
    """What each customer has paid so far, refunds netted out."""
    return s.value_to_date


def frequency(s: Snapshot) -> Floats:
    """How many days each customer has ordered on."""
    return s.x + 1.0


def recency(s: Snapshot) -> Floats:
    """How lately each customer ordered (weeks since the last order, negated)."""
    return s.t_x - s.T


def rfm(s: Snapshot) -> Floats:
    """The sum of three rank scores (recency, frequency, past spend), each from 0 to 1.

    Quintiles, the usual cut of the RFM score, are coarser and lose .02 to .03 of Gini on CDNOW: this is the harder rival.
    """
    return (ranks(recency(s)) + ranks(frequency(s)) + ranks(past_spend(s))) / max(len(s), 1)


HEURISTICS: dict[str, Callable[[Snapshot], Floats]] = {
    "past_spend": past_spend,
    "frequency": frequency,
    "recency": recency,
    "rfm": rfm,
}
