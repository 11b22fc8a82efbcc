"""Inner windows, and what every candidate predicted of them without having seen them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.early_features import features
from clv_core.forecast import Forecast, content_order, fit_basket_or_credibility, fit_orders, forecast
from clv_core.heuristics import past_spend, rfm
from clv_core.models.base import CannotFitError
from clv_core.models.early_life import EarlyLife, Lesson
from clv_core.models.steady_rate import SteadyRate
from clv_core.windows import Window, inner_windows, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pyarrow as pa

    from clv_core.basket import Basket
    from clv_core.models.base import OrderModel
    from clv_core.score_settings import ScoreSettings
    from clv_core.silences import Silence
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
FOLDS = 3


@dataclass(slots=True)
class Trial:
    """One inner window; `forecasts` by (order model, basket), `learned` where the learner has not seen the customer."""

    window: Window
    models: dict[str, OrderModel] = field(default_factory=dict)
    baskets: dict[str, Basket] = field(default_factory=dict)
    forecasts: dict[tuple[str, str], Forecast] = field(default_factory=dict)
    learned: Floats | None = None

    @property
    def weight(self) -> float:
        """How much the window counts: by the customers who spent in it, on a root scale."""
        return float(np.sqrt(np.count_nonzero(self.window.spend)))

    def orders_missed(self, name: str) -> float:
        """Log of realised over expected orders of an order model."""
        past = self.window.past
        expected = float(self.models[name].expected_orders(self.window.weeks, past.x, past.t_x, past.T).sum())
        return float(np.clip(np.log(max(float(self.window.orders.sum()), 0.5) / max(expected, 1e-9)), -1.0, 1.0))

    def views(self, baskets: dict[str, str]) -> dict[str, Floats]:
        """The value that each order model expects, with the basket named for it."""
        return {
            name: self.forecasts[name, basket].value for name, basket in baskets.items() if (name, basket) in self.forecasts
        }

    def others(self) -> dict[str, Floats]:
        """What else a blend may use: rules of thumb and the learner."""
        out = rules_of_thumb(self.window.past)
        return out if self.learned is None else {**out, "early_life": self.learned}


def rules_of_thumb(s: Snapshot) -> dict[str, Floats]:
    """Heuristics as positive numbers fit for a geometric blend; past spend is softened so that 0 is no veto."""
    spent = np.maximum(past_spend(s), 0.0)
    return {"past_spend": spent + 0.1 * float(spent.mean()) + 1e-9, "rfm": np.exp(2.0 * rfm(s))}


def trials(
    t: Transactions, as_of: date, settings: ScoreSettings, order_models: tuple[str, ...], quiet: Sequence[Silence] = ()
) -> tuple[list[Trial], list[str]]:
    """The inner windows with the forecasts of all order models and baskets, and what could not be fitted.

    Windows that fall into one of the silences in `quiet` are left out.
    """
    out: list[Trial] = []
    warnings: list[str] = []
    for one in inner_windows(t, as_of, settings.horizon_days, quiet):
        trial = Trial(one)
        refused: dict[str, list[str]] = {}
        for name in order_models:
            try:
                trial.models[name] = fit_orders(name, one.past)
            except CannotFitError as error:
                refused.setdefault(str(error), []).append(name)
        warnings += [f"{', '.join(names)} not tried as of {one.past.as_of}: {why}" for why, names in refused.items()]
        if not trial.models:
            trial.models[order_models[-1]] = SteadyRate.fit(one.past.x, one.past.t_x, one.past.T)  # in the place of the default
        for basket in settings.baskets:
            trial.baskets[basket], _ = fit_basket_or_credibility(basket, one.past)
            for name, model in trial.models.items():
                trial.forecasts[name, basket] = forecast(model, trial.baskets[basket], one.past, one.weeks)
        out.append(trial)
    return out, warnings


def learn(
    t: Transactions, as_of: date, tried: list[Trial], best: tuple[str, str], engagement: pa.Table | None
) -> tuple[EarlyLife | None, list[str]]:
    """The learner of all inner windows; fills each trial's `learned` by learners that have not seen the customer."""
    useful = [one for one in tried if best in one.forecasts]
    lessons = [
        Lesson(one.window.past, features(t, one.window.past, engagement), one.forecasts[best], one.window.spend)
        for one in useful
    ]
    try:
        learner = EarlyLife.fit([_sorted(one) for one in lessons])
        known = snapshot(t, as_of)
        fold_of = np.empty(len(known), dtype=np.int64)
        fold_of[content_order(known)] = np.arange(len(known)) % FOLDS
        folds = [fold_of[np.asarray(pc.index_in(one.past.customer_id, known.customer_id))] for one in lessons]
        learned = [np.empty(len(one.spend)) for one in lessons]
        for fold in range(FOLDS):
            unseen = EarlyLife.fit(
                [_sorted(one.take(np.flatnonzero(of != fold))) for one, of in zip(lessons, folds, strict=True)]
            )
            for one, of, out in zip(lessons, folds, learned, strict=True):
                part = one.take(np.flatnonzero(of == fold))
                out[of == fold] = unseen.predict(part.past, part.known, part.baseline)
    except CannotFitError as error:
        return None, [str(error)]
    for trial, values in zip(useful, learned, strict=True):
        trial.learned = values
    return learner, []


def _sorted(lesson: Lesson) -> Lesson:
    return lesson.take(content_order(lesson.past))
