"""Pareto/NBD: orders at a gamma(r, alpha) rate during a lifetime that ends at a gamma(s, beta) rate.

Schmittlein, Morrison, Colombo, Management Science 33 (1987); Fader, Hardie, "A note on deriving the Pareto/NBD model" (2005);
discounted expected orders: Fader, Hardie, Lee, J. of Marketing Research 42 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from scipy.special import roots_legendre

from clv_core.models.chances import pareto
from clv_core.models.chunks import dot, each_chunk
from clv_core.models.fitted import Fitted
from clv_core.models.geometric_orders import REPEATERS, TINY, limit_without_drop_out, nobody_leaves, purchase_rate
from clv_core.models.histories import checked, distinct, merge
from clv_core.models.optimum import Secant, climb, maximise
from clv_core.models.pareto_likelihood import ParetoLikelihood
from clv_core.models.pareto_tail import Places, Tail

if TYPE_CHECKING:
    from clv_core.models.base import Floats

ROUGH = 1500
SHAPES = ((0.5, 0.5, 1.0), (1.0, 1.0, 3.0), (0.3, 2.0, 4.0))  # starts: r, s, and beta in alphas
NODES = 64
NEGLIGIBLE = 45.0  # a discount of exp(-45) ends an endless horizon


@dataclass(frozen=True)
class ParetoNbd(Fitted):
    """A fitted Pareto/NBD. s = 0 is its limit without drop-out."""

    name: ClassVar[str] = "pareto_nbd"
    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")

    @classmethod
    def fit(cls, x: Floats, t_x: Floats, T: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood fit; raises CannotFitError when the data can't identify it. Shapes (n,), weeks."""
        rows = merge(x, t_x, T, weights)
        rows.require(REPEATERS)
        week, rate = dot(rows.weight, rows.T) / rows.customers, purchase_rate(rows)
        lower = np.log([1e-4, 1e-5 * week, 1e-6, 1e-5 * week])
        upper = np.log([1e3, 1e5 * week, 1e2, 1e5 * week])  # at s = 100 drop-out rates differ by a tenth: more says nothing
        starts = [np.log([r, r / rate, s, b * r / rate]) for r, s, b in SHAPES]
        thin = rows.thin(ROUGH)
        rough = Secant(ParetoLikelihood(thin).slope) if thin is not rows and thin.repeaters else None
        surface = ParetoLikelihood(rows)
        stays = climb(surface.rate, starts[0][:2], lower[:2], upper[:2])
        edges = [np.append(stays.theta, np.log([TINY, b * week])) for b in (0.03, 0.3, 3.0, 30.0, 300.0)]
        if nobody_leaves(surface.slope, stays, edges, starts):
            return limit_without_drop_out(cls, stays)
        best = maximise(Secant(surface.slope), starts, lower, upper, rough, until_sharp=True)
        best = climb(surface, best.theta, lower, upper)  # with the Hessian itself, which tells the errors
        return limit_without_drop_out(cls, stays) if best.value < stays.value + 0.01 else cls.at(best)

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Probability, in [0, 1], of still being a customer at T. Shapes (n,), weeks."""
        x, t_x, T = checked(x, t_x, T)
        shape, (x, t_x, T) = x.shape, (one.ravel() for one in (x, t_x, T))
        r, alpha, s, beta = self.values
        if s == 0.0 or not x.size:
            return np.ones(shape)
        places, (last, now) = Places.of(x, t_x, T)
        known = Tail.of(np.array(self.values), places, slopes=False).values
        result = np.empty(x.shape)

        def work(piece: slice) -> None:
            since = T[piece] - t_x[piece]
            distance = (r + x[piece]) * np.log1p(since / (alpha + t_x[piece])) + s * np.log1p(since / (beta + t_x[piece]))
            fade = np.exp(-distance)
            result[piece] = np.minimum(fade / (known[last[piece]] + (1.0 - known[now[piece]]) * fade), 1.0)

        each_chunk(x.size, work)
        return result.reshape(shape)

    def expected_orders(self, horizon: float | Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days in the `horizon` weeks after T, given the history. Shapes (n,)."""
        return self._expected(horizon, 0.0, x, t_x, T)

    def discounted_expected_orders(self, horizon: float, weekly_discount: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days of the horizon, each discounted by exp(-weekly_discount * weeks after T) (DECT).

        An infinite horizon gives the discounted expected residual transactions (DERT); it needs a discount above 0.
        """
        if weekly_discount < 0 or (np.isinf(horizon) and weekly_discount == 0):
            raise ValueError("the discount must not be negative, and above 0 for an endless horizon")
        endless = NEGLIGIBLE / weekly_discount if weekly_discount else np.inf
        return self._expected(min(horizon, endless), weekly_discount, x, t_x, T)

    def expected_orders_new(self, t: float | Floats) -> Floats:
        """Expected repeat purchase days by week t of a customer of whom nothing is known."""
        t = np.asarray(t, dtype=np.float64)
        nothing = np.zeros(t.shape)
        return self.expected_orders(t, nothing, nothing, nothing)

    def order_chances(self, horizon: float, x: Floats, T: Floats) -> tuple[Floats, Floats]:
        """Of customers alive at T: the chance of no purchase day in the horizon, and E[N (N - 1)] of their number N."""
        r, alpha, s, beta = self.values
        first, place = distinct(x, T)
        x, T = x[first], T[first]

        def work(piece: slice) -> tuple[Floats, Floats]:
            return pareto(r + x[piece], alpha + T[piece], horizon, s, beta + T[piece])

        found = each_chunk(first.size, work)
        none, pairs = (np.concatenate([one[n] for one in found] or [np.zeros(0)]) for n in (0, 1))
        return none[place], pairs[place]

    def _expected(self, horizon: float | Floats, decay: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        x, t_x, T = checked(x, t_x, T)
        horizons = np.asarray(horizon, dtype=np.float64)
        if np.any(horizons < 0) or not np.all(np.isfinite(horizons)):
            raise ValueError("the horizon must be finite and not negative")
        shape = np.broadcast_shapes(x.shape, horizons.shape)
        x, t_x, T, each = (np.broadcast_to(one, shape) for one in (x, t_x, T, horizons))
        if horizons.ndim == 0:
            first, place = distinct(T.ravel())
        else:
            first, place = distinct(T.ravel(), each.ravel())
        weeks = self._weeks_alive(each.ravel()[first], decay, T.ravel()[first])
        rate = (self.values[0] + x) / (self.values[1] + T)
        return np.asarray(rate * weeks[place].reshape(shape) * self.p_alive(x, t_x, T))

    def _weeks_alive(self, t: Floats, decay: float, T: Floats) -> Floats:
        """Expected (discounted) weeks among the next t that a customer alive at T stays one.

        The integral of exp(-decay u) ((beta+T)/(beta+T+u))^s over u, by Gauss-Legendre in log(1 + u/(beta+T)).
        """
        _, _, s, beta = self.values
        if s == 0.0:
            return t.copy() if decay == 0 else -np.expm1(-decay * t) / decay
        scale = beta + T
        logs = np.log1p(t / scale)
        if decay == 0:
            return scale * logs if s == 1.0 else scale * np.expm1((1.0 - s) * logs) / (1.0 - s)
        reach = np.minimum(logs, np.log1p(NEGLIGIBLE / (decay * scale)))
        reach = np.minimum(reach, NEGLIGIBLE / max(s - 1.0, 1e-9))
        points, weights = roots_legendre(NODES)
        v = 0.5 * reach[:, None] * (1.0 + points)
        height = np.exp((1.0 - s) * v - decay * scale[:, None] * np.expm1(v))
        return np.asarray(0.5 * reach * scale * (height @ weights))
