"""A choice carried out on a base: models fitted to all of its history, and what every customer is then expected to spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.early_features import features
from clv_core.forecast import Forecast, fit_basket_or_credibility, fit_first, forecast
from clv_core.leaning import lean
from clv_core.trials import rules_of_thumb
from clv_core.windows import Snapshot, sampled, snapshot

if TYPE_CHECKING:
    import pyarrow as pa

    from clv_core.basket import Basket
    from clv_core.choice import Choice
    from clv_core.models.base import OrderModel
    from clv_core.score_settings import ScoreSettings
    from clv_core.transactions import Transactions

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """The order model and the basket fitted at a cut, and what had to be replaced on the way."""

    model: OrderModel
    basket: Basket
    warnings: tuple[str, ...]
    customers: int  # how many were fitted


@dataclass(frozen=True, slots=True)
class Valuation:
    """What is expected of a snapshot's customers: the forecast of the order model, and the levelled value of the choice."""

    forecast: Forecast
    value: Floats


def fit(
    t: Transactions, s: Snapshot, order_model: str, basket: str, settings: ScoreSettings, choice: Choice | None = None
) -> Fit:
    """The models fitted to the snapshot (to about settings.fit_customers of it, picked by id); falls back with a warning.

    What `choice` has already fitted to all of the same snapshot is taken over.
    """
    some = s if len(s) <= settings.fit_customers else snapshot(sampled(t, settings.fit_customers), s.as_of)
    others = tuple(name for name in settings.candidates if name != order_model and name != "early_life")
    refused: list[str] = []
    if choice is not None and choice.as_of == s.as_of and order_model in choice.models and some is s:
        model = choice.models[order_model]
    else:
        model, refused = fit_first((order_model, *others), some)
    held, replaced = fit_basket_or_credibility(basket, some)
    return Fit(model, held, (*refused, *replaced, *model.warnings), len(some))


def value(
    t: Transactions, s: Snapshot, fitted: Fit, choice: Choice, settings: ScoreSettings, engagement: pa.Table | None = None
) -> Valuation:
    """The expected value of every customer over the settings' horizon after the snapshot, by the chosen model or blend."""
    views = {choice.order_model: forecast(fitted.model, fitted.basket, s, settings.horizon_weeks)}
    for name in choice.blend.weights:
        if name in choice.baskets and name not in views:
            other = fit(t, s, name, choice.baskets[name], settings, choice)
            if other.model.name == name:
                views[name] = forecast(other.model, other.basket, s, settings.horizon_weeks)
    return Valuation(views[choice.order_model], blended(t, s, views, choice, engagement) * choice.level.factor)


def blended(t: Transactions, s: Snapshot, views: dict[str, Forecast], choice: Choice, engagement: pa.Table | None) -> Floats:
    """The choice's blend before its level; only what has weight is computed."""
    used = choice.blend.weights
    known = {name: view.value for name, view in views.items()}
    if {"past_spend", "rfm"} & set(used):
        known |= rules_of_thumb(s)
    if "early_life" in used and choice.learner is not None:
        known["early_life"] = choice.learner.predict(s, features(t, s, engagement), views[choice.order_model])
    mixed = choice.blend.apply(known)
    return lean(mixed, views[choice.order_model].buys, choice.leaning) if choice.leaning else mixed
