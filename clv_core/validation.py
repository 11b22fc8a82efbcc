"""The backtest: every candidate and every rule of thumb on one split, and the gate that a push has to pass.

The split day is the last calibration day, the horizon the N days after it. Choice, blend and level come from inner windows of
the calibration part; the holdout is read once, to judge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from clv_core.calibration import Level
from clv_core.choice import Choice, choose
from clv_core.early_features import features
from clv_core.engagement import dated
from clv_core.forecast import forecast
from clv_core.heuristics import HEURISTICS
from clv_core.metrics import Ranking, bootstrap, decile_table, metrics
from clv_core.mixing import BLEND
from clv_core.score_settings import LEARNER, ORDER_MODELS, GateRules, ScoreSettings
from clv_core.shortfall import explained
from clv_core.transactions import InputError
from clv_core.valuation import Fit, blended, fit
from clv_core.windows import Window, begun, window

if TYPE_CHECKING:
    import pyarrow as pa

    from clv_core.forecast import Forecast
    from clv_core.transactions import Transactions

Floats = NDArray[np.float64]
BOOTSTRAP_CUSTOMERS = 50_000
REMEDY = "`clvsync backtest` tells more; what is accepted is set under gate in model.yaml"


@dataclass(frozen=True, slots=True)
class Backtest:
    """`models`: one row per candidate and heuristic, the figures of metrics.py with `intervals` (5% to 95%, customers
    resampled) and `versus_past_spend` (paired differences); `deciles`: predicted and realised value of the chosen one.
    """

    split: date
    horizon_days: int
    customers: int
    models: list[dict[str, Any]]
    deciles: pa.Table
    chosen: str
    choice: Choice
    warnings: tuple[str, ...]

    @property
    def best(self) -> dict[str, Any]:
        """The row of the chosen model."""
        return next(row for row in self.models if row["chosen"])


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a push may go ahead, and if not, why."""

    passed: bool
    reasons: tuple[str, ...]


def backtest(
    t: Transactions, split: date | None, horizon_days: int, settings: ScoreSettings, *, engagement: pa.Table | None = None
) -> Backtest:
    """The backtest at `split` (None: as late as the horizon allows, at the earliest mid-history).

    Raises InputError when nothing lies before or after the split; a horizon beyond the data is cut to them, with a warning.
    """
    engagement = dated(engagement)
    split, days, warnings = _split(t, split, horizon_days)
    held_out = window(t, split, days, known_until=t.last_day)
    if not len(held_out.past):
        raise InputError(
            f"backtest: no orders up to the split day {split}; choose a later one", remedy="choose a later --split"
        )
    settings = replace(settings, horizon_days=days)
    choice = choose(t, split, settings, features=engagement)
    found = _candidates(t, held_out, choice, settings, engagement)
    chosen = found.anchor.model.name if choice.model == choice.order_model else choice.model
    rows = _rows(found, held_out, choice, chosen, settings)
    deciles = decile_table(found.scores[chosen], held_out.spend)
    best = next(row for row in rows if row["chosen"])
    warnings += explained(best, held_out, found.view, choice.level.factor, (split - begun(t, split)).days + 1)
    warnings += [*choice.warnings, *found.anchor.warnings]
    return Backtest(split, days, len(held_out.past), rows, deciles, chosen, choice, tuple(dict.fromkeys(warnings)))


def gate(result: Backtest, rules: GateRules) -> GateResult:
    """Passed, or the reasons why the chosen model must not be pushed."""
    row, reasons = result.best, []
    if rules.compare_top20:
        worst = row["versus_past_spend"]["top20_capture"]
        if worst and worst[1] < 0:
            past = next(one for one in result.models if one["model"] == "past_spend")
            reasons.append(
                f"{row['model']} captures {row['top20_capture']:.1%} of later spend in its top 20%, past spend alone "
                f"{past['top20_capture']:.1%}: worse beyond noise ({REMEDY})"
            )
    if np.isnan(row["bias"]):
        reasons.append(
            f"nobody spent anything, net of refunds, in the {result.horizon_days} days after {result.split}: no way to judge "
            "(give later orders, or a shorter horizon_days in model.yaml)"
        )
    elif not rules.total_low <= row["bias"] <= rules.total_high:
        low, high = row["intervals"].get("bias", (row["bias"], row["bias"]))
        reasons.append(
            f"{row['model']} predicted {row['bias']:.2f} of the realised total (chance: {low:.2f} to {high:.2f}); "
            f"the gate allows {rules.total_low:g} to {rules.total_high:g} ({REMEDY})"
        )
    return GateResult(not reasons, tuple(reasons))


