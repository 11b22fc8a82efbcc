"""What an order of each customer will be worth: Gamma-Gamma on repeat orders, on all orders, or plain credibility.

Which one is used is decided on inner splits (clv_core/choice.py): seeing the first order tells one-time buyers apart, but can
hurt where first orders are unlike later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from clv_core.models.base import CannotFitError
from clv_core.models.gamma_gamma import GammaGamma

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]


class Basket(Protocol):
    """A fitted expectation of order values."""

    @property
    def name(self) -> str:
        """One of score_settings.BASKETS."""
        ...

    def expected(self, s: Snapshot) -> Floats:
        """The expected value of one future order of each customer, never negative."""
        ...

    def spread(self, s: Snapshot) -> tuple[Floats, Floats]:
        """Squared coefficients of variation: of one order around the customer's mean, and of that mean given the history."""
        ...


@dataclass(frozen=True, slots=True)
class GammaBasket:
    """Gamma-Gamma on the repeat orders (`all_orders` false, as published) or on all of them, the first included."""

    model: GammaGamma
    all_orders: bool

    @property
    def name(self) -> str:
        """`all_orders` or `repeat_orders`."""
        return "all_orders" if self.all_orders else "repeat_orders"

    @classmethod
    def fit(cls, s: Snapshot, *, all_orders: bool) -> Self:
        """The maximum-likelihood fit; raises CannotFitError when there are too few usable customers."""
        x, m = (s.x + 1.0, s.mean_value) if all_orders else (s.x, s.m)
        usable = (x > 0) & (m > 0)
        if int(usable.sum()) < 10:
            raise CannotFitError(
                f"order values: only {int(usable.sum())} customers with orders worth more than 0; at least 10 needed"
            )
        return cls(GammaGamma.fit(x[usable], m[usable]), all_orders)

    def expected(self, s: Snapshot) -> Floats:
        """E[value of an order | history] (Fader and Hardie 2013, equation 5)."""
        x, m = (s.x + 1.0, s.mean_value) if self.all_orders else (s.x, s.m)
        unusable = m <= 0
        return np.maximum(self.model.expected_spend(np.where(unusable, 0.0, x), np.where(unusable, 0.0, m)), 0.0)

    def spread(self, s: Snapshot) -> tuple[Floats, Floats]:
        """1/p, and 1/(px + q - 2) of the inverse-gamma mean (bounded where its variance does not exist)."""
        p, q = self.model.parameters["p"].value, self.model.parameters["q"].value
        x = s.x + 1.0 if self.all_orders else s.x
        return np.full(len(s), 1.0 / p), 1.0 / np.maximum(p * x + q - 2.0, 0.5)


@dataclass(frozen=True, slots=True)
class CredibilityBasket:
    """Own mean and the base's mean, weighed by how much customers differ (Buhlmann 1967): exists for any base."""

    mean: float
    within: float  # variance of orders around their customer's mean
    between: float  # variance of customers' means
    name: str = "credibility"

    @classmethod
    def fit(cls, s: Snapshot) -> Self:
        """The fit by moments; first order against the mean of later ones tells the spread within customers."""
        own, n = s.mean_value, s.x + 1.0
        repeat = s.x > 0
        mean = float(np.sum(own * n) / max(float(n.sum()), 1.0))
        within = float(np.mean((s.first_value - s.m)[repeat] ** 2 / (1.0 + 1.0 / s.x[repeat]))) if repeat.any() else mean**2
        between = max(float(np.var(own)) - within * float(np.mean(1.0 / n)), 0.0) if len(s) > 1 else 0.0
        return cls(mean, within, between)

    def expected(self, s: Snapshot) -> Floats:
        """The credibility estimate of each customer's mean order value."""
        n = s.x + 1.0
        weight = n * self.between / (n * self.between + self.within) if self.between > 0 else np.zeros(len(s))
        return np.maximum(weight * s.mean_value + (1.0 - weight) * self.mean, 0.0)

    def spread(self, s: Snapshot) -> tuple[Floats, Floats]:
        """Both variances over the squared mean."""
        square = max(self.mean**2, 1e-12)
        n = s.x + 1.0
        left = self.between * self.within / np.maximum(n * self.between + self.within, 1e-12)
        return np.full(len(s), self.within / square), left / square


def fit_basket(name: str, s: Snapshot) -> Basket:
    """The fitted basket of that name; raises CannotFitError for a Gamma-Gamma that the data can't identify."""
    if name == "credibility":
        return CredibilityBasket.fit(s)
    return GammaBasket.fit(s, all_orders=name == "all_orders")


def basket_to_json(basket: Basket) -> dict[str, Any]:
    """A document from which `basket_from_json` makes an equal basket."""
    if isinstance(basket, GammaBasket):
        return {"basket": basket.name, "model": basket.model.to_json()}
    assert isinstance(basket, CredibilityBasket)
    return {"basket": basket.name, "mean": basket.mean, "within": basket.within, "between": basket.between}


def basket_from_json(document: Mapping[str, Any]) -> Basket:
    """The basket saved by `basket_to_json`."""
    if document["basket"] == "credibility":
        return CredibilityBasket(float(document["mean"]), float(document["within"]), float(document["between"]))
    return GammaBasket(GammaGamma.from_json(document["model"]), document["basket"] == "all_orders")
