"""The Pareto/NBD log-likelihood of merged rows with its exact gradient.

With G of `pareto_tail` and D = (r+x) log((alpha+T)/(alpha+t_x)) + s log((beta+T)/(beta+t_x)), a customer's likelihood is

    Gamma(r+x)/Gamma(r) alpha^r (alpha+T)^-(r+x)  beta^s (beta+T)^-s  (1 - G(x, T) + G(x, t_x) e^D)

and the last factor is 1 / P(alive) (Schmittlein, Morrison, Colombo 1987; Fader and Hardie 2005 rewritten without cancellation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clv_core.models.beta_geometric import OrderRate, Totals, to_logs
from clv_core.models.chunks import each_chunk
from clv_core.models.histories import sums
from clv_core.models.optimum import differences
from clv_core.models.pareto_tail import Places, Tail

if TYPE_CHECKING:
    from clv_core.models.base import Floats
    from clv_core.models.histories import Histories


class ParetoLikelihood:
    """A surface over (log r, log alpha, log s, log beta)."""

    def __init__(self, rows: Histories) -> None:
        self.rows = rows
        self.totals = Totals.of(rows, 0)
        self.rate = OrderRate(self.totals)
        self.places, (self.last, self.now) = Places.of(rows.x, rows.t_x, rows.T)
        self.at_last, self.at = self.places.of_time[self.last], self.places.of_time[self.now]

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient and Hessian (forward differences of the exact gradient) in log-parameters."""
        value, gradient = self.slope(theta)
        return value, gradient, differences(self.slope, theta, gradient)

    def slope(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient in log-parameters."""
        natural = np.exp(theta)
        r, alpha, s, beta = natural
        value, start, _ = self.rate.natural(r, alpha)
        ages, by_age = self.totals.ages, self.totals.by_age
        logs = np.log1p(ages / beta)
        value -= s * float(by_age @ logs)
        gradient = np.array([start[0], start[1], -(by_age @ logs), s * float(by_age @ (ages / (beta * (beta + ages))))])
        tail = Tail.of(natural, self.places)
        tables = self._tables(natural)
        parts = each_chunk(self.rows.x.size, lambda piece: self._piece(piece, natural, tail.values, tables))
        along = np.zeros(tail.values.size)  # of the likelihood, along G at each place
        for scalars, first, weights in parts:
            value += scalars[0]
            gradient += scalars[1:]
            along[first : first + weights.size] += weights
        gradient += tail.slopes(along)
        value, gradient, _ = to_logs(natural, value, gradient, np.zeros((4, 4)))
        return value, gradient

    def _tables(self, natural: Floats) -> Floats:
        """At the distinct times: logs of alpha + t and beta + t, and their reciprocals; shape (4, times)."""
        both = np.stack([natural[1] + self.places.times, natural[3] + self.places.times])
        return np.concatenate([np.log(both), 1.0 / both])

    def _piece(self, piece: slice, natural: Floats, known: Floats, tables: Floats) -> tuple[Floats, int, Floats]:
        """Over some rows: value and slopes along what doesn't pass through G; and along G, from its first place on."""
        last, now, weight = self.last[piece], self.now[piece], self.rows.weight[piece]
        alpha_logs, beta_logs, alpha_step, beta_step = tables[:, self.at[piece]] - tables[:, self.at_last[piece]]
        power = natural[0] + self.rows.x[piece]
        distance = power * alpha_logs + natural[2] * beta_logs
        fade = np.exp(-distance)
        gone = known[last]
        both = gone + (1.0 - known[now]) * fade
        each = weight / both
        share = each * gone
        scalars = [
            weight @ (distance + np.log(both)),
            share @ alpha_logs,
            (share * power) @ alpha_step,
            share @ beta_logs,
            natural[2] * (share @ beta_step),
        ]
        first = int(min(last.min(), now.min()))
        width = int(max(last.max(), now.max())) - first + 1
        return np.array(scalars), first, sums(last - first, each, width) - sums(now - first, each * fade, width)
