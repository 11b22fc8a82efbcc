"""The level of predictions, brought to what inner windows realised; and at which probabilities intervals hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clv_core.windows import Window

Floats = NDArray[np.float64]
BOUNDS = (1 / 3, 3.0)
USUAL = 0.10  # by how much totals of well-fitted models are off (log scale) before windows are looked at: as of simulated shops
DOUBLED = 0.10  # by how much that changes (log scale) once a history doubles, and
STRETCHED = 0.15  # per doubling of what is predicted relative to the history: both as of simulated shops


@dataclass(frozen=True, slots=True)
class Level:
    """The factor on predictions; how far totals may be off after it is misfit.py's to say."""

    factor: float = 1.0


def fit_level(trials: Sequence[tuple[Floats, Floats]], year_ago: Sequence[bool] = (), unlike: Sequence[float] = ()) -> Level:
    """The factor that brings predictions to the realised totals; each trial: predicted, spent.

    `year_ago` tells which windows are of the season to be predicted: what the others say beyond noise counts as their season.
    `unlike` is the variance by which each window's level may differ from the coming one, see `unlikeness`.
    """
    logs, errors, kept = [], [], []
    for n, (predicted, spent) in enumerate(trials):
        total, paid = float(spent.sum()), float(predicted.sum())
        if total <= 0 or paid <= 0:
            continue
        # A window in which a shop closed or opened again tells only that: it must not move the others any further.
        logs.append(float(np.clip(np.log(total / paid), *np.log(BOUNDS))))
        errors.append(float(np.sqrt(np.sum((spent - predicted * total / paid) ** 2))) / total)
        kept.append(n)
    if not logs:
        return Level()
    seasons = np.array([bool(year_ago[n]) if year_ago else False for n in kept])
    apart = np.array([float(unlike[n]) if unlike else 0.0 for n in kept])
    share = _shares(np.asarray(logs), np.asarray(errors) ** 2 + apart, seasons)
    mean = float(share @ np.asarray(logs))
    sampling = float(share @ np.asarray(errors))
    # A noisy ratio is drawn towards 1: a handful of buyers must not double everybody's value.
    trusted = 1.0 / (1.0 + (sampling / USUAL) ** 2)
    return Level(round(float(np.clip(np.exp(trusted * mean), *BOUNDS)), 6))  # the order of rows moves last bits


def fit_levels(
    windows: Sequence[Window], predictions: Sequence[Mapping[str, Floats]], history_weeks: float, horizon_weeks: float
) -> dict[str, Level]:
    """The level of each candidate on the windows that it could predict, for a horizon after a history of so many weeks."""
    apart = [unlikeness(one, history_weeks, horizon_weeks) for one in windows]
    out = {}
    for name in dict.fromkeys(name for known in predictions for name in known):
        told = [n for n, known in enumerate(predictions) if name in known]
        seen = [(predictions[n][name], windows[n].spend) for n in told]
        out[name] = fit_level(seen, [windows[n].year_ago for n in told], [apart[n] for n in told])
    return out


def unlikeness(window: Window, history_weeks: float, horizon_weeks: float) -> float:
    """By how much (variance of the log) the level of a window may differ from that of the coming `horizon_weeks`.

    Models fitted to half the history, or asked for a longer stretch of it, are off by other amounts: regular buyers, whose
    leaving they notice too late, or heavy ones, who have hardly begun.
    """
    held = max(float(window.past.T.max(initial=0.0)), 1.0)
    aged = np.log2(max(history_weeks, held) / held)
    stretched = np.log2(horizon_weeks / max(history_weeks, held)) - np.log2(window.weeks / held)
    return float(DOUBLED**2 * aged + STRETCHED**2 * stretched**2)


def _shares(logs: Floats, variances: Floats, seasons: NDArray[np.bool_]) -> Floats:
    """How much each window counts: by what it knows, less what windows differ by beyond that.

    Beside one of the right season that is the others' season: a trend lets every window's model lag alike.
    """
    beyond = max(float(np.var(logs, ddof=1)) - float(variances.mean()), 0.0) if len(logs) > 1 else 0.0
    known = seasons.any() and not seasons.all()
    trust = 1.0 / (variances + (np.where(seasons, 0.0, 2 * beyond) if known else beyond) + 1e-12)
    return np.asarray(trust / trust.sum())
