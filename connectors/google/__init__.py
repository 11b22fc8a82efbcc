"""Google: audience lists through the Data Manager API; lookalikes, customer types and results through Google Ads.

Light to import: the SDKs are loaded by `client.py` on the first call. Limits are those of the platform's fact sheet.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from connectors.google.settings import GoogleSettings
from connectors.protocol import Capabilities, IdentifierField, Operation, Recipe, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.google.connector import GoogleConnector
    from connectors.google.sandbox import GoogleSandbox
    from connectors.google.settings import GoogleAccount

_ADDRESS = ("given_name", "family_name", "region_code", "postal_code")


def _part(name: str, source: str, rule: str, *, hashed: bool) -> IdentifierField:
    others = tuple(one for one in _ADDRESS if one != name)
    return IdentifierField(name, source, rule, hashed=hashed, requires=others, identifies=hashed)


RECIPE = Recipe(
    version="google-2026-11",
    fields=(
        IdentifierField("email", "email", "email_google", values=3),
        IdentifierField("phone", "phone", "phone_e164", values=3),
        _part("given_name", "first_name", "name_google_given", hashed=True),
        _part("family_name", "last_name", "name_google_family", hashed=True),
        _part("region_code", "country", "country_upper", hashed=False),
        _part("postal_code", "postal_code", "postal_google", hashed=False),
        IdentifierField("consent_unrecorded", "consent_unrecorded", "mark", hashed=False, identifies=False, note=True),
    ),
    identifiers_per_member=10,
)

CAPABILITIES = Capabilities(
    platform="google",
    recipe=RECIPE,
    value_weighted=False,  # no per-member value exists: one list per tier instead
    batch_rows=10_000,
    operations=frozenset({Operation.ADD, Operation.REMOVE, Operation.REPLACE}),
    membership_days=540,
    longest_membership=540,
    settles=True,
    mixed_operations=False,
    concurrent_batches=4,  # requests stand for themselves; 300 a minute is kept by the client
    lookalike_minimum=100,
    report_history_days=37 * 30,
    report_restatement_days=30,
    click_parameters=("gclid", "gbraid", "wbraid"),
    after_removal=(
        "Google says within a day whether it took a removal and may need 48 hours to work it off; lookalikes follow their seed "
        "within 2 days"
    ),
    predicted_values=True,
    value_batch_rows=2_000,
    value_age_days=28,
)


def _quiet_grpc() -> None:
    """Nothing: grpc, which reads this once when it is loaded, doesn't write to stderr by itself."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class GooglePlatform:
    """What the entry point names: capabilities, settings, and how to connect."""

    name = "google"
    capabilities = CAPABILITIES
    settings = GoogleSettings

    def connect(
        self,
        settings: GoogleSettings,
        account: GoogleAccount,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> GoogleConnector:
        """A connector for one account; opens no connection yet."""
        _quiet_grpc()
        from connectors.google.connector import GoogleConnector

        return GoogleConnector(settings, account, CAPABILITIES, now=now, sleep=sleep)

    def sandbox(self, **options: Any) -> GoogleSandbox:
        """A strict local stand-in for both APIs."""
        _quiet_grpc()
        from connectors.google.sandbox import GoogleSandbox

        return GoogleSandbox(**options)


platform = GooglePlatform()
