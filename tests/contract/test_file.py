"""The file connector earns the part of the contract that a platform without a network can: everything but faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.file import platform
from connectors.testing import AudienceSuite, Rig


class _Lists(AudienceSuite):
    format = ""

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        sandbox = platform.sandbox()
        accounts = [{"account_id": "uploads", "format": self.format}]
        settings = platform.settings.model_validate({"folder": sandbox.start()["folder"], "accounts": accounts})
        connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now)
        yield Rig(connector, sandbox)
        connector.close()
        sandbox.stop()


class TestMetaLists(_Lists):
    format = "meta"


class TestGoogleLists(_Lists):
    format = "google"


class TestTikTokLists(_Lists):
    format = "tiktok"
