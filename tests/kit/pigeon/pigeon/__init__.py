"""Pigeon Ads, a made-up platform in a package of its own: what it takes to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.protocol import Capabilities, IdentifierField, Operation, Recipe, utc_now
from connectors.settings import AccountSettings, PlatformSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.protocol import Connector

CAPABILITIES = Capabilities(
    platform="pigeon",
    recipe=Recipe("pigeon-1", (IdentifierField("email", "email", "email_plain"),)),
    value_weighted=False,
    batch_rows=5_000,
    operations=frozenset(Operation),
    removal_floor=50,
    lookalike_minimum=100,
)


class PigeonSettings(PlatformSettings):
    """The block `pigeon:` in platforms.yaml."""

    api_base: str = "https://ads.pigeon.example"
    accounts: list[AccountSettings] = []


class PigeonPlatform:
    """What the entry point names."""

    name = "pigeon"
    protocol = 1
    capabilities = CAPABILITIES
    settings: type[Any] = PigeonSettings

    def connect(self, settings: Any, account: Any, *, now: Callable[[], datetime] = utc_now) -> Connector:
        """A connector for one account."""
        from pigeon.connector import PigeonConnector

        return PigeonConnector(settings.api_base, account.account_id, now)

    def sandbox(self) -> Any:
        """A local Pigeon Ads."""
        from pigeon.sandbox import PigeonSandbox

        return PigeonSandbox()


platform = PigeonPlatform()
