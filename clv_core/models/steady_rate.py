"""Everyone keeps ordering at their own pace, shrunken towards the base's: the fall-back where no drop-out model can be fitted.

Poisson orders, gamma-distributed rates, nobody leaves. The shape is not estimated by likelihood but by moments, so that it
exists for any base, even one customer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from clv_core.models.chances import without_drop_out
from clv_core.models.fitted import Fitted

Floats = NDArray[np.float64]
WARNING = "too little history for a drop-out model: everyone is taken to keep their pace, p_alive is 1 for all"


@dataclass(frozen=True)
class SteadyRate(Fitted):
    """A fitted gamma-Poisson pace: shape r, rate alpha (weeks)."""

    name: ClassVar[str] = "steady_rate"
    names: ClassVar[tuple[str, ...]] = ("r", "alpha")

    @classmethod
    def fit(cls, x: Floats, t_x: Floats, T: Floats, weights: Floats | None = None) -> Self:
        """The fit by moments; without any repeat order the base's pace is half an order over all its weeks."""
        w = np.ones_like(x) if weights is None else weights
        weeks = max(float(np.sum(w * T)), 1.0)
        pace = max(float(np.sum(w * x)), 0.5) / weeks
        # Var(x) beyond Poisson is (pace T)^2 / r.
        excess = float(np.sum(w * ((x - pace * T) ** 2 - pace * T)))
        r = float(np.clip(np.sum(w * (pace * T) ** 2) / excess, 0.05, 20.0)) if excess > 0 else 1.0
        value = _likelihood(r, r / pace, x, T, w)
        return replace(cls.of({"r": r, "alpha": r / pace}), log_likelihood=value, warnings=(WARNING,))

    def expected_orders(self, horizon: float | Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected order days in the `horizon` weeks after T."""
        r, alpha = self.values
        return np.asarray(horizon * (r + x) / (alpha + T), dtype=np.float64)

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """One for everybody."""
        return np.ones_like(x)

    def discounted_expected_orders(self, horizon: float, weekly_discount: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected order days of the horizon, each discounted by exp(-weekly_discount * weeks after T)."""
        weeks = horizon if weekly_discount == 0 else -math.expm1(-weekly_discount * horizon) / weekly_discount
        return self.expected_orders(weeks, x, t_x, T)

    def order_chances(self, horizon: float, x: Floats, T: Floats) -> tuple[Floats, Floats]:
        """The chance of no order day in the horizon, and E[N (N - 1)] of their number N."""
        r, alpha = self.values
        return without_drop_out(r + x, horizon / (alpha + T))

    def expected_orders_new(self, t: float | Floats) -> Floats:
        """Expected repeat order days by week t of a customer of whom nothing is known."""
        r, alpha = self.values
        return np.asarray(t * np.float64(r / alpha))


def _likelihood(r: float, alpha: float, x: Floats, T: Floats, w: Floats) -> float:
    """The log-likelihood of repeat times: Gamma(r+x)/Gamma(r) alpha^r / (alpha+T)^(r+x), as for NBD with exact times."""
    from scipy.special import gammaln

    each = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + T)
    return float(np.sum(w * each))
