"""platforms.yaml beside the platforms' own blocks: consent and the switches of identity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.settings import Model


class Consent(Model):
    """Who may be sent. Regions beyond the built-in list may be added; the built-in ones can't be taken out."""

    also_needed_in: list[str] = []


class Phones(Model):
    """How phone numbers are judged."""

    without_country: Literal["international", "drop"] = "international"
    foreign: Literal["international", "drop"] = "drop"
    check: Literal["possible", "valid"] = "possible"


class Identity(Model):
    """Switches of normalisation; each default is the reading that loses least when it is wrong."""

    default_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    phones: Phones = Phones()
    name_inner_space: Literal["remove", "keep"] = "remove"
    name_titles: Literal["drop", "keep"] = "drop"
    postal_hyphen: Literal["cut", "remove"] = "cut"
    gmail_plus: Literal["strip", "keep"] = "strip"
    idn_domains: Literal["as_given", "ascii", "unicode"] = "as_given"
    region_without_country: Literal["us", "as_given"] = "us"
    max_people_per_identifier: Annotated[int, Field(ge=0)] = 10
    same_person_by_email: bool = False
    same_person_by_phone: bool = False


class Shared(Model):
    """What holds for every platform."""

    consent: Consent = Consent()
    identity: Identity = Identity()
