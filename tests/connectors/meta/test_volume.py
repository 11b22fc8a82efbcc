"""A hundred thousand members and their results with Meta's tightest quota on: paced, never refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.meta import platform
from connectors.meta.sandbox.limits import TIERS
from connectors.protocol import Operation
from tests.connectors.meta.conftest import SEED, batch_of

if TYPE_CHECKING:
    from connectors.meta.sandbox import MetaSandbox


def test_a_hundred_thousand_members_stay_within_the_quota(box: MetaSandbox) -> None:
    box.tier = TIERS["limited"]
    settings = platform.settings(
        api_base=box.address,  # type: ignore[attr-defined]
        credentials="anonymous",
        accounts=[{"account_id": "111"}],
    )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        box.clock.advance(seconds=seconds)

    connector = platform.connect(settings, settings.accounts[0], now=box.clock.now, sleep=sleep)
    seed = connector.find_or_create(SEED)
    for number in range(40):  # 40 writes of score 3 against a quota of 60 in five minutes
        rows = range(number * 2_500, (number + 1) * 2_500)
        batch = batch_of(connector, Operation.ADD, rows, sequence=number + 1, last=number == 39, total=100_000)  # type: ignore[arg-type]
        assert connector.send(seed, batch).accepted == 2_500
    today = box.clock.now().date()
    days = list(connector.campaign_days(today - timedelta(days=100), today))
    connector.close()
    assert len(box.audiences[seed.remote_id].members) == 100_000
    assert len(days) == len(box.campaigns)
    assert slept
    assert not [entry for entry in box.requests if entry.get("code")]
