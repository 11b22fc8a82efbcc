"""100,000 members to the sandbox and as many results back with every documented throttle on: right in the end, never throttled.

The sandbox's clock moves only by the connector's own waits, so its log says exactly how fast the connector was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.protocol import Operation
from connectors.tiktok import CAPABILITIES
from connectors.tiktok.connector import TikTokConnector, burst
from connectors.tiktok.pace import Pacer
from connectors.tiktok.settings import TikTokSettings
from tests.rates import most

from .conftest import ADVERTISER, Recorded, batch, digests, exclusion, held, people, seed

MEMBERS = 100_000


@pytest.fixture
def paced(sandbox: Recorded) -> Iterator[TikTokConnector]:
    """A connector that really paces itself, in the sandbox's time: waiting moves the sandbox's clock."""
    sandbox.limits.enabled = True

    def clock() -> float:
        return sandbox.clock.now().timestamp()

    def sleep(seconds: float) -> None:
        sandbox.clock.advance(seconds=seconds)

    block = {"api_base": sandbox.address, "credentials": "anonymous", "accounts": [{"account_id": ADVERTISER}]}
    settings = TikTokSettings.model_validate(block)
    pacer = Pacer(settings.requests_per_second, burst(settings.requests_per_second), clock=clock, sleep=sleep)
    one = TikTokConnector(
        settings, settings.accounts[0], CAPABILITIES, now=sandbox.clock.now, sleep=sleep, clock=clock, pacer=pacer
    )
    yield one
    one.close()


pytestmark = pytest.mark.usefixtures("still")


def assert_within_rates(sandbox: Recorded) -> None:
    """10 calls a second and 600 a minute; identifiers streamed: 10,000 a second and 600,000 a minute; nothing was refused."""
    streamed = [one for one in sandbox.requests if "identifiers" in one]
    others = [one for one in sandbox.requests if "identifiers" not in one]
    assert {one["code"] for one in sandbox.requests} == {0}
    assert (most(others, 1) <= 10, most(others, 60) <= 600) == (True, True)
    assert most(streamed, 1, amount=lambda one: one["identifiers"]) <= 10_000
    assert most(streamed, 60, amount=lambda one: one["identifiers"]) <= 600_000


def test_a_seed_by_file(sandbox: Recorded, paced: TikTokConnector) -> None:
    rows = people(range(MEMBERS))
    handle = paced.find_or_create(seed())
    receipt = paced.send(handle, batch(Operation.ADD, rows, chunk=25_000))
    assert receipt.pending == MEMBERS
    handle = replace(handle, remote_id=receipt.remote_id)
    sandbox.clock.advance(hours=25)
    assert paced.settle(handle, receipt.reference, MEMBERS).accepted == MEMBERS
    paced.send(handle, batch(Operation.REMOVE, rows[:5000]))
    sandbox.clock.advance(hours=25)
    assert held(sandbox, handle) == digests(rows[5000:])
    assert_within_rates(sandbox)


def test_an_exclusion_by_stream(sandbox: Recorded, paced: TikTokConnector) -> None:
    rows = people(range(MEMBERS))
    handle = paced.find_or_create(exclusion())
    began = sandbox.clock.now()
    assert paced.send(handle, batch(Operation.ADD, rows, chunk=25_000)).accepted == MEMBERS
    assert sandbox.clock.now() - began < timedelta(minutes=1)
    assert paced.send(handle, batch(Operation.REMOVE, rows[:5000])).accepted == 5000
    assert held(sandbox, handle) == digests(rows[5000:])
    assert_within_rates(sandbox)


def test_more_results_than_one_call_tells(sandbox: Recorded, paced: TikTokConnector) -> None:
    """A day of 21,000 ads is cut and read by a task; the other 79,000 results of 75 days come in pages."""
    day = sandbox.clock.now().date() - timedelta(days=80)
    base = {"campaign_id": "1", "campaign_name": "C", "adset_id": "2", "impressions": "3", "clicks": "1", "conversions": "0"}
    base |= {"spend": "0.10", "conversion_value": "0"}
    ads = [(n, day + timedelta(days=n % 75 if n >= 21_000 else 0)) for n in range(100_000)]
    sandbox.campaigns = [{**base, "ad_id": str(10**15 + n), "date": on.isoformat()} for n, on in ads]
    found = list(paced.campaign_days(day, day + timedelta(days=79)))
    assert len({one.ad_id for one in found}) == len(found) == 100_000
    assert sum(one.spend for one in found) == Decimal("10000.00")
    assert_within_rates(sandbox)
