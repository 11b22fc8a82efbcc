"""A hundred thousand members to the sandbox and as many results back with Meta's tightest quotas on: paced, never refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.meta import platform
from connectors.meta.sandbox.limits import TIERS
from connectors.protocol import Operation
from connectors.sandbox import Clock
from tests.connectors.meta.conftest import SEED, batch_of, digest
from tests.rates import fullest, most

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors.meta.connector import MetaConnector
    from connectors.meta.sandbox import MetaSandbox

MEMBERS, PART = 100_000, 2_500
HOUR = 3600.0


@pytest.fixture
def paced(box: MetaSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], MetaConnector]]:
    """Connectors to an account of the lowest tier that pace themselves in the sandbox's time, which only waiting moves."""
    start = datetime.now(UTC)
    monkeypatch.setattr(Clock, "now", lambda clock: start + clock.offset)
    box.tier = TIERS["limited"]
    made: list[MetaConnector] = []

    def build() -> MetaConnector:
        settings = platform.settings(
            api_base=box.address,  # type: ignore[attr-defined]
            credentials="anonymous",
            accounts=[{"account_id": "111"}],
        )

        def sleep(seconds: float) -> None:
            box.clock.advance(seconds=seconds)

        made.append(platform.connect(settings, settings.accounts[0], now=box.clock.now, sleep=sleep))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for one in made:
        one.close()


def score(entry: dict[str, str]) -> float:
    """Meta's: 1 for a read, 3 for a write."""
    return 1 if entry["method"] == "GET" else 3


def assert_within_quotas(box: MetaSandbox) -> None:
    """Score 60 in 300 seconds, 5,000 calls for audiences and 600 for reports in an hour; nothing was refused."""
    reports = [one for one in box.requests if one["operation"] == "report"]
    others = [one for one in box.requests if one["operation"] != "report"]
    assert {one["code"] for one in box.requests} == {0}
    assert 40 < fullest(box.requests, 60 / 300, amount=score) <= 60
    assert most(reports, HOUR) <= 600
    assert most(others, HOUR) <= 5_000


def test_a_hundred_thousand_members_stay_within_the_quota(box: MetaSandbox, paced: Callable[[], MetaConnector]) -> None:
    connector = paced()
    seed = connector.find_or_create(SEED)
    for number in range(MEMBERS // PART):  # 40 writes of score 3 against a quota of 60 in five minutes
        rows = range(number * PART, (number + 1) * PART)
        batch = batch_of(connector, Operation.ADD, rows, sequence=number + 1, last=number == 39, total=MEMBERS)
        assert connector.send(seed, batch).accepted == PART
    assert connector.send(seed, batch_of(connector, Operation.REMOVE, range(5_000), delivery=8)).accepted == 5_000
    wanted = {b"E" + digest(f"EMAIL{number}") for number in range(5_000, MEMBERS)}
    assert set(box.audiences[seed.remote_id].members) == wanted
    assert_within_quotas(box)


def test_a_hundred_thousand_results_stay_within_the_quota(box: MetaSandbox, paced: Callable[[], MetaConnector]) -> None:
    """A thousand ads on a hundred days: two report runs, read in 200 pages; the second is made when the first is read."""
    today = box.clock.now().date()
    figures = {"spend": "0.07", "impressions": "3", "clicks": "1", "conversions": "1", "conversion_value": "0.10"}
    place = {"campaign_id": "1", "campaign_name": "C", "adset_id": "2"}
    box.campaigns = [
        {**place, "ad_id": str(10**15 + ad), "date": (today - timedelta(days=back)).isoformat(), **figures}
        for back in range(1, 101)
        for ad in range(1_000)
    ]
    found, spend, value = set(), Decimal(), Decimal()
    for number, day in enumerate(paced().campaign_days(today - timedelta(days=100), today)):
        if not number:
            assert len(box.runs) == 1
        found.add((day.ad_id, day.date))
        spend, value = spend + day.spend, value + day.conversion_value
    assert (len(found), number + 1) == (100_000, 100_000)
    assert (spend, value) == (Decimal("7000.00"), Decimal("10000.00"))
    assert len(box.runs) == 2
    assert_within_quotas(box)
