"""Meta earns the contract over the real SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.meta import platform
from connectors.testing import ConnectorSuite, Rig, ValueSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "EAAsecretTOKEN0123456789"


class TestMeta(ConnectorSuite, ValueSuite):
    """The whole contract."""

    @pytest.fixture
    def rig(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
        monkeypatch.setenv("META_TOKEN", TOKEN)
        sandbox = platform.sandbox()
        sandbox.tokens = {TOKEN: "valid"}
        sandbox.datasets = {"900100": "Shop"}
        address = sandbox.start()["address"]
        accounts = [{"account_id": "111", "currency": "USD", "predicted_value": {"dataset_id": "900100"}}]
        settings = platform.settings(api_base=address, credentials={"access_token": "env:META_TOKEN"}, accounts=accounts)
        waits: list[float] = []
        connector = platform.connect(settings, settings.accounts[0], now=sandbox.clock.now, sleep=waits.append)
        yield Rig(
            connector,
            sandbox,
            writes="/users",
            events="/events",
            creates="POST /v26.0/act_111/customaudiences",
            throttle={"code": 80003, "headers": {"X-Ad-Account-Usage": '{"acc_id_util_pct":100,"reset_time_duration":42}'}},
            refusal={"code": 190, "subcode": 463},
            waits=waits,
            secrets=(TOKEN,),
        )
        connector.close()
        sandbox.stop()
