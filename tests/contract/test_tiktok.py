"""TikTok earns the contract: seeds by file the whole of it, exclusions by stream all that concerns members."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connectors.protocol import Operation
from connectors.testing import AudienceSuite, ConnectorSuite, FaultSuite, Rig, ValueSuite
from connectors.tiktok import platform
from connectors.tiktok.connector import TikTokConnector

TOKEN = "tiktok-token-never-to-be-seen"


@contextmanager
def rigged(monkeypatch: pytest.MonkeyPatch, *, writes: str, creates: str, exclusion: bool) -> Iterator[Rig]:
    monkeypatch.setenv("TIKTOK_CONTRACT_TOKEN", TOKEN)
    sandbox = platform.sandbox()
    sandbox.limits.enabled = False  # the connector's waits are only counted here, so nothing would be paced
    block = {"api_base": sandbox.start()["address"], "credentials": {"access_token": "env:TIKTOK_CONTRACT_TOKEN"}}
    values = {"pixel_code": "C4ABCDEFGH0123456789", "page_url": "https://shop.example/"}
    accounts = [{"account_id": "7000000000000000001", "predicted_value": values}]
    settings = platform.settings.model_validate({**block, "accounts": accounts})
    waits: list[float] = []
    connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=waits.append)
    assert isinstance(connector, TikTokConnector)
    if exclusion:
        operations = frozenset({Operation.ADD, Operation.REMOVE})
        connector.capabilities = replace(connector.capabilities, operations=operations, removal_floor=0, settles=False)
    try:
        yield Rig(
            connector,
            sandbox,
            writes=writes,
            creates=creates,
            events="/event/track/",
            throttle={"code": 40100, "message": "Too many requests."},
            refusal={"code": 40105, "message": "Access token is incorrect."},
            waits=waits,
            secrets=(TOKEN,),
            exclusion=exclusion,
        )
    finally:
        connector.close()
        sandbox.stop()


class TestFiles(ConnectorSuite, ValueSuite):
    @pytest.fixture
    def rig(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
        calls = {"writes": "/custom_audience/update/", "creates": "/custom_audience/create/"}
        with rigged(monkeypatch, **calls, exclusion=False) as rig:
            yield rig


class TestStreams(AudienceSuite, FaultSuite):
    @pytest.fixture
    def rig(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
        calls = {"writes": "/segment/mapping/", "creates": "/segment/audience/"}
        with rigged(monkeypatch, **calls, exclusion=True) as rig:
            yield rig
