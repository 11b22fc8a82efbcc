"""labels.yaml: creative style and objective of campaigns, and which evidence of a customer's source is believed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from connectors.settings import Model

Basis = Literal["ids", "click_id", "order_id", "utm"]


class LabelRule(Model):
    """A label for campaigns whose name contains one of `names` (case ignored) or whose id is one of `campaign_ids`."""

    label: str
    names: list[str] = []
    campaign_ids: list[str] = []


class Attribution(Model):
    """Which evidence of a customer's source is believed first; what none of it tells stays "unknown", and is shown.

    What is left out of `precedence` is not believed at all. `aliases`: further words for a platform, as your links write
    them (`utm_source` or `source_platform`), such as `insta_paid: meta`; `organic`: further words for what no ad brought.
    """

    precedence: Annotated[list[Basis], Field(min_length=1)] = ["ids", "click_id", "order_id", "utm"]
    aliases: dict[str, str] = {}
    organic: list[str] = []

    @model_validator(mode="after")
    def _once(self) -> Attribution:
        if len(set(self.precedence)) < len(self.precedence):
            raise ValueError("precedence: name each basis once")
        return self


class Labels(Model):
    """labels.yaml: rules that give a campaign its creative style and objective, and the precedence of sources."""

    creative: list[LabelRule] = []
    objective: list[LabelRule] = []
    attribution: Attribution = Attribution()
    minimum_customers: Annotated[int, Field(ge=1)] = 30
