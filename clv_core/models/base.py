"""What every order model offers, so that scoring and validation need not know which one they hold.

Time is in weeks of exact days (days / 7). `x` is the number of repeat purchase days, `t_x` the week of the last one, `T` the
customer's age in weeks; all are float64 arrays of one length. `weights` count identical rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]


class CannotFitError(ValueError):
    """The data can't identify this model (too few repeat buyers, one customer, all on one day); choose another."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An estimate and its standard error (nan where the estimate lies on a boundary)."""

    value: float
    standard_error: float


class OrderModel(Protocol):
    """A fitted model of when customers order. Made by the class method `fit`; immutable."""

    @property
    def name(self) -> str:
        """The model id: bg_nbd, mbg_nbd, pareto_nbd, ..."""
        ...

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The estimates by name."""
        ...

    @property
    def log_likelihood(self) -> float:
        """Of the data it was fitted to, without penalty."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences, e.g. "no drop-out in the data: p_alive is 1 for all ..."."""
        ...

    @classmethod
    def fit(cls, x: Floats, t_x: Floats, T: Floats, weights: Floats | None = None) -> Self:
        """The maximum-likelihood fit; raises CannotFitError when the data can't identify it."""
        ...

    def expected_orders(self, horizon: float | Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days in the `horizon` weeks after T, given the history."""
        ...

    def p_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Probability, in [0, 1], of still being a customer at T."""
        ...

    def discounted_expected_orders(self, horizon: float, weekly_discount: float, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Expected purchase days of the horizon, each discounted by exp(-weekly_discount * weeks after T) (DECT)."""
        ...

    def expected_orders_new(self, t: float | Floats) -> Floats:
        """Expected repeat purchase days by week t of a customer of whom nothing is known."""
        ...

    def order_chances(self, horizon: float, x: Floats, T: Floats) -> tuple[Floats, Floats]:
        """Of customers alive at T: the chance of no purchase day in the horizon, and E[N (N - 1)] of their number N."""
        ...

    def covariance(self) -> Floats:
        """Covariance of the log-parameters, in the order of `parameters`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """A document from which `from_json` makes an equal model."""
        ...

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The model saved by `to_json`."""
        ...
