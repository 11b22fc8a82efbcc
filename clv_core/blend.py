"""A geometric blend of predictions, its weights taken where inner windows were ordered best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.metrics import Ranking, most_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats = NDArray[np.float64]
NOISE = 0.5  # over the root of buyers: the sampling error of a difference of utilities, roughly
LEAST = 0.06  # a smaller share is not worth computing, and more often noise than not
DISBELIEF = {"past_spend": 4.0, "rfm": 4.0, "early_life": 2.0}  # the credit that a mix loses per share, in units of noise
STEPS = 5  # weights are tried in multiples of 1/STEPS

Known = tuple["Mapping[str, Floats]", Floats, float]  # predictions by name, what was spent, the window's weight


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights (summing to 1) of named predictions. The blend is their weighted geometric mean, each brought to mean 1 first, at
    the level of the `anchor`: the order model that tells how long the horizon is.
    """

    weights: dict[str, float]
    anchor: str

    def apply(self, predictions: Mapping[str, Floats]) -> Floats:
        """The blended prediction; names that are missing are left out, `anchor` must be there."""
        level = predictions[self.anchor]
        used = {name: share for name, share in self.weights.items() if share > 0 and name in predictions}
        if not used or list(used) == [self.anchor]:
            return level
        logs = np.zeros(len(level))
        for name, share in used.items():
            logs += share / sum(used.values()) * _log(predictions[name])
        mixed = np.exp(logs - logs.max(initial=0.0))
        total = float(mixed.sum())
        return mixed * (float(level.sum()) / total) if total > 0 else level


def utility(predicted: Floats, actual: Floats, ideal: NDArray[np.intp] | None = None) -> float:
    """How good an order is: normalised Gini, top-20% capture and rank correlation, less half the decile error once levelled."""
    total = float(predicted.sum())
    level = float(actual.sum()) / total if total > 0 else 1.0
    # Single precision keeps ties ties: the last bits depend on where in an array a customer stands.
    ranking = Ranking.of((predicted * level).astype(np.float32).astype(np.float64), actual, ideal)
    found = ranking.metrics()
    figures = (found["gini"], found["top20_capture"], ranking.spearman(), -0.5 * found["decile_wape"])
    # Where all spent the same, or nothing, no order is better than another.
    return sum(0.0 if np.isnan(one) else one for one in figures)


def noise(trials: Sequence[Known]) -> float:
    """Differences of utility below this say little of which prediction is better."""
    return NOISE / float(np.sqrt(max(float(np.mean([np.count_nonzero(spent) for _, spent, _ in trials])), 1.0)))


def credits(utilities: Sequence[float], error: float) -> Floats:
    """Shares (summing to 1) by how close each comes to the best one, in units of `error`; those under LEAST get nothing."""
    reached = np.asarray(utilities)
    credit = np.exp((reached - reached.max()) / error)
    share = credit / credit.sum()
    kept = np.where(share < LEAST, 0.0, np.round(share, 2))
    return np.asarray(kept / kept.sum(), dtype=np.float64)


def fit_weights(trials: Sequence[Known], names: Sequence[str], anchor: str) -> dict[str, float]:
    """Weights over `names`: every mix on a grid counts by its credit, so that mixes on a par are averaged, not bet on."""
    grid = [shares for shares in product(range(STEPS + 1), repeat=len(names)) if sum(shares) == STEPS]
    total = sum(weight for _, _, weight in trials)
    ideals = [most_first(spent) for _, spent, _ in trials]
    reached = []
    for shares in grid:
        blend = Blend(dict(zip(names, (share / STEPS for share in shares), strict=True)), anchor)
        each = zip(trials, ideals, strict=True)
        worth = [weight * utility(blend.apply(known), spent, ideal) for (known, spent, weight), ideal in each]
        reached.append(sum(worth) / total)
    mixes = np.asarray(grid, dtype=np.float64) / STEPS
    # Little data leaves all mixes on a par: then the order models are believed, the learner less, rules of thumb least.
    doubt = mixes @ np.array([DISBELIEF.get(name, 0.0) for name in names])
    score = np.asarray(reached) / noise(trials) - doubt
    credit = np.exp(score - score.max())
    mean = credit @ mixes / credit.sum()
    kept = np.where(mean < LEAST, 0.0, np.round(mean, 2))
    return {name: float(share) for name, share in zip(names, kept / kept.sum(), strict=True)}


def _log(prediction: Floats) -> Floats:
    mean = float(prediction.mean())
    return np.log(np.maximum(prediction / mean, 1e-6)) if mean > 0 else np.zeros(len(prediction))
