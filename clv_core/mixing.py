"""Which order model, basket and mix ordered the inner windows best: the parts of a choice that are about order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.blend import Blend, credits, fit_weights, noise, utility
from clv_core.leaning import fit_share, lean
from clv_core.score_settings import LEARNER

if TYPE_CHECKING:
    from clv_core.score_settings import ScoreSettings
    from clv_core.trials import Trial

Floats = NDArray[np.float64]
BLEND = "blend"
ANCHORS = ("pareto_nbd", "mbg_nbd", "bg_nbd")


def best_basket(name: str, tried: list[Trial], settings: ScoreSettings) -> str:
    """The basket named first, unless another orders the inner windows better beyond noise with this order model."""
    worth = [worth_of(name, basket, tried) for basket in settings.baskets]
    worth[0] += 2 * noise([({}, one.window.spend, one.weight) for one in tried])
    return settings.baskets[int(np.argmax(worth))]


def worth_of(name: str, basket: str, tried: list[Trial]) -> float:
    """Mean utility over the inner windows; a window in which the model could not be fitted counts as 0."""
    total = sum(one.weight for one in tried)
    known = [one for one in tried if (name, basket) in one.forecasts]
    return sum(one.weight * utility(one.forecasts[name, basket].value, one.window.spend) for one in known) / total


def anchor(worth: dict[str, float], tried: list[Trial]) -> str:
    """The best order model; on a par one that knows of leaving after the first order, which BG/NBD rules out (p_alive is 1)."""
    least = max(worth.values()) - 2 * noise([({}, one.window.spend, one.weight) for one in tried])
    return next(name for name in ANCHORS if name in worth and worth[name] >= least)


def mix(
    tried: list[Trial], best: str, baskets: dict[str, str], worth: dict[str, float], settings: ScoreSettings
) -> tuple[Blend, str]:
    """The blend and the name under which it scores: a single candidate keeps its own name.

    Order models share the weight of the best one by how close they come to it; then the mix with the learner and the rules of
    thumb is fitted.
    """
    if len(settings.candidates) == 1:
        return Blend({best: 1.0}, best), best
    ready = [one for one in tried if (best, baskets[best]) in one.forecasts]
    able = [name for name in worth if all((name, baskets[name]) in one.forecasts for one in ready)]
    error = noise([({}, one.window.spend, one.weight) for one in ready])
    among = Blend(dict(zip(able, credits([worth[name] for name in able], error).tolist(), strict=True)), best)
    known = []
    for one in ready:
        views = one.views(baskets)
        known.append((one.others() | {best: among.apply(views)}, one.window.spend, one.weight))
    weights = fit_weights(known, [name for name in known[0][0] if all(name in each for each, _, _ in known)], best)
    share = weights.pop(best)
    weights = {name: share * part for name, part in among.weights.items()} | weights
    used = [name for name, part in weights.items() if part > 0]
    return Blend({name: weights[name] for name in used}, best), used[0] if len(used) == 1 and used[0] in worth else BLEND


def predictions_of(trial: Trial, baskets: dict[str, str], best: str, blend: Blend) -> dict[str, Floats]:
    """What each candidate predicted of one inner window."""
    out = trial.views(baskets)
    if trial.learned is not None:
        out[LEARNER] = trial.learned
    if best in out:
        out[BLEND] = blend.apply(out | trial.others())
    return out


def lean_trials(
    tried: list[Trial], predictions: list[dict[str, Floats]], best: tuple[str, str], settings: ScoreSettings
) -> float:
    """How far the blend leans towards who comes back at all; its predictions then lean so too."""
    told = [(known, one) for known, one in zip(predictions, tried, strict=True) if BLEND in known]
    chances = [one.forecasts[best].buys for _, one in told]
    seen = [(known[BLEND], buys, one.window.spend, one.weight) for (known, one), buys in zip(told, chances, strict=True)]
    share = fit_share(seen, max(one.window.days for one in tried) / settings.horizon_days)
    for (known, _), buys in zip(told, chances, strict=True):
        known[BLEND] = lean(known[BLEND], buys, share)
    return share
