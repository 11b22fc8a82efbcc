"""Which model scores the base: decided on windows inside the history, never on anything after `as_of`.

Every order model with every basket, the early-life learner (judged on customers it has not seen) and the heuristics predict the
inner windows. The best order model, the best basket for it and the weights of a geometric blend follow; level and interval
probabilities are calibrated on the same windows.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clv_core.aging import corrections, outlook
from clv_core.blend import Blend
from clv_core.calibration import Level, fit_levels
from clv_core.engagement import dated
from clv_core.forecast import fit_orders
from clv_core.hindsight import hindsight
from clv_core.intervals import NOMINAL, Spread, fit_probabilities, spread
from clv_core.metrics import decile_table, metrics
from clv_core.mixing import BLEND, anchor, best_basket, lean_trials, mix, predictions_of, worth_of
from clv_core.models.base import CannotFitError
from clv_core.score_settings import LEARNER, ORDER_MODELS, ScoreSettings
from clv_core.silences import silences, told_of
from clv_core.trials import Trial, learn, trials
from clv_core.windows import begun, sampled, snapshot

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from clv_core.misfit import Misfit
    from clv_core.models.base import OrderModel
    from clv_core.models.early_life import EarlyLife
    from clv_core.transactions import Transactions
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
UNCALIBRATED = (
    "nothing inside the history to choose by (too short, or hardly anybody came back and paid): the model is the default, "
    "order values and level are not calibrated; check the totals"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What scores the base, and why: all decided on inner windows."""

    as_of: date
    model: str  # as named in backtests and in the scores table
    order_model: str
    basket: str
    blend: Blend
    leaning: float = 0.0  # of the blend's order towards who comes back at all
    levels: dict[str, Level] = field(default_factory=dict)  # per candidate
    baskets: dict[str, str] = field(default_factory=dict)  # the best basket of each order model
    learner: EarlyLife | None = None
    models: dict[str, OrderModel] = field(
        default_factory=dict
    )  # as fitted to everyone at `as_of`; empty when only a sample was
    probabilities: tuple[float, float] = (
        NOMINAL  # where low and high are read, so that 90% of inner windows' customers lay inside
    )
    misfit: Misfit | None = None  # the errors that customers share, over the horizon
    deciles: pa.Table = field(default_factory=lambda: decile_table(np.zeros(0), np.zeros(0)))  # of the longest inner window
    evidence: tuple[dict[str, Any], ...] = ()  # one row per inner window and candidate
    warnings: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The calibration of the chosen model."""
        return self.levels.get(self.model, Level())


def choose(t: Transactions, as_of: date, settings: ScoreSettings, *, features: pa.Table | None = None) -> Choice:
    """The choice made from orders up to `as_of` alone; `features` are dated events (customer_id, at, kind) for the learner."""
    features = dated(features)
    order_models = tuple(name for name in ORDER_MODELS if name in settings.candidates)
    some = sampled(t, settings.choice_customers)
    quiet = silences(some, as_of)
    tried, warnings = trials(some, as_of, settings, order_models, quiet)
    warnings += told_of(quiet)
    if not tried:
        last = order_models[-1]
        only = Blend({last: 1.0}, last)
        return Choice(
            as_of, last, last, settings.baskets[0], only, misfit=hindsight([], ("", ""), begun(some, as_of), as_of, settings),
            warnings=(*dict.fromkeys(warnings), UNCALIBRATED),
        )  # fmt: skip
    able = [name for name in order_models if any(name in one.models for one in tried)]
    baskets = {name: best_basket(name, tried, settings) for name in able}
    worth = {name: worth_of(name, baskets[name], tried) for name in able}
    best = anchor(worth, tried)
    learner = None
    if LEARNER in settings.candidates:
        learner, refused = learn(some, as_of, tried, (best, baskets[best]), features)
        warnings += refused
    blend, model = mix(tried, best, baskets, worth, settings)
    latest = snapshot(some, as_of)
    models = _models(latest, order_models)
    # Lives that a closure interrupted follow no law of ageing.
    further = {} if quiet else _aging(some, latest, tried, models, settings)
    predictions = [predictions_of(one, baskets, best, blend) for one in tried]
    leaning = lean_trials(tried, predictions, (best, baskets[best]), settings) if model == BLEND else 0.0
    levels = fit_levels([one.window for one in tried], predictions, float(latest.T.max(initial=0.0)), settings.horizon_weeks)
    told = [(known[model], one) for one, known in zip(tried, predictions, strict=True) if model in known]
    told = [(predicted, one) for predicted, one in told if (best, baskets[best]) in one.forecasts]
    return Choice(
        as_of, model, best, baskets[best], blend, leaning,
        levels={name: Level(one.factor * further.get(name, further.get(best, 1.0))) for name, one in levels.items()},
        baskets=baskets, learner=learner, models=models if some is t else {},
        misfit=hindsight(told, (best, baskets[best]), begun(some, as_of), as_of, settings),
        **_judged(told, (best, baskets[best]), levels[model]),
        evidence=tuple(row for one, known in zip(tried, predictions, strict=True) for row in _evidence(one, known)),
        warnings=tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


def _judged(told: list[tuple[Floats, Trial]], best: tuple[str, str], level: Level) -> dict[str, Any]:
    """The interval probabilities and the decile table of the chosen model on the inner windows."""
    told = [(predicted * level.factor, one) for predicted, one in told]
    probabilities = fit_probabilities([(_spread(values, one, best), one.window.spend) for values, one in told])
    return {"probabilities": probabilities, "deciles": decile_table(told[0][0], told[0][1].window.spend)}


def _models(s: Snapshot, names: tuple[str, ...]) -> dict[str, OrderModel]:
    """The order models that the latest snapshot can be fitted with."""
    out = {}
    for name in names:
        with suppress(CannotFitError):
            out[name] = fit_orders(name, s)
    return out


def _aging(
    t: Transactions, s: Snapshot, tried: list[Trial], models: dict[str, OrderModel], settings: ScoreSettings
) -> dict[str, float]:
    """Per order model, the part of the level that inner windows are too short to show."""
    outlooks = {}
    for name, model in models.items():
        known = [one for one in tried if name in one.models]
        if known:
            inner = np.average([one.orders_missed(name) for one in known], weights=[one.weight for one in known])
            outlooks[name] = outlook(model, s, settings.horizon_weeks, float(inner))
    return corrections(t, s, outlooks, settings.horizon_weeks, max(one.window.weeks for one in tried))


def _spread(values: Floats, trial: Trial, best: tuple[str, str]) -> Spread:
    return spread(values, trial.forecasts[best], trial.baskets[best[1]], trial.models[best[0]], trial.window.past)


def _evidence(trial: Trial, predictions: dict[str, Floats]) -> list[dict[str, Any]]:
    cut = trial.window.past.as_of.isoformat()
    return [
        {"cut": cut, "days": trial.window.days, "model": name, **metrics(predicted, trial.window.spend)}
        for name, predicted in predictions.items()
    ]
