"""A leaning of the order towards who comes back at all, as far as inner windows reward it; what all are worth together stays.

An expected value asks first for how much. Among the many of little value who returns matters more, and there the chance of an
order says it better than value, which moves with every guess of baskets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.blend import noise, utility

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
LEVELS, TOP = 1_000, 200  # values between which others are interpolated: evenly by rank, and each of the best

Seen = tuple[Floats, Floats, Floats, float]  # value, chance of an order, what was spent, the window's weight


def lean(value: Floats, buys: Floats, share: float) -> Floats:
    """The values handed out anew, in the order of `value` plus `share` of its mean for whoever is sure to buy.

    `buys` is each customer's chance of an order. Sum and, nearly, distribution of `value` stay.
    """
    paid, chance = float(value.mean()) if len(value) else 0.0, float(buys.mean()) if len(buys) else 0.0
    if share <= 0 or paid <= 0 or chance <= 0:
        return value
    wanted = value / paid + share * buys / chance
    n = len(value)
    at = np.unique(np.r_[np.linspace(0, n - 1, min(n, LEVELS)).astype(np.intp), np.arange(max(n - TOP, 0), n)])
    # Equal wishes get one value; the last bits of a wish depend on where in an array a customer stands.
    known, group = np.unique(np.round(np.sort(wanted)[at], 9), return_inverse=True)
    given = np.bincount(group, np.sort(value)[at]) / np.bincount(group)
    out = np.interp(wanted, known, given)
    return np.asarray(out * (paid * n / out.sum()), dtype=np.float64)


def fit_share(seen: Sequence[Seen], reach: float) -> float:
    """The share by which to lean: every one of SHARES counts by its credit on the inner windows, as mixes do in a blend.

    `reach` is the longest window over the horizon. Over longer times more come back, and how much they spend matters more:
    what windows say of the leaning counts by how far they reach.
    """
    total = sum(weight for _, _, _, weight in seen)
    reached = np.array(
        [sum(weight * utility(lean(value, buys, one), spent) for value, buys, spent, weight in seen) / total for one in SHARES]
    )
    credit = np.exp((reached - reached.max()) / noise([({}, spent, weight) for _, _, spent, weight in seen]))
    return round(min(reach, 1.0) * float(credit @ np.array(SHARES) / credit.sum()), 3)
