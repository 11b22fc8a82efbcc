"""An order model and a basket together: what each customer is expected to order and spend in the weeks after the cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.basket import Basket, CredibilityBasket, fit_basket
from clv_core.models.base import CannotFitError, OrderModel
from clv_core.models.bg_nbd import BgNbd
from clv_core.models.mbg_nbd import MbgNbd
from clv_core.models.pareto_nbd import ParetoNbd
from clv_core.models.steady_rate import SteadyRate

if TYPE_CHECKING:
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
ORDER_MODELS: dict[str, type[OrderModel]] = {
    "bg_nbd": BgNbd, "mbg_nbd": MbgNbd, "pareto_nbd": ParetoNbd, "steady_rate": SteadyRate,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forecast:
    """Per customer: expected orders of the window, expected value of one order, chance of being alive at the cut.

    `weeks` is the length of the window.
    """

    orders: Floats
    basket: Floats
    alive: Floats
    weeks: float

    @property
    def value(self) -> Floats:
        """Expected spend over the window."""
        return self.orders * self.basket

    @property
    def buys(self) -> Floats:
        """The chance of at least one order: alive, then Poisson with the expected number."""
        return np.maximum(-self.alive * np.expm1(-self.orders / np.maximum(self.alive, 1e-6)), 1e-6)

    @property
    def if_buys(self) -> Floats:
        """Expected spend given at least one order."""
        return np.maximum(self.value / self.buys, 1e-6)

    def take(self, rows: NDArray[np.intp]) -> Forecast:
        """The forecast of some customers."""
        return Forecast(self.orders[rows], self.basket[rows], self.alive[rows], self.weeks)


def forecast(model: OrderModel, basket: Basket, s: Snapshot, weeks: float) -> Forecast:
    """What the fitted models expect of the snapshot's customers in the `weeks` after its cut."""
    orders = np.maximum(model.expected_orders(weeks, s.x, s.t_x, s.T), 0.0)
    return Forecast(orders, basket.expected(s), np.clip(model.p_alive(s.x, s.t_x, s.T), 0.0, 1.0), weeks)


def fit_orders(name: str, s: Snapshot) -> OrderModel:
    """The fitted order model; raises CannotFitError when the data can't identify it or it predicts no finite number."""
    model = ORDER_MODELS[name].fit(s.x, s.t_x, s.T)
    if not np.isfinite(model.expected_orders(13.0, s.x[:1000], s.t_x[:1000], s.T[:1000])).all():
        raise CannotFitError(f"{name}: the fitted parameters give no finite expectation; choose another model")
    return model


def fit_first(names: tuple[str, ...], s: Snapshot) -> tuple[OrderModel, list[str]]:
    """The first model that can be fitted, and why others could not; SteadyRate when none can."""
    refused: dict[str, list[str]] = {}
    model: OrderModel | None = None
    for name in names:
        try:
            model = fit_orders(name, s)
            break
        except CannotFitError as error:
            refused.setdefault(str(error), []).append(name)
    told = [f"{', '.join(those)} not used: {why}" for why, those in refused.items()]
    return model or SteadyRate.fit(s.x, s.t_x, s.T), told


def fit_basket_or_credibility(name: str, s: Snapshot) -> tuple[Basket, list[str]]:
    """The basket of that name, or the credibility one with the reason why."""
    try:
        return fit_basket(name, s), []
    except CannotFitError as error:
        return CredibilityBasket.fit(s), [f"order values by credibility instead of {name}: {error}"]


def content_order(s: Snapshot) -> NDArray[np.intp]:
    """The customers ordered by their history, equal ones by id: the same whatever the order of rows."""
    by_id = np.asarray(pc.sort_indices(s.customer_id)).astype(np.intp)
    keys = (s.first_value, s.value_to_date, s.T, s.t_x, s.x)
    return by_id[np.lexsort(tuple(key[by_id] for key in keys))]
