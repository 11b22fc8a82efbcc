"""How alike customers are: by the logs of their age and of their predicted value, cut into segments.

An error that customers alike share wanders along such a coordinate: two customers err apart by a variance that grows with the
distance between them, near ones err nearly the same, and who errs much tends to err more farther out (fractional Brownian
motion; Mandelbrot and Van Ness 1968). It is written as one rise per segment, each taken against the base's mean, so that the
base as a whole has none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
AGE_SEGMENTS = 4
VALUE_KNOTS = np.array([-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 4.0])  # around where the money is, in log value
YOUNGEST = 1.0  # weeks; younger customers count as that old
LEAST = 1e-9  # of the currency
EXPONENT = 0.7  # of the walk; 0.5 would forget its direction, 1 never turn: as likeliest in the simulated shops of misfit.py


@dataclass(frozen=True, slots=True)
class Scale:
    """A coordinate's segments between `knots` (k + 1), and the base's mean of each segment's ramp, weighed by value (k)."""

    knots: Floats
    means: Floats

    @classmethod
    def of(cls, at: Floats, knots: Floats, weight: Floats) -> Self:
        """The scale of a base whose customers lie `at` and count by `weight`."""
        total = float(weight.sum())
        means = weight @ _ramps(at, knots) / total if total > 0 else np.zeros(len(knots) - 1)
        return cls(knots, np.asarray(means, dtype=np.float64))

    @property
    def covariance(self) -> Floats:
        """Shape (k, k): of the rises over the segments, for a walk of variance 1 per unit of the coordinate."""
        return np.diff(np.diff(walk(self.knots), axis=0), axis=1)

    def ramps(self, at: Floats) -> Floats:
        """Shape (customers, k): how far each customer is through each segment, 0 to 1, less the base's mean."""
        return _ramps(at, self.knots) - self.means

    def to_json(self) -> dict[str, list[float]]:
        """A document from which `from_json` makes an equal scale."""
        return {"knots": self.knots.tolist(), "means": self.means.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The scale saved by `to_json`."""
        return cls(np.asarray(document["knots"], dtype=np.float64), np.asarray(document["means"], dtype=np.float64))


def walk(at: Floats) -> Floats:
    """Shape (n, n): the covariance of a walk of variance 1 per unit that starts at the least of the places `at` (n)."""
    far, power = at - at.min(initial=np.inf), 2.0 * EXPONENT
    return np.asarray(0.5 * (np.add.outer(far**power, far**power) - np.abs(np.subtract.outer(far, far)) ** power))


def log_age(weeks: Floats) -> Floats:
    """The coordinate of age."""
    return np.log(np.maximum(weeks, YOUNGEST))


def log_value(clv: Floats) -> Floats:
    """The coordinate of predicted value."""
    return np.log(np.maximum(clv, LEAST))


def age_scale(weeks: Floats, clv: Floats) -> Scale:
    """The scale of the ages of a base: even segments from the youngest to the oldest."""
    at = log_age(weeks)
    low, high = (float(at.min()), float(at.max())) if len(at) else (0.0, 0.0)
    return Scale.of(at, np.linspace(low, high, AGE_SEGMENTS + 1), clv)


def value_scale(clv: Floats) -> Scale:
    """The scale of the predicted values of a base, around their mean log weighed by value."""
    at, total = log_value(clv), float(clv.sum())
    middle = float(clv @ at) / total if total > 0 else 0.0
    return Scale.of(at, middle + VALUE_KNOTS, clv)


def _ramps(at: Floats, knots: Floats) -> Floats:
    width = np.maximum(np.diff(knots), 1e-12)
    return np.clip((at[:, None] - knots[:-1]) / width, 0.0, 1.0)
