"""What inner windows show of the errors that customers share: each window's forecast beside what came, with its own doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from clv_core.doubt import Doubt
from clv_core.misfit import Misfit, Trialled, learn
from clv_core.uncertainty import describe
from clv_core.valuation import Fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from clv_core.score_settings import ScoreSettings
    from clv_core.trials import Trial

    Floats = NDArray[np.float64]


def hindsight(
    told: Sequence[tuple[Floats, Trial]], best: tuple[str, str], since: date, as_of: date, settings: ScoreSettings
) -> Misfit:
    """The common errors over the settings' horizon; `told` holds what the choice predicted of each window, before its level.

    `best` names the order model and the basket whose parameters are unsure; `since` is the day on which the history begins.
    """
    seen = []
    for predicted, one in told:
        past, held = one.window.past, max((one.window.past.as_of - since).days, 0) + 1
        fitted = Fit(one.models[best[0]], one.baskets[best[1]], (), len(past))
        document = describe(fitted, replace(settings, horizon_days=one.window.days))
        doubt = Doubt.at(past, predicted, one.forecasts[best], document)
        seen.append(Trialled(predicted, doubt, one.window.spend, past.T, float(np.log1p(one.window.days / held))))
    return learn(seen, float(np.log1p(settings.horizon_days / ((as_of - since).days + 1))))
