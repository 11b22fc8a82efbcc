"""Meta: value-based custom audiences, lookalikes and insights, over facebook-business as transport."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from connectors.meta.settings import MetaSettings
from connectors.protocol import Capabilities, IdentifierField, Operation, Recipe, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.protocol import Connector

RECIPE: Final = Recipe(
    version="meta-1",
    fields=(
        IdentifierField("EXTERN_ID", "external_id", "external_id", hashed=False, opt_in=True),
        IdentifierField("EMAIL", "email", "email_plain", values=5),
        IdentifierField("PHONE", "phone", "phone_digits", values=5),
        IdentifierField("GEN", "gender", "gender", identifies=False),
        IdentifierField("DOBY", "birth_year", "birth_year", identifies=False),
        IdentifierField("DOBM", "birth_month", "birth_month", identifies=False),
        IdentifierField("DOBD", "birth_day", "birth_day", identifies=False),
        IdentifierField("LN", "last_name", "name_meta", identifies=False),
        IdentifierField("FN", "first_name", "name_meta", identifies=False),
        IdentifierField("CT", "city", "city_meta", identifies=False),
        IdentifierField("ST", "region", "region_meta", identifies=False),
        IdentifierField("ZIP", "postal_code", "postal_meta", identifies=False),
        IdentifierField("COUNTRY", "country", "country_lower", identifies=False),
        IdentifierField("MADID", "mobile_ad_id", "mobile_ad_id", hashed=False),
    ),
    spill=True,
)

CAPABILITIES: Final = Capabilities(
    platform="meta",
    recipe=RECIPE,
    value_weighted=True,
    batch_rows=10_000,
    operations=frozenset({Operation.ADD, Operation.REMOVE, Operation.REPLACE}),
    minimum_size=100,
    removal_floor=100,
    maximum_audiences=500,
    maximum_lookalikes=500,  # 10,000 in another of Meta's pages
    longest_membership=180,
    concurrent_batches=1,  # the batches of a session are sequential
    lookalikes=True,
    lookalike_minimum=100,
    renames=True,
    foresees=True,
    value_updates="replace",  # whether adding a member again overwrites the value is unconfirmed
    report_history_days=37 * 30,
    report_restatement_days=28,
    click_parameters=("fbclid",),
    removes_everywhere=True,  # Meta asks for it where people opt out (fact sheet 2.6)
    after_removal=(
        "Meta may take 24 hours for a removal and keeps the link to an external id for 90 days; lookalikes follow their seed "
        "every 3 days while an ad set uses them"
    ),
    predicted_values=True,
    value_batch_rows=1_000,
    value_age_days=7,
)


class MetaPlatform:
    """What the entry point names."""

    name = "meta"
    capabilities = CAPABILITIES
    settings: type[Any] = MetaSettings

    def connect(
        self, settings: Any, account: Any, *, now: Callable[[], datetime] = utc_now, sleep: Callable[[float], None] = time.sleep
    ) -> Connector:
        """A connector for one ad account; opens no connection yet. Raises ConfigurationError for a missing secret."""
        from connectors.meta.connector import MetaConnector

        return MetaConnector(settings, account, now=now, sleep=sleep)

    def sandbox(self) -> Any:
        """A strict local Graph API: custom audiences, lookalikes, insights."""
        from connectors.meta.sandbox import MetaSandbox

        return MetaSandbox()


platform: Final = MetaPlatform()
