"""Pigeon Ads earns the contract: its real client against its stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors import registry
from connectors.testing import ConnectorSuite, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


def rig_of() -> Iterator[Rig]:
    """The installed platform, as the registry finds it, at its stand-in."""
    platform = registry.platform("pigeon")
    sandbox = platform.sandbox()
    settings = platform.settings(api_base=sandbox.start()["address"], accounts=[{"account_id": "coop-1"}])
    waits: list[float] = []
    connector = registry.connect("pigeon", settings, settings.accounts[0], now=sandbox.clock.now)
    connector.client.sleep = waits.append  # type: ignore[attr-defined]
    yield Rig(
        connector,
        sandbox,
        writes="/members",
        creates="POST /lists",
        throttle={"code": 429, "wait": 3},
        refusal={"code": 403},
        waits=waits,
    )
    connector.close()
    sandbox.stop()


class TestPigeon(ConnectorSuite):
    """The whole contract."""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """A new stand-in for each test."""
        yield from rig_of()
