"""TikTok (API for Business v1.3): the platform object and its limits. Light to import: httpx comes with `connect`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from connectors.protocol import Capabilities, IdentifierField, Operation, Recipe, utc_now
from connectors.tiktok.settings import TikTokSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.protocol import Connector
    from connectors.tiktok.settings import TikTokAccount


def recipe(email: str = "email_plain", phone: str = "phone_e164") -> Recipe:
    """The identifiers TikTok matches on; up to three e-mails and phones per person fit one row of a customer file."""
    return Recipe(
        version=f"tiktok-1:{email}:{phone}",
        fields=(
            IdentifierField("EMAIL", "email", email, values=3),
            IdentifierField("PHONE", "phone", phone, values=3),
            IdentifierField("MAID", "mobile_ad_id", "mobile_ad_id"),
        ),
    )


CAPABILITIES = Capabilities(
    platform="tiktok",
    recipe=recipe(),
    value_weighted=False,  # no value column exists in any audience call (fact sheet, section 3.2)
    batch_rows=20_000_000,  # one delivery is one update call: fewer than 50 files of 250 MB
    operations=frozenset(Operation),
    minimum_size=1000,
    removal_floor=1000,
    maximum_audiences=400,
    membership_days=None,  # 365 days after the last edit or use, which no member needs to be sent again for
    replace_interval_hours=24,
    edit_interval_hours=24,
    settles=True,
    mixed_operations=False,  # an audience that is being processed takes no second operation
    lookalikes=True,
    lookalike_minimum=1000,
    lookalike_refresh_days=3,  # by itself twice a week, but only while an active ad group uses it
    renames=True,
    shares=True,
    foresees=True,
    exclusion_path="stream",
    click_parameters=("ttclid",),
    after_removal=(
        "TikTok may take 48 hours for a removal and deletes uploaded files after matching; lookalikes follow their seed twice "
        "a week while an active ad group uses them"
    ),
    predicted_values=True,
    value_batch_rows=1_000,
    value_age_days=28,
)

EMAIL_RULES = {"plain": "email_plain", "without_tag": "email_without_tag", "bare": "email_bare"}
PHONE_RULES = {"plus": "phone_e164", "digits": "phone_digits"}


class TikTokPlatform:
    """What the entry point names."""

    name = "tiktok"
    capabilities = CAPABILITIES
    settings: type[TikTokSettings] = TikTokSettings

    def connect(
        self,
        settings: Any,
        account: Any,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Connector:
        """A connector for one advertiser account; opens no connection yet."""
        from connectors.tiktok.connector import TikTokConnector

        chosen: TikTokSettings = settings
        owner: TikTokAccount = account
        forms = recipe(EMAIL_RULES[chosen.email_form], PHONE_RULES[chosen.phone_form])
        limits = replace(CAPABILITIES, recipe=forms)
        return TikTokConnector(chosen, owner, limits, now=now, sleep=sleep)

    def sandbox(self) -> Any:
        """The strict local stand-in for TikTok."""
        from connectors.tiktok.sandbox import TikTokSandbox

        return TikTokSandbox()


platform = TikTokPlatform()
