"""Google's block in platforms.yaml: addresses, credentials, accounts, and what is sent along with members."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from connectors.settings import AccountSettings, Model, PlatformSettings, PredictedValue, Secret, is_loopback

DATA_MANAGER = "datamanager.googleapis.com:443"
ADS = "googleads.googleapis.com:443"


def _account_id(value: object) -> str:
    """Ten digits; the hyphens that Google's screens show are taken off."""
    text = str(value).strip().replace("-", "")
    if not re.fullmatch(r"[0-9]{10}", text):
        raise ValueError("a Google Ads account id has ten digits, e.g. 123-456-7890")
    return text


def _address(value: object) -> str:
    text = str(value).strip().rstrip("/")
    host = text.removeprefix("insecure:").removeprefix("http://").removeprefix("https://")
    if not re.fullmatch(r"\[?[\w.:-]+\]?(:[0-9]{1,5})?", host):
        raise ValueError("write host:port (TLS), insecure:127.0.0.1:port, or http://127.0.0.1:port")
    return text


AccountId = Annotated[str, BeforeValidator(_account_id)]
Address = Annotated[str, BeforeValidator(_address)]
Tier = Literal["high", "middle", "low"]


class GoogleCredentials(Model):
    """Where the credentials are; exactly one of these."""

    json_key_file: Secret | None = None
    """A service account's key: `file:path`, or `env:NAME` where the variable holds the key's JSON or its path."""
    google_ads_yaml: str | None = None
    """Path of a `google-ads.yaml` as Google's own tools read it."""
    application_default: bool = False
    """The machine's own Google Cloud credentials."""

    @model_validator(mode="after")
    def _one(self) -> GoogleCredentials:
        given = [self.json_key_file, self.google_ads_yaml, self.application_default or None]
        if sum(one is not None for one in given) != 1:
            raise ValueError("give exactly one of json_key_file, google_ads_yaml, application_default")
        return self


class GooglePredictedValue(PredictedValue):
    """Predicted values as conversions of an action made for them alone, so that real purchase values stay what they are."""

    action: Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]+$")]


class GoogleAccount(AccountSettings):
    """One Google Ads account; `login_account_id` is the manager account through which the credentials reach it."""

    account_id: AccountId
    login_account_id: AccountId | None = None
    currency: str = ""
    """Only needed when reports must be in a known currency before the first row; else Google says it."""
    timezone: str = ""
    predicted_value: GooglePredictedValue | None = None
    """Off, unless the platform's predicted_value_action is set."""


class GoogleSettings(PlatformSettings):
    """The `google` block. `credentials: environment` reads GOOGLE_ADS_* variables, else ~/google-ads.yaml."""

    accounts: list[GoogleAccount] = []
    data_manager_endpoint: Address = DATA_MANAGER
    ads_endpoint: Address = ADS
    credentials: Literal["anonymous", "environment"] | GoogleCredentials = "environment"
    terms_accepted: bool = True
    """Whether your company has accepted Google's Customer Match terms; false stops every upload."""
    members_api: Literal["data_manager", "ads_jobs"] = "data_manager"
    """ads_jobs: Google Ads' upload jobs, only for accounts that Google has allowed since before 2026-04-01."""
    membership_days: int = Field(default=540, ge=1, le=540)
    mark_high_value: bool = True
    """Mark the top tier's list as HIGH_VALUE_CUSTOMERS, so that Google's own bidding goals can use it."""
    value_multipliers: dict[Tier, Annotated[Decimal, Field(gt=0, le=10)]] = {}
    """Conversion value rule per tier list, e.g. `high: 1.5`: Google's bidding counts such conversions that much more."""
    predicted_value_action: Annotated[str, BeforeValidator(str), Field(pattern=r"^[0-9]*$")] = ""
    """Id of a conversion action made for predicted values alone; without it none are sent."""
    report_level: Literal["campaign", "ad_group", "ad"] = "campaign"
    """How fine results are read; ad_group: ad groups and asset groups; ad: ads (so that each can be labelled), asset groups."""
    conversions: Literal["conversions", "all_conversions"] = "conversions"
    timeout_seconds: float = Field(default=120, gt=0, le=600)

    @model_validator(mode="after")
    def _safe(self) -> GoogleSettings:
        if self.ads_endpoint.startswith(("http://", "https://")):
            raise ValueError("ads_endpoint: Google Ads is gRPC only; write host:port or insecure:127.0.0.1:port")
        for field in ("data_manager_endpoint", "ads_endpoint"):
            address = getattr(self, field)
            if is_loopback(address):
                continue
            if address.startswith(("insecure:", "http://")):
                raise ValueError(f"{field}: plain text is for this machine only (127.0.0.1); write host:port for TLS")
            if self.credentials == "anonymous":
                raise ValueError(f"credentials: anonymous is for local servers only, and {field} is {address}")
        return self
