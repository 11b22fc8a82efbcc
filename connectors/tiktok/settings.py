"""TikTok's block in platforms.yaml."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from connectors.settings import AccountSettings, Model, PlatformSettings, PredictedValue, Secret, is_loopback

VERSION = "/open_api/v1.3"


class Credentials(Model):
    """References to the advertiser's long-lived token and, if `check` shall look at the grant, the developer app's secret."""

    access_token: Secret
    app_id: str = ""
    secret: Secret | None = None


STANDARD_EVENTS = frozenset(
    "addpaymentinfo addtocart addtowishlist clickbutton completepayment completeregistration contact customizeproduct download "
    "findlocation initiatecheckout lead placeanorder purchase schedule search starttrial submitapplication submitform "
    "subscribe viewcontent".split()
)


def _custom(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,49}", name):
        raise ValueError("an event's name is letters, digits and _, up to 50")
    if name.replace("_", "").lower() in STANDARD_EVENTS:
        raise ValueError(f"{name} is one of TikTok's own events; predicted values need an event of their own name")
    return name


class TikTokPredictedValue(PredictedValue):
    """Predicted values as a custom event of a pixel, never one that counts real purchases."""

    pixel_code: Annotated[str, Field(pattern=r"^[A-Z0-9]{5,40}$")]
    page_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """A page of your shop: TikTok takes no web event without one."""
    event: Annotated[str, AfterValidator(_custom)] = "PredictedValue"


class TikTokAccount(AccountSettings):
    """One advertiser. `currency` and `timezone`, when given, must be the account's own: `check` compares them."""

    currency: str = ""
    timezone: str = ""
    share_with: list[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]] = []
    """Other advertisers of the same Business Center that may use this account's audiences."""
    predicted_value: TikTokPredictedValue | None = None  # off


class LookalikeOptions(Model):
    """What TikTok asks of every lookalike beside seed, countries and size."""

    include_source: bool = False
    mobile_os: Literal["ALL", "ANDROID", "IOS"] = "ALL"
    placements: list[Literal["TikTok", "Pangle"]] = Field(default=["TikTok"], min_length=1)
    location_ids: dict[str, str] = {}  # ISO country -> TikTok location id, for countries this version doesn't know


class TikTokSettings(PlatformSettings):
    """Address, credentials, accounts and TikTok's own switches."""

    api_base: str = "https://business-api.tiktok.com"
    credentials: Credentials | Literal["anonymous"]
    accounts: list[TikTokAccount] = []
    requests_per_second: float = Field(default=5, gt=0, le=50)
    timeout_seconds: float = Field(default=60, gt=0)
    # TikTok's pages disagree on both; the defaults are what its newest ones and its own example digests say.
    email_form: Literal["plain", "without_tag", "bare"] = "plain"  # as it is, without "+tag", or without dots as well
    phone_form: Literal["plus", "digits"] = "plus"  # +E.164, or its digits alone
    file_type: Literal["multiple", "email", "phone", "mobile_ad_id"] = "multiple"
    purchases: list[Literal["web", "app", "shop"]] = Field(default=["web"], min_length=1)  # legs that results add up
    report_level: Literal["ad", "adgroup", "campaign"] = "ad"
    reports: Literal["auto", "async"] = "auto"  # auto: by a task only where TikTok cuts a report off
    lookalike: LookalikeOptions = LookalikeOptions()

    @field_validator("api_base")
    @classmethod
    def _base(cls, text: str) -> str:
        base = text.rstrip("/").removesuffix(VERSION)
        if not base.startswith(("https://", "http://")):
            raise ValueError("an address starts with https:// (or http:// on this machine)")
        if base.startswith("http://") and not is_loopback(base):
            raise ValueError("plain http is only for addresses on this machine; write https://")
        return base

    @model_validator(mode="after")
    def _anonymous_is_local(self) -> Self:
        if self.credentials == "anonymous" and not is_loopback(self.api_base):
            raise ValueError("credentials: anonymous is only for addresses on this machine; give access_token: env:NAME")
        return self
