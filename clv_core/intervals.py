"""The range of a customer's own future value, in closed form: no draws are kept.

Spend over the horizon is 0 with probability P0, else lognormal with the mean and variance of a compound sum: the order model's
own number of orders given the history (rate, leaving now and leaving later all uncertain) times gamma order values around an
uncertain customer mean. The probabilities at which low and high are read are calibrated on inner windows, so that 90% of
customers fall inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from clv_core.basket import Basket
    from clv_core.forecast import Forecast
    from clv_core.models.base import OrderModel
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
NOMINAL = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """The predictive distribution of each customer: chance of nothing, mean, and variance of the value."""

    nothing: Floats
    mean: Floats
    variance: Floats

    def quantile(self, probability: float) -> Floats:
        """The value that is not exceeded with this probability; 0 inside the mass at nothing."""
        from scipy.special import ndtri

        some = np.maximum(1.0 - self.nothing, 1e-9)
        first = self.mean / some
        ratio = (self.variance + self.mean**2) / np.maximum(some * first**2, 1e-300)
        width = np.sqrt(np.log(np.maximum(ratio, 1.0 + 1e-9)))
        inside = (probability - self.nothing) / some
        z = ndtri(np.clip(inside, 1e-9, 1 - 1e-9))
        value = first * np.exp(z * width - width**2 / 2)
        return np.where((inside > 0) & (self.mean > 0), value, 0.0)


def spread(value: Floats, f: Forecast, basket: Basket, model: OrderModel, s: Snapshot) -> Spread:
    """The spread around `value` (the calibrated expectation).

    What it has over the forecast counts as a higher chance of still being a customer, and once that is sure as further orders;
    what it lacks counts as fewer orders.
    """
    none, pairs = model.order_chances(f.weeks, s.x, s.T)
    shape = s.x + (model.parameters["r"].value if "r" in model.parameters else 1.0)
    known = f.alive > 1e-9  # else their orders have vanished with them: take the mean of a negative binomial of that square
    each = np.where(known, f.orders / np.maximum(f.alive, 1e-9), np.sqrt(pairs * shape / (1.0 + shape)))
    orders = np.divide(value, f.basket, out=np.zeros(len(s)), where=f.basket > 0)
    alive = np.clip(orders / np.maximum(each, 1e-12), np.maximum(f.alive, 1e-9), 1.0)
    scale = orders / np.maximum(alive * each, 1e-12)
    # The negative binomial with the same chance of none, its mean scaled.
    odds = np.expm1(-np.log(np.maximum(none, 1e-300)) / shape)
    nothing = 1.0 - alive * -np.expm1(-shape * np.log1p(odds * scale))
    counts = orders + alive * pairs * scale**2
    one, mean = basket.spread(s)
    square = f.basket**2 * (1.0 + mean)
    second = square * (one * orders + counts)
    return Spread(nothing, value, np.maximum(second - value**2, 0.0))


def fit_probabilities(trials: Sequence[tuple[Spread, Floats]]) -> tuple[float, float]:
    """Where to read low and high so that 5% of the inner windows' customers fell below and 5% above."""
    if not trials:
        return NOMINAL
    low = _search(lambda p: _mean(_below(s, spent, p) for s, spent in trials), 0.01, 0.1, 0.05)
    high = _search(lambda p: _mean(float(np.mean(spent <= s.quantile(p))) for s, spent in trials), 0.85, 0.995, 0.95)
    return low, high


def _below(s: Spread, spent: Floats, probability: float) -> float:
    """Share of the customers with a low end above nothing who stayed below it."""
    low = s.quantile(probability)
    return float(np.mean(spent[low > 0] < low[low > 0])) if np.any(low > 0) else probability


def _mean(shares: Iterable[float]) -> float:
    return float(np.mean(list(shares)))


def _search(share: Callable[[float], float], first: float, last: float, wanted: float) -> float:
    """The probability between `first` and `last` at which the growing `share` reaches `wanted`."""
    for _ in range(12):
        middle = (first + last) / 2
        first, last = (middle, last) if share(middle) < wanted else (first, middle)
    return (first + last) / 2
