"""Gamma-Gamma: order values vary by gamma(p) around a customer's mean, and the means between customers.

Fader, Hardie, "The Gamma-Gamma model of monetary value" (2013): likelihood (1a), conditional mean (5). The model doesn't care
which orders it is given. The published form is fed the repeat purchase days (x, their mean), so that customers with one order
all get the base's mean; the variant that sees the first order is fed all days (x + 1, the mean over all): `spend_history`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from clv_core.models.base import CannotFitError, Floats
from clv_core.models.beta_geometric import to_logs
from clv_core.models.chunks import dot, each_chunk
from clv_core.models.fitted import Fitted
from clv_core.models.histories import sums
from clv_core.models.optimum import maximise

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOMERS = 10  # fewer customers with an order of value can't tell three parameters
ROUGH = 4000
HEAVY_TAIL = "order values are spread too widely for the model's mean: the observed mean is used for customers without history"


def spend_history(x: Floats, m: Floats, first_value: Floats, *, first_order: bool) -> tuple[Floats, Floats]:
    """(x, m) to feed to `fit` and `expected_spend`: of the repeat days or, with `first_order`, of all days."""
    if not first_order:
        return x, m
    return x + 1.0, (first_value + x * m) / (x + 1.0)


@dataclass(frozen=True)
class GammaGamma(Fitted):
    """A fitted Gamma-Gamma; `mean_spend` is the mean of the customers' observed means."""

    name: ClassVar[str] = "gamma_gamma"
    names: ClassVar[tuple[str, ...]] = ("p", "q", "v")

    mean_spend: float = 0.0

    @classmethod
    def fit(cls, x: Floats, m: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood fit over customers with x > 0 and m > 0; others say nothing of order values.

        `x` days of purchase and their mean value `m`, shapes (n,). Raises CannotFitError for fewer than 10 such customers or
        when all have the same value.
        """
        x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
        weights = np.ones(x.shape) if weights is None else np.asarray(weights, dtype=np.float64)
        if not (np.isfinite(x).all() and np.isfinite(m).all() and np.isfinite(weights).all()):
            raise ValueError("x, m and weights must be finite")
        used = (x > 0) & (m > 0) & (weights > 0)
        x, m, weights = x[used], m[used], weights[used]
        if float(weights.sum()) < CUSTOMERS:
            raise CannotFitError(
                f"order values: {weights.sum():g} customers with orders worth more than 0, at least {CUSTOMERS} are needed"
            )
        if float(m.max() - m.min()) <= 1e-9 * float(m.max()):
            raise CannotFitError("order values: every customer's mean is the same, so there is nothing to fit; use that value")
        return cls._fit(*_sorted(x, m, weights))

    def expected_spend(self, x: Floats, m: Floats) -> Floats:
        """Expected value of a future order given `x` orders of mean `m`, shapes (n,); the base's mean at x = 0; never negative.

        Equation 5, as an average of the base's mean and the customer's own, weighed q - 1 to p x.
        """
        p, q, _ = self.values
        x, m = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64))
        own = np.maximum(m, 0.0) * (x > 0)
        prior = max(q - 1.0, 1e-9)
        return np.asarray((prior * self.base_mean + p * x * own) / (prior + p * x))

    @property
    def base_mean(self) -> float:
        """Expected order value of a customer without history: p v / (q - 1), or the observed mean where that has no sense."""
        p, q, v = self.values
        return self.mean_spend if self._heavy() else p * v / (q - 1.0)

    def to_json(self) -> dict[str, Any]:
        """A document of plain values from which `from_json` makes an equal model."""
        return {**super().to_json(), "mean_spend": self.mean_spend}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The model saved by `to_json`."""
        plain = super().from_json(document)
        return cls(plain.parameters, plain.log_likelihood, plain.warnings, plain.log_covariance, float(document["mean_spend"]))

    def _heavy(self) -> bool:
        p, q, v = self.values
        return q <= 1.0 or (self.mean_spend > 0 and not 1 / 3 < p * v / (q - 1.0) / self.mean_spend < 3)

    @classmethod
    def _fit(cls, x: Floats, m: Floats, weights: Floats) -> Self:
        mean = dot(weights, m) / float(weights.sum())
        starts = [np.log([p, q, mean * (q - 1.0) / p]) for p, q in ((2.0, 3.0), (8.0, 5.0), (1.0, 1.5))]
        lower, upper = np.log([1e-3, 1e-2, 1e-8 * mean]), np.log([1e6, 1e6, 1e8 * mean])
        stride = -(-x.size // ROUGH)
        some = slice(stride // 2, None, stride)
        rough = OrderValues(x[some], m[some], weights[some]) if stride > 1 else None
        best = maximise(OrderValues(x, m, weights), starts, lower, upper, rough)
        fitted = cls.at(best)
        whole = cls(fitted.parameters, fitted.log_likelihood, fitted.warnings, fitted.log_covariance, mean)
        if not whole._heavy():
            return whole
        return cls(whole.parameters, whole.log_likelihood, (*whole.warnings, HEAVY_TAIL), whole.log_covariance, mean)


class OrderValues:
    """The Gamma-Gamma log-likelihood over (log p, log q, log v); special functions only at the distinct x."""

    def __init__(self, x: Floats, m: Floats, weights: Floats) -> None:
        self.x, self.total, self.weights = x, x * m, weights
        self.counts, self.place = np.unique(x, return_inverse=True)
        self.customers = sums(self.place, weights)
        self.logs = sums(self.place, weights * np.log(self.total))  # log of x m, by x
        self.constant = -dot(weights, np.log(m))

    def __call__(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Value, gradient and Hessian in log-parameters."""
        p, q, v = np.exp(theta)
        parts = each_chunk(self.x.size, lambda piece: self._piece(piece, v))
        logs, inverse, squares = np.sum(parts, axis=0)
        n, x = self.customers, self.counts
        px, shape = p * x, p * x + q
        all_n = float(n.sum())
        value = n @ (gammaln(shape) - gammaln(px)) - all_n * (gammaln(q) - q * np.log(v)) + px @ self.logs - shape @ logs
        psi = digamma(shape)
        gradient = np.array(
            [
                x @ (n * (psi - digamma(px)) + self.logs - logs),
                n @ psi - all_n * (digamma(q) - np.log(v)) - logs.sum(),
                all_n * q / v - shape @ inverse,
            ]
        )
        curve = polygamma(1, shape)
        hessian = np.empty((3, 3))
        hessian[0, 0] = n @ (x**2 * (curve - polygamma(1, px)))
        hessian[0, 1] = hessian[1, 0] = n @ (x * curve)
        hessian[0, 2] = hessian[2, 0] = -(x @ inverse)
        hessian[1, 1] = n @ curve - all_n * polygamma(1, q)
        hessian[1, 2] = hessian[2, 1] = all_n / v - inverse.sum()
        hessian[2, 2] = shape @ squares - all_n * q / v**2
        return to_logs(np.exp(theta), float(value) + self.constant, gradient, hessian)

    def _piece(self, piece: slice, v: float) -> Floats:
        """By x, over some rows: the sums of log(x m + v), of its reciprocal and of its square."""
        place, weights, both = self.place[piece], self.weights[piece], self.total[piece] + v
        inverse = weights / both
        width = self.counts.size
        return np.stack(
            [sums(place, weights * np.log(both), width), sums(place, inverse, width), sums(place, inverse / both, width)]
        )


def _sorted(x: Floats, m: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """The rows in an order that their content decides."""
    if weights.min() == weights.max() and x.max() < 2**16:  # two quick sorts instead of three slow ones
        order = np.argsort(m)
        order = order[np.argsort(x[order].astype(np.uint16), kind="stable")] if np.all(x == np.rint(x)) else np.lexsort((m, x))
    else:
        order = np.lexsort((weights, m, x))
    return x[order], m[order], weights[order]
