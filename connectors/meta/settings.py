"""Meta's block in platforms.yaml."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from connectors.settings import AccountSettings, Model, PlatformSettings, PredictedValue, Secret, is_loopback

API_BASE = "https://graph.facebook.com"
API_VERSION = "v26.0"
DEAD_WINDOWS = ("7d_view", "28d_view")  # nothing since 2026-01-12, without an error


class MetaCredentials(Model):
    """References to the token of a system user and, where the app asks for proofs, the app's secret."""

    access_token: Secret
    app_secret: Secret | None = None


def _account(text: str) -> str:
    digits = text.removeprefix("act_")
    if not re.fullmatch(r"[0-9]{1,20}", digits):
        raise ValueError("a Meta ad account id is digits, with or without act_ (quote it in YAML)")
    return digits


def _version(text: str) -> str:
    if not re.fullmatch(r"v[0-9]{2,}\.0", text):
        raise ValueError(f"write a Graph API version such as {API_VERSION}")
    return text


class MetaPredictedValue(PredictedValue):
    """Predicted values as AppendValue events: the dataset (pixel) of the real purchases, and what those are called there.

    Meta bids by them once switched on in Events Manager, with 5 different values, the largest 3 times the smallest, and 100
    attributed conversions a week over four weeks (fact sheet 8).
    """

    dataset_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
    purchase_event: Annotated[str, Field(min_length=1)] = "Purchase"
    """The event whose orders get a predicted value; it must carry the same order ids."""
    days: Annotated[int, Field(ge=1, le=7)] = 7


class MetaAccount(AccountSettings):
    """One ad account. `currency` and `timezone` are checked against Meta's own by `clvsync check`."""

    account_id: Annotated[str, AfterValidator(_account)]
    currency: str = ""
    timezone: str = ""
    customer_file_source: Literal["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"] = (
        "USER_PROVIDED_ONLY"
    )
    opt_out_link: Annotated[str, Field(pattern=r"^$|^https?://[^\s]+$")] = ""
    """A page of yours where people can leave your lists; Meta shows it to them."""
    allow_international_seeds: bool = False
    customer_consent: bool | None = None
    """What to say of consent with uploads: a field of one of Meta's samples, explained nowhere. Unset: nothing is said."""
    credentials: MetaCredentials | None = None  # instead of the platform's
    predicted_value: MetaPredictedValue | None = None  # off


def _base(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write an address such as https://graph.facebook.com or http://127.0.0.1:8801")
    if parts.scheme == "http" and not is_loopback(text):
        raise ValueError("plain http is for this machine only (127.0.0.1); use https")
    return text.rstrip("/")


def _windows(windows: tuple[str, ...]) -> tuple[str, ...]:
    dead = [one for one in windows if one in DEAD_WINDOWS]
    if dead:
        raise ValueError(f"{', '.join(dead)}: Meta has returned nothing for it since 2026-01-12; use 1d_view")
    if len([one for one in windows if one.endswith("_click")]) > 1:
        raise ValueError("take one click window: 1d_click is part of 7d_click, and 7d_click of 28d_click")
    return windows


Window = Literal["1d_click", "7d_click", "28d_click", "1d_view", "1d_ev", "7d_view", "28d_view"]


class MetaSettings(PlatformSettings):
    """Everything that can be set for Meta; defaults are the safe choice."""

    api_base: Annotated[str, AfterValidator(_base)] = API_BASE
    api_version: Annotated[str, AfterValidator(_version)] = API_VERSION
    credentials: MetaCredentials | Literal["anonymous"] | None = None
    accounts: list[MetaAccount] = []
    timeout_seconds: float = Field(default=120, gt=0)
    ca_bundle: str = ""  # a file of root certificates, for networks that inspect TLS
    external_id: bool = False  # send customer ids unhashed as EXTERN_ID
    limited_data_use: Literal["california", "everyone", "off"] = "california"
    value_update: Literal["replace", "add"] = "replace"
    received_count: Literal["reconcile", "note"] = "reconcile"
    """Rows that Meta doesn't count as received: unknown, so sent again; or only noted, should Meta count otherwise."""
    purchase_actions: tuple[str, ...] = Field(default=("omni_purchase", "purchase"), min_length=1)
    attribution_windows: Annotated[tuple[Window, ...], AfterValidator(_windows), Field(min_length=1)] = ("7d_click", "1d_view")
    report_level: Literal["ad", "adset", "campaign"] = "ad"
    reports: Literal["auto", "sync", "async"] = "auto"  # auto: async for more than 35 days

    @model_validator(mode="after")
    def _credentials_fit(self) -> MetaSettings:
        if self.credentials == "anonymous" and not is_loopback(self.api_base):
            raise ValueError("credentials: anonymous is for a sandbox on this machine only; give access_token: env:NAME")
        if self.credentials is None and any(account.credentials is None for account in self.accounts):
            raise ValueError("credentials are missing; give access_token: env:NAME")
        return self
