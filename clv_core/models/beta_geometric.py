"""The likelihood that BG/NBD and MBG/NBD share, with exact gradient and Hessian.

Orders come at a gamma(r, alpha) rate; after each, the customer leaves with a beta(a, b) chance. `entry` is 0 when the first
order can't be the last one (BG/NBD: Fader, Hardie, Lee 2005, equation 6) and 1 when it can (MBG/NBD: Batislam, Denizel,
Filiztekin 2007). With k = x + entry, a customer's likelihood is

    G(r+x) a^r / G(r) (alpha+T)^-(r+x)  B(a, b+k) / B(a, b)  (1 + [k > 0] a / (b+k-1) ((alpha+T) / (alpha+t_x))^(r+x))

Whatever depends on x alone or T alone is summed beforehand; only the last factor costs time per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.chunks import each_chunk
from clv_core.models.histories import sums

if TYPE_CHECKING:
    from clv_core.models.base import Floats
    from clv_core.models.histories import Histories


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over customers that no parameter changes: how many have more than j purchases, and x by age."""

    above: Floats  # above[j]: customers with x > j
    above_entry: Floats  # the same for x + entry
    ages: Floats
    by_age: Floats  # customers of each age
    x_by_age: Floats

    @classmethod
    def of(cls, rows: Histories, entry: int) -> Totals:
        """The sums for these rows."""
        by_count = sums(rows.x.astype(np.intp), rows.weight)
        above = np.cumsum(by_count[::-1])[::-1]  # above[j] so far: x >= j
        ages, place = np.unique(rows.T, return_inverse=True)
        by_age = sums(place, rows.weight)
        x_by_age = sums(place, rows.weight * rows.x)
        return cls(above[1:], above if entry else above[1:], ages, by_age, x_by_age)


class OrderRate:
    """The part without drop-out, in r and alpha: alone it is the likelihood of the NBD, which both models tend to as a -> 0."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals

    def natural(self, r: float, alpha: float) -> tuple[float, Floats, Floats]:
        """Value, gradient and Hessian in (r, alpha)."""
        t = self.totals
        inverse = 1.0 / (r + np.arange(t.above.size))
        older = 1.0 / (alpha + t.ages)
        logs = np.log1p(t.ages / alpha)
        each = r * t.by_age + t.x_by_age
        n = float(t.by_age.sum())
        value = float(-(t.above @ np.log(inverse)) - r * (t.by_age @ logs) + t.x_by_age @ np.log(older))
        gradient = np.array([t.above @ inverse - t.by_age @ logs, r * n / alpha - each @ older])
        cross = n / alpha - t.by_age @ older
        hessian = np.array([[-(t.above @ inverse**2), cross], [cross, each @ older**2 - r * n / alpha**2]])
        return value, gradient, hessian

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient and Hessian in (log r, log alpha)."""
        return to_logs(np.exp(theta), *self.natural(*np.exp(theta)))


class BetaGeometric:
    """The log-likelihood of merged rows as a surface over (log r, log alpha, log a, log b)."""

    def __init__(self, rows: Histories, entry: int) -> None:
        self.totals = Totals.of(rows, entry)
        self.rate = OrderRate(self.totals)
        active = rows.x + entry > 0
        self.x, self.t_x, self.T, self.weight = rows.x[active], rows.t_x[active], rows.T[active], rows.weight[active]
        counts, self.place = np.unique(self.x, return_inverse=True)
        self.before = counts + entry - 1.0  # purchases that could have been the last, before the last one

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient and Hessian in log-parameters."""
        r, alpha, a, b = np.exp(theta)
        value, gradient, hessian = np.zeros(1), np.zeros(4), np.zeros((4, 4))
        value[0], gradient[:2], hessian[:2, :2] = self.rate.natural(r, alpha)
        self._survived(a, b, value, gradient, hessian)
        self._left(r, alpha, a, b, value, gradient, hessian)
        return to_logs(np.exp(theta), float(value[0]), gradient, hessian)

    def _survived(self, a: float, b: float, value: Floats, gradient: Floats, hessian: Floats) -> None:
        """Adds log B(a, b+k) / B(a, b)."""
        above = self.totals.above_entry
        stay = 1.0 / (b + np.arange(above.size))
        both = 1.0 / (a + b + np.arange(above.size))
        value += above @ np.log(both / stay)
        gradient[2] -= above @ both
        gradient[3] += above @ (stay - both)
        hessian[2:, 2:] += above @ both**2
        hessian[3, 3] -= above @ stay**2

    def _left(self, r: float, alpha: float, a: float, b: float, value: Floats, gradient: Floats, hessian: Floats) -> None:
        """Adds log(1 + the odds of having left after the last purchase)."""
        odds = np.log(a) - np.log(b + self.before)
        parts = each_chunk(self.x.size, lambda piece: self._piece(piece, r, alpha, odds))
        if not parts:
            return
        scalars = np.sum([part[0] for part in parts], axis=0)
        s, v, v_log, v_inverse = np.sum([part[1] for part in parts], axis=0)
        slope = -1.0 / (b + self.before)  # of the log-odds, along b
        value += scalars[0]
        gradient += [scalars[1], scalars[2], s.sum() / a, s @ slope]
        upper = np.zeros((4, 4))
        upper[0, :] = [scalars[3], scalars[4] + scalars[6], v_log.sum() / a, v_log @ slope]
        upper[1, 1:] = [scalars[5] + scalars[7], v_inverse.sum() / a, v_inverse @ slope]
        upper[2, 2:] = [(v.sum() - s.sum()) / a**2, v @ slope / a]
        upper[3, 3] = (v + s) @ slope**2
        hessian += upper + np.triu(upper, 1).T

    def _piece(self, piece: slice, r: float, alpha: float, odds: Floats) -> tuple[Floats, Floats]:
        """Sums over some rows: of scalars, and by x. `logs` and `inverse` are slopes of the log-odds z."""
        x, place, weight = self.x[piece], self.place[piece], self.weight[piece]
        late, early = 1.0 / (alpha + self.T[piece]), 1.0 / (alpha + self.t_x[piece])
        logs = np.log(early / late)
        power = r + x
        z = power * logs + odds[place]
        small = np.exp(-np.abs(z))
        soft = np.maximum(z, 0.0) + np.log1p(small)
        left = np.where(z >= 0.0, 1.0, small) / (1.0 + small)
        s = weight * left
        v = s * (1.0 - left)
        step = late - early
        inverse = power * step
        v_log, v_inverse = v * logs, v * inverse
        scalars = [weight @ soft, s @ logs, s @ inverse, v_log @ logs, v_log @ inverse, v_inverse @ inverse]
        scalars += [s @ step, -(s * inverse) @ (late + early)]
        width = odds.size
        return np.array(scalars), np.stack([sums(place, one, width) for one in (s, v, v_log, v_inverse)])


def to_logs(values: Floats, value: float, gradient: Floats, hessian: Floats) -> tuple[float, Floats, Floats]:
    """Value, gradient and Hessian in log-parameters from those in the parameters themselves."""
    slope = values * gradient
    return value, slope, hessian * np.outer(values, values) + np.diag(slope)
