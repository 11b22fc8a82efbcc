"""What BG/NBD and MBG/NBD have in common beyond the likelihood: the fit, P(alive) and every expectation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import numpy as np
from scipy.special import expit

from clv_core.models.base import Floats, Parameter
from clv_core.models.beta_geometric import BetaGeometric
from clv_core.models.chances import beta_geometric
from clv_core.models.chunks import dot, each_chunk
from clv_core.models.fitted import Fitted, at_limit
from clv_core.models.histories import Histories, checked, distinct, merge
from clv_core.models.optimum import Optimum, climb, maximise
from clv_core.models.purchases import discounted_purchases, expected_purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TINY = 1e-6  # drop-out, when its effect is asked for
REPEATERS = 10  # fewer repeat buyers than this say nothing about four parameters
ROUGH = 1500  # rows that the starts climb before the best of them meets all rows
NO_DROP_OUT = "no drop-out in the data: p_alive is 1 for all, so tiers and stages by churn are empty"
SHAPES = ((0.5, 0.7, 2.5), (1.0, 0.3, 3.0), (0.3, 2.0, 8.0))  # starts: r, a, b


@dataclass(frozen=True)
class GeometricOrders(Fitted):
    """Base of the two models; `entry` is 1 when a customer can leave right after the first order."""

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    entry: ClassVar[int]

    @classmethod
    def fit(cls, x: Floats, t_x: Floats, T: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood fit; raises CannotFitError when the data can't identify it.

        Shapes (n,), weeks. Where drop-out adds nothing to the likelihood the result is the NBD limit, a = 0, with a warning.
        """
        rows = merge(x, t_x, T, weights)
        rows.require(REPEATERS)
        week, rate = dot(rows.weight, rows.T) / rows.customers, purchase_rate(rows)
        lower = np.log([1e-4, 1e-5 * week, 1e-6, 1e-4])
        upper = np.log([1e3, 1e5 * week, 1e4, 1e6])
        starts = [np.log([r, r / rate, a, b]) for r, a, b in SHAPES]
        surface = BetaGeometric(rows, cls.entry)
        thin = rows.thin(ROUGH)
        rough = BetaGeometric(thin, cls.entry) if thin is not rows and thin.repeaters else None
        stays = climb(surface.rate, starts[0][:2], lower[:2], upper[:2])
        edges = [np.append(stays.theta, np.log([TINY, b])) for b in (0.1, 1.0, 10.0, 100.0)]
        if nobody_leaves(lambda theta: surface(theta)[:2], stays, edges, starts):
            return limit_without_drop_out(cls, stays)
        best = maximise(surface, starts, lower, upper, rough)
        return limit_without_drop_out(cls, stays) if best.value < stays.value + 0.01 else cls.at(best)

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Probability, in [0, 1], of still being a customer at T. Shapes (n,), weeks."""
        x, t_x, T = checked(x, t_x, T)
        shape, (x, t_x, T) = x.shape, (one.ravel() for one in (x, t_x, T))
        result = np.empty(x.shape)

        def work(piece: slice) -> None:
            result[piece] = expit(-self._log_odds(x[piece], t_x[piece], T[piece]))

        each_chunk(x.size, work)
        return result.reshape(shape)

    def expected_orders(self, horizon: float | Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days in the `horizon` weeks after T, given the history. Shapes (n,)."""
        return self._expected(horizon, 0.0, x, t_x, T)

    def discounted_expected_orders(self, horizon: float, weekly_discount: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days of the horizon, each discounted by exp(-weekly_discount * weeks after T) (DECT)."""
        if weekly_discount < 0:
            raise ValueError("the discount must not be negative")
        return self._expected(horizon, weekly_discount, x, t_x, T)

    def expected_orders_new(self, t: float | Floats) -> Floats:
        """Expected repeat purchase days by week t of a customer of whom nothing is known."""
        t = np.asarray(t, dtype=np.float64)
        nothing = np.zeros(t.shape)
        return self.expected_orders(t, nothing, nothing, nothing)

    def order_chances(self, horizon: float, x: Floats, T: Floats) -> tuple[Floats, Floats]:
        """Of customers alive at T: the chance of no purchase day in the horizon, and E[N (N - 1)] of their number N."""
        r, alpha, a, b = self.values
        first, place = distinct(x, T)
        A, c, scale = r + x[first], b + self.entry + x[first], alpha + T[first]
        found = each_chunk(first.size, lambda piece: beta_geometric(A[piece], horizon / scale[piece], a, c[piece]))
        none, pairs = (np.concatenate([one[n] for one in found] or [np.zeros(0)]) for n in (0, 1))
        return none[place], pairs[place]

    def _expected(self, horizon: float | Floats, decay: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        x, t_x, T = checked(x, t_x, T)
        horizons = np.asarray(horizon, dtype=np.float64)
        if np.any(horizons < 0) or not np.all(np.isfinite(horizons)):
            raise ValueError("the horizon must be finite and not negative")
        shape = np.broadcast_shapes(x.shape, horizons.shape)
        x, t_x, T = (np.broadcast_to(one, shape).ravel() for one in (x, t_x, T))
        alone = horizons.ndim == 0
        first, place = distinct(x, T) if alone else distinct(x, T, np.broadcast_to(horizons, shape).ravel())
        t = horizons if alone else np.broadcast_to(horizons, shape).ravel()[first]
        there = self._while_alive(t, decay, x[first], T[first])
        result = np.empty(x.shape)

        def work(piece: slice) -> None:
            odds = self._log_odds(x[piece], t_x[piece], T[piece])
            result[piece] = expit(-odds) * there[place[piece]]

        each_chunk(x.size, work)
        return result.reshape(shape)

    def _while_alive(self, t: Floats, decay: float, x: Floats, T: Floats) -> Floats:
        """Expected purchases of customers known to be there at T."""
        r, alpha, a, b = self.values
        scale = alpha + T
        h = t / scale
        result = np.empty(x.shape)

        def work(piece: slice) -> None:
            rest = (a, b + self.entry + x[piece])
            if decay:
                result[piece] = discounted_purchases(r + x[piece], h[piece], *rest, decay * scale[piece])
            else:
                result[piece] = expected_purchases(r + x[piece], h[piece], *rest)

        each_chunk(x.size, work)
        return result

    def _log_odds(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Log of the odds of having left."""
        r, alpha, a, b = self.values
        if a == 0.0:
            return np.full(x.shape, -np.inf)
        chances = b + self.entry - 1.0 + x
        odds = (r + x) * np.log1p((T - t_x) / (alpha + t_x)) + np.log(a) - np.log(np.where(x + self.entry > 0, chances, 1.0))
        return odds if self.entry else np.where(x > 0, odds, -np.inf)


Model = TypeVar("Model", bound=Fitted)


def nobody_leaves(
    slope: Callable[[Floats], tuple[float, Floats]], stays: Optimum, edges: Sequence[Floats], starts: Sequence[Floats]
) -> bool:
    """Whether the likelihood is highest where nobody drops out.

    That is so when a little drop-out of any kind (the edges, by the slope along their third parameter) lowers it, and none of
    the starts lies above it.
    """
    if not stays.converged or any(slope(edge)[1][2] > 0 for edge in edges):
        return False
    return all(slope(start)[0] < stays.value for start in starts)


def limit_without_drop_out(model: type[Model], stays: Optimum) -> Model:
    """The model at its NBD limit: the rate's two parameters as fitted, the drop-out's shape 0, and a plain warning."""
    pair = stays.covariance()
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = pair
    values = np.append(np.exp(stays.theta), [0.0, 1.0])
    spread = np.where(stays.bounded, np.nan, np.exp(stays.theta) * np.sqrt(np.diag(pair)))
    errors = np.append(spread, [np.nan, np.nan])
    found = {n: Parameter(float(v), float(e)) for n, v, e in zip(model.names, values, errors, strict=True)}
    limits = [at_limit(model.name, model.names[i], values[i]) for i in np.flatnonzero(stays.bounded)]
    return model(found, stays.value, (NO_DROP_OUT, *limits), tuple(tuple(map(float, row)) for row in covariance))


def purchase_rate(rows: Histories) -> float:
    """Purchases per week, as customers bought before their last purchase or in all: a start, no estimate."""
    return max(rows.purchases, 1.0) / max(dot(rows.weight, 0.5 * (rows.t_x + rows.T)), 1e-9)
