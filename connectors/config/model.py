"""model.yaml: horizon, discount, what counts as value, candidates, tiers, stages, gate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from connectors.settings import Model

Candidate = Literal["bg_nbd", "mbg_nbd", "pareto_nbd", "early_life"]


class Stages(Model):
    """When a customer counts as new, at risk or lapsed: days since the only order, p_alive below a bound, or silence of so many
    times the usual gap between orders (three in four gaps are shorter)."""

    new_days: Annotated[float, Field(ge=0)] = 30.0
    at_risk_alive: Annotated[float, Field(ge=0, le=1)] = 0.5
    lapsed_alive: Annotated[float, Field(ge=0, le=1)] = 0.2
    at_risk_gaps: Annotated[float, Field(gt=0)] = 2.0
    lapsed_gaps: Annotated[float, Field(gt=0)] = 4.0

    @model_validator(mode="after")
    def _order(self) -> Stages:
        if self.lapsed_alive > self.at_risk_alive or self.lapsed_gaps < self.at_risk_gaps:
            raise ValueError(
                "lapsed comes after at risk: lapsed_alive at most at_risk_alive, lapsed_gaps at least at_risk_gaps"
            )
        return self


class Tiers(Model):
    """How scores become tiers. `method`: quantile (shares of customers), value_share, or threshold (money)."""

    method: Literal["quantile", "value_share", "threshold"] = "quantile"
    high: Annotated[float, Field(ge=0)] = 0.2
    middle: Annotated[float, Field(ge=0)] = 0.5
    hysteresis: Annotated[float, Field(ge=0, lt=0.5)] = 0.02

    @model_validator(mode="after")
    def _shares(self) -> Tiers:
        if self.method == "quantile" and self.high + self.middle > 1:
            raise ValueError("high and middle are shares of all customers: together at most 1")
        if self.method == "threshold" and self.middle > self.high:
            raise ValueError("the middle tier's threshold must not lie above the high tier's")
        return self


class Gate(Model):
    """What the model must show in a backtest before anything is pushed."""

    enabled: bool = True
    lowest_ratio: Annotated[float, Field(gt=0)] = 0.7
    highest_ratio: Annotated[float, Field(gt=0)] = 1.4
    must_match_past_spend: bool = True


class ModelSettings(Model):
    """model.yaml: horizon, discount, what counts as value, candidates, tiers, stages, gate."""

    horizon_days: Annotated[int, Field(ge=7, le=3650)] = 365
    annual_discount: Annotated[float, Field(ge=0, le=1)] = 0.10
    value: Literal["revenue", "margin"] = "revenue"
    candidates: list[Candidate] = []
    tiers: Tiers = Tiers()
    stages: Stages = Stages()
    gate: Gate = Gate()

    @model_validator(mode="after")
    def _an_order_model(self) -> ModelSettings:
        if self.candidates == ["early_life"]:
            raise ValueError("candidates: early_life builds on an order model: name one of them, too, such as pareto_nbd")
        return self
