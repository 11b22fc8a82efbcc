"""audiences.yaml: who goes where, in which value, and what stops it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.settings import Model

Share = Annotated[float, Field(ge=0, le=1)]
Tier = Literal["high", "middle", "low"]
Stage = Literal["new", "active", "at_risk", "lapsed", "prospect"]


class Who(Model):
    """Who belongs: tiers, lifecycle stages and an SQL condition over scores and contacts, all of them together."""

    tiers: list[Tier] = []
    stages: list[Stage] = []
    where: str = ""


class LookalikeSettings(Model):
    """A lookalike of the seed: countries, and a size in words (or Meta's ratios, each a lookalike of its own).

    `bands`: each ratio begins where the one before ended (1%, 1-3%, 3-5%) instead of holding it. `platforms`: only on these.
    """

    countries: Annotated[list[str], Field(min_length=1)]
    size: Literal["narrow", "balanced", "broad"] = "narrow"
    ratios: list[Annotated[float, Field(ge=0.01, le=0.2)]] = []
    bands: bool = False
    platforms: list[str] = []


class GuardrailSettings(Model):
    """What stops an audience before anything is sent.

    `max_removed_share`: of the members last accepted, leaving at once. Fewer than `ignore_removed_below` always may, unless
    they are more than a quarter of the audience. `max_added_share`: joining at once, looked at from 100 members on.
    """

    max_removed_share: Share = 0.3
    ignore_removed_below: Annotated[int, Field(ge=0)] = 10
    max_added_share: Annotated[float, Field(gt=0)] = 3.0
    min_size: Annotated[int, Field(ge=0)] = 100
    min_usable_share: Share = 0.3
    max_value: Annotated[float, Field(gt=0)] = 1_000_000.0
    max_gone_share: Share = 0.5
    """Of the people who said no, and of an identifier's values: fewer than before by more than this looks like a column that is
    missing from the export."""


class AudienceSettings(Model):
    """One audience."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
    title: Annotated[str, Field(min_length=1, max_length=100)]
    description: str = ""
    who: Who = Who()
    use: Literal["seed", "exclusion"] = "seed"
    value_weighted: bool = False
    split_tiers: list[Tier] = []
    platforms: Annotated[list[str], Field(min_length=1)]
    lookalikes: list[LookalikeSettings] = []
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    guardrails: GuardrailSettings | None = None
    value_band: Annotated[float, Field(ge=0, le=1)] = 0.1
    membership_days: Annotated[int, Field(ge=1, le=540)] | None = None
    """Days after which the platform forgets a member who is not sent again (Meta: at most 180; Google: 540)."""
    enabled: bool = True


class Audiences(Model):
    """audiences.yaml: defaults, the list of audiences, and the names (or `name:tier`) of earlier ones to be deleted.

    What leaves the list stays at the platform, with nobody added and those removed who may not be sent, until it is retired.
    """

    guardrails: GuardrailSettings = GuardrailSettings()
    audiences: Annotated[list[AudienceSettings], Field(min_length=1)]
    retired: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(:(high|middle|low))?$")]] = []
