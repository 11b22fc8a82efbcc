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


@dataclass(frozen=True, slots=True)
class Level:
    """The factor on predictions, and the standard error of its log (sampling and disagreement between windows)."""

    factor: float = 1.0
    error: float = 0.25


def fit_level(trials: Sequence[tuple[Floats, Floats, float]]) -> Level:
    """The factor that brings predictions to the realised totals; each trial: predicted, spent, weight."""
    logs, errors, weights = [], [], []
    for predicted, spent, weight in trials:
        total, paid = float(spent.sum()), float(predicted.sum())
        if total <= 0 or paid <= 0:
            continue
        logs.append(np.log(total / paid))
        errors.append(float(np.sqrt(np.sum((spent - predicted * total / paid) ** 2))) / total)
        weights.append(weight)
    if not logs:
        return Level()
    share = np.asarray(weights) / np.sum(weights)
    mean = float(share @ np.asarray(logs))
    sampling = float(share @ np.asarray(errors))
    between = float(share @ (np.asarray(logs) - mean) ** 2)
    # A noisy ratio is drawn towards 1: a handful of buyers must not double everybody's value.
    kept = 1.0 / (1.0 + (sampling / 0.3) ** 2)
    factor = round(float(np.clip(np.exp(kept * mean), *BOUNDS)), 6)
    return Level(factor, float(np.sqrt(sampling**2 + between + 0.05**2)))