def _split(t: Transactions, split: date | None, horizon_days: int) -> tuple[date, int, list[str]]:
    history = (t.last_day - t.first_day).days
    if not history:
        raise InputError(
            f"backtest: all orders are of one day, {t.first_day}: nothing can be held out", remedy="give a longer history"
        )
    if split is None:
        settled = (t.last_day - begun(t, t.last_day)).days
        split = t.last_day - timedelta(days=min(horizon_days, max(settled // 2, 1)))
    if not t.first_day <= split < t.last_day:
        raise InputError(
            f"backtest: split day {split} must lie from {t.first_day} to before {t.last_day}", remedy="choose another --split"
        )
    left = (t.last_day - split).days
    if left >= horizon_days:
        return split, horizon_days, []
    return split, left, [f"{left} days are held out, not {horizon_days}: no more orders follow {split}"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Holdout predictions by name, the fits behind them, which of them are money, the choice's order model and its view."""

    scores: dict[str, Floats]
    fits: dict[str, Fit]
    money: set[str]
    anchor: Fit
    view: Forecast


def _candidates(
    t: Transactions, held_out: Window, choice: Choice, settings: ScoreSettings, engagement: pa.Table | None
) -> Candidates:
    """The holdout predictions of all candidates and heuristics; a model that could not be fitted is left out."""
    s, weeks = held_out.past, held_out.weeks
    fits: dict[str, Fit] = {}
    scores: dict[str, Floats] = {}
    views = {}
    for name in (name for name in ORDER_MODELS if name in settings.candidates):
        fitted = fit(t, s, name, choice.baskets.get(name, choice.basket), settings, choice)
        if fitted.model.name != name and name != choice.order_model:
            continue
        views[name] = forecast(fitted.model, fitted.basket, s, weeks)
        fits[fitted.model.name] = fitted  # a stand-in goes by its own name
        scores[fitted.model.name] = views[name].value * choice.levels.get(name, Level()).factor
        if name == choice.order_model:
            anchor = fitted
    view = views[choice.order_model]
    if choice.learner is not None:
        known = features(t, s, engagement)
        scores[LEARNER] = choice.learner.predict(s, known, view) * choice.levels.get(LEARNER, Level()).factor
    if len(settings.candidates) > 1 and BLEND in choice.levels:
        scores[BLEND] = blended(t, s, views, choice, engagement) * choice.levels[BLEND].factor
    money = set(scores)
    return Candidates(scores | {name: rule(s) for name, rule in HEURISTICS.items()}, fits, money, anchor, view)


def _rows(found: Candidates, held_out: Window, choice: Choice, chosen: str, settings: ScoreSettings) -> list[dict[str, Any]]:
    money = found.money
    spans, draws = _bootstrap(found.scores, money, held_out, settings)
    rows = []
    for name, score in found.scores.items():
        fitted = found.fits.get(name)
        rows.append({
            "model": name,
            **metrics(score, held_out.spend, money=name in money),
            "log_likelihood": fitted.model.log_likelihood * len(held_out.past) / fitted.customers if fitted else float("nan"),
            "chosen": name == chosen,
            "basket": fitted.basket.name if fitted else "",
            "level": choice.levels.get(name, Level()).factor if name in money else float("nan"),
            "intervals": spans[name],
            "versus_past_spend": _differences(draws[name], draws["past_spend"]),
        })  # fmt: skip
    return rows


def _bootstrap(
    scores: dict[str, Floats], money: set[str], held_out: Window, settings: ScoreSettings
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, Floats]]]:
    by_id = np.asarray(pc.sort_indices(held_out.past.customer_id)).astype(np.intp)
    some = by_id[:: -(-len(by_id) // BOOTSTRAP_CUSTOMERS)]
    rankings = {name: Ranking.of(score[some], held_out.spend[some]) for name, score in scores.items()}
    return bootstrap(rankings, money, draws=settings.bootstrap_draws, seed=settings.seed)


def _differences(mine: dict[str, Floats], theirs: dict[str, Floats]) -> dict[str, list[float]]:
    """The 5% and 95% points of the paired differences of gini and top-20% capture."""
    out = {}
    for figure in ("gini", "top20_capture"):
        gap = mine[figure] - theirs[figure]
        known = gap[~np.isnan(gap)]
        out[figure] = [float(np.quantile(known, 0.05)), float(np.quantile(known, 0.95))] if len(known) else []
    return out
