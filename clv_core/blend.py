"""A geometric blend of predictions, its weights taken where inner windows were ordered best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clv_core.metrics import Ranking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats = NDArray[np.float64]
MONEY = ("order_model", "early_life")
NOISE = 0.004
LEAST = 0.03  # a smaller share is not worth computing
STEPS = 5  # weights are multiples of 1/STEPS


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights (summing to 1) of named predictions. The blend is their weighted geometric mean, each brought to mean 1 first, at
    the level of the order model, which alone knows how long the horizon is.
    """

    weights: dict[str, float]

    def apply(self, predictions: Mapping[str, Floats]) -> Floats:
        """The blended prediction; a single one that is in money keeps its own level."""
        used = {name: share for name, share in self.weights.items() if share > 0}
        level = predictions["order_model"]
        if len(used) == 1 and (only := next(iter(used))) in MONEY:
            return predictions[only]
        logs = np.zeros(len(level))
        for name, share in used.items():
            logs += share * _log(predictions[name])
        mixed = np.exp(logs - logs.max(initial=0.0))
        total = float(mixed.sum())
        return mixed * (float(level.sum()) / total) if total > 0 else level


def utility(predicted: Floats, actual: Floats) -> float:
    """How good an order is: normalised Gini plus top-20% capture, less half the decile error once the level is met."""
    total = float(predicted.sum())
    level = float(actual.sum()) / total if total > 0 else 1.0
    found = Ranking.of(predicted * level, actual).metrics()
    return found["gini"] + found["top20_capture"] - 0.5 * found["decile_wape"]


def fit_blend(trials: Sequence[tuple[Mapping[str, Floats], Floats, float]], names: Sequence[str]) -> Blend:
    """Weights over `names`. Each trial: predictions by name, what was spent, the trial's weight.

    Every mix on a grid counts by how close it comes to the best one, in units of the NOISE that utilities carry: mixes on a par
    are averaged instead of betting on one.
    """
    tried: list[tuple[tuple[int, ...], float]] = []
    for shares in product(range(STEPS + 1), repeat=len(names)):
        if sum(shares) != STEPS:
            continue
        blend = Blend({name: share / STEPS for name, share in zip(names, shares, strict=True)})
        reached = sum(w * utility(blend.apply(known), spent) for known, spent, w in trials) / sum(w for _, _, w in trials)
        tried.append((shares, reached))
    reached_all = np.asarray([reached for _, reached in tried])
    credit = np.exp((reached_all - reached_all.max()) / NOISE)
    mean = credit @ np.asarray([shares for shares, _ in tried]) / (credit.sum() * STEPS)
    kept = np.where(mean < LEAST, 0.0, mean)
    return Blend({name: float(share) for name, share in zip(names, kept / kept.sum(), strict=True)})


def _log(prediction: Floats) -> Floats:
    mean = float(prediction.mean())
    return np.log(np.maximum(prediction / mean, 1e-6)) if mean > 0 else np.zeros(len(prediction))
