"""The level of predictions, brought to what inner windows realised; and at which probabilities intervals hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
BOUNDS = (1 / 3, 3.0)
USUAL = 0.10  # by how much totals of well-fitted models are off (log scale) before windows are looked at: as of simulated shops


@dataclass(frozen=True, slots=True)
class Level:
    """The factor on predictions, and the standard error of its log (sampling and disagreement between windows)."""

    factor: float = 1.0
    error: float = 0.25


def fit_level(trials: Sequence[tuple[Floats, Floats, float]], year_ago: Sequence[bool] = ()) -> Level:
    """The factor that brings predictions to the realised totals; each trial: predicted, spent, weight.

    `year_ago` tells which windows are of the season to be predicted: what the others say beyond noise counts as their season.
    """
    logs, errors, weights, seasons = [], [], [], []
    for (predicted, spent, weight), season in zip(trials, year_ago or [False] * len(trials), strict=True):
        total, paid = float(spent.sum()), float(predicted.sum())
        if total <= 0 or paid <= 0:
            continue
        logs.append(np.log(total / paid))
        errors.append(float(np.sqrt(np.sum((spent - predicted * total / paid) ** 2))) / total)
        weights.append(weight)
        seasons.append(season)
    if not logs:
        return Level()
    share = _shares(np.asarray(logs), np.asarray(errors), np.asarray(weights), np.asarray(seasons))
    mean = float(share @ np.asarray(logs))
    sampling = float(share @ np.asarray(errors))
    between = float(share @ (np.asarray(logs) - mean) ** 2)
    # A noisy ratio is drawn towards 1: a handful of buyers must not double everybody's value.
    kept = 1.0 / (1.0 + (sampling / USUAL) ** 2)
    factor = round(float(np.clip(np.exp(kept * mean), *BOUNDS)), 6)
    return Level(factor, round(float(np.sqrt(sampling**2 + between + 0.05**2)), 6))  # the order of rows moves last bits


def _shares(logs: Floats, errors: Floats, weights: Floats, seasons: NDArray[np.bool_]) -> Floats:
    """How much each window counts: by its weight, or beside one of the right season by what season and noise leave of it.

    A trend lets every window's model lag alike; windows that differ by more than noise therefore speak of a season.
    """
    if seasons.all() or not seasons.any():
        return np.asarray(weights / weights.sum())
    gap = logs[~seasons].mean() - logs[seasons].mean()
    season = max(float(gap**2 - errors[~seasons].mean() ** 2 - errors[seasons].mean() ** 2), 0.0)
    trust = 1.0 / (errors**2 + np.where(seasons, 0.0, season) + 1e-12)
    return np.asarray(trust / trust.sum())
