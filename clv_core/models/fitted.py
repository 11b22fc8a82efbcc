"""What all fitted models share: named parameters with standard errors, their covariance, saving and loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from clv_core.models.base import Floats, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clv_core.models.optimum import Optimum


@dataclass(frozen=True)
class Fitted:
    """Parameters, log-likelihood, warnings and the covariance of the log-parameters of one fitted model."""

    name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    parameters: Mapping[str, Parameter]
    log_likelihood: float
    warnings: tuple[str, ...] = ()
    log_covariance: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Self:
        """A model with known parameters: no data, so its log-likelihood and standard errors are nan."""
        unknown = tuple(tuple(0.0 for _ in cls.names) for _ in cls.names)
        return cls({name: Parameter(float(values[name]), np.nan) for name in cls.names}, np.nan, (), unknown)

    @classmethod
    def at(cls, optimum: Optimum, warnings: Iterable[str] = ()) -> Self:
        """The model at an optimum over its log-parameters, in the order of `names`."""
        covariance = optimum.covariance()
        values = np.exp(optimum.theta)
        errors = np.where(optimum.bounded, np.nan, values * np.sqrt(np.diag(covariance)))
        found = {name: Parameter(float(v), float(e)) for name, v, e in zip(cls.names, values, errors, strict=True)}
        limits = [at_limit(cls.name, name, values[i]) for i, name in enumerate(cls.names) if optimum.bounded[i]]
        if np.isnan(covariance).any():
            limits.append("the data leave some parameters undetermined: standard errors are missing")
        rows = tuple(tuple(map(float, row)) for row in covariance)
        return cls(found, float(optimum.value), (*warnings, *limits), rows)

    @property
    def values(self) -> tuple[float, ...]:
        """The parameters' values in the order of `names`."""
        return tuple(self.parameters[name].value for name in self.names)

    def covariance(self) -> Floats:
        """Covariance of the log-parameters, shape (k, k); zero where a parameter lies on a boundary, nan if unidentified."""
        return np.array(self.log_covariance, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """A document of plain values (nan as None) from which `from_json` makes an equal model."""
        return {
            "model": self.name,
            "parameters": {
                n: {"value": p.value, "standard_error": _plain(p.standard_error)} for n, p in self.parameters.items()
            },
            "log_likelihood": _plain(self.log_likelihood),
            "warnings": list(self.warnings),
            "log_covariance": [[_plain(cell) for cell in row] for row in self.log_covariance],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The model saved by `to_json`; ValueError when the document is of another model."""
        if document.get("model") != cls.name:
            raise ValueError(f"this document holds {document.get('model')!r}, not {cls.name!r}")
        saved = document["parameters"]
        found = {n: Parameter(float(saved[n]["value"]), _number(saved[n]["standard_error"])) for n in cls.names}
        covariance = tuple(tuple(map(_number, row)) for row in document["log_covariance"])
        return cls(found, _number(document["log_likelihood"]), tuple(document["warnings"]), covariance)


def at_limit(model: str, name: str, value: float) -> str:
    """The warning for a parameter that the data would take beyond its bound."""
    return f"{model}: parameter {name} ran to its limit of {value:,.6g}, so its standard error is missing"


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
