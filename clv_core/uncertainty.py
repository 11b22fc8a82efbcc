"""What is needed to say how sure totals of scores are: a small document that travels in the scores table's metadata.

It holds the fitted models with the covariance of their log-parameters, the horizon, the discount, and how far the models may be
wrong about customers together: about the level of all, and about those of one age or one value.
Sensitivities are taken when a total is asked for, on the table's own x, t_x, T and order values, so that scoring stays flat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clv_core.alike import Scale, age_scale, log_age, log_value, value_scale
from clv_core.basket import basket_from_json, basket_to_json
from clv_core.forecast import ORDER_MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from clv_core.basket import Basket
    from clv_core.misfit import Misfit
    from clv_core.models.base import OrderModel
    from clv_core.score_settings import ScoreSettings
    from clv_core.valuation import Fit
    from clv_core.windows import Snapshot

Floats = NDArray[np.float64]
UNCERTAINTY = b"clv_uncertainty"
STEP = 0.02  # of a log-parameter


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The document, as plain values."""

    document: dict[str, Any]

    def to_json(self) -> bytes:
        """The document as it travels in a schema's metadata."""
        return json.dumps(self.document).encode()

    @classmethod
    def of(cls, table: pa.Table) -> Uncertainty | None:
        """The document that a scores table carries, or None."""
        found = (table.schema.metadata or {}).get(UNCERTAINTY)
        return None if found is None else cls(json.loads(found))

    def models(self) -> tuple[OrderModel, Basket]:
        """The fitted order model and basket."""
        saved = self.document["order_model"]
        return ORDER_MODELS[saved["model"]].from_json(saved), basket_from_json(self.document["basket"])

    @property
    def horizon_weeks(self) -> float:
        """How far ahead the scores look, in weeks."""
        return float(self.document["horizon_weeks"])

    @property
    def level_error(self) -> float:
        """Standard error of the log of the level, shared by all customers."""
        return float(self.document["level_error"])

    def sensitivities(self, s: Snapshot) -> Iterator[tuple[Floats, Floats]]:
        """Per fitted model: d log(clv) / d log(parameters), shape (customers, k), and their covariance, shape (k, k)."""
        d = self.document
        model = ORDER_MODELS[d["order_model"]["model"]].from_json(d["order_model"])
        covariance = model.covariance()
        if np.isfinite(covariance).all():
            yield self._slopes(s, covariance, d["order_model"], self._orders), covariance
        basket = d["basket"]
        if "model" in basket:
            rows = np.array([[np.nan if cell is None else cell for cell in row] for row in basket["model"]["log_covariance"]])
            if np.isfinite(rows).all():
                yield self._slopes(s, rows, basket["model"], self._basket), rows

    def shared(self, s: Snapshot, clv: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Per kind of error that customers alike share: d log(clv) / d error, shape (customers, k), and covariance (k, k)."""
        for name, at in (("age", log_age(s.T)), ("value", log_value(clv))):
            known = self.document.get(name)
            if known is not None:
                scale = Scale.from_json(known)
                yield scale.ramps(at), known["variance"] * scale.covariance

    def _slopes(self, s: Snapshot, covariance: Floats, saved: dict[str, Any], predict: Any) -> Floats:
        out = np.zeros((len(s), len(covariance)))
        for n, name in enumerate(saved["parameters"]):
            if covariance[n, n] <= 0:
                continue
            up, down = (np.log(np.maximum(predict(_moved(saved, name, sign * STEP), s), 1e-12)) for sign in (1, -1))
            out[:, n] = (up - down) / (2 * STEP)
        return out

    def _orders(self, saved: dict[str, Any], s: Snapshot) -> Floats:
        model = ORDER_MODELS[saved["model"]].from_json(saved)
        return model.expected_orders(self.horizon_weeks, s.x, s.t_x, s.T)

    def _basket(self, saved: dict[str, Any], s: Snapshot) -> Floats:
        return basket_from_json({**self.document["basket"], "model": saved}).expected(s)


def describe(
    fitted: Fit, settings: ScoreSettings, misfit: Misfit | None = None, base: tuple[Floats, Floats] | None = None
) -> Uncertainty:
    """The document of a fit; without `misfit` its models are taken to be the truth, and only their parameters are unsure.

    `base`: the ages in weeks and the predicted values of all that are scored.
    """
    document: dict[str, Any] = {
        "order_model": fitted.model.to_json(), "basket": basket_to_json(fitted.basket), "horizon_weeks": settings.horizon_weeks,
        "weekly_discount": settings.weekly_discount, "level_error": float(np.sqrt(misfit.level)) if misfit else 0.0,
    }  # fmt: skip
    if misfit and base:
        weeks, clv = base
        for name, variance, scale in (("age", misfit.age, age_scale(weeks, clv)), ("value", misfit.value, value_scale(clv))):
            document[name] = {"variance": variance, **scale.to_json()}
    return Uncertainty(document)


def _moved(saved: dict[str, Any], name: str, step: float) -> dict[str, Any]:
    """The saved model with one parameter multiplied by exp(step)."""
    old = saved["parameters"]
    return {**saved, "parameters": {**old, name: {**old[name], "value": old[name]["value"] * float(np.exp(step))}}}
